//! Resource discovery: from the URL of an MCP server to its authorization server (RFC 9728).
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | URLs: the challenge's, well-known with the path, well-known at the root | C-DISC-1, C-DISC-2 | see below |
//! | the document is a bounded JSON object | C-DISC-10 | the next URL, then `Document` |
//! | its `resource` covers the server being called | C-DISC-4 | `ResourceMismatch` |
//! | every URL answered 4xx or with a page: no document exists | C-DISC-12 | legacy discovery, see below |
//! | any other answer (5xx, 408, 425, 429, an unfollowed redirect) | C-DISC-12 | `Status`; never another origin |
//! | an issuer is pinned or named; the host chooses among several | C-DISC-9, C-DISC-11 | `NoAuthorizationServer` |
//!
//! [`MetadataSearch`] reads the URLs. Where no document exists, the flow continues with the pinned issuer, else with
//! the origin of the resource as in MCP 2025-03-26. It ends with `NoResourceMetadata` where the challenge named a URL
//! or an earlier login had metadata.

use bytes::Bytes;
use http::Response;
use oauth_types::{
    BearerChallenge, EndpointUrl, Issuer, MetadataNotFound, MetadataSearch, MetadataStep,
    ProtectedResourceMetadata, ResourceUri, ScopeSet, describing,
};

use crate::config::ClientConfig;
use crate::error::{DiscoveryError, FlowError};
use crate::flow::send_request::{SendRequest, Then};
use crate::flow::server::MetadataDiscovery;
use crate::flow::sought::Sought;
use crate::flow::step::Step;
use crate::goal::{Goal, Wanted};
use crate::session::{Session, Tokens};

/// Starts a login to the MCP server at `server_url`, with the challenge of its 401 response, if any.
///
/// `previous` is the session whose tokens the server no longer accepts. Its scopes are requested again, so that a login
/// after a step-up loses nothing. Stored tokens are used without asking the user, except the refused tokens and those
/// that they have replaced.
///
/// A host whose store is shared holds the store's lock from [`Step::LoadCredentials`] to [`Step::SaveCredentials`], and
/// releases it while a browser is open.
///
/// # Errors
///
/// [`FlowErrorKind::ServerUrl`](crate::FlowErrorKind::ServerUrl) when the URL is neither https nor http on a loopback
/// host.
pub fn login(
    config: ClientConfig,
    server_url: &str,
    challenge: Option<&BearerChallenge>,
    previous: Option<&Session>,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::server_url)?;
    // C-DISC-1. Only on the server's own origin, because a document elsewhere proves nothing (RFC 9728 §7.3).
    let named = challenge
        .and_then(|challenge| challenge.resource_metadata.as_ref())
        .filter(|url| url.origin() == target.origin());
    // C-DISC-2
    let search = MetadataSearch::of_resource(&target, named).map_err(FlowError::server_url)?;
    let challenged = challenge.and_then(|challenge| challenge.scope.clone());
    let held = previous.map(Session::tokens).and_then(Tokens::asks_again);
    // C-TOKEN-6: including the tokens that they have replaced, which a store may hold after a failed save.
    let used = |session: &Session| {
        let own = core::iter::once(&session.tokens().access_token);
        own.chain(session.replaced()).cloned().collect()
    };
    let refused = previous.map(used).unwrap_or_default();
    let wanted = Wanted::First { challenged, held, refused };
    // A server that names its metadata URL, or had metadata before, is newer than MCP 2025-03-26.
    let had_metadata = previous.is_some_and(|it| it.account().resource_metadata.is_some());
    let is_old =
        !had_metadata && challenge.is_none_or(|challenge| challenge.resource_metadata.is_none());
    let goal = Goal { config, target, wanted, found_at: None };
    FindResource { goal, search, is_old }.ask()
}

/// Starts a login for exactly these scopes.
///
/// The metadata is read at `named`, which is on the resource's own origin, or at the well-known URLs.
pub(crate) fn login_for(
    config: ClientConfig,
    server_url: &str,
    named: Option<&EndpointUrl>,
    scope: ScopeSet,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::server_url)?;
    let search = MetadataSearch::of_resource(&target, named).map_err(FlowError::server_url)?;
    let goal = Goal { config, target, wanted: Wanted::Exactly(scope), found_at: None };
    FindResource { goal, search, is_old: named.is_none() }.ask()
}

/// Search for protected resource metadata.
pub(crate) struct FindResource {
    goal: Goal,
    search: MetadataSearch,
    /// `true` if the server may be one of MCP 2025-03-26, which did not define protected resource metadata.
    is_old: bool,
}

impl FindResource {
    fn ask(self) -> Result<Step, FlowError> {
        let url = self.search.url().clone();
        SendRequest::get(&url, Then::Resource(Box::new(self)))
    }

    /// Continues with a response; `None` if it was longer than [`SendRequest::MAX_BODY`].
    pub(crate) fn read(self, response: Option<&Response<Bytes>>) -> Result<Step, FlowError> {
        let Self { goal, search, is_old } = self;
        let step = match response {
            Some(response) => search.resume(response, describing(&goal.target)),
            None => search.too_large(),
        };
        match step {
            Ok(MetadataStep::Next(search)) => Self { goal, search, is_old }.ask(),
            Ok(MetadataStep::Found { document, place }) => {
                let goal = Goal { found_at: Some(place), ..goal };
                // C-DISC-11
                match goal.pinned().cloned() {
                    Some(issuer) => MetadataDiscovery::pinned(goal, document, issuer),
                    None => ChooseServer { goal, metadata: document }.or_the_only_one(),
                }
            }
            // C-DISC-12: a failing server is not taken for one of MCP 2025-03-26.
            Err(MetadataNotFound { is_absent: true, .. }) if is_old => Self::at_old_server(goal),
            Err(MetadataNotFound { failure, .. }) => Err(Sought::Resource.not_found(failure)),
        }
    }

    fn at_old_server(goal: Goal) -> Result<Step, FlowError> {
        // C-DISC-11: the host's pinned issuer takes precedence over any URL.
        match goal.pinned().cloned() {
            Some(issuer) => {
                let (resource, issuers) = (goal.target.clone(), vec![issuer.clone()]);
                let metadata = ProtectedResourceMetadata::new(resource, issuers);
                MetadataDiscovery::pinned(goal, metadata, issuer)
            }
            None => MetadataDiscovery::at_origin(goal),
        }
    }
}

/// Choice among several authorization servers of one resource (RFC 9728 §7.6).
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct ChooseServer {
    goal: Goal,
    metadata: ProtectedResourceMetadata,
}

impl ChooseServer {
    fn or_the_only_one(self) -> Result<Step, FlowError> {
        match self.servers() {
            [] => Err(DiscoveryError::NoAuthorizationServer.into()),
            [only] => {
                let only = only.clone();
                MetadataDiscovery::start(self.goal, self.metadata, only)
            }
            several => {
                // Credentials that are pre-registered for exactly one of them decide.
                let config = &self.goal.config;
                let mut known = several.iter().filter(|one| config.registered_with(one).is_some());
                match (known.next().cloned(), known.next()) {
                    (Some(only), None) => MetadataDiscovery::start(self.goal, self.metadata, only),
                    _ => Ok(Step::ChooseServer(Box::new(self))),
                }
            }
        }
    }

    /// Returns the authorization servers in the order of the resource's metadata.
    #[must_use]
    pub fn servers(&self) -> &[Issuer] {
        &self.metadata.authorization_servers
    }

    /// Continues with the server at this index of the list.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::NoAuthorizationServer`] when `index` is out of range.
    pub fn choose(self, index: usize) -> Result<Step, FlowError> {
        // C-DISC-9
        let chosen = self.servers().get(index).cloned();
        let chosen = chosen.ok_or(DiscoveryError::NoAuthorizationServer)?;
        MetadataDiscovery::start(self.goal, self.metadata, chosen)
    }
}
