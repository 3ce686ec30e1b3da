//! One type for everything that must not be seen: tokens, codes, verifiers, client secrets.

use core::fmt;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret text: a token, code, verifier or client secret (RFC 6819 §5.1.4.1). It redacts its `Debug`, has no `Display`, no `PartialEq` and no `Serialize`,
/// compares in constant time, and is wiped when dropped.
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
    /// Takes a secret text.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. The one way out: search for `.expose(` to find every place that sees it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same text. The time taken depends on the lengths only.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// What a store keeps instead of the secret.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }

    /// A header value made of `prefix` and the secret, marked sensitive so that HTTP libraries do
    /// not log it. `None` when the text cannot stand in a header (RFC 9110 §5.5).
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

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Box::<str>::deserialize(deserializer)?))
    }
}

/// Serde functions that write a [`Secret`] in the clear, for the few documents whose purpose that is
/// (a token response, a credential store): `#[serde(with = "oauth_types::exposed")]`.
pub mod exposed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Secret;

    /// What can be written in the clear by [`serialize`]: a secret, or an optional one.
    pub trait Exposed: Sized {
        /// The text, when there is one.
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
    /// Whatever the serializer reports.
    pub fn serialize<S: Serializer>(
        secret: &impl Exposed,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.text().serialize(serializer)
    }

    /// Reads it back.
    ///
    /// # Errors
    ///
    /// Whatever the deserializer reports.
    pub fn deserialize<'de, T: Exposed + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// The SHA-256 digest of a secret: what stores hold and look up (RFC 6819 §5.1.4.1.3).
///
/// It derives `Eq` and `Hash` because it is a key. To test a secret against a stored digest use
/// [`matches`](Self::matches), which takes constant time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of `secret`.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Reads a digest that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `secret` is the one digested, in constant time.
    #[must_use]
    pub fn matches(&self, secret: &str) -> bool {
        self.equals(&Self::of(secret))
    }

    /// Whether both are digests of one secret, in constant time.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A digest of a guessable secret is worth guessing at.
        f.write_str("SecretDigest([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_192_a_secret_prints_nothing_of_itself() {
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

    #[test]
    fn sec_035_a_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let digest = SecretDigest::of("abc");
        assert_eq!(digest.as_bytes()[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(digest.as_bytes()[24..], [0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad]);
    }

    #[test]
    fn sec_107_a_secret_with_a_line_break_never_becomes_a_header() {
        assert!(Secret::new("a\r\nx: y").header_value("Bearer ").is_none());
        let value = Secret::new("a").header_value("Bearer ").unwrap();
        assert!(value.is_sensitive());
    }
}
