//! Origins whose pages may call a resource from a browser (Fetch §3.2, CORS).

use crate::uri::{InvalidUri, is_loopback_host};

/// Origins whose pages may call the resource and read its responses.
///
/// The list only adds permissions: a listed origin passes the server's check of `Origin` and gets CORS headers; any
/// other origin is treated as without a list. Cookies never count.
///
/// # Examples
///
/// ```
/// use oauth_types::BrowserOrigins;
///
/// let origins = BrowserOrigins::listed(["https://app.example", "http://localhost:6274"])?;
/// assert!(origins.allows("https://app.example"));
/// assert!(!origins.allows("https://app.example.evil.example"));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrowserOrigins(Kind);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Nobody,
    Loopback,
    Listed(Box<[Box<str>]>),
    Any,
}

impl BrowserOrigins {
    /// Allows no origin.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::Nobody)
    }

    /// Allows pages that are served from a loopback host, at any port.
    #[must_use]
    pub const fn loopback() -> Self {
        Self(Kind::Loopback)
    }

    /// Allows every origin except `null`.
    ///
    /// Such a server is protected by its tokens alone, which a browser never adds to a request by itself.
    #[must_use]
    pub const fn any() -> Self {
        Self(Kind::Any)
    }

    /// Allows pages of these origins, written as browsers write them.
    ///
    /// Examples are `https://app.example`, `http://localhost:6274` and `chrome-extension://…`.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] for a text that no browser sends as `Origin`: with a path, a final slash, an upper-case letter,
    /// a default port or a wildcard, or `null`, which every sandboxed page sends.
    pub fn listed(origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidUri> {
        let own = |origin: &str| check(origin).map(|()| Box::from(origin));
        let origins: Result<_, _> =
            origins.into_iter().map(|origin| own(origin.as_ref())).collect();
        Ok(Self(Kind::Listed(origins?)))
    }

    /// Returns `true` if pages of this origin may call, compared byte for byte; always `false` for `null`.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match &self.0 {
            Kind::Nobody => false,
            Kind::Loopback => is_loopback(origin),
            Kind::Listed(origins) => origins.iter().any(|own| **own == *origin),
            Kind::Any => origin != "null",
        }
    }
}

/// Returns `true` if an origin belongs to a loopback host.
pub(crate) fn is_loopback(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.and_then(split_port).is_some_and(|(host, _)| is_loopback_host(host))
}

/// Splits `host [ ":" port ]`; `None` if the port has characters other than digits.
pub(crate) fn split_port(text: &str) -> Option<(&str, &str)> {
    let end = text.rfind(']').map_or(0, |end| end + 1);
    let port = text.get(end..).and_then(|rest| rest.find(':')).map(|at| end + at);
    let (host, port) = text.split_at(port.unwrap_or(text.len()));
    let port = port.strip_prefix(':').unwrap_or_default();
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some((host, port))
}

/// Checks the serialization of an origin (RFC 6454 §6.2): scheme, host, non-default port.
fn check(origin: &str) -> Result<(), InvalidUri> {
    let (scheme, rest) = origin.split_once("://").ok_or(InvalidUri::Syntax)?;
    let (host, port) = split_port(rest).ok_or(InvalidUri::Port)?;
    let is_scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let is_host = |c: char| is_scheme(c) || "_:[]".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(is_scheme) {
        return Err(InvalidUri::Scheme);
    }
    if host.is_empty() {
        return Err(InvalidUri::NoHost);
    }
    if !host.chars().all(is_host) {
        return Err(InvalidUri::Syntax);
    }
    let is_default = matches!((scheme, port), ("https", "443") | ("http", "80"));
    if is_default || rest.ends_with(':') || !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(InvalidUri::Port);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_sends_is_listed() {
        for origin in [
            "https://app.example",
            "http://localhost:6274",
            "http://[::1]:6274",
            "http://inspector.internal:6274",
            "chrome-extension://abcdefghijklmnop",
            "tauri://localhost",
        ] {
            let origins = BrowserOrigins::listed([origin]).unwrap();
            assert!(origins.allows(origin), "{origin}");
            for other in
                ["null", "", "*", "https://evil.example", &format!("{origin}.evil.example")]
            {
                assert!(!origins.allows(other), "{other}");
            }
        }
        for origin in [
            "null",
            "*",
            "",
            "app.example",
            "https://",
            "https://*.example",
            "https://app.example/",
            "https://app.example/path",
            "https://App.example",
            "HTTPS://app.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://app.example:",
            "https://app.example:99999",
            "https://app.example:x",
            "https://user@app.example",
            "https://app.example https://b.example",
        ] {
            assert!(BrowserOrigins::listed([origin]).is_err(), "{origin}");
        }
    }

    #[test]
    fn loopback_is_the_users_own_machine() {
        let origins = BrowserOrigins::loopback();
        for origin in ["http://localhost:6274", "https://127.0.0.1", "http://[::1]:8080"] {
            assert!(origins.allows(origin), "{origin}");
        }
        for origin in ["null", "http://localhost.evil.example", "http://evil.example", "localhost"]
        {
            assert!(!origins.allows(origin), "{origin}");
        }
        assert!(!BrowserOrigins::none().allows("http://localhost"));
        assert!(BrowserOrigins::any().allows("https://any.example"));
        assert!(!BrowserOrigins::any().allows("null"));
    }
}
