//! Single flight: one fetch for all callers that wait for it.
//!
//! `moka::future::Cache::try_get_with` does not do this, because its fetch belongs to the caller that began it and is
//! dropped with it (moka-rs/moka#240). With moka 0.12.16, five callers that left one after the other began five fetches.
//! Here a fetch goes on in a task of its own, and whether another may begin is decided under the lock (SEC-148).

use core::future::Future;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;

/// A fetch that is under way, or was. It runs in a task of its own: what it brings is noted, whoever stops waiting.
#[derive(Debug, Default)]
pub(crate) struct Flight(Mutex<Option<(AbortHandle, Landed)>>);

/// Is over when the fetch is.
pub(crate) type Landed = Shared<BoxFuture<'static, ()>>;

impl Flight {
    /// The fetch that is under way, or the one that begins now, if one may.
    pub(crate) fn join<F>(&self, begin: impl FnOnce() -> Option<F>) -> Option<Landed>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, landed)) = flight.as_ref().filter(|(task, _)| !task.is_finished()) {
            return Some(landed.clone());
        }
        // Somebody else's may have landed a moment ago: whether one may begin is asked with the lock held.
        let task = tokio::spawn(begin()?);
        let (_, landed) = flight.insert((task.abort_handle(), task.map(drop).boxed().shared()));
        Some(landed.clone())
    }
}
