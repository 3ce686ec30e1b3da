//! Proofs of possession, carried to the decision: what the client asked for, and whether a proof was used before.

use core::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::{Store, StoreError};
use axum::extract::OriginalUri;
use http::Request;
use oauth_types::{SecretDigest, UnixTime};
use resource_server::{CheckReplay, Denial, Recognized, Replay, SeenProofs};
use tracing::warn;

use crate::sweeper::Sweeper;

/// Who remembers the proofs that were used.
#[derive(Clone)]
pub(crate) enum Proofs {
    /// This process.
    Here(Arc<Mutex<SeenProofs>>),
    /// A store that several processes share.
    Shared(Arc<PutOnce>),
}

/// [`Store::put_once`] of some store.
type PutOnce = dyn Fn(SecretDigest, UnixTime, UnixTime) -> Outcome + Send + Sync;
type Outcome = Pin<Box<dyn Future<Output = Result<Replay, StoreError>> + Send>>;

impl Proofs {
    pub(crate) fn here(capacity: usize) -> Self {
        Self::Here(Arc::new(Mutex::new(SeenProofs::new(capacity))))
    }

    pub(crate) fn shared(store: Arc<impl Store + 'static>) -> Self {
        let sweeper = Arc::new(Sweeper::default());
        Self::Shared(Arc::new(move |key, until, now| {
            let (store, sweeper) = (Arc::clone(&store), Arc::clone(&sweeper));
            Box::pin(async move {
                let replay = store.put_once(&key, until, now).await;
                sweeper.stored(&store, now);
                replay
            })
        }))
    }

    /// Goes on with a bound token, if its proof was not used before.
    pub(crate) async fn resume<'a>(
        &self,
        step: CheckReplay<'a>,
        now: UnixTime,
    ) -> Result<Recognized<'a>, Denial> {
        let replay = self.put_once(&step, now).await?;
        step.resume(replay)
    }

    async fn put_once(&self, step: &CheckReplay<'_>, now: UnixTime) -> Result<Replay, Denial> {
        match self {
            Self::Here(seen) => {
                seen.lock().unwrap_or_else(PoisonError::into_inner).put_once(step, now)
            }
            Self::Shared(put_once) => {
                put_once(*step.key(), step.until(), now).await.map_err(|error| {
                    warn!(%error, "a proof could not be remembered");
                    Denial::verifier_unavailable()
                })
            }
        }
    }
}

/// The path that a client asked for: a router that nests others takes their prefix off.
pub(crate) fn path<B>(request: &Request<B>) -> &str {
    let original = request.extensions().get::<OriginalUri>();
    original.map_or(request.uri(), |original| &original.0).path()
}
