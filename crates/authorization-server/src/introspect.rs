//! The introspection endpoint (RFC 7662): tells a resource server about a token that was presented to it.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the request is a form | A-INT-1 | 405, 413, `invalid_request` |
//! | the caller is a resource server of the configuration, and authenticated | A-INT-1 | `invalid_client` |
//! | `token` is present | | 400 `invalid_request` |
//! | the token is active, and is for that resource server | A-INT-1 | 200 `{"active":false}`, whatever the reason |
//!
//! Registered clients may not introspect, because registration is open. Refresh tokens are always inactive here.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use oauth_types::{
    Audience, IntrospectionResponse, SecretDigest, TokenType, UnixTime, json_response_uncached,
};
use serde_json::json;

use crate::authenticate::{authenticate_as, settle};
use crate::config::Config;
use crate::endpoint::Form;
use crate::environment::{Attempt, Environment};
use crate::refusal::Refusal;
use crate::store::{AccessRecord, Store as _};

/// Answers a request to the introspection endpoint.
///
/// # Errors
///
/// [`Refusal`] with the finished reply, when a check of the request or the authentication fails, or the store does: a
/// store that failed does not make a token inactive.
pub async fn introspect<E: Environment>(
    config: &Config,
    env: &E,
    request: &Request<Bytes>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let attempt = Attempt { client_id: None, has_credentials: true };
    env.admit(&attempt).map_err(Refusal::too_many)?;
    let answer = settle(env, &attempt, find(config, env, request, now).await)?;
    Ok(json_response_uncached(StatusCode::OK, answer.to_json()))
}

async fn find<E: Environment>(
    config: &Config,
    env: &E,
    request: &Request<Bytes>,
    now: UnixTime,
) -> Result<IntrospectionResponse, Refusal> {
    let form = Form::read(request)?;
    let presented = form.presented(request)?;
    let asker = config.resource_servers.iter().find(|it| it.client_id == *presented.client_id());
    // A-INT-1
    let registered = asker.map(|asker| &asker.authentication);
    authenticate_as(config, env, presented, registered, now).await?;
    let token = form.get("token").ok_or_else(|| Refusal::missing("token"))?;
    // The caller was authenticated by this entry, so the entry exists.
    let asker = asker.ok_or_else(|| Refusal::missing("client_id"))?;
    let found = env.store().access(&SecretDigest::of(token), now).await.map_err(Refusal::store)?;
    let found = found.filter(|record| record.resource.is_same(&asker.resource));
    Ok(found.map_or_else(IntrospectionResponse::inactive, |record| answer(config, record)))
}

/// Builds the answer about an active token (RFC 7662 §2.2).
fn answer(config: &Config, record: AccessRecord) -> IntrospectionResponse {
    let mut answer = IntrospectionResponse::active();
    answer.scope = Some(record.scopes);
    answer.client_id = Some(record.client_id);
    answer.sub = Some(record.subject.into());
    answer.aud = Some(Audience(vec![record.resource.as_str().to_owned()]));
    answer.iss = Some(config.issuer.clone());
    answer.exp = Some(record.expires_at);
    answer.token_type = Some(TokenType::bound_to(record.jkt.as_ref()).as_str().to_owned());
    if let Some(jkt) = record.jkt {
        // RFC 9449 §6.2
        answer.extra.insert("cnf".to_owned(), json!({ "jkt": jkt }));
    }
    answer
}
