//! Redirect URIs (RFC 6749 §3.1.2, OAuth 2.1 §2.3.1, RFC 8252 §7).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::form::FormPairs;
use crate::uri::{InvalidUri, Origin, WebUrl, is_loopback_host, parts, text_order};

/// Parameters of the authorization response; a registered redirect URI has none of them, so that a
/// response never carries two (RFC 9207 §2, RFC 6749 §4.1.2).
const RESERVED: [&str; 6] = ["iss", "code", "state", "error", "error_description", "error_uri"];

/// Schemes that run code, read files, or belong to browsers and operating systems: no application owns them.
const NEVER_PRIVATE_USE: [&str; 27] = [
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "content",
    "data",
    "edge",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "http",
    "https",
    "intent",
    "jar",
    "javascript",
    "livescript",
    "mailto",
    "moz-extension",
    "mhtml",
    "resource",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// A redirect URI that may be registered (RFC 6749 §3.1.2, RFC 8252 §7): https, http on a loopback host, or a
/// private-use scheme; no fragment, no userinfo, no reserved parameter.
///
/// [`parse`](Self::parse) reads private-use schemes with a dot in them (`com.example.app:/cb`), as RFC 8252 §7.1 asks;
/// [`parse_any_scheme`](Self::parse_any_scheme) also reads others (`cursor://callback`), for a server with a list of
/// those that it accepts.
///
/// Compared byte for byte, except for the port of a loopback redirect: see
/// [`admits`](Self::admits).
#[derive(Clone)]
pub struct RedirectUri(Target);

/// Receiver of an authorization response.
#[derive(Clone)]
enum Target {
    /// An https URL.
    Web(WebUrl),
    /// An http URL on a loopback host.
    Loopback(WebUrl),
    /// A URI of an application's own scheme.
    PrivateUse { scheme: Box<str>, text: Box<str> },
}

text_order!(RedirectUri);

impl RedirectUri {
    /// Reads a redirect URI for registration.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the rule broken.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let uri = Self::parse_any_scheme(text)?;
        // RFC 8252 §7.1: a domain name in reverse, which no script or file scheme is.
        match uri.private_use_scheme() {
            Some(scheme) if !scheme.contains('.') => Err(InvalidUri::Scheme),
            _ => Ok(uri),
        }
    }

    /// Reads a redirect URI whose private-use scheme may lack the dot, for a caller that compares the scheme with a
    /// list of its own, or that reads back what it stored.
    ///
    /// Schemes that no application owns are refused whatever the list says:
    /// [`is_private_use_scheme`](Self::is_private_use_scheme).
    ///
    /// ```
    /// use oauth_types::RedirectUri;
    ///
    /// let uri = RedirectUri::parse_any_scheme("cursor://anysphere.cursor-mcp/oauth/callback")?;
    /// assert_eq!(uri.private_use_scheme(), Some("cursor"));
    /// assert!(RedirectUri::parse_any_scheme("javascript:alert(1)").is_err());
    /// assert!(RedirectUri::parse("cursor://callback").is_err(), "no domain name in reverse");
    /// # Ok::<(), oauth_types::InvalidUri>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the rule broken.
    pub fn parse_any_scheme(text: &str) -> Result<Self, InvalidUri> {
        // A-REG-1
        let uri = parts(text)?;
        if uri.has_fragment() {
            return Err(InvalidUri::Fragment);
        }
        let target = match uri.scheme().as_str() {
            "https" => Target::Web(WebUrl::measure(&uri)?.keep()),
            "http" => match WebUrl::measure(&uri)? {
                url if is_loopback_host(url.host()) => Target::Loopback(url.keep()),
                _ => return Err(InvalidUri::PlainHttp),
            },
            private if private.contains('.') || Self::is_private_use_scheme(private) => {
                if uri.authority().is_some_and(|authority| authority.has_userinfo()) {
                    return Err(InvalidUri::Userinfo);
                }
                Target::PrivateUse { scheme: private.into(), text: text.into() }
            }
            _ => return Err(InvalidUri::Scheme),
        };
        let query = uri.query().map_or("", |query| query.as_str());
        let form = FormPairs::parse(query.as_bytes()).map_err(|_| InvalidUri::Query)?;
        if RESERVED.iter().any(|name| form.contains(name)) {
            return Err(InvalidUri::ReservedParameter);
        }
        Ok(Self(target))
    }

    /// Returns `true` if an application can own this scheme (RFC 8252 §7.1).
    ///
    /// A scheme is a letter and then lower-case letters, digits, `+`, `-` or `.` (RFC 3986 §3.1). Schemes that run
    /// code (`javascript`, `data`), read files or belong to browsers and operating systems are nobody's.
    #[must_use]
    pub fn is_private_use_scheme(scheme: &str) -> bool {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase();
        let is_rest = |byte: &u8| is_letter(byte) || byte.is_ascii_digit() || b"+-.".contains(byte);
        scheme.as_bytes().first().is_some_and(is_letter)
            && scheme.as_bytes().iter().all(is_rest)
            && !NEVER_PRIVATE_USE.contains(&scheme)
            // Handlers of operating systems, of which some run what they are given.
            && !scheme.starts_with("ms-")
            && !scheme.starts_with("search-ms")
    }

    /// The text, byte for byte as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => url.as_str(),
            Target::PrivateUse { text, .. } => text,
        }
    }

    /// Whether this registered URI admits `requested`: the same bytes or, for http on a loopback
    /// literal or `localhost`, the same bytes but for the port (RFC 8252 §7.3).
    #[must_use]
    pub fn admits(&self, requested: &str) -> bool {
        // A-AUTHZ-2
        if self.as_str() == requested {
            return true;
        }
        let Target::Loopback(own) = &self.0 else { return false };
        // Letter for letter in lower case: nothing but the port may differ. With the rest the same, it names this host.
        let requested = parts(requested).and_then(|uri| WebUrl::measure(&uri));
        requested.is_ok_and(|requested| own.differs_by_port(&requested))
    }

    /// Whether a browser that follows it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.0, Target::Loopback(_))
    }

    /// Whether only an installed application can receive it: loopback or a private-use scheme.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.is_loopback() || self.is_private_use()
    }

    /// Whether its scheme belongs to an application (RFC 8252 §7.1), or to another that claims it.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        self.private_use_scheme().is_some()
    }

    /// Returns the scheme if it belongs to an application, as it is written.
    #[must_use]
    pub fn private_use_scheme(&self) -> Option<&str> {
        match &self.0 {
            Target::PrivateUse { scheme, .. } => Some(scheme),
            _ => None,
        }
    }

    /// The host that a person should be shown; the scheme of a private-use URI, whose host names nobody.
    #[must_use]
    pub fn display_host(&self) -> &str {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => url.host(),
            Target::PrivateUse { scheme, .. } => scheme,
        }
    }

    /// Returns the origin of a web URL; a private-use URI has none.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => Some(url.origin()),
            Target::PrivateUse { .. } => None,
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedirectUri").field(&self.as_str()).finish()
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        Self::parse(text)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    /// Reads what a server stored, which knew its list of schemes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_any_scheme(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
