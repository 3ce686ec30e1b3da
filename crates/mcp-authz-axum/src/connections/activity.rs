//! Activity of one connection: a request under way, or idle since a time.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

/// State of one connection: it answers, or has been idle since a time.
pub(crate) struct Activity {
    started: Instant,
    /// Milliseconds after the listener started; [`ANSWERING`](Self::ANSWERING) while a request is under way.
    idle_since: AtomicU64,
    /// Bytes came that belong to no whole request.
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

    /// Begins a request, which is under way from the end of its body until the guard is dropped. Till then its
    /// connection is idle from now on, because a client sends a part of a body as cheaply as a part of a head.
    pub(crate) fn answer(self: &Arc<Self>) -> Arc<Answering> {
        self.rest();
        Arc::new(Answering(Arc::clone(self)))
    }

    pub(crate) fn has_read(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the peer may be sending what nobody reads.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// Has the connection make room for others.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Waits until the connection has to make room for others.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    fn rest(&self) {
        let elapsed = self.started.elapsed();
        let now = elapsed.as_secs() * 1000 + u64::from(elapsed.subsec_millis());
        self.idle_since.store(now, Ordering::Relaxed);
    }

    /// Returns the milliseconds after which it was idle; `None` while a request is under way.
    pub(super) fn idle_since(&self) -> Option<u64> {
        Some(self.idle_since.load(Ordering::Relaxed)).filter(|since| *since != Self::ANSWERING)
    }
}

/// A request, from the end of its head to the end of its answer.
pub(crate) struct Answering(Arc<Activity>);

impl Answering {
    /// Notes that the body has ended.
    pub(crate) fn arrived(&self) {
        self.0.has_unread.store(false, Ordering::Relaxed);
        self.begin();
    }

    /// Notes that no more of the body is waited for.
    pub(crate) fn begin(&self) {
        self.0.idle_since.store(Activity::ANSWERING, Ordering::Relaxed);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.rest();
    }
}
