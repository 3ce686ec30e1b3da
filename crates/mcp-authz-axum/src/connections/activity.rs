//! Activity of one connection: answering a request, or idle since some time.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

/// State of one connection: answering a request, or idle since some time.
pub(crate) struct Activity {
    started: Instant,
    /// Milliseconds from the listener's start to the beginning of idleness.
    ///
    /// [`ANSWERING`](Self::ANSWERING) while a request is under way.
    idle_since: AtomicU64,
    /// `true` if bytes arrived after the end of the last complete request.
    has_unread: AtomicBool,
    close: Notify,
}

impl Activity {
    const ANSWERING: u64 = u64::MAX;

    pub(super) fn new(started: Instant) -> Self {
        let activity = Self {
            started,
            idle_since: AtomicU64::new(0),
            has_unread: AtomicBool::new(false),
            close: Notify::new(),
        };
        activity.rest();
        activity
    }

    /// Starts a request, which ends when the returned guard is dropped.
    ///
    /// The connection counts as idle until the body has arrived, because an attacker can send a part of a body as
    /// cheaply as a part of a head.
    pub(crate) fn answer(self: &Arc<Self>) -> Arc<Answering> {
        self.rest();
        Arc::new(Answering(Arc::clone(self)))
    }

    pub(crate) fn has_read(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the peer may have sent bytes that are still unread.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// Signals the connection to close, so that another one can be admitted.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Completes when the connection has to close.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    fn rest(&self) {
        let elapsed = self.started.elapsed();
        let now = elapsed.as_secs() * 1000 + u64::from(elapsed.subsec_millis());
        self.idle_since.store(now, Ordering::Relaxed);
    }

    /// Returns the time at which idleness began, or `None` during a request.
    ///
    /// The time is in milliseconds since the listener's start.
    pub(super) fn idle_since(&self) -> Option<u64> {
        Some(self.idle_since.load(Ordering::Relaxed)).filter(|since| *since != Self::ANSWERING)
    }
}

/// Guard of one request, from the end of its head to the end of its answer.
pub(crate) struct Answering(Arc<Activity>);

impl Answering {
    /// Records that the request's body has arrived completely.
    pub(crate) fn arrived(&self) {
        self.0.has_unread.store(false, Ordering::Relaxed);
        self.begin();
    }

    /// Records that the connection is active, because its body is no longer awaited.
    pub(crate) fn begin(&self) {
        self.0.idle_since.store(Activity::ANSWERING, Ordering::Relaxed);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.rest();
    }
}
