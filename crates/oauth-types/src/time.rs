//! Time and randomness, as values that the caller passes in.

use core::fmt;
use core::time::Duration;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroize;

use crate::secret::Secret;

/// Point in time: whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// It is the `NumericDate` of RFC 7519 §2 without fractions. The cores read no clock; the host passes the time in.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use oauth_types::UnixTime;
///
/// let now = UnixTime::try_from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900))?;
/// assert_eq!(now, UnixTime::from_secs(1_700_000_000));
/// # Ok::<(), oauth_types::InvalidTime>(())
/// ```
#[doc(alias = "NumericDate")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Creates the time `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Converts the time of the system clock; times before the epoch become the epoch.
    ///
    /// The host reads the clock: `UnixTime::saturating_from(SystemTime::now())`.
    #[must_use]
    pub fn saturating_from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// Converts a JSON number with a fraction or an exponent; the fraction is dropped.
    pub(crate) fn from_float(seconds: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked, and the fraction is to be dropped"
        )]
        let whole = seconds as u64;
        // Below 2^53, a float counts whole seconds exactly.
        (0.0..9_007_199_254_740_992.0).contains(&seconds).then_some(Self(whole))
    }

    /// Returns the seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Adds `duration`, saturating; fractions of a second are dropped.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Returns the time elapsed since `earlier`; zero if `earlier` is later, as after a clock was set back.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Error for a time that the other type cannot represent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidTime {
    /// Is before 1970-01-01T00:00:00Z, as on a machine whose clock was never set.
    BeforeEpoch,
    /// Is later than the system's clock can represent.
    TooLate,
}

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeEpoch => "the time is before 1970; check the clock of this machine",
            Self::TooLate => {
                "the time is later than the system's clock can represent; use an earlier one"
            }
        })
    }
}

impl core::error::Error for InvalidTime {}

/// Drops fractions of a second; [`UnixTime::saturating_from`] never fails.
impl TryFrom<SystemTime> for UnixTime {
    type Error = InvalidTime;

    fn try_from(time: SystemTime) -> Result<Self, InvalidTime> {
        let elapsed = time.duration_since(SystemTime::UNIX_EPOCH);
        elapsed.map(|elapsed| Self(elapsed.as_secs())).map_err(|_| InvalidTime::BeforeEpoch)
    }
}

impl TryFrom<UnixTime> for SystemTime {
    type Error = InvalidTime;

    fn try_from(time: UnixTime) -> Result<Self, InvalidTime> {
        Self::UNIX_EPOCH.checked_add(Duration::from_secs(time.0)).ok_or(InvalidTime::TooLate)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    /// Reads a non-negative number; a fraction, which RFC 7519 §2 allows, is dropped.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl Visitor<'_> for Seconds {
            type Value = UnixTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since the epoch")
            }
            fn visit_u64<E>(self, seconds: u64) -> Result<UnixTime, E> {
                Ok(UnixTime(seconds))
            }
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<UnixTime, E> {
                u64::try_from(seconds).map(UnixTime).map_err(|_| E::custom("not a time"))
            }
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<UnixTime, E> {
                UnixTime::from_float(seconds).ok_or_else(|| E::custom("not a time"))
            }
        }
        deserializer.deserialize_u64(Seconds)
    }
}

/// `N` bytes from a cryptographically secure random source, consumed by their use.
///
/// The cores draw no randomness themselves. One draw is for one value: the type is not `Clone`, and a draw must not be
/// passed to several constructors that only borrow it.
///
/// # Examples
///
/// ```
/// use oauth_types::Entropy;
///
/// // In a program: `Entropy::<32>::fill(getrandom::fill)?`.
/// let entropy = Entropy::<32>::fill(|bytes| Ok::<(), std::io::Error>(bytes.fill(7)))?;
/// assert_eq!(entropy.into_secret().expose().len(), 43);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Entropy<const N: usize>([u8; N]);

impl<const N: usize> Entropy<N> {
    /// Wraps bytes that the host drew from its random source.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Fills the bytes from the host's random source: `Entropy::fill(getrandom::fill)`.
    ///
    /// # Errors
    ///
    /// The error of the random source.
    pub fn fill<E>(source: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut own = Self([0; N]);
        source(&mut own.0)?;
        Ok(own)
    }

    /// Returns the bytes, for a caller that derives another value from them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Returns the bytes, for a key or an identifier that consists of them.
    #[must_use]
    pub fn into_bytes(self) -> [u8; N] {
        self.0
    }

    /// Returns the bytes as base64url without padding (RFC 4648 §5): a token, code, verifier or state.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Entropy<32> {
    /// Splits the bytes into two draws of half the length, for two values.
    #[must_use]
    pub fn split(self) -> [Entropy<16>; 2] {
        let mut halves = [[0; 16]; 2];
        halves.as_flattened_mut().copy_from_slice(&self.0);
        halves.map(Entropy)
    }
}

impl<const N: usize> Drop for Entropy<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Entropy<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entropy<{N}>([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_at_both_ends() {
        let end = UnixTime::from_secs(u64::MAX);
        assert_eq!(end.saturating_add(Duration::from_secs(9)), end);
        assert_eq!(
            UnixTime::from_secs(3).saturating_duration_since(UnixTime::from_secs(5)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_clock_before_the_epoch_shows_the_epoch() {
        let at = |time| UnixTime::saturating_from(time).as_secs();
        assert_eq!(at(SystemTime::UNIX_EPOCH + Duration::from_millis(2900)), 2);
        assert_eq!(at(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
    }

    #[test]
    fn a_system_time_converts_both_ways_or_not_at_all() {
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(UnixTime::try_from(late), Ok(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(SystemTime::try_from(UnixTime::from_secs(1_700_000_000)), Ok(late));
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(UnixTime::try_from(early), Err(InvalidTime::BeforeEpoch));
        assert_eq!(SystemTime::try_from(UnixTime::from_secs(u64::MAX)), Err(InvalidTime::TooLate));
    }

    #[test]
    fn a_time_is_read_from_any_number_that_is_one() {
        let read = |json: &str| serde_json::from_str::<UnixTime>(json).map(UnixTime::as_secs).ok();
        assert_eq!(read("1700000000"), Some(1_700_000_000));
        assert_eq!(read("1700000000.9"), Some(1_700_000_000));
        assert_eq!(read("1.7e9"), Some(1_700_000_000));
        let signed = serde::de::value::I64Deserializer::<serde::de::value::Error>::new(5);
        assert_eq!(UnixTime::deserialize(signed), Ok(UnixTime::from_secs(5)));
        for bad in ["-1", "-0.5", "1e308", "\"1\"", "null", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_halves_of_a_draw_are_used() {
        let bytes: [u8; 32] = [[1; 16], [2; 16]].concat().try_into().unwrap();
        let [left, right] = Entropy::new(bytes).split();
        assert_eq!((left.as_bytes(), right.as_bytes()), (&[1; 16], &[2; 16]));
    }

    #[test]
    fn entropy_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Entropy::new([7; 4])), "Entropy<4>([redacted])");
    }
}
