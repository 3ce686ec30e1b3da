//! Secrets: a type for tokens, codes, verifiers and client secrets, and the digest that stores keep.

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Secret text: a token, code, verifier or client secret (RFC 6819 §5.1.4.1).
///
/// `Debug` shows `[redacted]`, and there is no `Display`, `PartialEq` or `Serialize`. It is compared in constant time
/// and wiped from memory when dropped.
///
/// # Examples
///
/// ```
/// use oauth_types::Secret;
///
/// let secret = Secret::new("s3cret");
/// assert!(secret.matches("s3cret"));
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text in the clear; search for `.expose(` to find every place that reads it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `true` if `other` is the same text; the time depends only on the lengths.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Returns the digest that a store keeps in place of the secret.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }

    /// Returns a header value of `prefix` and the secret, marked sensitive.
    ///
    /// The mark keeps HTTP libraries from logging it. The result is `None` if the text is not allowed in a header (RFC
    /// 9110 §5.5).
    #[must_use]
    pub fn header_value(&self, prefix: &str) -> Option<HeaderValue> {
        let text = Zeroizing::new([prefix, self.expose()].concat());
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // C-TOKEN-10
        f.write_str("[redacted]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Never fails; it is for parsers of command lines, which ask for `FromStr`.
impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Box::<str>::deserialize(deserializer)?))
    }
}

/// Serde functions that write a [`Secret`] in the clear: `#[serde(with = "oauth_types::serde_secret")]`.
///
/// They are for the few documents that have to hold secrets, such as token responses and credential stores.
pub mod serde_secret {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Secret;

    /// A value that [`serialize`] writes in the clear: a secret or an optional secret.
    pub trait Exposed: Sized {
        /// Returns the text, if there is one.
        fn text(&self) -> Option<&str>;
    }

    impl Exposed for Secret {
        fn text(&self) -> Option<&str> {
            Some(self.expose())
        }
    }

    impl Exposed for Option<Secret> {
        fn text(&self) -> Option<&str> {
            self.as_ref().map(Secret::expose)
        }
    }

    /// Writes the secret in the clear.
    ///
    /// # Errors
    ///
    /// The error of the serializer.
    pub fn serialize<S: Serializer>(
        secret: &impl Exposed,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.text().serialize(serializer)
    }

    /// Reads a secret that was written in the clear.
    ///
    /// # Errors
    ///
    /// The error of the deserializer.
    pub fn deserialize<'de, T: Exposed + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// SHA-256 digest of a secret, which stores keep and look up (RFC 6819 §5.1.4.1.3).
///
/// `Eq` and `Hash` are derived, because a digest is a key in stores. To test a secret against a stored digest, use
/// [`matches`](Self::matches), which takes constant time.
///
/// # Examples
///
/// ```
/// use oauth_types::{Secret, SecretDigest};
///
/// let stored: SecretDigest = Secret::new("s3cret").digest();
/// assert!(stored.matches("s3cret"));
/// assert!(!stored.matches("guess"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Computes the digest of `secret`.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Takes a digest that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns `true` if this is the digest of `secret`, compared in constant time.
    #[must_use]
    pub fn matches(&self, secret: &str) -> bool {
        self.equals(&Self::of(secret))
    }

    /// Returns `true` if both digests are equal, compared in constant time.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digest of a guessable secret can be attacked offline.
        f.write_str("SecretDigest([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-192
    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new("canary");
        assert_eq!(
            format!("{secret:?} {:?}", secret.digest()),
            "[redacted] SecretDigest([redacted])"
        );
    }

    #[test]
    fn a_digest_knows_its_secret() {
        let digest = SecretDigest::of("s3cret");
        assert!(digest.matches("s3cret"));
        assert!(!digest.matches("s3creT"));
        assert!(!digest.matches(""));
    }

    /// SEC-035
    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let digest = SecretDigest::of("abc");
        assert_eq!(digest.as_bytes()[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(digest.as_bytes()[24..], [0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad]);
    }

    /// SEC-107
    #[test]
    fn a_secret_with_a_line_break_never_becomes_a_header() {
        assert!(Secret::new("a\r\nx: y").header_value("Bearer ").is_none());
        let value = Secret::new("a").header_value("Bearer ").unwrap();
        assert!(value.is_sensitive());
    }
}
