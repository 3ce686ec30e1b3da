//! Redirect URIs (RFC 6749 §3.1.2, OAuth 2.1 §2.3.1, RFC 8252 §7).

use core::fmt;

use serde::{Deserialize, Deserializer};

use crate::form::FormPairs;
use crate::text_impls::{as_str_impls, parse_impls};
use crate::uri::{InvalidUri, Origin, WebUrl, is_loopback_host, parts, text_order};

/// Parameters of the authorization response, which a registered redirect URI must not contain.
///
/// With them in its query a response would carry two of one name (RFC 9207 §2, RFC 6749 §4.1.2).
const RESERVED: [&str; 6] = ["iss", "code", "state", "error", "error_description", "error_uri"];

/// Schemes of scripts, files, browsers and operating systems, which no application may claim.
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

/// Redirect URI that may be registered (RFC 6749 §3.1.2, RFC 8252 §7).
///
/// The scheme is https, http on a loopback host, or a private-use scheme; there is no fragment, no userinfo and no
/// reserved parameter.
///
/// [`parse`](Self::parse) accepts private-use schemes with a dot (`com.example.app:/cb`), as RFC 8252 §7.1 requires.
/// [`parse_any_scheme`](Self::parse_any_scheme) also accepts others (`cursor://callback`), for a server with a list of
/// accepted schemes.
///
/// Redirect URIs are compared byte for byte, except for the port of a loopback redirect: see [`admits`](Self::admits).
///
/// # Examples
///
/// ```
/// use oauth_types::RedirectUri;
///
/// let registered = RedirectUri::parse("http://127.0.0.1/callback")?;
/// assert!(registered.admits("http://127.0.0.1:49152/callback"));
/// assert!(!registered.admits("http://127.0.0.1:49152/other"));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[doc(alias = "redirect_uri")]
#[derive(Clone)]
pub struct RedirectUri(Target);

/// Kind of receiver of an authorization response.
#[derive(Clone)]
enum Target {
    /// An https URL.
    Web(WebUrl),
    /// An http URL on a loopback host.
    Loopback(WebUrl),
    /// A URI with a private-use scheme of an application.
    PrivateUse { scheme: Box<str>, text: Box<str> },
}

text_order!(RedirectUri);

impl RedirectUri {
    /// Parses a redirect URI for registration.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let uri = Self::parse_any_scheme(text)?;
        // RFC 8252 §7.1: the scheme is a domain name in reverse, which excludes schemes of scripts and files.
        match uri.private_use_scheme() {
            Some(scheme) if !scheme.contains('.') => Err(InvalidUri::Scheme),
            _ => Ok(uri),
        }
    }

    /// Parses a redirect URI whose private-use scheme may lack the dot.
    ///
    /// It is for a caller that compares the scheme with a list of accepted schemes, or that reads a stored redirect
    /// URI. Schemes that no application may claim are refused in any case: see
    /// [`is_private_use_scheme`](Self::is_private_use_scheme).
    ///
    /// # Examples
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
    /// [`InvalidUri`] names the broken rule.
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

    /// Returns `true` if an application may claim this scheme (RFC 8252 §7.1).
    ///
    /// A scheme is a lower-case letter followed by lower-case letters, digits, `+`, `-` or `.` (RFC 3986 §3.1).
    /// Schemes that run code (`javascript`, `data`), read files, or belong to browsers and operating systems are
    /// excluded.
    #[must_use]
    pub fn is_private_use_scheme(scheme: &str) -> bool {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase();
        let is_rest = |byte: &u8| is_letter(byte) || byte.is_ascii_digit() || b"+-.".contains(byte);
        scheme.as_bytes().first().is_some_and(is_letter)
            && scheme.as_bytes().iter().all(is_rest)
            && !NEVER_PRIVATE_USE.contains(&scheme)
            // Protocol handlers of operating systems, some of which run what they are given.
            && !scheme.starts_with("ms-")
            && !scheme.starts_with("search-ms")
    }

    /// Returns the text, byte for byte as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => url.as_str(),
            Target::PrivateUse { text, .. } => text,
        }
    }

    /// Returns `true` if this registered URI admits `requested`.
    ///
    /// Both are the same bytes or, for http on a loopback literal or `localhost`, the same bytes except for the port
    /// (RFC 8252 §7.3).
    #[must_use]
    pub fn admits(&self, requested: &str) -> bool {
        // A-AUTHZ-2
        if self.as_str() == requested {
            return true;
        }
        let Target::Loopback(own) = &self.0 else { return false };
        // Scheme and host are compared byte for byte, so only the port may differ, and the host stays loopback.
        let requested = parts(requested).and_then(|uri| WebUrl::measure(&uri));
        requested.is_ok_and(|requested| own.differs_by_port(&requested))
    }

    /// Returns `true` if the redirect goes to an http URL on a loopback host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.0, Target::Loopback(_))
    }

    /// Returns `true` if an installed application receives it: loopback or a private-use scheme.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.is_loopback() || self.is_private_use()
    }

    /// Returns `true` if the scheme is a private-use scheme (RFC 8252 §7.1).
    ///
    /// Any installed application may claim such a scheme.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        self.private_use_scheme().is_some()
    }

    /// Returns the private-use scheme as it is written, if the URI has one.
    #[must_use]
    pub fn private_use_scheme(&self) -> Option<&str> {
        match &self.0 {
            Target::PrivateUse { scheme, .. } => Some(scheme),
            _ => None,
        }
    }

    /// Returns the host to show to a user, or the scheme of a private-use URI.
    ///
    /// The host of a private-use URI identifies no site.
    #[must_use]
    pub fn display_host(&self) -> &str {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => url.host(),
            Target::PrivateUse { scheme, .. } => scheme,
        }
    }

    /// Returns the origin of a web URL; `None` for a private-use URI.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match &self.0 {
            Target::Web(url) | Target::Loopback(url) => Some(url.origin()),
            Target::PrivateUse { .. } => None,
        }
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedirectUri").field(&self.as_str()).finish()
    }
}

parse_impls!(RedirectUri, InvalidUri);
as_str_impls!(RedirectUri);

impl<'de> Deserialize<'de> for RedirectUri {
    /// Accepts any private-use scheme, because the server checked its list before it stored the URI.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_any_scheme(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
