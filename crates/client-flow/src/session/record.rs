//! What a client keeps about one server: a plain value, for the host's store.

use core::time::Duration;

use client_auth::ClientCredentials;
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, GrantType, Issuer, RedirectUri, ResourceUri,
    ScopeSet, Secret, SecretDigest, SigningAlgorithm, TokenResponse, TokenType, UnixTime, exposed,
};
use serde::{Deserialize, Serialize};

use crate::error::{DiscoveryError, FlowError};
use crate::profile::ServerProfile;

/// Time before its expiry at which a token is refreshed.
pub(super) const REFRESH_AHEAD: Duration = Duration::from_secs(30);

/// What a record is filed under. Credentials of one issuer are never shown to another (C-DISC-8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordKey {
    /// The authorization server.
    pub issuer: Issuer,
    /// The resource, in the bytes it was published with.
    pub resource: ResourceUri,
}

/// A client's standing with one authorization server for one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The resource, in the bytes it was published with.
    pub resource: ResourceUri,
    /// What of the server's metadata is needed later.
    pub server: ServerEndpoints,
    /// Who we are there.
    pub client: ClientCredentials,
    /// Where the resource's metadata was that named the server. A challenge that names another place leads to
    /// a new discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<EndpointUrl>,
    /// The address of the MCP server that the login was for, in its canonical form: the resource may cover others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ResourceUri>,
    /// Where the browser comes back to, as it was registered; `None` where that was not by this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<RedirectUri>,
    /// Scopes that the client named when it registered; `None` where it named none, or the host did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_scope: Option<ScopeSet>,
    /// Number of logins by this registration that did not end with tokens, since the server last knew the client.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished_logins: u8,
    /// Time of the registration, until the server issues the first tokens to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven_since: Option<UnixTime>,
}

impl Account {
    /// What to file it under.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { issuer: self.server.issuer.clone(), resource: self.resource.clone() }
    }
}

/// What the host's store keeps. Serializes with its secrets in the clear: the store protects it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Who we are where.
    #[serde(flatten)]
    pub account: Account,
    /// What we hold there; `None` between registration and login, and once the server has ended the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// What was asked for before, where there are no tokens to tell: it is asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<ScopeSet>,
    /// The server does not know this client any more; another login registers anew.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub client_refused: bool,
}

impl Record {
    pub(crate) const fn new(account: Account) -> Self {
        Self { account, tokens: None, asked: None, client_refused: false }
    }

    /// What to file it under.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        self.account.key()
    }

    /// The same record once the user has logged out: without tokens and what they were asked for.
    #[must_use]
    pub fn logged_out(self) -> Self {
        Self { tokens: None, asked: None, ..self }
    }

    /// The same record once the registration is to be forgotten too, for a store that removes none: it has no tokens, and
    /// the next login registers anew.
    #[must_use]
    pub fn forgotten(self) -> Self {
        Self { client_refused: true, ..self.logged_out() }
    }

    /// What another login asks for again.
    pub(crate) fn asks_again(&self) -> Option<ScopeSet> {
        let held = self.tokens.as_ref().and_then(Tokens::asks_again);
        join(held.as_ref(), self.asked.as_ref())
    }
}

/// Both; where together they are past the bounds, the first.
pub(crate) fn join(first: Option<&ScopeSet>, second: Option<&ScopeSet>) -> Option<ScopeSet> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.union(second).unwrap_or_else(|_| first.clone())),
        (first, second) => first.or(second).cloned(),
    }
}

/// The validated part of an authorization server's metadata that outlives the login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerEndpoints {
    /// Its identifier, identical in the metadata.
    pub issuer: Issuer,
    /// Where users are sent; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<EndpointUrl>,
    /// Where grants are exchanged.
    pub token_endpoint: EndpointUrl,
    /// Whether every authorization response carries `iss`.
    pub iss_advertised: bool,
    /// Whether it is an OpenID provider, which asks for consent to refresh tokens only when told to.
    #[serde(default)]
    pub is_openid_provider: bool,
    /// Whether it takes proofs of possession as they are made here (RFC 9449).
    #[serde(default)]
    pub takes_proofs: bool,
    /// Whether it publishes nothing and these are the places where MCP 2025-03-26 puts its endpoints.
    #[serde(default)]
    pub is_assumed: bool,
    /// The exceptions that the configuration makes for it.
    #[serde(default, skip_serializing_if = "ServerProfile::is_strict")]
    pub profile: ServerProfile,
    /// The URL of its metadata, if not at a well-known URL of its issuer: the host pinned the issuer, and the
    /// resource named another one on the same origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<EndpointUrl>,
    /// When its metadata was read; a refresh reads it again after a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<UnixTime>,
}

impl ServerEndpoints {
    /// Time for which they are relied on without looking again.
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

    /// Whether to look again before they are used. What was read before that was noted is old.
    pub(crate) fn are_old(&self, now: UnixTime) -> bool {
        !self.is_assumed && self.read_at.is_none_or(|then| now.since(then) >= Self::LIFETIME)
    }
}

/// Returns `true` if a server takes proofs in the one algorithm that is made here.
fn takes_proofs(server: &AuthorizationServerMetadata) -> bool {
    let listed = &server.dpop_signing_alg_values_supported;
    listed.as_ref().is_some_and(|listed| listed.contains(&SigningAlgorithm::Es256))
}

/// Tokens, with what they were asked for and what they grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tokens {
    /// By which grant they were got.
    #[serde(default = "by_code")]
    pub grant: GrantType,
    /// How the access token is shown.
    #[serde(default = "bearer")]
    pub token_type: TokenType,
    /// The thumbprint of the key that the tokens are bound to (RFC 9449 §6.1), where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Box<str>>,
    /// For the resource, and for nobody else.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// For the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "exposed")]
    pub refresh_token: Option<Secret>,
    /// When the access token expires, by our clock; `None` when the server did not say.
    pub expires_at: Option<UnixTime>,
    /// When to refresh ahead of that: [`Session::REFRESH_AHEAD`](crate::Session::REFRESH_AHEAD) before, or a
    /// quarter of a short life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_at: Option<UnixTime>,
    /// What was requested; kept through refreshes, because a step-up adds to it.
    pub requested: Option<ScopeSet>,
    /// What is granted. A response without `scope` means what was requested (C-TOKEN-5).
    pub granted: Option<ScopeSet>,
    /// The login that a refresh has kept; `None` in tokens that a login has brought itself.
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
            expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
            refresh_at: lifetime.map(|life| now.plus(life - ahead_of(life))),
            // C-TOKEN-5
            granted: response.scope.or_else(|| requested.clone()),
            requested,
            login: None,
        }
    }

    /// Returns the identifier of the login that these tokens come from: the digest of its first access token.
    ///
    /// Refreshes keep it, also those of other programs that share a store. A later login, or a step-up, has another one. So
    /// a host can tell tokens that the user logged out of from those of a later login.
    #[must_use]
    pub fn login(&self) -> SecretDigest {
        self.login.unwrap_or_else(|| self.access_token.digest())
    }

    /// What another login asks for again: what was asked for, and what was granted beyond it.
    pub(crate) fn asks_again(&self) -> Option<ScopeSet> {
        // C-SCOPE-4
        join(self.requested.as_ref(), self.granted.as_ref())
    }

    /// Whether the access token has expired, as far as the server said.
    pub(crate) fn have_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Whether it is time to refresh.
    pub(crate) fn are_stale(&self, now: UnixTime) -> bool {
        let early = || self.expires_at.map(|end| now.plus(REFRESH_AHEAD) >= end);
        self.refresh_at.map(|at| now >= at).or_else(early).unwrap_or(false)
    }
}

/// How long before the end of such a life to refresh, in whole seconds.
fn ahead_of(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs() / 4).min(REFRESH_AHEAD)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

/// What records of earlier versions hold.
const fn by_code() -> GrantType {
    GrantType::AuthorizationCode
}

/// What records of earlier versions hold.
const fn bearer() -> TokenType {
    TokenType::Bearer
}
