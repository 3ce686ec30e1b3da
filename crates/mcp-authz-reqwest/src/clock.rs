//! Clock and random source, which the cores receive as arguments.

use std::time::SystemTime;

use oauth_types::{Entropy, UnixTime};

use crate::error::Error;

#[expect(clippy::disallowed_methods, reason = "the adapter is where the clock is")]
pub(crate) fn now() -> UnixTime {
    #[cfg(test)]
    if let Some((wall, at)) = MODEL.get() {
        return wall.saturating_add(monotonic().saturating_duration_since(at));
    }
    UnixTime::saturating_from(SystemTime::now())
}

#[cfg(test)]
std::thread_local! {
    /// Wall-clock time of a model, at an instant of tokio's clock.
    pub(crate) static MODEL: core::cell::Cell<Option<(UnixTime, tokio::time::Instant)>> =
        const { core::cell::Cell::new(None) };
}

/// Returns the monotonic time, by which all waits are measured.
///
/// A change of the wall clock does not affect it.
pub(crate) fn monotonic() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the adapter is where the random source is")]
pub(crate) fn entropy() -> Result<Entropy<32>, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoEntropy)?;
    Ok(Entropy::new(bytes))
}
