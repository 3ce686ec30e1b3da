//! The token endpoint (RFC 6749 §3.2, §4.1.3, §6): client before grant, everything checked before anything is
//! consumed, one store operation at the end, and the response only after its outcome.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the request is a form ([`endpoint`](crate::endpoint)) | A-TOKEN-10 | 405, 413, `invalid_request` |
//! | the client presents one well-formed proof | A-AUTHN-1 to A-AUTHN-3 | `invalid_client`, `invalid_request` |
//! | `grant_type` is there and known | A-TOKEN-7 | `invalid_request`, `unsupported_grant_type` |
//! | there is at most one proof of possession | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the client is who it says, by a method that is taken ([`replay`](crate::replay)) | A-AUTHN-4 to A-AUTHN-9 | `invalid_client` |
//! | it may use the grant | A-TOKEN-7 | `unauthorized_client` |
//! | the proof of possession, if there is one, is right ([`possession`](crate::possession)) | RFC 9449 §5 | `invalid_dpop_proof`, `use_dpop_nonce` |
//! | then the grant: [`code`], [`refresh`], [`machine`], [`assertion`] | | |
//! | the proof is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |

#[cfg(feature = "identity_assertions")]
mod assertion;
mod code;
mod issue;
mod machine;
mod refresh;

use bytes::Bytes;
use client_auth::{Authenticated, ClientAuthError, Presented};
use http::{Request, Response, StatusCode};
use oauth_types::{
    ClientId, FormPairs, GrantType, ResourceUri, ScopeSet, Secret, Thumbprint, TokenErrorCode,
    TokenResponse, TokenType, UnixTime, json_response_uncached,
};

pub use code::{CodeGrant, IssuableFamily, Redeem};
pub use issue::{IssuableToken, Issue};
pub use refresh::{IssuableRotation, RefreshGrant, Rotate};

use crate::endpoint::read_form;
use crate::possession::{CheckedProof, Proof};
use crate::replay::authenticate;
use crate::{Cause, ClientChecked, ClientRecord, Config, KeysNeeded, NewAccess, Refusal};

/// A token request whose client has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its client"]
pub struct TokenRequest<'a> {
    config: &'a Config,
    form: FormPairs<'a>,
    grant_type: GrantType,
    presented: Presented,
    proof: Proof,
}

impl<'a> TokenRequest<'a> {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the finished reply.
    pub fn parse(config: &'a Config, request: &'a Request<Bytes>) -> Result<Self, Refusal> {
        let form = read_form(request)?;
        let presented = Presented::parse(request.headers(), &form).map_err(unauthenticated)?;
        let grant_type = match form.value("grant_type").unwrap_or_default() {
            None => return Err(missing("grant_type")),
            Some(name) => GrantType::from_name(name),
        };
        // A-TOKEN-7
        if !config.grant_types().contains(&grant_type) {
            let code = TokenErrorCode::UnsupportedGrantType;
            return Err(Refusal::token(Cause::Grant, code, "this grant is not offered"));
        }
        let proof = Proof::parse(request.headers())?;
        Ok(Self { config, form, grant_type, presented, proof })
    }

    /// The client to look up: in the store and, if that does not know it, in its
    /// [document](Config::client_document).
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        self.presented.client_id()
    }

    /// Returns `true` if the request presents a secret or an assertion, which could be a guess.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.presented.has_credentials()
    }

    /// Returns the key set to fetch for this client before the request goes on, if one is needed.
    #[must_use]
    pub fn keys_needed(&self, client: &ClientRecord) -> Option<KeysNeeded<'_>> {
        KeysNeeded::of(self.config, &self.presented, client)
    }

    /// Goes on with the client, if there is one.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; an unknown client and a wrong secret read the same.
    pub fn with_client(
        self,
        client: Option<&ClientRecord>,
        now: UnixTime,
    ) -> Result<ClientChecked<'a, Admitted<'a>>, Refusal> {
        let Self { config, form, grant_type, presented, proof } = self;
        // A-TOKEN-7: a client that names no grants uses codes (RFC 7591 §2).
        let named = client.and_then(|record| record.metadata.grant_types.clone());
        let grants = named.unwrap_or_else(|| vec![GrantType::AuthorizationCode]);
        let scope = client.and_then(|record| record.scope_bound().cloned());
        let is_promised = client.is_some_and(|record| record.metadata.dpop_bound_access_tokens);
        authenticate(config, presented, client, now, move |client| {
            if !grants.contains(&grant_type) {
                let code = TokenErrorCode::UnauthorizedClient;
                let why = "this client does not use this grant";
                return Err(Refusal::token(Cause::Grant, code, why));
            }
            let proof = proof.check(config, is_promised, now)?;
            Ok(ClientChecked::Done(match grant_type {
                GrantType::ClientCredentials => {
                    return machine::machine(config, &form, client, proof, scope.as_ref());
                }
                #[cfg(feature = "identity_assertions")]
                GrantType::JwtBearer => {
                    return assertion::assertion(config, &form, client, proof, scope.as_ref(), now);
                }
                GrantType::RefreshToken => {
                    let request = GrantRequest { config, form, client, proof, scope };
                    Admitted::Refresh(RefreshGrant::new(request)?)
                }
                _ => {
                    let wants_refresh = grants.contains(&GrantType::RefreshToken);
                    let request = GrantRequest { config, form, client, proof, scope };
                    Admitted::Code(CodeGrant::new(request, wants_refresh)?)
                }
            }))
        })
    }
}

/// A token request of a client that is who it says, before its grant is looked up.
#[derive(Debug)]
struct GrantRequest<'a> {
    config: &'a Config,
    form: FormPairs<'a>,
    client: Authenticated,
    proof: CheckedProof,
    /// The scope that the client is registered for, if that bounds it.
    scope: Option<ScopeSet>,
}

/// A request of a client that is who it says, by its grant.
#[derive(Debug)]
#[must_use = "the request goes on only with its grant"]
pub enum Admitted<'a> {
    /// An authorization code.
    Code(CodeGrant<'a>),
    /// A refresh token.
    Refresh(RefreshGrant<'a>),
    /// What gives one token and nothing to refresh: the client's own authority, or an identity provider's word.
    Token(IssuableToken<'a>),
}

/// Why the word of an identity provider is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AssertionError {
    /// It comes from none of the configuration's identity providers, or is no JWT.
    UnknownProvider,
    /// It is no ID-JAG with its claims, signed with the provider's key in the key's algorithm.
    WrongSignature,
    /// It is meant for another server, or for others too.
    WrongAudience,
    /// It was given to another client.
    OtherClient,
    /// It has expired, or does not count yet, or is meant to count for too long.
    OutsideLifetime,
    /// It names a tenant, or a claim is empty or too long.
    Malformed,
    /// It was used before.
    Replayed,
}

pub(crate) fn unauthenticated(error: ClientAuthError) -> Refusal {
    Refusal::new(Cause::Client(error.reason()), error.into_response())
}

pub(crate) fn missing(name: &'static str) -> Refusal {
    let why = format!("{name} is missing");
    Refusal::token(Cause::Parameter(name), TokenErrorCode::InvalidRequest, &why)
}

/// The one answer for a code or token that does not work, whatever the reason.
pub(crate) fn invalid_grant(cause: Cause) -> Refusal {
    Refusal::token(cause, TokenErrorCode::InvalidGrant, "the grant is not valid")
}

/// Tokens that no user agreed to in a browser are for clients that have proved who they are.
fn check_confidential(client: &Authenticated) -> Result<(), Refusal> {
    if client.is_confidential() {
        return Ok(());
    }
    let why = "a client without credentials acts for nobody";
    Err(Refusal::token(Cause::Grant, TokenErrorCode::UnauthorizedClient, why))
}

fn unknown_resource() -> Refusal {
    let why = "name one resource that tokens are given for";
    Refusal::token(Cause::Target, TokenErrorCode::InvalidTarget, why)
}

/// The resource that a token request names, if it names one, has to be the one that was authorized.
fn check_resource(form: &FormPairs<'_>, authorized: &ResourceUri) -> Result<(), Refusal> {
    let mut named = form.all("resource").filter(|resource| !resource.is_empty());
    let is_right = match (named.next(), named.next()) {
        (None, _) => true,
        (Some(one), None) => ResourceUri::parse(one)
            .is_ok_and(|one| one.covers(authorized) && authorized.covers(&one)),
        (Some(_), Some(_)) => false,
    };
    if is_right {
        return Ok(());
    }
    let why = "the resource is not the one that was authorized";
    Err(Refusal::token(Cause::Target, TokenErrorCode::InvalidTarget, why))
}

/// How a token that is bound to this key, if to any, is shown.
pub(crate) const fn token_type(jkt: Option<Thumbprint>) -> TokenType {
    match jkt {
        Some(_) => TokenType::Dpop,
        None => TokenType::Bearer,
    }
}

/// The answer that gives tokens: never cached (A-TOKEN-6).
fn issued(
    config: &Config,
    access_token: Secret,
    access: NewAccess,
    refresh_token: Option<Secret>,
) -> Response<Bytes> {
    // A-TOKEN-6
    let mut response = TokenResponse::bearer(access_token);
    response.token_type = token_type(access.jkt);
    response.expires_in = Some(config.lifetimes.access_token.as_secs());
    response.refresh_token = refresh_token;
    response.scope = Some(access.scopes);
    json_response_uncached(StatusCode::OK, response.to_json())
}
