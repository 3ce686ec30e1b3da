//! Token endpoint (RFC 6749 §3.2): from the request to the token response.
//!
//! The client is authenticated before its grant is looked up, and every check comes before anything is consumed. One
//! store operation ends the request; the response is built from its outcome.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the request is a form ([`endpoint`](crate::endpoint)) | A-TOKEN-10 | 405, 413, `invalid_request` |
//! | one well-formed client authentication | A-AUTHN-1 to A-AUTHN-3 | `invalid_client`, `invalid_request` |
//! | `grant_type` is present and offered | A-TOKEN-7 | `invalid_request`, `unsupported_grant_type` |
//! | the request has at most one DPoP proof | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the client is authenticated ([`authenticate`]) | A-AUTHN-4 to A-AUTHN-9 | `invalid_client` |
//! | the client is registered for the grant | A-TOKEN-7 | `unauthorized_client` |
//! | the DPoP proof, if present, is valid ([`dpop`]) | RFC 9449 §5 | `invalid_dpop_proof`, `use_dpop_nonce` |
//! | checks of the grant: [`code`], [`refresh`], [`machine`], [`assertion`] | | |
//! | the DPoP proof is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |
//!
//! [`dpop`]: crate::dpop

#[cfg(feature = "jwt")]
mod assertion;
mod code;
mod form;
mod issue;
mod machine;
mod refresh;

use bytes::Bytes;
use client_auth::{Authenticated, Presented};
use http::{Request, Response};
use oauth_types::{GrantType, ScopeSet, TokenErrorCode, UnixTime};

use self::form::TokenForm;
use crate::authenticate::{Caller, authenticate};
use crate::config::Config;
use crate::dpop::{CheckedProof, Proof, ProofNeed};
use crate::endpoint::Form;
use crate::environment::Environment;
use crate::refusal::{Cause, Refusal};
use crate::store::ClientRecord;

/// Answers a request to the token endpoint.
///
/// ```
/// use authorization_server::{Config, Environment, Refusal, token};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use oauth_types::UnixTime;
///
/// # async fn f(config: &Config, host: &impl Environment, request: Request<Bytes>, now: UnixTime) -> Response<Bytes> {
/// token(config, host, &request, now).await.unwrap_or_else(Refusal::into_response)
/// # }
/// ```
///
/// # Errors
///
/// [`Refusal`] with the finished reply. The client can send its code or refresh token again, with two exceptions:
/// [`Cause::CodeReplayed`] and [`Cause::RefreshTokenReused`] end the grant. When the store or the random source fails,
/// the assertion and the DPoP proof may already be used up, so the client has to send new ones.
pub async fn token<E: Environment>(
    config: &Config,
    env: &E,
    request: &Request<Bytes>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let form = Form::read(request)?;
    let presented = form.presented(request)?;
    let form = TokenForm::read(&form);
    let grant_type = match form.grant_type {
        None => return Err(Refusal::missing("grant_type")),
        Some(name) => GrantType::parse(name),
    };
    // A-TOKEN-7
    if !config.offers_grant(&grant_type) {
        let code = TokenErrorCode::UnsupportedGrantType;
        return Err(Refusal::token(Cause::Grant, code, "this grant is not offered"));
    }
    let proof = Proof::parse(request.headers())?;
    let caller = Caller::find(config, env, &presented).await?;
    let client = caller.client.as_ref();
    let parsed = Parsed { form, grant_type, presented, proof };
    let outcome = caller.settle(env, grant(config, env, parsed, client, now).await)?;
    if let Some(client) = client {
        env.client_used(client);
    }
    Ok(outcome)
}

/// Parsed request, before its client is authenticated.
struct Parsed<'a> {
    form: TokenForm<'a>,
    grant_type: GrantType,
    presented: Presented,
    proof: Proof,
}

/// Request of an authenticated client, before its grant is checked.
struct GrantRequest<'a> {
    form: TokenForm<'a>,
    client: Authenticated,
    proof: CheckedProof,
    /// Registered scope of the client; `None` if its registration sets no bound.
    registered: Option<&'a ScopeSet>,
}

async fn grant<E: Environment>(
    config: &Config,
    env: &E,
    request: Parsed<'_>,
    record: Option<&ClientRecord>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let Parsed { form, grant_type, presented, proof } = request;
    let client = authenticate(config, env, presented, record, now).await?;
    let metadata = record.map(|record| &record.metadata);
    // A-TOKEN-7: without `grant_types` a client uses authorization codes (RFC 7591 §2).
    let grants = metadata.and_then(|metadata| metadata.grant_types.as_deref());
    let grants = grants.unwrap_or(&[GrantType::AuthorizationCode]);
    if !grants.contains(&grant_type) {
        let code = TokenErrorCode::UnauthorizedClient;
        return Err(Refusal::token(Cause::Grant, code, "this client does not use this grant"));
    }
    let need = match metadata {
        Some(metadata) if metadata.dpop_bound_access_tokens => ProofNeed::Promised,
        _ => ProofNeed::Optional,
    };
    let proof = proof.check(config, need, now)?;
    let registered = record.and_then(ClientRecord::scope_bound);
    let request = GrantRequest { form, client, proof, registered };
    match grant_type {
        GrantType::ClientCredentials => machine::issue(config, env, request, now).await,
        #[cfg(feature = "jwt")]
        GrantType::JwtBearer => assertion::issue(config, env, request, now).await,
        GrantType::RefreshToken => refresh::rotate(config, env, request, now).await,
        _ => code::redeem(config, env, request, grants, now).await,
    }
}

/// Checks that the client is confidential (RFC 6749 §2.1).
///
/// Only these clients get tokens without a user's consent in a browser.
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

fn other_resource() -> Refusal {
    let why = "the resource is not the one that was authorized";
    Refusal::token(Cause::Target, TokenErrorCode::InvalidTarget, why)
}
