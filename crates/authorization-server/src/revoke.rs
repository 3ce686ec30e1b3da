//! Revocation endpoint (RFC 7009): any token of a family revokes the whole family.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the request is a form, and its client is authenticated | A-REV-1 | as at the token endpoint |
//! | `token` is present | | 400 `invalid_request` |
//! | the token is known and was issued to this client | A-REV-1 | 200 without a change |
//! | the family is revoked | A-REV-1 | 200; 503 if the store is not available |

use bytes::Bytes;
use client_auth::{Authenticated, Presented};
use http::{Request, Response, StatusCode};
use oauth_types::{ClientId, SecretDigest, UnixTime, json_response_uncached};

use crate::authenticate::{Caller, authenticate};
use crate::config::Config;
use crate::endpoint::Form;
use crate::environment::Environment;
use crate::refusal::Refusal;
use crate::store::{ClientRecord, FamilyId, Store as _};

/// Answers a request to the revocation endpoint.
///
/// # Errors
///
/// [`Refusal`] with the finished reply. If the store failed, the reply is a server error, because the token may still
/// be valid.
pub async fn revoke<E: Environment>(
    config: &Config,
    env: &E,
    request: &Request<Bytes>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let form = Form::read(request)?;
    let presented = form.presented(request)?;
    let caller = Caller::find(config, env, &presented).await?;
    let record = caller.client.as_ref();
    let outcome = end_grant(config, env, &form, (presented, record), now).await;
    caller.settle(env, outcome)?;
    Ok(json_response_uncached(StatusCode::OK, Bytes::from_static(b"{}")))
}

async fn end_grant<E: Environment>(
    config: &Config,
    env: &E,
    form: &Form<'_>,
    (presented, record): (Presented, Option<&ClientRecord>),
    now: UnixTime,
) -> Result<(), Refusal> {
    // A-REV-1
    let client = authenticate(config, env, presented, record, now).await?;
    let token = form.get("token").ok_or_else(|| Refusal::missing("token"))?;
    match family_of(config, env, &client, token, now).await? {
        Some(family) => env.store().revoke_family(&family, now).await.map_err(Refusal::store),
        None => Ok(()),
    }
}

/// Finds the family of a token that was issued to this client.
///
/// `token_type_hint` is ignored, as RFC 7009 §2.1 allows.
async fn family_of<E: Environment>(
    config: &Config,
    env: &E,
    client: &Authenticated,
    token: &str,
    now: UnixTime,
) -> Result<Option<FamilyId>, Refusal> {
    let store = env.store();
    let found: Option<(FamilyId, ClientId)> = match config.server_keys.open(token) {
        Some((family, _)) => {
            let record = store.read_family(&family).await.map_err(Refusal::store)?;
            record.map(|record| (family, record.client_id))
        }
        None => {
            let record = store.access(&SecretDigest::of(token), now).await;
            let record = record.map_err(Refusal::store)?;
            record.map(|record| (record.family, record.client_id))
        }
    };
    Ok(found.filter(|(_, owner)| owner == client.client_id()).map(|(family, _)| family))
}
