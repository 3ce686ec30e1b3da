//! The issuer identifier of an authorization server (RFC 8414 §2, RFC 9207 §2).

use fluent_uri::Iri;

use crate::text::is_hidden;
use crate::uri::{InvalidUri, MAX_BYTES, Origin, WebUrl, text_identifier, text_order};

/// Issuer identifier of an authorization server (RFC 8414 §2).
///
/// The scheme is https (http on a loopback host, for development); there is no query, fragment or userinfo.
///
/// Two issuers are the same if their bytes are equal: no case folding, no default port, no slash added or removed (RFC
/// 9207 §2.4, RFC 8414 §3.3).
///
/// # Examples
///
/// ```
/// use oauth_types::Issuer;
///
/// let issuer = Issuer::parse("https://as.example")?;
/// assert!(issuer.is("https://as.example"));
/// assert!(!issuer.is("https://as.example/"));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[doc(alias = "iss")]
#[derive(Clone, Debug)]
pub struct Issuer(WebUrl);

text_identifier!(Issuer);
text_order!(Issuer);

impl Issuer {
    /// Parses an issuer identifier.
    ///
    /// Letters beyond ASCII are accepted (RFC 3987), because an issuer is compared and never resolved. A URL made from
    /// such an issuer is refused.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the broken rule. An empty path segment is refused, because a well-known URL made from it
    /// could name another host.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        // A-META-5
        if text.len() > MAX_BYTES {
            return Err(InvalidUri::TooLong);
        }
        // RFC 3987 §4.1: with hidden characters, users would see another issuer than the one that is compared.
        if text.chars().any(is_hidden) {
            return Err(InvalidUri::Syntax);
        }
        Iri::parse(text).map_err(|_| InvalidUri::Syntax)?;
        // Each byte beyond ASCII is replaced by one letter, so that every delimiter keeps its position.
        let letter = |byte: u8| if byte.is_ascii() { byte.into() } else { 'x' };
        let ascii: String = text.bytes().map(letter).collect();
        let url = WebUrl::parse(&ascii)?;
        if url.query().is_some() {
            return Err(InvalidUri::Query);
        }
        if url.has_fragment() {
            return Err(InvalidUri::Fragment);
        }
        if url.path().contains("//") {
            return Err(InvalidUri::EmptySegment);
        }
        Ok(Self(url.keep_as(text)))
    }

    /// Returns the identifier of a server that is known by its origin only, without a final slash.
    ///
    /// # Errors
    ///
    /// Fails under the same conditions as [`parse`](Self::parse).
    pub fn of_origin(origin: &Origin) -> Result<Self, InvalidUri> {
        Self::parse(&origin.to_string())
    }

    /// Returns `true` if `received` is this issuer, byte for byte.
    #[must_use]
    pub fn is(&self, received: &str) -> bool {
        // C-ISS-4: both are compared without normalization.
        self.as_str() == received
    }

    pub(crate) const fn as_web(&self) -> &WebUrl {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A-META-5, SEC-138
    #[test]
    fn an_issuer_is_https_without_query_or_fragment() {
        for (text, rule) in [
            ("http://as.example", InvalidUri::PlainHttp),
            ("https://as.example?x=1", InvalidUri::Query),
            ("https://as.example/#f", InvalidUri::Fragment),
            ("https://u:p@as.example", InvalidUri::Userinfo),
            ("https://as.example//", InvalidUri::EmptySegment),
            ("https://as.example:99999", InvalidUri::Port),
            ("https:///x", InvalidUri::NoHost),
            ("as.example", InvalidUri::Syntax),
            ("https://as.example/%zz", InvalidUri::Syntax),
            ("javascript:alert(1)", InvalidUri::NoHost),
            ("https://as.example/\u{202e}x", InvalidUri::Syntax),
            (&format!("https://as.example/{}", "\u{e9}".repeat(1020)), InvalidUri::TooLong),
        ] {
            assert_eq!(Issuer::parse(text), Err(rule), "{text}");
        }
        assert!(Issuer::parse("http://127.0.0.1:8080").is_ok());
    }

    /// C-ISS-4, SEC-005, SEC-006, SEC-007, SEC-008
    #[test]
    fn no_spelling_but_its_own_is_the_issuer() {
        let issuer = Issuer::parse("https://as.example/~t").unwrap();
        assert!(issuer.is("https://as.example/~t"));
        for other in [
            "https://AS.example/~t",
            "https://as.example/~t/",
            "https://as.example:443/~t",
            "https://as.example/%7Et",
            "https://as.example/%257Et",
            "",
        ] {
            assert!(!issuer.is(other), "{other}");
        }
    }
}
