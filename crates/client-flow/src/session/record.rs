//! Stored credentials: the record about one server and resource, a plain value for the host's store.

use core::time::Duration;

use client_auth::ClientCredentials;
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, GrantType, Issuer, RedirectUri, ResourceUri,
    ScopeSet, Secret, SecretDigest, SigningAlgorithm, TokenResponse, TokenType, UnixTime,
    serde_secret,
};
use serde::{Deserialize, Serialize};

use crate::error::{DiscoveryError, FlowError};
use crate::profile::ServerProfile;

/// Time before its expiry at which a token is refreshed.
pub(super) const REFRESH_AHEAD: Duration = Duration::from_secs(30);

/// Key of a record: credentials of one issuer are never shown to another (C-DISC-8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CredentialKey {
    /// The authorization server.
    pub issuer: Issuer,
    /// The resource identifier, byte for byte as published.
    pub resource: ResourceUri,
}

/// Account of a client at one authorization server, for one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The resource identifier, byte for byte as published.
    pub resource: ResourceUri,
    /// Endpoints and properties of the authorization server.
    pub server: ServerEndpoints,
    /// Client credentials at this server.
    pub client: ClientCredentials,
    /// URL of the protected resource metadata that named the server.
    ///
    /// A challenge that names another URL leads to a new discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<EndpointUrl>,
    /// Canonical URL of the MCP server that the login was for; the resource may cover others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ResourceUri>,
    /// Redirect URI as registered; `None` if this client did not register it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<RedirectUri>,
    /// Scopes that the client registered; `None` if it registered none, or the host wrote the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_scope: Option<ScopeSet>,
    /// Number of logins with this registration without tokens, since the server last knew the client.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished_logins: u8,
    /// Time of the registration, until the server issues the first tokens to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven_since: Option<UnixTime>,
}

impl Account {
    /// Returns the key of the account's record.
    #[must_use]
    pub fn key(&self) -> CredentialKey {
        CredentialKey { issuer: self.server.issuer.clone(), resource: self.resource.clone() }
    }
}

/// Stored credentials for the host's store.
///
/// Serialized with its secrets in the clear, so that the store has to protect it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredCredentials {
    /// Account at the server.
    #[serde(flatten)]
    pub account: Account,
    /// Tokens; `None` between registration and login, and after the server has ended the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Scopes of earlier requests, for the next login where no tokens show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<ScopeSet>,
    /// `true` if the server no longer knows this client; the next login registers anew.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub client_refused: bool,
}

impl StoredCredentials {
    pub(crate) const fn new(account: Account) -> Self {
        Self { account, tokens: None, asked: None, client_refused: false }
    }

    /// Returns the key of the record.
    #[must_use]
    pub fn key(&self) -> CredentialKey {
        self.account.key()
    }

    /// Returns the record after a logout: without tokens and their scopes.
    #[must_use]
    pub fn logged_out(self) -> Self {
        Self { tokens: None, asked: None, ..self }
    }

    /// Returns the record without tokens, marked so that the next login registers anew.
    ///
    /// For a store that cannot remove records.
    #[must_use]
    pub fn forgotten(self) -> Self {
        Self { client_refused: true, ..self.logged_out() }
    }

    /// Returns the scopes that another login requests again.
    pub(crate) fn asks_again(&self) -> Option<ScopeSet> {
        let held = self.tokens.as_ref().and_then(Tokens::asks_again);
        join(held.as_ref(), self.asked.as_ref())
    }
}

/// Returns the union of both; the first alone if the union exceeds the limits.
pub(crate) fn join(first: Option<&ScopeSet>, second: Option<&ScopeSet>) -> Option<ScopeSet> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.union(second).unwrap_or_else(|_| first.clone())),
        (first, second) => first.or(second).cloned(),
    }
}

/// Validated authorization server metadata that outlives the login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerEndpoints {
    /// Issuer identifier, identical in the metadata.
    pub issuer: Issuer,
    /// Authorization endpoint; `None` if the server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<EndpointUrl>,
    /// Token endpoint.
    pub token_endpoint: EndpointUrl,
    /// `true` if every authorization response carries `iss` (RFC 9207).
    pub iss_advertised: bool,
    /// `true` for an OpenID provider, which requests consent to refresh tokens only with `prompt=consent`.
    #[serde(default)]
    pub is_openid_provider: bool,
    /// `true` if the server supports DPoP with the client's algorithm (RFC 9449).
    #[serde(default)]
    pub takes_proofs: bool,
    /// `true` for the default endpoints of MCP 2025-03-26, because the server publishes no metadata.
    #[serde(default)]
    pub is_assumed: bool,
    /// Profile that the configuration has for the issuer.
    #[serde(default, skip_serializing_if = "ServerProfile::is_strict")]
    pub profile: ServerProfile,
    /// Metadata URL, unless it is a well-known URL of the issuer.
    ///
    /// Set where the server's profile names the URL, or where the host pinned the issuer and the resource named another
    /// one on the same origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<EndpointUrl>,
    /// Time at which the metadata was read; a refresh reads it again after a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<UnixTime>,
}

impl ServerEndpoints {
    /// Time for which the metadata is used without reading it again.
    const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

    pub(crate) fn of(
        metadata: &AuthorizationServerMetadata,
        profile: ServerProfile,
        now: UnixTime,
    ) -> Result<Self, FlowError> {
        let issuer = metadata.issuer.clone();
        let token_endpoint = metadata.token_endpoint.clone();
        let token_endpoint = token_endpoint.ok_or_else(|| DiscoveryError::NoEndpoint {
            issuer: issuer.clone(),
            member: "token_endpoint",
        })?;
        Ok(Self {
            issuer,
            authorization_endpoint: metadata.authorization_endpoint.clone(),
            token_endpoint,
            iss_advertised: metadata.authorization_response_iss_parameter_supported,
            is_openid_provider: metadata.is_openid_provider(),
            takes_proofs: takes_proofs(metadata),
            is_assumed: false,
            profile,
            metadata_url: None,
            read_at: Some(now),
        })
    }

    /// Returns `true` if the metadata has to be read again before use: `now >= read_at + LIFETIME`.
    ///
    /// Metadata without `read_at` counts as expired.
    pub(crate) fn are_old(&self, now: UnixTime) -> bool {
        !self.is_assumed
            && self.read_at.is_none_or(|then| now.saturating_duration_since(then) >= Self::LIFETIME)
    }
}

/// Returns `true` if a server supports DPoP proofs in ES256, the algorithm of this client.
fn takes_proofs(server: &AuthorizationServerMetadata) -> bool {
    let listed = &server.dpop_signing_alg_values_supported;
    listed.as_ref().is_some_and(|listed| listed.contains(&SigningAlgorithm::Es256))
}

/// Tokens, with their requested and granted scopes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tokens {
    /// Grant type by which the tokens were issued.
    #[serde(default = "by_code")]
    pub grant: GrantType,
    /// Token type: the authentication scheme of the access token.
    #[serde(default = "bearer")]
    pub token_type: TokenType,
    /// JWK thumbprint of the key that the tokens are bound to (RFC 9449 §6.1), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Box<str>>,
    /// Access token, for the resource only.
    #[serde(with = "serde_secret")]
    pub access_token: Secret,
    /// Refresh token, for the token endpoint only.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_secret")]
    pub refresh_token: Option<Secret>,
    /// Expiry time of the access token by the local clock (exclusive); `None` if the server named none.
    pub expires_at: Option<UnixTime>,
    /// Time from which to refresh, ahead of the expiry.
    ///
    /// [`Session::REFRESH_AHEAD`](crate::Session::REFRESH_AHEAD) before it, or a quarter of a short lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_at: Option<UnixTime>,
    /// Requested scopes; kept through refreshes, because a step-up adds to them.
    pub requested: Option<ScopeSet>,
    /// Granted scopes; a response without `scope` grants the requested ones (C-TOKEN-5).
    pub granted: Option<ScopeSet>,
    /// Login that a refresh has preserved; `None` in tokens that come directly from a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<SecretDigest>,
}

impl Tokens {
    pub(crate) fn new(
        response: TokenResponse,
        grant: GrantType,
        requested: Option<ScopeSet>,
        now: UnixTime,
    ) -> Self {
        let lifetime = response.expires_in.map(Duration::from_secs);
        Self {
            grant,
            token_type: response.token_type,
            bound_to: None,
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_at: lifetime.map(|lifetime| now.saturating_add(lifetime)),
            refresh_at: lifetime.map(|life| now.saturating_add(life - ahead_of(life))),
            // C-TOKEN-5
            granted: response.scope.or_else(|| requested.clone()),
            requested,
            login: None,
        }
    }

    /// Returns the identifier of the login that these tokens come from.
    ///
    /// It is the digest of the login's first access token.
    ///
    /// Refreshes preserve it, including those of other programs that share a store. A later login, or a step-up, has
    /// another one. So a host can tell tokens that the user logged out of from those of a later login.
    #[must_use]
    pub fn login(&self) -> SecretDigest {
        self.login.unwrap_or_else(|| self.access_token.digest())
    }

    /// Returns the scopes that another login requests again: the requested and the granted ones.
    pub(crate) fn asks_again(&self) -> Option<ScopeSet> {
        // C-SCOPE-4
        join(self.requested.as_ref(), self.granted.as_ref())
    }

    /// Returns `true` if the access token has expired: `now >= expires_at`.
    pub(crate) fn have_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Returns `true` if the tokens should be refreshed now.
    pub(crate) fn are_stale(&self, now: UnixTime) -> bool {
        let early = || self.expires_at.map(|end| now.saturating_add(REFRESH_AHEAD) >= end);
        self.refresh_at.map(|at| now >= at).or_else(early).unwrap_or(false)
    }
}

/// Returns the time before the end of this lifetime at which to refresh, in whole seconds.
fn ahead_of(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs() / 4).min(REFRESH_AHEAD)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

/// Default for records of earlier versions.
const fn by_code() -> GrantType {
    GrantType::AuthorizationCode
}

/// Default for records of earlier versions.
const fn bearer() -> TokenType {
    TokenType::Bearer
}
