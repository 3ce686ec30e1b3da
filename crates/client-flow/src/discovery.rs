//! From the address of an MCP server to the validated metadata of its authorization server.
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the challenge's `resource_metadata`, then the path's, then the root's well-known URL | C-DISC-1, C-DISC-2 | `NoResourceMetadata` |
//! | 4xx goes on to the next URL, anything else but 200 ends the flow | C-DISC-12 | `Status` |
//! | the document is a bounded JSON object | C-DISC-10 | `Document` |
//! | its `resource` covers the server being called | C-DISC-4 | `ResourceMismatch` |
//! | the host pinned the issuer, or the document names one; the host chooses among several | C-DISC-9, C-DISC-11 | `NoAuthorizationServer` |
//! | that server's well-known URLs in order, with the same rule for statuses | C-DISC-5, C-DISC-6 | `NoServerMetadata` |
//! | its `issuer` is identical to the one asked for | C-DISC-7 | `IssuerMismatch` |
//! | it leads to no local address unless the resource is at one | C-AUTHZ-7 | `LeadsToLocalAddress` |
//! | it has the endpoints and, for users, lists S256 | C-AUTHZ-2 | `NoEndpoint`, `NoS256` |

use std::vec::IntoIter;

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{
    AuthorizationServerMetadata, BearerChallenge, EndpointUrl, Issuer, ProtectedResourceMetadata,
    ResourceUri, ScopeSet, authorization_server_urls, protected_resource_urls,
};

use crate::exchange::Then;
use crate::registration::Recall;
use crate::{ClientConfig, Exchange, FlowError, Grant, Purpose, ServerEndpoints, Step};

/// Starts a login to the MCP server at `server_url`, with the challenge that its 401 carried, if any.
///
/// `held` are scopes that an earlier token was asked for; they are asked for again, so that a login
/// after a step-up loses nothing.
///
/// # Errors
///
/// [`FlowError::ServerUrl`] when the address is not https, nor http on a loopback host.
pub fn login(
    config: ClientConfig,
    server_url: &str,
    challenge: Option<&BearerChallenge>,
    held: Option<ScopeSet>,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::ServerUrl)?;
    // C-DISC-1. Only on the server's own origin: elsewhere its word proves nothing (RFC 9728 §7.3).
    let named = challenge
        .and_then(|challenge| challenge.resource_metadata.as_ref())
        .filter(|url| url.origin() == target.origin());
    // C-DISC-2
    let candidates = protected_resource_urls(&target, named).map_err(FlowError::ServerUrl)?;
    let challenged = challenge.and_then(|challenge| challenge.scope.clone());
    let goal = Goal { config, target, wanted: Wanted::First { challenged, held }, found_at: None };
    FindResource::next(goal, candidates.into_iter())
}

/// Starts a login for exactly these scopes, from the metadata at `named`, which is on the resource's own
/// origin.
pub(crate) fn login_for(
    config: ClientConfig,
    server_url: &str,
    named: &EndpointUrl,
    scope: ScopeSet,
) -> Result<Step, FlowError> {
    let target = ResourceUri::canonical(server_url).map_err(FlowError::ServerUrl)?;
    let candidates = protected_resource_urls(&target, Some(named)).map_err(FlowError::ServerUrl)?;
    let goal = Goal { config, target, wanted: Wanted::Exactly(scope), found_at: None };
    FindResource::next(goal, candidates.into_iter())
}

/// What a login is after.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) config: ClientConfig,
    /// The canonical address of the MCP server.
    pub(crate) target: ResourceUri,
    pub(crate) wanted: Wanted,
    /// Where the resource's metadata was.
    pub(crate) found_at: Option<EndpointUrl>,
}

/// Which scopes a login asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// What the server asks for first, and what was held before.
    First { challenged: Option<ScopeSet>, held: Option<ScopeSet> },
    /// What a step-up decided.
    Exactly(ScopeSet),
}

/// The search for protected resource metadata.
pub(crate) struct FindResource {
    goal: Goal,
    url: EndpointUrl,
    rest: IntoIter<EndpointUrl>,
}

impl FindResource {
    fn next(goal: Goal, mut candidates: IntoIter<EndpointUrl>) -> Result<Step, FlowError> {
        let Some(url) = candidates.next() else {
            return Err(FlowError::NoResourceMetadata);
        };
        let state = Self { goal, url: url.clone(), rest: candidates };
        Exchange::get(Purpose::ResourceMetadata, &url, Then::Resource(state))
    }

    pub(crate) fn read(self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        let purpose = Purpose::ResourceMetadata;
        // C-DISC-12
        if !is_found(purpose, response)? {
            return Self::next(self.goal, self.rest);
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
        let mut pins = goal.config.pinned_issuers.iter();
        if let Some((_, issuer)) = pins.find(|(resource, _)| resource.covers(&goal.target)) {
            let issuer = issuer.clone();
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
            _ => Ok(Step::ChooseServer(Box::new(self))),
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

/// The search for authorization server metadata.
pub(crate) struct FindServer {
    goal: Goal,
    resource: ProtectedResourceMetadata,
    issuer: Issuer,
    url: EndpointUrl,
    rest: IntoIter<EndpointUrl>,
    saw_foreign_issuer: bool,
}

impl FindServer {
    fn start(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        issuer: Issuer,
    ) -> Result<Step, FlowError> {
        // C-DISC-5, C-DISC-6
        let candidates = authorization_server_urls(&issuer).map_err(FlowError::ServerUrl)?;
        let mut rest = candidates.into_iter();
        let Some(url) = rest.next() else {
            return Err(FlowError::NoServerMetadata { issuer });
        };
        reachable(&goal.target, &url)?;
        Self { goal, resource, issuer, url, rest, saw_foreign_issuer: false }.ask()
    }

    fn ask(self) -> Result<Step, FlowError> {
        let url = self.url.clone();
        Exchange::get(Purpose::ServerMetadata, &url, Then::Server(self))
    }

    fn next(mut self) -> Result<Step, FlowError> {
        match self.rest.next() {
            Some(url) => Self { url, ..self }.ask(),
            None if self.saw_foreign_issuer => {
                Err(FlowError::IssuerMismatch { expected: self.issuer })
            }
            None => Err(FlowError::NoServerMetadata { issuer: self.issuer }),
        }
    }

    pub(crate) fn read(mut self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        let purpose = Purpose::ServerMetadata;
        // C-DISC-12
        if !is_found(purpose, response)? {
            return self.next();
        }
        let metadata = AuthorizationServerMetadata::from_json(response.body())
            .map_err(|error| FlowError::Document { purpose, url: self.url.clone(), error })?;
        // C-DISC-7: such a document is as good as none; the next place may have the right one.
        if metadata.issuer != self.issuer {
            self.saw_foreign_issuer = true;
            return self.next();
        }
        let server = ServerEndpoints::of(&metadata)?;
        if let Grant::AuthorizationCode { .. } = self.goal.config.grant {
            server.for_users()?;
            // C-AUTHZ-2
            if !metadata.supports_s256() {
                return Err(FlowError::NoS256 { issuer: self.issuer });
            }
        }
        for url in [&server.token_endpoint]
            .into_iter()
            .chain(&server.authorization_endpoint)
            .chain(&metadata.registration_endpoint)
        {
            reachable(&self.goal.target, url)?;
        }
        Ok(Recall::step(self.goal, self.resource, metadata, server))
    }
}

/// Whether the document is there: a 4xx means no, and whatever else is not 200 ends the flow.
fn is_found(purpose: Purpose, response: &Response<Bytes>) -> Result<bool, FlowError> {
    match response.status() {
        StatusCode::OK => Ok(true),
        status if status.is_client_error() => Ok(false),
        status => Err(FlowError::Status { purpose, status }),
    }
}

/// A server on the network does not lead the client to its own machine or its own network.
fn reachable(target: &ResourceUri, url: &EndpointUrl) -> Result<(), FlowError> {
    // C-AUTHZ-7
    if url.origin().is_local_address() && !target.origin().is_local_address() {
        return Err(FlowError::LeadsToLocalAddress { url: url.clone() });
    }
    Ok(())
}

/// Scopes of a first request: the challenge's, else all that the resource lists, else none named.
pub(crate) fn initial_scope(
    goal: &Goal,
    resource: &ProtectedResourceMetadata,
    server: &AuthorizationServerMetadata,
) -> Result<Option<ScopeSet>, FlowError> {
    let (challenged, held) = match &goal.wanted {
        Wanted::First { challenged, held } => (challenged, held),
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
        (held, first) => held.clone().or(first),
    };
    // C-SCOPE-3
    let is_for_user = goal.config.grant != Grant::ClientCredentials;
    if is_for_user && goal.config.wants_refresh_token && server.lists_scope("offline_access") {
        let offline = ScopeSet::parse("offline_access").map_err(FlowError::Scope)?;
        scope = Some(scope.unwrap_or_default().union(&offline).map_err(FlowError::Scope)?);
    }
    Ok(scope.filter(|scope| !scope.is_empty()))
}
