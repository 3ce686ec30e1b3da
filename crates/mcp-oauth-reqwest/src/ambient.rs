//! The clock and the random source, which the cores do not have.

use std::time::{SystemTime, UNIX_EPOCH};

use oauth_types::{Entropy, UnixTime};

use crate::Error;

#[expect(clippy::disallowed_methods, reason = "the adapter is where the clock is")]
pub(crate) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_secs(elapsed.as_secs())
}

/// The time for waits of this process: no change of the wall clock prolongs or shortens one.
pub(crate) fn monotonic() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the adapter is where the random source is")]
pub(crate) fn entropy() -> Result<Entropy<32>, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoEntropy)?;
    Ok(Entropy::new(bytes))
}
