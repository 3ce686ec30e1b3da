//! The token endpoint (RFC 6749 §3.2, §4.1.3, §6): client before grant, everything checked before anything is
//! consumed, one store operation at the end, and the response only after its outcome.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the request is a form ([`endpoint`](crate::endpoint)) | A-TOKEN-10 | 405, 413, `invalid_request` |
//! | the client presents one well-formed proof | A-AUTHN-1 to A-AUTHN-3 | `invalid_client`, `invalid_request` |
//! | `grant_type` is there and known | A-TOKEN-7 | `invalid_request`, `unsupported_grant_type` |
//! | the client is who it says, by a method that is taken ([`replay`](crate::replay)) | A-AUTHN-4 to A-AUTHN-9 | `invalid_client` |
//! | it may use the grant | A-TOKEN-7 | `unauthorized_client` |
//! | then the grant: [`code`], [`refresh`], [`machine`], [`assertion`] | | |

mod assertion;
mod code;
mod issue;
mod machine;
mod refresh;

use bytes::Bytes;
use client_auth::{Authenticated, ClientAuthError, Presented};
use http::{Request, Response, StatusCode};
use oauth_types::{
    ClientId, FormPairs, GrantType, ResourceUri, ScopeSet, Secret, TokenErrorCode, TokenResponse,
    UnixTime, json_response_uncached,
};

pub use assertion::AssertionGrant;
pub use code::{CodeGrant, IssuableFamily, Redeem};
pub use issue::{IssuableToken, Issue};
pub use refresh::{IssuableRotation, RefreshGrant, Rotate};

use crate::endpoint::read_form;
use crate::replay::authenticate;
use crate::{Cause, ClientChecked, ClientRecord, Config, Refusal};

/// A token request whose client has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its client"]
pub struct TokenRequest<'a> {
    config: &'a Config,
    form: FormPairs<'a>,
    grant_type: GrantType,
    presented: Presented,
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
        Ok(Self { config, form, grant_type, presented })
    }

    /// The client to look up: in the store and, if that does not know it, in its
    /// [document](Config::client_document).
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        self.presented.client_id()
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
        let Self { config, form, grant_type, presented } = self;
        // A-TOKEN-7: a client that names no grants uses codes (RFC 7591 §2).
        let named = client.and_then(|record| record.metadata.grant_types.clone());
        let grants = named.unwrap_or_else(|| vec![GrantType::AuthorizationCode]);
        let scope = client.and_then(|record| record.metadata.scope.clone());
        authenticate(config, presented, client, now, move |client| {
            if !grants.contains(&grant_type) {
                let code = TokenErrorCode::UnauthorizedClient;
                let why = "this client does not use this grant";
                return Err(Refusal::token(Cause::Grant, code, why));
            }
            if grant_type == GrantType::ClientCredentials {
                let scope = scope.as_ref();
                return machine::machine(config, &form, client, scope).map(Admitted::Machine);
            }
            #[cfg(feature = "identity_assertions")]
            if grant_type == GrantType::JwtBearer {
                let scope = scope.as_ref();
                let grant = AssertionGrant::new(config, &form, client, scope, now);
                return grant.map(Admitted::Assertion);
            }
            if grant_type == GrantType::RefreshToken {
                return RefreshGrant::new(config, form, client).map(Admitted::Refresh);
            }
            let wants_refresh = grants.contains(&GrantType::RefreshToken);
            CodeGrant::new(config, form, client, wants_refresh).map(Admitted::Code)
        })
    }
}

/// A request of a client that is who it says, by its grant.
#[derive(Debug)]
#[must_use = "the request goes on only with its grant"]
pub enum Admitted<'a> {
    /// An authorization code.
    Code(CodeGrant<'a>),
    /// A refresh token.
    Refresh(RefreshGrant<'a>),
    /// The client's own authority.
    Machine(IssuableToken<'a>),
    /// The word of an identity provider. Only with the feature `identity_assertions` one gets here.
    Assertion(AssertionGrant<'a>),
}

pub(crate) fn unauthenticated(error: ClientAuthError) -> Refusal {
    Refusal::new(Cause::Client(error.reason()), error.into_response())
}

pub(crate) fn missing(name: &'static str) -> Refusal {
    let why = format!("{name} is missing");
    Refusal::token(Cause::Parameter(name), TokenErrorCode::InvalidRequest, &why)
}

/// The one answer for a code or token that does not work, whatever the reason.
fn invalid_grant(cause: Cause) -> Refusal {
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

/// The answer that gives tokens: never cached (A-TOKEN-6).
fn issued(
    config: &Config,
    access_token: Secret,
    scopes: ScopeSet,
    refresh_token: Option<Secret>,
) -> Response<Bytes> {
    // A-TOKEN-6
    let mut response = TokenResponse::bearer(access_token);
    response.expires_in = Some(config.lifetimes.access_token.as_secs());
    response.refresh_token = refresh_token;
    response.scope = Some(scopes);
    json_response_uncached(StatusCode::OK, response.to_json())
}
