//! Redirect URIs (RFC 6749 §3.1.2, OAuth 2.1 §2.3.1, RFC 8252 §7).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::form::FormPairs;
use crate::uri::{InvalidUri, host_and_port, is_loopback_host, parts};

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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RedirectUri(Box<str>);

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
        match uri.scheme().as_str() {
            "https" => drop(host_and_port(&uri)?),
            "http" if is_loopback_host(host_and_port(&uri)?.host()) => {}
            "http" => return Err(InvalidUri::PlainHttp),
            private if private.contains('.') || Self::is_private_use_scheme(private) => {
                if uri.authority().is_some_and(|authority| authority.has_userinfo()) {
                    return Err(InvalidUri::Userinfo);
                }
            }
            _ => return Err(InvalidUri::Scheme),
        }
        let query = uri.query().map_or("", |query| query.as_str());
        let form = FormPairs::parse(query.as_bytes()).map_err(|_| InvalidUri::Query)?;
        if RESERVED.iter().any(|name| form.contains(name)) {
            return Err(InvalidUri::ReservedParameter);
        }
        Ok(Self(text.into()))
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
        &self.0
    }

    /// Whether this registered URI admits `requested`: the same bytes or, for http on a loopback
    /// literal or `localhost`, the same bytes but for the port (RFC 8252 §7.3).
    #[must_use]
    pub fn admits(&self, requested: &str) -> bool {
        // A-AUTHZ-2
        if *self.0 == *requested {
            return true;
        }
        match (loopback_without_port(&self.0), loopback_without_port(requested)) {
            (Some(own), Some(other)) => own == other,
            _ => false,
        }
    }

    /// Whether a browser that follows it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        loopback_without_port(&self.0).is_some()
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
        let (scheme, _) = self.0.split_once(':')?;
        (!matches!(scheme, "https" | "http")).then_some(scheme)
    }

    /// The host that a person should be shown; the scheme of a private-use URI, whose host names nobody.
    #[must_use]
    pub fn display_host(&self) -> &str {
        match parts(&self.0) {
            Ok(uri) => match uri.authority() {
                Some(authority) if matches!(uri.scheme().as_str(), "https" | "http") => {
                    authority.host()
                }
                _ => uri.scheme().as_str(),
            },
            Err(_) => "",
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    /// Reads what a server stored, which knew its list of schemes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_any_scheme(&text).map_err(serde::de::Error::custom)
    }
}

/// What stands before and after the port of an http loopback URI; `None` for every other URI.
fn loopback_without_port(text: &str) -> Option<(&str, &str)> {
    let uri = parts(text).ok()?;
    // Lower case only: a registered URI keeps its spelling, and nothing but the port may differ.
    if uri.scheme().as_str() != "http" || uri.has_fragment() {
        return None;
    }
    let authority = host_and_port(&uri).ok()?;
    if !is_loopback_host(authority.host()) {
        return None;
    }
    let before = "http://".len() + authority.host().len();
    let after = "http://".len() + authority.as_str().len();
    Some((text.get(..before)?, text.get(after..)?))
}

#[cfg(test)]
mod tests;
