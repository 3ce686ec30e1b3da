//! Client credentials grant (RFC 6749 §4.4).
//!
//! Only for clients that the operator put into the store ([`ClientRecord::client_credentials`](crate::ClientRecord)): a
//! client that registers itself gets tokens only with a user's consent.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the client is confidential | RFC 6749 §4.4.2 | `unauthorized_client` |
//! | `resource` is a configured one; if absent, the server has only one | A-TOKEN-8 | `invalid_target` |
//! | `scope` is well formed and within the registered scope, its default | RFC 6749 §3.3 | `invalid_scope` |
//! | the DPoP proof, if present, is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |
//! | the token is stored | | 503 |

use bytes::Bytes;
use http::Response;
use oauth_types::{ScopeSet, Subject, TokenErrorCode, UnixTime};

use super::issue::issue_once;
use super::{GrantRequest, check_confidential, unknown_resource};
use crate::config::Config;
use crate::environment::Environment;
use crate::refusal::{Cause, Refusal};

/// Issues an access token with the client as its subject.
pub(super) async fn issue<E: Environment>(
    config: &Config,
    env: &E,
    request: GrantRequest<'_>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let GrantRequest { form, client, proof, registered } = request;
    // A-TOKEN-9
    check_confidential(&client)?;
    let resource = form.resource.select(&config.resources).ok_or_else(unknown_resource)?;
    let bad_scope = || {
        let why = "the scope is not within what the client is registered for";
        Refusal::token(Cause::Scope, TokenErrorCode::InvalidScope, why)
    };
    let registered = registered.ok_or_else(bad_scope)?;
    let scopes = match form.scope {
        Some(asked) => ScopeSet::parse(asked).map_err(|_| bad_scope())?,
        None => registered.clone(),
    };
    if scopes.is_empty() || scopes.exceeds(registered) || scopes.exceeds(&config.scopes) {
        return Err(bad_scope());
    }
    // The client is the subject, because no user agreed (RFC 9068 §2.2).
    let subject = Subject::from(client.client_id());
    let key = proof.first_use(env.store(), None, now).await?;
    issue_once(config, env, &client, (subject, resource, scopes), key, now).await
}
