//! Single flight: one fetch for all callers that wait for it (SEC-148).
//!
//! `moka::future::Cache::try_get_with` does not fit, because its fetch belongs to the caller that began it and is
//! dropped with it (moka-rs/moka#240). With moka 0.12.16, five callers that left one after the other began five
//! fetches. Here a fetch runs in a task of its own, and the lock is held while the decision on another one is made.

use core::future::Future;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;

/// Latest fetch, in a task of its own, so that its result is recorded even if all callers stop waiting.
#[derive(Debug, Default)]
pub(crate) struct Flight(Mutex<Option<(AbortHandle, Landed)>>);

/// Future that completes with the fetch.
pub(crate) type Landed = Shared<BoxFuture<'static, ()>>;

impl Flight {
    /// Returns the fetch under way, or starts one if `begin` allows it.
    pub(crate) fn join<F>(&self, begin: impl FnOnce() -> Option<F>) -> Option<Landed>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, landed)) = flight.as_ref().filter(|(task, _)| !task.is_finished()) {
            return Some(landed.clone());
        }
        // Another fetch may have ended a moment ago, so `begin` decides while the lock is held.
        let task = tokio::spawn(begin()?);
        let (_, landed) = flight.insert((task.abort_handle(), task.map(drop).boxed().shared()));
        Some(landed.clone())
    }
}
