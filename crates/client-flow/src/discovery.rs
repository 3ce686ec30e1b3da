//! From the address of an MCP server to the authorization server that its metadata names.
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the challenge's `resource_metadata`, then the path's, then the root's well-known URL | C-DISC-1, C-DISC-2 | the pinned issuer, else the origin of MCP 2025-03-26; `NoResourceMetadata` where the challenge named a URL or an earlier login had metadata |
//! | 4xx goes on to the next URL; anything else but 200, and a 4xx that passes (408, 425, 429), ends the flow | C-DISC-12 | `Status` |
//! | the document is a bounded JSON object | C-DISC-10 | `Document` |
//! | its `resource` covers the server being called | C-DISC-4 | `ResourceMismatch` |
//! | the host pinned the issuer, or the document names one; the host chooses among several | C-DISC-9, C-DISC-11 | `NoAuthorizationServer` |

use std::vec::IntoIter;

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{
    AuthorizationServerMetadata, BearerChallenge, EndpointUrl, Issuer, ProtectedResourceMetadata,
    ResourceUri, ScopeSet, Secret, protected_resource_urls,
};

use crate::exchange::Then;
use crate::record::join;
use crate::server::FindServer;
use crate::{ClientConfig, Exchange, FlowError, Purpose, Session, Step, Tokens};

/// Starts a login to the MCP server at `server_url`, with the challenge that its 401 carried, if any.
///
/// `previous` is the session whose tokens the server does not take any more. What it was asked for is asked for
/// again, so that a login after a step-up loses nothing; and tokens that a store keeps are used without asking
/// the user, unless they are these.
///
/// # Errors
///
/// [`FlowError::ServerUrl`] when the address is not https, nor http on a loopback host.
pub fn login(
    config: ClientConfig,
    server_url: &str,
    challenge: Option<&BearerChallenge>,
    previous: Option<&Session>,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::ServerUrl)?;
    // C-DISC-1. Only on the server's own origin: elsewhere its word proves nothing (RFC 9728 §7.3).
    let named = challenge
        .and_then(|challenge| challenge.resource_metadata.as_ref())
        .filter(|url| url.origin() == target.origin());
    // C-DISC-2
    let candidates = protected_resource_urls(&target, named).map_err(FlowError::ServerUrl)?;
    let challenged = challenge.and_then(|challenge| challenge.scope.clone());
    let held = previous.map(Session::tokens).and_then(Tokens::asks_again);
    let refused = previous.map(|session| session.tokens().access_token.clone());
    let wanted = Wanted::First { challenged, held, refused };
    // A server that points to its metadata, or had some before, is none of MCP 2025-03-26.
    let had_metadata = previous.is_some_and(|it| it.account().resource_metadata.is_some());
    let is_old =
        !had_metadata && challenge.is_none_or(|challenge| challenge.resource_metadata.is_none());
    let goal = Goal { config, target, wanted, found_at: None };
    FindResource::next(goal, candidates.into_iter(), is_old)
}

/// Starts a login for exactly these scopes, from the metadata at `named`, which is on the resource's own
/// origin, or from where it usually is.
pub(crate) fn login_for(
    config: ClientConfig,
    server_url: &str,
    named: Option<&EndpointUrl>,
    scope: ScopeSet,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::ServerUrl)?;
    let candidates = protected_resource_urls(&target, named).map_err(FlowError::ServerUrl)?;
    let goal = Goal { config, target, wanted: Wanted::Exactly(scope), found_at: None };
    FindResource::next(goal, candidates.into_iter(), named.is_none())
}

/// What a login is after.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) config: ClientConfig,
    /// The canonical address of the MCP server.
    pub(crate) target: ResourceUri,
    pub(crate) wanted: Wanted,
    /// Where the resource's metadata was.
    pub(crate) found_at: Option<EndpointUrl>,
}

impl Goal {
    /// The issuer that the host pinned for the server, or for the narrowest resource around it.
    fn pinned(&self) -> Option<&Issuer> {
        self.config.pinned_for(&self.target)
    }
}

/// Which scopes a login asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// What the server asks for first, and what was held before.
    First { challenged: Option<ScopeSet>, held: Option<ScopeSet>, refused: Option<Secret> },
    /// What a step-up decided.
    Exactly(ScopeSet),
}

/// The search for protected resource metadata.
pub(crate) struct FindResource {
    goal: Goal,
    url: EndpointUrl,
    rest: IntoIter<EndpointUrl>,
    /// The server may be one of MCP 2025-03-26, which had no such metadata.
    is_old: bool,
}

impl FindResource {
    fn next(
        goal: Goal,
        mut candidates: IntoIter<EndpointUrl>,
        is_old: bool,
    ) -> Result<Step, FlowError> {
        match candidates.next() {
            Some(url) => {
                let state = Self { goal, url: url.clone(), rest: candidates, is_old };
                Exchange::get(&url, Then::Resource(Box::new(state)))
            }
            None if !is_old => Err(FlowError::NoResourceMetadata),
            // C-DISC-11: the host knows better than any place.
            None => match goal.pinned().cloned() {
                Some(issuer) => {
                    let (resource, issuers) = (goal.target.clone(), vec![issuer.clone()]);
                    let metadata = ProtectedResourceMetadata::new(resource, issuers);
                    FindServer::start(goal, metadata, issuer)
                }
                None => FindServer::at_origin(goal),
            },
        }
    }

    pub(crate) fn read(self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        let purpose = Purpose::ResourceMetadata;
        // C-DISC-12
        if !is_found(purpose, response)? {
            return Self::next(self.goal, self.rest, self.is_old);
        }
        let metadata = ProtectedResourceMetadata::from_json(response.body()).map_err(|error| {
            // C-DISC-10
            FlowError::Document { purpose, url: self.url.clone(), error }
        })?;
        // C-DISC-4
        if !metadata.resource.covers(&self.goal.target) {
            return Err(FlowError::ResourceMismatch { url: self.url });
        }
        let goal = Goal { found_at: Some(self.url), ..self.goal };
        // C-DISC-11
        if let Some(issuer) = goal.pinned().cloned() {
            return FindServer::start(goal, metadata, issuer);
        }
        ChooseServer { goal, metadata }.or_the_only_one()
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
            [] => Err(FlowError::NoAuthorizationServer),
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
    /// [`FlowError::NoAuthorizationServer`] when the list has no such place.
    pub fn choose(self, index: usize) -> Result<Step, FlowError> {
        // C-DISC-9
        let chosen = self.servers().get(index).cloned();
        let chosen = chosen.ok_or(FlowError::NoAuthorizationServer)?;
        FindServer::start(self.goal, self.metadata, chosen)
    }
}

/// Whether the document is there: a 4xx means no, unless it means later, and whatever else is not 200 ends the flow.
pub(crate) fn is_found(purpose: Purpose, response: &Response<Bytes>) -> Result<bool, FlowError> {
    match response.status() {
        StatusCode::OK => Ok(true),
        status if status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429) => {
            Ok(false)
        }
        status => Err(FlowError::Status { purpose, status }),
    }
}

/// Scopes of a first request: the challenge's, else all that the resource lists, else none named; and what was
/// asked for before, in this process or by what is kept of another.
pub(crate) fn initial_scope(
    goal: &Goal,
    resource: &ProtectedResourceMetadata,
    server: &AuthorizationServerMetadata,
    kept: Option<&ScopeSet>,
) -> Result<Option<ScopeSet>, FlowError> {
    let (challenged, held) = match &goal.wanted {
        Wanted::First { challenged, held, .. } => (challenged, join(held.as_ref(), kept)),
        Wanted::Exactly(scope) => return Ok(Some(scope.clone())),
    };
    // C-SCOPE-1, C-SCOPE-2
    let listed = || {
        let scopes = resource.scopes_supported.as_ref()?;
        Some(ScopeSet::parse(&scopes.join(" ")))
    };
    let first = match challenged.clone() {
        Some(challenged) => Some(challenged),
        None => listed().transpose().map_err(FlowError::Scope)?,
    };
    // C-SCOPE-4: what was asked for before is asked for again.
    let mut scope = match (held, first) {
        (Some(held), Some(first)) => Some(held.union(&first).map_err(FlowError::Scope)?),
        (held, first) => held.or(first),
    };
    // C-SCOPE-3
    if goal.config.grant.needs_browser()
        && goal.config.wants_refresh_token
        && server.lists_scope("offline_access")
    {
        let offline = ScopeSet::parse("offline_access").map_err(FlowError::Scope)?;
        scope = Some(scope.unwrap_or_default().union(&offline).map_err(FlowError::Scope)?);
    }
    // Row 212: also not because another server listed it.
    if let Some(asked) = &scope
        && asked.contains("offline_access")
        && !server.lists_scope("offline_access")
    {
        let rest: Vec<&str> = asked.iter().filter(|one| *one != "offline_access").collect();
        scope = Some(ScopeSet::parse(&rest.join(" ")).map_err(FlowError::Scope)?);
    }
    Ok(scope.filter(|scope| !scope.is_empty()))
}
