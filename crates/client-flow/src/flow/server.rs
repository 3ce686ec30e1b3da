//! Authorization server discovery: from an issuer to its validated metadata (RFC 8414).
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the issuer's well-known URLs in order | C-DISC-5, C-DISC-6, C-DISC-12 | `NoServerMetadata`, `Status` |
//! | an issuer whose [profile](crate::ServerProfile::with_metadata_at) names a URL: only that URL | | as above |
//! | a pinned issuer without metadata there: further URLs on its own origin, see below | C-DISC-11 | as above |
//! | the document is a bounded JSON object | C-DISC-10 | the next URL, then `Document` |
//! | its `issuer` is the expected one | C-DISC-7 | the next URL, then `IssuerMismatch`; `TenantPlaceholder` |
//! | it has the endpoints and, for users, lists S256 | C-AUTHZ-2 | `NoEndpoint`, `NoS256` |
//! | its endpoints permit no mix-up: the table of [`mix_up`](crate::mix_up) | SEC-242 | `MixUp` |
//! | it names no local address unless the resource is at one | C-AUTHZ-7 | `LeadsToLocalAddress` |
//! | if only the resource named its URL: endpoints on the issuer's origin | C-DISC-11 | `LeadsToAnotherOrigin` |
//! | it supports the client's proof key, if the resource requires bound tokens | C-EXT-3 | `NoBoundTokens` |
//!
//! [`MetadataSearch`] reads the URLs. By a [profile](crate::ServerProfile) only, `{tenantid}` in `issuer` stands for
//! the tenant of a pinned issuer, and a server that lists no PKCE methods at all is accepted.
//!
//! A server of MCP 2025-03-26 has no protected resource metadata. Its own origin is the issuer, and may publish
//! metadata at the first of these URLs; where that answers 4xx, the endpoints are at default paths.
//!
//! # Pinned issuers
//!
//! Some vendors publish one metadata document for all tenants, at the well-known URL of each tenant: the resource names
//! `https://as.example/tenant`, and the document there says `https://as.example`. A host that pins the second decides
//! which issuer is trusted; the resource only says where the document is. So the URLs of issuers that the resource
//! names are requested as well, under three conditions, because the resource may be hostile and a document decides
//! where codes and secrets are sent:
//!
//! - they are on the origin of the pinned issuer, because on any other origin an attacker can publish a document that
//!   names the pinned issuer and the attacker's endpoints;
//! - the pinned issuer's own URLs are requested first and have no document, because on a shared origin another tenant's
//!   document must not replace the issuer's own;
//! - the document's `issuer` is the pinned one, byte for byte, and its endpoints are on the same origin, because an
//!   origin may serve files of its users, and an attacker's file there would redirect codes and refresh tokens. An
//!   issuer whose endpoints are elsewhere needs a URL that the host has named
//!   ([profile](crate::ServerProfile::with_metadata_at)).

use bytes::Bytes;
use http::Response;
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, CodeChallenge, EndpointUrl, InvalidUri, Issuer,
    MetadataFailure, MetadataNotFound, MetadataSearch, MetadataStep, ProtectedResourceMetadata,
    ResourceUri, ServerPlaces, UnixTime, authorization_server_urls, issued_by,
};

use crate::config::ClientConfig;
use crate::error::{DiscoveryError, FlowError, FlowErrorKind};
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::refresh::Refreshing;
use crate::flow::send_request::{SendRequest, Then};
use crate::flow::sought::Sought;
use crate::flow::step::Step;
use crate::goal::Goal;
use crate::session::ServerEndpoints;
use crate::stage::FlowStage;

/// Search for authorization server metadata.
pub(crate) struct MetadataDiscovery {
    issuer: Issuer,
    search: MetadataSearch,
    /// Further URLs on the issuer's origin, requested where its own have no document.
    further: Vec<EndpointUrl>,
    then: Found,
}

/// Maximum number of issuers named by the resource whose URLs are requested for a pinned one.
const MAX_NAMED: usize = 4;

/// Purpose of the metadata.
enum Found {
    Login(Goal, ProtectedResourceMetadata),
    /// Login to a server of MCP 2025-03-26 (legacy discovery).
    OldLogin(Goal),
    Refresh(Box<Refreshing>),
}

impl MetadataDiscovery {
    pub(crate) fn start(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        issuer: Issuer,
    ) -> Result<Step, FlowError> {
        Self::of(issuer, Vec::new(), Found::Login(goal, resource))
    }

    /// Starts the search for a pinned issuer, including the URLs on its origin that the resource names.
    pub(crate) fn pinned(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        issuer: Issuer,
    ) -> Result<Step, FlowError> {
        // C-DISC-11
        let named = resource.authorization_servers.iter().filter(|named| **named != issuer);
        let urls = named.filter_map(|named| authorization_server_urls(named).ok());
        let urls = urls.filter(|urls| urls.iter().all(|url| is_at(&issuer, url)));
        let further = urls.take(MAX_NAMED).flatten().collect();
        Self::of(issuer, further, Found::Login(goal, resource))
    }

    /// Starts the search with the resource's origin as the issuer, as in MCP 2025-03-26.
    pub(crate) fn at_origin(goal: Goal) -> Result<Step, FlowError> {
        let issuer = Issuer::of_origin(&goal.target.origin()).map_err(FlowError::server_url)?;
        let search = MetadataSearch::of_server(&issuer, ServerPlaces::Legacy);
        let search = search.map_err(unusable)?;
        Self::begin(search, Vec::new(), issuer, Found::OldLogin(goal))
    }

    /// Starts the search for a known server again, because its metadata is out of date.
    pub(crate) fn again(refreshing: Refreshing) -> Result<Step, FlowError> {
        let server = &refreshing.account().server;
        let issuer = server.issuer.clone();
        let further = server.metadata_url.iter().filter(|url| is_at(&issuer, url)).cloned();
        let further = further.collect();
        Self::of(issuer, further, Found::Refresh(Box::new(refreshing)))
    }

    fn of(issuer: Issuer, mut further: Vec<EndpointUrl>, then: Found) -> Result<Step, FlowError> {
        // C-DISC-5, C-DISC-6
        let profile = then.config().profile_of(&issuer);
        let named = profile.metadata_url();
        let places = named.map_or(ServerPlaces::WellKnown, ServerPlaces::At);
        let search = MetadataSearch::of_server(&issuer, places).map_err(unusable)?;
        // A place that the host has named is asked alone.
        let is_named = named.is_some();
        further.retain(|url| !is_named && !search.includes(url));
        Self::begin(search, further, issuer, then)
    }

    fn begin(
        search: MetadataSearch,
        further: Vec<EndpointUrl>,
        issuer: Issuer,
        then: Found,
    ) -> Result<Step, FlowError> {
        // All further URLs and redirects are on the same origin.
        then.may_reach(search.url())?;
        Self { issuer, search, further, then }.ask()
    }

    fn ask(self) -> Result<Step, FlowError> {
        let url = self.search.url().clone();
        SendRequest::get(&url, Then::Server(Box::new(self)))
    }

    /// Continues with a response; `None` if it was longer than [`SendRequest::MAX_BODY`].
    pub(crate) fn read(
        mut self,
        response: Option<&Response<Bytes>>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let (issuer, is_old) = (&self.issuer, matches!(self.then, Found::OldLogin(_)));
        let mut placeholder = None;
        let read = |url: &EndpointUrl, json: &[u8]| match issued_by(issuer)(url, json) {
            Err(failure) if AuthorizationServerMetadata::has_tenant_placeholder(json) => {
                of_tenant(json, issuer, &self.then).map_err(|error| {
                    placeholder = Some(error);
                    failure
                })
            }
            // The issuer of legacy discovery is derived, so it may end in a slash or not: both have the same well-known
            // URL.
            Err(MetadataFailure::IssuerMismatch { received })
                if is_old && received.as_str().strip_suffix('/') == Some(issuer.as_str()) =>
            {
                issued_by(&received)(url, json)
            }
            read => read,
        };
        let step = match response {
            Some(response) => self.search.resume(response, read),
            None => self.search.too_large(),
        };
        if let Some(error) = placeholder {
            return Err(error);
        }
        match step {
            Ok(MetadataStep::Next(search)) => Self { search, ..self }.ask(),
            Ok(MetadataStep::Found { document, place }) => {
                Self::found(&place, document, self.then, now)
            }
            Err(MetadataNotFound { failure, is_absent, .. }) => {
                let further = core::mem::take(&mut self.further);
                match (MetadataSearch::new(further), self.then) {
                    (Some(search), then) if is_absent => Self { search, then, ..self }.ask(),
                    // C-DISC-12: where pages stand for missing documents, the endpoints would be pages too.
                    (_, Found::OldLogin(goal)) if failure.is_none() => {
                        let metadata = assumed(&self.issuer)?;
                        let mut server = endpoints(&metadata, &goal.config, now)?;
                        server.is_assumed = true;
                        Ok(old_login(goal, metadata, server))
                    }
                    _ => Err(Sought::Server(self.issuer).not_found(failure)),
                }
            }
        }
    }

    fn found(
        place: &EndpointUrl,
        metadata: AuthorizationServerMetadata,
        then: Found,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let mut server = endpoints(&metadata, then.config(), now)?;
        let issuer = &metadata.issuer;
        let is_well_known =
            authorization_server_urls(issuer).is_ok_and(|urls| urls.contains(place));
        server.metadata_url = (!is_well_known).then(|| place.clone());
        if then.needs_browser() {
            server.for_users()?;
            // C-AUTHZ-2
            if !server.profile.accepts_pkce_of(&metadata) {
                return Err(DiscoveryError::NoS256 { issuer: issuer.clone() }.into());
            }
        }
        // C-DISC-11: neither the issuer nor the host has named the URL.
        let is_named_by_resource =
            server.metadata_url.is_some() && server.profile.metadata_url().is_none();
        for url in [&server.token_endpoint]
            .into_iter()
            .chain(&server.authorization_endpoint)
            .chain(&metadata.registration_endpoint)
        {
            then.may_reach(url)?;
            if is_named_by_resource && !is_at(issuer, url) {
                let (issuer, url) = (issuer.clone(), url.clone());
                return Err(DiscoveryError::LeadsToAnotherOrigin { issuer, url }.into());
            }
        }
        match then {
            Found::Login(goal, resource) => {
                // C-EXT-3: checked before the user logs in for tokens that the resource would refuse.
                if resource.dpop_bound_access_tokens_required && !goal.config.keys.prove_to(&server)
                {
                    return Err(DiscoveryError::NoBoundTokens { issuer: metadata.issuer }.into());
                }
                Ok(LoadCredentials::login(goal, resource, metadata, server))
            }
            Found::OldLogin(goal) => Ok(old_login(goal, metadata, server)),
            Found::Refresh(refreshing) => refreshing.at(server),
        }
    }
}

/// Returns the endpoints of the metadata, with the profile that is configured for the issuer.
fn endpoints(
    metadata: &AuthorizationServerMetadata,
    config: &ClientConfig,
    now: UnixTime,
) -> Result<ServerEndpoints, FlowError> {
    ServerEndpoints::of(metadata, config.profile_of(&metadata.issuer), now)
}

/// Parses metadata with `{tenantid}` in its issuer, where the profile of the pinned issuer accepts that.
fn of_tenant(
    json: &[u8],
    issuer: &Issuer,
    then: &Found,
) -> Result<AuthorizationServerMetadata, FlowError> {
    let is_allowed = then.config().profile_of(issuer).accepts_tenant_placeholder()
        && then.config().pinned_for(then.target()) == Some(issuer);
    AuthorizationServerMetadata::from_json_of_tenant(json, issuer)
        .ok()
        .filter(|_| is_allowed)
        .filter(|metadata| {
            let endpoints = [
                &metadata.authorization_endpoint,
                &metadata.token_endpoint,
                &metadata.registration_endpoint,
            ];
            endpoints.into_iter().flatten().all(|url| is_at(issuer, url))
        })
        .ok_or_else(|| DiscoveryError::TenantPlaceholder { issuer: issuer.clone() }.into())
}

/// Returns the error of an issuer from which no metadata URL can be derived.
const fn unusable(rule: InvalidUri) -> FlowError {
    FlowErrorKind::NamedUrl(rule).at(FlowStage::ServerMetadata)
}

/// Returns `true` if a URL is on the origin of an issuer.
fn is_at(issuer: &Issuer, url: &EndpointUrl) -> bool {
    issuer.origin() == url.origin()
}

impl Found {
    const fn config(&self) -> &ClientConfig {
        match self {
            Self::Login(goal, _) | Self::OldLogin(goal) => &goal.config,
            Self::Refresh(refreshing) => refreshing.config(),
        }
    }

    /// Returns the MCP server that the tokens are for.
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

    /// Checks that a URL does not lead from the network to an address of this machine or its network.
    fn may_reach(&self, url: &EndpointUrl) -> Result<(), FlowError> {
        // C-AUTHZ-7
        let (target, config): (&ResourceUri, _) = match self {
            Self::Login(goal, _) | Self::OldLogin(goal) => (&goal.target, &goal.config),
            Self::Refresh(refreshing) => (&refreshing.account().resource, refreshing.config()),
        };
        let is_allowed = config.allows_local_addresses || target.origin().is_local_address();
        if url.origin().is_local_address() && !is_allowed {
            return Err(DiscoveryError::LeadsToLocalAddress { url: url.clone() }.into());
        }
        Ok(())
    }
}

fn old_login(goal: Goal, metadata: AuthorizationServerMetadata, server: ServerEndpoints) -> Step {
    let issuers = vec![metadata.issuer.clone()];
    let resource = ProtectedResourceMetadata::new(goal.target.clone(), issuers);
    LoadCredentials::login(goal, resource, metadata, server)
}

/// Returns the metadata of a server that publishes none: the default endpoints of MCP 2025-03-26.
fn assumed(issuer: &Issuer) -> Result<AuthorizationServerMetadata, FlowError> {
    let at = |path: &str| {
        let url = EndpointUrl::parse(&[issuer.as_str(), path].concat());
        url.map(Some).map_err(FlowError::server_url)
    };
    let mut metadata = AuthorizationServerMetadata::new(issuer.clone());
    metadata.authorization_endpoint = at("/authorize")?;
    metadata.token_endpoint = at("/token")?;
    metadata.registration_endpoint = at("/register")?;
    // That revision requires PKCE and public clients.
    metadata.code_challenge_methods_supported = Some(vec![CodeChallenge::METHOD.to_owned()]);
    metadata.token_endpoint_auth_methods_supported =
        Some(vec![AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]);
    Ok(metadata)
}
