//! Clock and random source of the system, which the protocol crates do not read themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use authorization_server::CorrelationId;
use oauth_types::{Entropy, UnixTime, http_origins_for_development};
use tracing::warn;

/// Logs every origin for which plain http is allowed.
pub(crate) fn warn_of_http_for_development() {
    for origin in http_origins_for_development() {
        warn!(%origin, "plain http is allowed for this origin, which is for development only");
    }
}

/// Source of the current time: the system clock by default, any function in tests.
///
/// # Examples
///
/// ```
/// use mcp_authz_axum::Clock;
/// use oauth_types::UnixTime;
///
/// // A clock that stands still, for a test.
/// let clock = Clock::new(|| UnixTime::from_secs(1_800_000_000));
/// # drop(clock);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixTime + Send + Sync>);

impl Clock {
    /// Creates a clock that calls this function for the current time.
    pub fn new(now: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.0)()
    }
}

impl Default for Clock {
    #[expect(clippy::disallowed_methods, reason = "the adapter is where the clock is")]
    fn default() -> Self {
        Self::new(|| UnixTime::saturating_from(SystemTime::now()))
    }
}

impl core::fmt::Debug for Clock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Clock")
    }
}

/// Returns random bytes of the system, or `None` if it has no random source.
#[expect(clippy::disallowed_methods, reason = "the adapter is where the random source is")]
pub(crate) fn entropy<const N: usize>() -> Option<Entropy<N>> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(Entropy::new(bytes))
}

/// Creates the number that connects a reply with its log event.
///
/// It is not secret, so a counter replaces the random source where that is what fails.
pub(crate) fn correlation_id() -> CorrelationId {
    static FAILURES: AtomicU64 = AtomicU64::new(0);
    let counted = || Entropy::new(FAILURES.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    CorrelationId::new(entropy().unwrap_or_else(counted))
}
