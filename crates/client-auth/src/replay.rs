//! Values that count once: assertions (RFC 7523 §3), proofs (RFC 9449 §11.1), answers, callbacks.

use core::fmt;

use oauth_types::{SecretDigest, UnixTime};

/// Outcome of putting a key into the store: the answer to `jti` (RFC 7519 §4.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a key was there or was not; a store has no third answer"
)]
pub enum Replay {
    /// The key was not there; now it is.
    Fresh,
    /// The key was there.
    Seen,
}

/// Value that counts if its key is used for the first time.
///
/// The host remembers the [key](Self::key) until the value has [expired](Self::until), in one operation of its store
/// that tells whether the key was there, and [resumes](Self::resume) with the outcome. Nothing else gives the value out,
/// and a step is not `Clone`, so that one outcome lets one value through.
///
/// ```
/// use std::collections::HashSet;
///
/// use client_auth::{FirstUse, Replay, Replayed};
/// use oauth_types::{SecretDigest, UnixTime};
///
/// let mut seen = HashSet::new();
/// let mut first_use = |step: FirstUse<&'static str>| {
///     let replay = if seen.insert(*step.key()) { Replay::Fresh } else { Replay::Seen };
///     step.resume(replay)
/// };
/// let step = || FirstUse::new("value", SecretDigest::of("jti"), UnixTime::from_secs(60));
/// assert_eq!(first_use(step()), Ok("value"));
/// assert_eq!(first_use(step()), Err(Replayed));
/// ```
#[must_use = "remember the key, then resume with the outcome"]
pub struct FirstUse<T> {
    value: T,
    key: SecretDigest,
    until: UnixTime,
}

impl<T> FirstUse<T> {
    /// Holds a value back until its key is known to be new; `until` is the time at which the value expires.
    pub const fn new(value: T, key: SecretDigest, until: UnixTime) -> Self {
        Self { value, key, until }
    }

    /// Returns the key to remember.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        &self.key
    }

    /// Returns the time at which the value expires, and its key may be forgotten.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Returns the value if the store did not know its key.
    ///
    /// # Errors
    ///
    /// [`Replayed`] when the value was used before.
    pub fn resume(self, replay: Replay) -> Result<T, Replayed> {
        match replay {
            Replay::Fresh => Ok(self.value),
            Replay::Seen => Err(Replayed),
        }
    }
}

/// Omits the value, which is not to be read before it is known to be used for the first time.
impl<T> fmt::Debug for FirstUse<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstUse").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Refusal of a value that counts once and was used before.
///
/// Each endpoint's own error is made from it with `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Replayed;

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this was used before, and counts once: the sender has to make another")
    }
}

impl core::error::Error for Replayed {}
