//! Replay check for assertions and DPoP proofs at the token and other endpoints (RFC 7523 §3, RFC 9449 §11.1).

use client_auth::{FirstUse, Replayed};
use oauth_types::UnixTime;

use crate::refusal::Refusal;
use crate::store::{OnceKind, Store};

/// Stores the replay key of a value, and returns the value if the key is new.
pub(crate) async fn use_once<T>(
    store: &impl Store,
    step: FirstUse<T>,
    now: UnixTime,
    refuse: impl FnOnce(Replayed) -> Refusal,
) -> Result<T, Refusal> {
    let outcome = store.put_once(OnceKind::TokenRequest, step.key(), step.until(), now).await;
    step.resume(outcome.map_err(Refusal::store)?).map_err(refuse)
}
