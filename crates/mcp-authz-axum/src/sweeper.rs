//! Removal of expired rows from the store, in a background task that no request waits for.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::Store;
use oauth_types::UnixTime;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;
use tracing::warn;

/// Shortest time from the beginning of one sweep to that of the next.
const PAUSE: Duration = Duration::from_secs(60);
/// Most rows that the store is asked to remove at once.
const ROWS: usize = 1000;

/// Time and task of the latest sweep.
#[derive(Default)]
pub(crate) struct Sweeper(Mutex<Option<(UnixTime, JoinHandle<()>)>>);

impl Sweeper {
    /// Starts a sweep after something was stored, unless one is running or began less than [`PAUSE`] ago.
    ///
    /// Outside of a tokio runtime no sweep starts: there the host calls [`Store::sweep`].
    pub(crate) fn stored<S: Store + 'static>(&self, store: &Arc<S>, now: UnixTime) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.as_ref().is_none_or(|(begun, sweep)| {
            sweep.is_finished() && (now < *begun || now.saturating_duration_since(*begun) >= PAUSE)
        });
        if is_due && let Ok(runtime) = Handle::try_current() {
            *last = Some((now, runtime.spawn(sweep(Arc::clone(store), now))));
        }
    }
}

/// Removes all expired rows.
async fn sweep<S: Store>(store: Arc<S>, now: UnixTime) {
    loop {
        let Ok(outcome) = timeout(PAUSE, store.sweep(now, ROWS)).await else {
            warn!("what has expired could not be removed in time");
            return;
        };
        match outcome {
            Ok(ROWS) => yield_now().await,
            Ok(_) => return,
            Err(error) => {
                warn!(%error, "what has expired could not be removed");
                return;
            }
        }
    }
}
