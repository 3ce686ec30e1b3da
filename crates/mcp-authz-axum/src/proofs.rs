//! Replay check of DPoP proofs at the resource server (RFC 9449 §11.1), and the path that a proof has to name.

use core::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::Store;
use authorization_server::store::{OnceKind, StoreError};
use axum::extract::OriginalUri;
use http::Request;
use oauth_types::{SecretDigest, UnixTime};
use resource_server::{CheckReplay, Denial, Recognized, Replay, SeenProofs};
use tracing::warn;

use crate::sweeper::Sweeper;

/// Used DPoP proofs of this process, and of a store that several processes share.
#[derive(Clone)]
pub(crate) struct Proofs {
    /// Proofs that this process has seen, which count each user's share.
    ///
    /// With a shared store, the store decides about replay, so a proof that failed to reach it may be presented again.
    here: Arc<Mutex<SeenProofs>>,
    shared: Option<Arc<PutOnce>>,
}

/// Type-erased [`Store::put_once`].
type PutOnce = dyn Fn(SecretDigest, UnixTime, UnixTime) -> Outcome + Send + Sync;
type Outcome = Pin<Box<dyn Future<Output = Result<Replay, StoreError>> + Send>>;

impl Proofs {
    pub(crate) fn here(capacity: usize) -> Self {
        Self { here: Arc::new(Mutex::new(SeenProofs::new(capacity))), shared: None }
    }

    pub(crate) fn with_capacity(&self, capacity: usize) -> Self {
        Self { shared: self.shared.clone(), ..Self::here(capacity) }
    }

    pub(crate) fn with_store(&self, store: Arc<impl Store + 'static>) -> Self {
        let sweeper = Arc::new(Sweeper::default());
        let put_once = move |key, until, now| -> Outcome {
            let (store, sweeper) = (Arc::clone(&store), Arc::clone(&sweeper));
            Box::pin(async move {
                let replay = store.put_once(OnceKind::ResourceRequest, &key, until, now).await;
                sweeper.stored(&store, now);
                replay
            })
        };
        Self { here: Arc::clone(&self.here), shared: Some(Arc::new(put_once)) }
    }

    /// Resumes the check of a bound token, unless its proof was used before.
    pub(crate) async fn resume<'a>(
        &self,
        step: CheckReplay<'a>,
        now: UnixTime,
    ) -> Result<Recognized<'a>, Denial> {
        let replay = self.put_once(&step, now).await?;
        step.resume(replay)
    }

    async fn put_once(&self, step: &CheckReplay<'_>, now: UnixTime) -> Result<Replay, Denial> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner).put_once(step, now)?;
        match &self.shared {
            Some(put_once) => put_once(*step.key(), step.until(), now).await.map_err(|error| {
                warn!(%error, "a proof could not be remembered");
                Denial::verifier_unavailable()
            }),
            None => Ok(here),
        }
    }
}

/// Returns the path that the client requested.
///
/// A nesting router removes its prefix from the request's URI, so the original URI is used where it is known.
pub(crate) fn path<B>(request: &Request<B>) -> &str {
    let original = request.extensions().get::<OriginalUri>();
    original.map_or(request.uri(), |original| &original.0).path()
}
