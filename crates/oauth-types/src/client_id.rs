//! Client identifiers (RFC 6749 §2.2, client ID metadata documents).

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Entropy;
use crate::uri::{EndpointUrl, InvalidUri, has_dot_segment, parts};

/// Why a text is not a client identifier (RFC 6749 §2.2, client ID metadata documents §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidClientId {
    /// It has no characters.
    Empty,
    /// It has more than [`ClientId::MAX_BYTES`] bytes.
    TooLong,
    /// It has a control character.
    Control,
    /// It is used as a metadata document URL and breaks this rule.
    Url(InvalidUri),
    /// A metadata document URL names a path (MCP client registration).
    NoPath,
}

impl fmt::Display for InvalidClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the client identifier is empty"),
            Self::TooLong => {
                write!(f, "the client identifier is longer than {} bytes", ClientId::MAX_BYTES)
            }
            Self::Control => f.write_str("the client identifier has a control character"),
            Self::Url(rule) => write!(f, "the client metadata URL {rule}"),
            Self::NoPath => f.write_str("the client metadata URL has no path"),
        }
    }
}

impl core::error::Error for InvalidClientId {}

/// An opaque client identifier, compared byte for byte (RFC 6749 §2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Longest identifier, in bytes.
    pub const MAX_BYTES: usize = 2048;

    /// Reads an identifier. Wider than the printable ASCII of RFC 6749 appendix A.1, because servers
    /// hand out identifiers with other letters; control characters are refused.
    ///
    /// # Errors
    ///
    /// [`InvalidClientId::Empty`], [`TooLong`](InvalidClientId::TooLong) or
    /// [`Control`](InvalidClientId::Control).
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        if text.is_empty() {
            return Err(InvalidClientId::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidClientId::TooLong);
        }
        // Printable ASCII, which most identifiers are, is told without a look at the characters.
        let is_printable = |all, byte: u8| all & (byte.wrapping_sub(b' ') < 0x5F);
        if !text.bytes().fold(true, is_printable) && text.chars().any(char::is_control) {
            return Err(InvalidClientId::Control);
        }
        Ok(Self(text.into()))
    }

    /// A fresh identifier of 128 random bits. Never a URL, so never taken for a metadata document.
    #[must_use]
    pub fn new(entropy: Entropy<16>) -> Self {
        Self(entropy.into_secret().expose().into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A client identifier that is the URL of its own metadata document
/// (draft-ietf-oauth-client-id-metadata-document §3): https, with a path, without fragment, userinfo
/// or dot segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ClientMetadataUrl(EndpointUrl);

impl ClientMetadataUrl {
    /// Reads a metadata document URL.
    ///
    /// # Errors
    ///
    /// The rule that is broken: [`InvalidClientId::Url`] or [`NoPath`](InvalidClientId::NoPath).
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        // C-REG-2
        let url = EndpointUrl::parse(text).map_err(InvalidClientId::Url)?;
        let parsed = parts(text).map_err(InvalidClientId::Url)?;
        if !parsed.scheme().as_str().eq_ignore_ascii_case("https") {
            return Err(InvalidClientId::Url(InvalidUri::NotHttps));
        }
        let path = parsed.path().as_str();
        if path.len() < 2 {
            return Err(InvalidClientId::NoPath);
        }
        if has_dot_segment(path) {
            return Err(InvalidClientId::Url(InvalidUri::DotSegment));
        }
        Ok(Self(url))
    }

    /// Where the document is.
    #[must_use]
    pub const fn as_url(&self) -> &EndpointUrl {
        &self.0
    }

    /// The identifier that it is.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        ClientId(self.0.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_opaque_but_not_hostile() {
        assert_eq!(ClientId::parse("caf\u{e9} %2F").unwrap().as_str(), "caf\u{e9} %2F");
        assert_eq!(ClientId::parse(""), Err(InvalidClientId::Empty));
        assert_eq!(ClientId::parse("a\0"), Err(InvalidClientId::Control));
        assert_eq!(ClientId::parse(&"x".repeat(2049)), Err(InvalidClientId::TooLong));
    }

    #[test]
    fn c_reg_2_a_metadata_url_is_https_with_a_path() {
        assert!(ClientMetadataUrl::parse("https://c.example/meta.json").is_ok());
        for bad in [
            "http://c.example/meta.json",
            "http://localhost/meta.json",
            "https://c.example",
            "https://c.example/",
            "https://c.example/m#f",
            "https://u@c.example/m",
            "https://c.example/./m",
            "https://c.example/%2e%2E/m",
            "https:/x",
            " https://c.example/m",
            "https://c.example/m\t",
            "https://c.example\\m",
        ] {
            assert!(ClientMetadataUrl::parse(bad).is_err(), "{bad:?}");
        }
    }
}
