//! Client identifiers (RFC 6749 §2.2) and client ID metadata document URLs.

use core::fmt;
use core::net::Ipv6Addr;

use crate::text_impls::text_impls;
use crate::time::Entropy;
use crate::uri::{EndpointUrl, InvalidUri, has_dot_segment};

/// The reason why a text is not a client identifier (RFC 6749 §2.2, client ID metadata documents §3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidClientId {
    /// Is empty.
    Empty,
    /// Has more than [`ClientId::MAX_BYTES`] bytes.
    TooLong,
    /// Has a control character.
    Control,
    /// Is used as a metadata document URL and breaks this rule.
    Url(InvalidUri),
    /// Is a metadata document URL without a path (MCP client registration).
    NoPath,
    /// Is a metadata document URL that URL parsers serialize in another way.
    ///
    /// The URL that is fetched, shown and compared would then not be one text.
    Unusual,
}

impl fmt::Display for InvalidClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the client identifier is empty; send the one that the authorization server issued",
            ),
            Self::TooLong => write!(
                f,
                "the client identifier is longer than {} bytes; send the one that the \
                 authorization server issued",
                ClientId::MAX_BYTES
            ),
            Self::Control => f.write_str(
                "the client identifier has a control character; send the text that the \
                 authorization server issued",
            ),
            Self::Url(rule) => write!(f, "the client metadata URL {rule}"),
            Self::NoPath => f.write_str(
                "the client metadata URL has no path; use one such as \
                 `https://app.example/client.json`",
            ),
            Self::Unusual => f.write_str(
                "the client metadata URL is not written as URL parsers write it; write it in lower \
                 case up to the path, and without the default port",
            ),
        }
    }
}

impl core::error::Error for InvalidClientId {}

/// Opaque client identifier, compared byte for byte (RFC 6749 §2.2).
///
/// # Examples
///
/// ```
/// use oauth_types::ClientId;
///
/// let client_id: ClientId = "s6BhdRkqt3".parse()?;
/// assert_eq!(client_id.as_str(), "s6BhdRkqt3");
/// assert_ne!(client_id, ClientId::try_from("S6BHDRKQT3")?);
/// # Ok::<(), oauth_types::InvalidClientId>(())
/// ```
#[doc(alias = "client_id")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Longest client identifier, in bytes.
    pub const MAX_BYTES: usize = 2048;

    /// Parses a client identifier.
    ///
    /// It accepts more than the printable ASCII of RFC 6749 appendix A.1, because some servers issue identifiers with
    /// other letters; control characters are refused.
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
        // Most identifiers are printable ASCII, which is checked by bytes, without decoding characters.
        let is_printable = |all, byte: u8| all & (byte.wrapping_sub(b' ') < 0x5F);
        if !text.bytes().fold(true, is_printable) && text.chars().any(char::is_control) {
            return Err(InvalidClientId::Control);
        }
        Ok(Self(text.into()))
    }

    /// Creates an identifier of 128 random bits, which is never a URL and so never a metadata document's.
    #[must_use]
    pub fn new(entropy: Entropy<16>) -> Self {
        Self(entropy.into_secret().expose().into())
    }

    /// Returns the text of the identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if a lenient parser could take the identifier for a web URL.
    ///
    /// Servers never issue such identifiers: only the URL of a metadata document is one.
    #[must_use]
    pub fn is_url_like(&self) -> bool {
        let is = |scheme: &str| {
            let start = self.0.trim_start().get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        is("https:") || is("http:")
    }
}

text_impls!(ClientId, InvalidClientId);

impl From<ClientId> for String {
    fn from(client_id: ClientId) -> Self {
        client_id.0.into()
    }
}

/// Client identifier that is the URL of its own metadata document.
///
/// The scheme is https; there is a path, and no fragment, userinfo or dot segment; and the text is the serialization
/// of the WHATWG URL Standard (draft-ietf-oauth-client-id-metadata-document-03 §3).
///
/// # Examples
///
/// ```
/// use oauth_types::{ClientMetadataUrl, InvalidClientId};
///
/// let url = ClientMetadataUrl::parse("https://app.example/client.json")?;
/// assert_eq!(url.client_id().as_str(), "https://app.example/client.json");
/// assert_eq!(ClientMetadataUrl::parse("https://app.example"), Err(InvalidClientId::NoPath));
/// # Ok::<(), InvalidClientId>(())
/// ```
#[doc(alias = "CIMD")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientMetadataUrl(EndpointUrl);

impl ClientMetadataUrl {
    /// Parses a metadata document URL.
    ///
    /// # Errors
    ///
    /// [`InvalidClientId::Url`], [`NoPath`](InvalidClientId::NoPath) or [`Unusual`](InvalidClientId::Unusual), for the
    /// rule that the URL breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        // C-REG-2, A-CIMD-1
        let url = EndpointUrl::parse(text).map_err(InvalidClientId::Url)?;
        if !url.as_web().is_https() {
            return Err(InvalidClientId::Url(InvalidUri::NotHttps));
        }
        if url.path() == "/" {
            return Err(InvalidClientId::NoPath);
        }
        if has_dot_segment(url.path()) {
            return Err(InvalidClientId::Url(InvalidUri::DotSegment));
        }
        // URL parsers serialize the query of a web URL without apostrophes.
        let has_apostrophe = url.query().is_some_and(|query| query.contains('\''));
        let origin = url.origin();
        if !text.starts_with(&*format!("{origin}/")) || !is_usual(origin.host()) || has_apostrophe {
            return Err(InvalidClientId::Unusual);
        }
        Ok(Self(url))
    }

    /// Returns the text of the URL, which is the client identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the URL of the document.
    #[must_use]
    pub const fn as_url(&self) -> &EndpointUrl {
        &self.0
    }

    /// Returns the URL as a client identifier.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        ClientId(self.0.as_str().into())
    }
}

text_impls!(ClientMetadataUrl, InvalidClientId);

/// Returns `true` unless the host is an IPv6 address in another than its shortest form.
fn is_usual(host: &str) -> bool {
    let Some(literal) = host.strip_prefix('[') else { return true };
    let address = literal.strip_suffix(']').and_then(|literal| literal.parse::<Ipv6Addr>().ok());
    // An address that carries an IPv4 address has two serializations.
    address.is_some_and(|ip| ip.to_ipv4_mapped().is_none() && format!("[{ip}]") == host)
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

    /// SEC-115
    #[test]
    fn what_looks_like_a_url_is_never_made_up() {
        for url in ["https://c.example/m", "HTTP://c.example", " https:/x", "\u{a0}https:x"] {
            assert!(ClientId::parse(url).unwrap().is_url_like(), "{url:?}");
        }
        for other in ["c", "httpsx", "urn:x:https://c", "https", "\u{e9}"] {
            assert!(!ClientId::parse(other).unwrap().is_url_like(), "{other:?}");
        }
        assert!(!ClientId::new(Entropy::new([7; 16])).is_url_like());
    }

    /// C-REG-2
    #[test]
    fn a_metadata_url_is_https_with_a_path_in_its_one_spelling() {
        for good in [
            "https://c.example/meta.json",
            "https://c.example:8443/m?v=1&x",
            "https://c.example//m",
            "https://1.1.1.1/m",
            "https://[2606:4700::1111]/m",
        ] {
            assert!(ClientMetadataUrl::parse(good).is_ok(), "{good}");
        }
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
            "HTTPS://c.example/m",
            "https://C.example/m",
            "https://c.example:443/m",
            "https://c.example:/m",
            "https://c.example:08443/m",
            "https://c.example?m",
            "https://c.example/m?it's",
            "https://0x7f.1/m",
            "https://2130706433/m",
            "https://[::FFFF:7f00:1]/m",
            "https://[::ffff:127.0.0.1]/m",
            "https://[2606:4700:0::1111]/m",
            "https://[v1.x]/m",
            "https://c%2eexample/m",
            "https://\u{441}.example/m",
        ] {
            assert!(ClientMetadataUrl::parse(bad).is_err(), "{bad:?}");
        }
    }
}
