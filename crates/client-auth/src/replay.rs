//! Replay protection for values that are valid once.
//!
//! Such values are assertions (RFC 7523 §3), proofs (RFC 9449 §11.1), consent answers and callbacks.

use core::fmt;

use oauth_types::{SecretDigest, UnixTime};

/// Outcome of inserting a key into the store: the replay check of a `jti` (RFC 7519 §4.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a key was there or was not; a store has no third answer"
)]
pub enum Replay {
    /// The key was absent and has been inserted.
    Fresh,
    /// The key was present.
    Seen,
}

/// Value that is released only if its key is used for the first time.
///
/// The host inserts the [key](Self::key) into its store in one operation that tells whether the key was present,
/// keeps it until the value has [expired](Self::until), and [resumes](Self::resume) with the outcome. Only that
/// releases the value. A step is not `Clone`, so that one outcome releases one value.
///
/// # Examples
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
    /// Withholds a value until its key is known to be new; `until` is the time at which the value expires.
    pub const fn new(value: T, key: SecretDigest, until: UnixTime) -> Self {
        Self { value, key, until }
    }

    /// Returns the key to insert into the store.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        &self.key
    }

    /// Returns the time at which the value expires; from then on its key may be forgotten.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Returns the value if its key was absent from the store.
    ///
    /// # Errors
    ///
    /// [`Replayed`] when the key was present.
    pub fn resume(self, replay: Replay) -> Result<T, Replayed> {
        match replay {
            Replay::Fresh => Ok(self.value),
            Replay::Seen => Err(Replayed),
        }
    }
}

/// Omits the value, because it must not be read before the replay check.
impl<T> fmt::Debug for FirstUse<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstUse").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Error of a value that is valid once and was used before.
///
/// Each endpoint's own error is made from it with `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "that the value was used before is all there is")]
pub struct Replayed;

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this was used before, and counts once: the sender has to make another")
    }
}

impl core::error::Error for Replayed {}
