//! The token endpoint (RFC 6749 §3.2, §4.1.3, §6): client before grant, everything checked before anything is
//! consumed, one store operation at the end, and the response only after its outcome.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the request is a form ([`endpoint`](crate::endpoint)) | A-TOKEN-10 | 405, 413, `invalid_request` |
//! | the client presents one well-formed proof | A-AUTHN-1 to A-AUTHN-3 | `invalid_client`, `invalid_request` |
//! | `grant_type` is there and known | A-TOKEN-7 | `invalid_request`, `unsupported_grant_type` |
//! | there is at most one proof of possession | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the client is authenticated ([`authenticate`](crate::authenticate)) | A-AUTHN-4 to A-AUTHN-9 | `invalid_client` |
//! | it may use the grant | A-TOKEN-7 | `unauthorized_client` |
//! | the proof of possession, if there is one, is right ([`possession`](crate::possession)) | RFC 9449 §5 | `invalid_dpop_proof`, `use_dpop_nonce` |
//! | then the grant: [`code`], [`refresh`], [`machine`], [`assertion`] | | |
//! | the proof is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |

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
use crate::endpoint::Form;
use crate::environment::Environment;
use crate::possession::{CheckedProof, Proof, ProofNeed};
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
/// [`Refusal`] with the finished reply. A code or refresh token can be sent again after it, with two exceptions:
/// [`Cause::CodeReplayed`] and [`Cause::RefreshTokenReused`] have ended the grant. A failure of the store or of the random
/// source comes after an assertion or a proof was used, so that the client sends new ones.
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
        Some(name) => GrantType::from_name(name),
    };
    // A-TOKEN-7
    if !config.grant_types().contains(&grant_type) {
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

/// A request whose client is looked up.
struct Parsed<'a> {
    form: TokenForm<'a>,
    grant_type: GrantType,
    presented: Presented,
    proof: Proof,
}

/// A request whose client is authenticated, before its grant is looked up.
struct GrantRequest<'a> {
    form: TokenForm<'a>,
    client: Authenticated,
    proof: CheckedProof,
    /// The scope that the client is registered for, if that bounds it.
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
    let client = authenticate(config, env.store(), presented, record, now).await?;
    let metadata = record.map(|record| &record.metadata);
    // A-TOKEN-7: a client that names no grants uses codes (RFC 7591 §2).
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

/// Checks that a client has credentials: tokens that no user agreed to in a browser are for no other.
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
