//! From an issuer to the validated metadata of the authorization server.
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the issuer's well-known URLs in order: 4xx goes on, anything else but 200 ends the flow | C-DISC-5, C-DISC-6, C-DISC-12 | `NoServerMetadata`, `Status` |
//! | the document is a bounded JSON object | C-DISC-10 | `Document` |
//! | its `issuer` is identical to the one asked for; `{tenantid}` in it stands for a pinned tenant by a [profile](crate::ServerProfile) only | C-DISC-7 | `IssuerMismatch`, `TenantPlaceholder` |
//! | it has the endpoints and, for users, lists S256, or by a profile lists no methods at all | C-AUTHZ-2 | `NoEndpoint`, `NoS256` |
//! | it leads to no local address unless the resource is at one | C-AUTHZ-7 | `LeadsToLocalAddress` |
//! | it binds tokens to a key that we have, where the resource takes no others | C-EXT-3 | `NoBoundTokens` |
//!
//! A server of MCP 2025-03-26 has no protected resource metadata. Its own origin is the issuer, and may publish
//! metadata at the first of these URLs; where that is a 4xx, its endpoints are at fixed places.

use std::vec::IntoIter;

use bytes::Bytes;
use http::Response;
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, CodeChallenge, EndpointUrl, Issuer, Origin,
    ProtectedResourceMetadata, ResourceUri, UnixTime, authorization_server_urls,
};

use crate::discovery::{Goal, is_found};
use crate::exchange::Then;
use crate::recall::{Recall, Refreshing};
use crate::{ClientConfig, Exchange, FlowError, Purpose, ServerEndpoints, Step};

/// The search for authorization server metadata.
pub(crate) struct FindServer {
    issuer: Issuer,
    url: EndpointUrl,
    rest: IntoIter<EndpointUrl>,
    saw_foreign_issuer: bool,
    then: Found,
}

/// What the metadata is for.
enum Found {
    Login(Goal, ProtectedResourceMetadata),
    /// A login to a server of MCP 2025-03-26.
    OldLogin(Goal),
    Refresh(Box<Refreshing>),
}

impl FindServer {
    pub(crate) fn start(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        issuer: Issuer,
    ) -> Result<Step, FlowError> {
        // C-DISC-5, C-DISC-6
        let urls = authorization_server_urls(&issuer).map_err(FlowError::NamedUrl)?;
        Self::among(urls, issuer, Found::Login(goal, resource))
    }

    /// The server's own origin is its authorization server, as in MCP 2025-03-26.
    pub(crate) fn at_origin(goal: Goal) -> Result<Step, FlowError> {
        let issuer = Issuer::of_origin(&goal.target.origin()).map_err(FlowError::ServerUrl)?;
        let mut urls = authorization_server_urls(&issuer).map_err(FlowError::NamedUrl)?;
        urls.truncate(1);
        Self::among(urls, issuer, Found::OldLogin(goal))
    }

    /// The same server once more, because what was read of it is old.
    pub(crate) fn again(refreshing: Refreshing) -> Result<Step, FlowError> {
        let issuer = refreshing.account().server.issuer.clone();
        let urls = authorization_server_urls(&issuer).map_err(FlowError::NamedUrl)?;
        Self::among(urls, issuer, Found::Refresh(Box::new(refreshing)))
    }

    fn among(urls: Vec<EndpointUrl>, issuer: Issuer, then: Found) -> Result<Step, FlowError> {
        let mut rest = urls.into_iter();
        let Some(url) = rest.next() else {
            return Err(FlowError::NoServerMetadata { issuer });
        };
        then.may_reach(&url)?;
        Self { issuer, url, rest, saw_foreign_issuer: false, then }.ask()
    }

    fn ask(self) -> Result<Step, FlowError> {
        let url = self.url.clone();
        Exchange::get(&url, Then::Server(Box::new(self)))
    }

    fn next(mut self, now: UnixTime) -> Result<Step, FlowError> {
        match (self.rest.next(), self.then) {
            (Some(url), then) => Self { url, then, ..self }.ask(),
            (None, _) if self.saw_foreign_issuer => {
                Err(FlowError::IssuerMismatch { expected: self.issuer })
            }
            (None, Found::OldLogin(goal)) => {
                let metadata = assumed(&self.issuer)?;
                let mut server = ServerEndpoints::of(&metadata, &goal.config, now)?;
                server.is_assumed = true;
                Ok(old_login(goal, metadata, server))
            }
            (None, _) => Err(FlowError::NoServerMetadata { issuer: self.issuer }),
        }
    }

    pub(crate) fn read(
        mut self,
        response: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let purpose = Purpose::ServerMetadata;
        // C-DISC-12
        if !is_found(purpose, response)? {
            return self.next(now);
        }
        let metadata = match AuthorizationServerMetadata::from_json(response.body()) {
            Ok(metadata) => metadata,
            Err(_) if AuthorizationServerMetadata::has_tenant_placeholder(response.body()) => {
                self.of_tenant(response.body())?
            }
            Err(error) => {
                return Err(FlowError::Document { purpose, url: self.url.clone(), error });
            }
        };
        // C-DISC-7: such a document is as good as none; the next place may have the right one.
        if !self.is_of(&metadata.issuer) {
            self.saw_foreign_issuer = true;
            return self.next(now);
        }
        let server = ServerEndpoints::of(&metadata, self.then.config(), now)?;
        let issuer = &metadata.issuer;
        if self.then.needs_browser() {
            server.for_users()?;
            // C-AUTHZ-2
            if !server.profile.accepts_pkce_of(&metadata) {
                return Err(FlowError::NoS256 { issuer: issuer.clone() });
            }
        }
        for url in [&server.token_endpoint]
            .into_iter()
            .chain(&server.authorization_endpoint)
            .chain(&metadata.registration_endpoint)
        {
            self.then.may_reach(url)?;
        }
        match self.then {
            Found::Login(goal, resource) => {
                // C-EXT-3: before a user is asked for tokens that the resource would refuse.
                if resource.dpop_bound_access_tokens_required && !goal.config.keys.prove_to(&server)
                {
                    return Err(FlowError::NoBoundTokens { issuer: metadata.issuer });
                }
                Ok(Recall::login(goal, resource, metadata, server))
            }
            Found::OldLogin(goal) => Ok(old_login(goal, metadata, server)),
            Found::Refresh(refreshing) => refreshing.at(server),
        }
    }

    /// Metadata that says `{tenantid}` in its issuer, where the host has said that it stands for this very issuer.
    fn of_tenant(&self, json: &[u8]) -> Result<AuthorizationServerMetadata, FlowError> {
        let issuer = &self.issuer;
        let is_allowed = self.then.config().profile_of(issuer).accepts_tenant_placeholder()
            && self.then.config().pinned_for(self.then.target()) == Some(issuer);
        let own = Origin::of(issuer.as_str()).ok();
        let is_own = |url: &EndpointUrl| Some(url.origin()) == own;
        AuthorizationServerMetadata::from_json_of_tenant(json, issuer)
            .ok()
            .filter(|_| is_allowed)
            .filter(|metadata| {
                let endpoints = [
                    &metadata.authorization_endpoint,
                    &metadata.token_endpoint,
                    &metadata.registration_endpoint,
                ];
                endpoints.into_iter().flatten().all(is_own)
            })
            .ok_or_else(|| FlowError::TenantPlaceholder { issuer: issuer.clone() })
    }

    /// An issuer that nobody has published may end in a slash or not: both have the same well-known URL.
    fn is_of(&self, issuer: &Issuer) -> bool {
        let is_old = matches!(self.then, Found::OldLogin(_));
        *issuer == self.issuer
            || (is_old && issuer.as_str().strip_suffix('/') == Some(self.issuer.as_str()))
    }
}

impl Found {
    const fn config(&self) -> &ClientConfig {
        match self {
            Self::Login(goal, _) | Self::OldLogin(goal) => &goal.config,
            Self::Refresh(refreshing) => refreshing.config(),
        }
    }

    /// The MCP server that tokens are wanted for.
    fn target(&self) -> &ResourceUri {
        match self {
            Self::Login(goal, _) | Self::OldLogin(goal) => &goal.target,
            Self::Refresh(refreshing) => {
                let account = refreshing.account();
                account.target.as_ref().unwrap_or(&account.resource)
            }
        }
    }

    const fn needs_browser(&self) -> bool {
        self.config().grant.needs_browser()
    }

    /// A server on the network does not lead the client to its own machine or its own network.
    fn may_reach(&self, url: &EndpointUrl) -> Result<(), FlowError> {
        // C-AUTHZ-7
        let (target, config): (&ResourceUri, _) = match self {
            Self::Login(goal, _) | Self::OldLogin(goal) => (&goal.target, &goal.config),
            Self::Refresh(refreshing) => (&refreshing.account().resource, refreshing.config()),
        };
        let is_allowed = config.allows_local_addresses || target.origin().is_local_address();
        if url.origin().is_local_address() && !is_allowed {
            return Err(FlowError::LeadsToLocalAddress { url: url.clone() });
        }
        Ok(())
    }
}

fn old_login(goal: Goal, metadata: AuthorizationServerMetadata, server: ServerEndpoints) -> Step {
    let issuers = vec![metadata.issuer.clone()];
    let resource = ProtectedResourceMetadata::new(goal.target.clone(), issuers);
    Recall::login(goal, resource, metadata, server)
}

/// Where MCP 2025-03-26 puts the endpoints of a server that publishes nothing.
fn assumed(issuer: &Issuer) -> Result<AuthorizationServerMetadata, FlowError> {
    let at = |path: &str| {
        let url = EndpointUrl::parse(&[issuer.as_str(), path].concat());
        url.map(Some).map_err(FlowError::ServerUrl)
    };
    let mut metadata = AuthorizationServerMetadata::new(issuer.clone());
    metadata.authorization_endpoint = at("/authorize")?;
    metadata.token_endpoint = at("/token")?;
    metadata.registration_endpoint = at("/register")?;
    // That revision asks for PKCE, and for public clients.
    metadata.code_challenge_methods_supported = Some(vec![CodeChallenge::METHOD.to_owned()]);
    metadata.token_endpoint_auth_methods_supported =
        Some(vec![AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]);
    Ok(metadata)
}
