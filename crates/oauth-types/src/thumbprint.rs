//! JWK thumbprints (RFC 7638), which identify keys in DPoP.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text_impls::parse_impls;

/// SHA-256 thumbprint of a public key (RFC 7638).
///
/// A bound token names it in `cnf.jkt` (RFC 9449 §6.1), an authorization request in `dpop_jkt` (RFC 9449 §10).
///
/// # Examples
///
/// ```
/// use oauth_types::Thumbprint;
///
/// let jkt: Thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse()?;
/// assert_eq!(Thumbprint::from_bytes(*jkt.as_bytes()), jkt);
/// # Ok::<(), oauth_types::InvalidThumbprint>(())
/// ```
#[doc(alias = "jkt")]
#[doc(alias = "dpop_jkt")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

/// Error for a text that is not a thumbprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InvalidThumbprint;

impl fmt::Display for InvalidThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the text is not a thumbprint: expected 32 bytes in base64url without padding \
             (RFC 7638)",
        )
    }
}

impl core::error::Error for InvalidThumbprint {}

impl Thumbprint {
    /// Parses a thumbprint as written in JSON and in parameters: 32 bytes in base64url without padding.
    ///
    /// # Errors
    ///
    /// [`InvalidThumbprint`] if the text is not 32 bytes in base64url without padding.
    pub fn parse(text: &str) -> Result<Self, InvalidThumbprint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidThumbprint)?;
        bytes.try_into().map(Self).map_err(|_| InvalidThumbprint)
    }

    /// Takes a thumbprint that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

parse_impls!(Thumbprint, InvalidThumbprint);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_of_32_bytes_is_a_thumbprint() {
        // The example of RFC 9449 §6.1.
        let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let own = Thumbprint::parse(text).unwrap();
        assert_eq!(own.to_string(), text);
        assert_eq!(serde_json::to_string(&own).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Thumbprint>(&format!("\"{text}\"")).unwrap(), own);
        let padded = format!("{text}=");
        let other_bits = format!("{}J", &text[..42]);
        for bad in ["", "x", &text[1..], &padded, &other_bits, &text.replace('-', "+")] {
            assert_eq!(Thumbprint::parse(bad), Err(InvalidThumbprint), "{bad}");
        }
    }
}
