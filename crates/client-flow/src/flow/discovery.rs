//! From the address of an MCP server to the authorization server that its metadata names.
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the challenge's `resource_metadata`, then the path's, then the root's well-known URL, as [`MetadataSearch`] reads them | C-DISC-1, C-DISC-2 | see below |
//! | the document is a bounded JSON object | C-DISC-10 | the next URL, then `Document` |
//! | its `resource` covers the server being called | C-DISC-4 | `ResourceMismatch` |
//! | every URL answered 4xx or with a page: there is no document | C-DISC-12 | the pinned issuer, else the origin of MCP 2025-03-26; `NoResourceMetadata` where the challenge named a URL or an earlier login had metadata |
//! | any other answer without the document (5xx, 408, 425, 429, a redirect that is not followed) | C-DISC-12 | `Status`; never another origin |
//! | the host pinned the issuer, or the document names one; the host chooses among several | C-DISC-9, C-DISC-11 | `NoAuthorizationServer` |

use bytes::Bytes;
use http::Response;
use oauth_types::{
    BearerChallenge, EndpointUrl, Issuer, MetadataNotFound, MetadataSearch, MetadataStep,
    ProtectedResourceMetadata, ResourceUri, ScopeSet, describing,
};

use crate::config::ClientConfig;
use crate::error::{DiscoveryError, FlowError};
use crate::flow::exchange::{Exchange, Then};
use crate::flow::server::FindServer;
use crate::flow::sought::Sought;
use crate::flow::step::Step;
use crate::goal::{Goal, Wanted};
use crate::session::{Session, Tokens};

/// Starts a login to the MCP server at `server_url`, with the challenge that its 401 carried, if any.
///
/// `previous` is the session whose tokens the server does not take any more. What it was asked for is asked for
/// again, so that a login after a step-up loses nothing; and tokens that a store keeps are used without asking
/// the user, unless they are these, or ones that these have replaced.
///
/// A host whose store is shared keeps others out from [`Step::Recall`] to [`Step::Save`], and not while a browser is
/// open.
///
/// # Errors
///
/// [`FlowErrorKind::ServerUrl`](crate::FlowErrorKind::ServerUrl) when the address is not https, nor http on a loopback host.
pub fn login(
    config: ClientConfig,
    server_url: &str,
    challenge: Option<&BearerChallenge>,
    previous: Option<&Session>,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::server_url)?;
    // C-DISC-1. Only on the server's own origin: elsewhere its word proves nothing (RFC 9728 §7.3).
    let named = challenge
        .and_then(|challenge| challenge.resource_metadata.as_ref())
        .filter(|url| url.origin() == target.origin());
    // C-DISC-2
    let search = MetadataSearch::of_resource(&target, named).map_err(FlowError::server_url)?;
    let challenged = challenge.and_then(|challenge| challenge.scope.clone());
    let held = previous.map(Session::tokens).and_then(Tokens::asks_again);
    // C-TOKEN-6: also what they have replaced, which a store may hold where a save failed.
    let used = |session: &Session| {
        let own = core::iter::once(&session.tokens().access_token);
        own.chain(session.replaced()).cloned().collect()
    };
    let refused = previous.map(used).unwrap_or_default();
    let wanted = Wanted::First { challenged, held, refused };
    // A server that points to its metadata, or had some before, is none of MCP 2025-03-26.
    let had_metadata = previous.is_some_and(|it| it.account().resource_metadata.is_some());
    let is_old =
        !had_metadata && challenge.is_none_or(|challenge| challenge.resource_metadata.is_none());
    let goal = Goal { config, target, wanted, found_at: None };
    FindResource { goal, search, is_old }.ask()
}

/// Starts a login for exactly these scopes, from the metadata at `named`, which is on the resource's own
/// origin, or from where it usually is.
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

/// The search for protected resource metadata.
pub(crate) struct FindResource {
    goal: Goal,
    search: MetadataSearch,
    /// The server may be one of MCP 2025-03-26, which had no such metadata.
    is_old: bool,
}

impl FindResource {
    fn ask(self) -> Result<Step, FlowError> {
        let url = self.search.url().clone();
        Exchange::get(&url, Then::Resource(Box::new(self)))
    }

    /// Goes on with a response; `None` where it was longer than any document.
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
                    Some(issuer) => FindServer::pinned(goal, document, issuer),
                    None => ChooseServer { goal, metadata: document }.or_the_only_one(),
                }
            }
            // C-DISC-12: a server in trouble is none of MCP 2025-03-26.
            Err(MetadataNotFound { is_absent: true, .. }) if is_old => Self::at_old_server(goal),
            Err(MetadataNotFound { failure, .. }) => Err(Sought::Resource.not_found(failure)),
        }
    }

    fn at_old_server(goal: Goal) -> Result<Step, FlowError> {
        // C-DISC-11: the host knows better than any place.
        match goal.pinned().cloned() {
            Some(issuer) => {
                let (resource, issuers) = (goal.target.clone(), vec![issuer.clone()]);
                let metadata = ProtectedResourceMetadata::new(resource, issuers);
                FindServer::pinned(goal, metadata, issuer)
            }
            None => FindServer::at_origin(goal),
        }
    }
}

/// The resource takes tokens of several authorization servers (RFC 9728 §7.6).
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
                FindServer::start(self.goal, self.metadata, only)
            }
            several => {
                // What was given out for one of them decides.
                let config = &self.goal.config;
                let mut known = several.iter().filter(|one| config.registered_with(one).is_some());
                match (known.next().cloned(), known.next()) {
                    (Some(only), None) => FindServer::start(self.goal, self.metadata, only),
                    _ => Ok(Step::ChooseServer(Box::new(self))),
                }
            }
        }
    }

    /// The servers, in the order the resource lists them.
    #[must_use]
    pub fn servers(&self) -> &[Issuer] {
        &self.metadata.authorization_servers
    }

    /// Goes on with the server at this place of the list.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::NoAuthorizationServer`] when the list has no such place.
    pub fn choose(self, index: usize) -> Result<Step, FlowError> {
        // C-DISC-9
        let chosen = self.servers().get(index).cloned();
        let chosen = chosen.ok_or(DiscoveryError::NoAuthorizationServer)?;
        FindServer::start(self.goal, self.metadata, chosen)
    }
}
