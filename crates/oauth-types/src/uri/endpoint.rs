//! URLs of endpoints and documents, and their origins.

use core::fmt;

use http::Uri;

use crate::form::{FormWriter, decode_component};
use crate::uri::{InvalidUri, WebUrl, is_local_ip, text_identifier, text_order};

/// URL of an endpoint or a document (RFC 6749 §3.1, §3.2; OAuth 2.1 §1.5).
///
/// The scheme is https (http on a loopback host); there is no fragment and no userinfo.
///
/// # Examples
///
/// ```
/// use oauth_types::{EndpointUrl, InvalidUri};
///
/// let endpoint = EndpointUrl::parse("https://as.example/authorize?tenant=a")?;
/// let url = endpoint.with_query([("scope", "read write")]);
/// assert_eq!(url, "https://as.example/authorize?tenant=a&scope=read%20write");
/// assert_eq!(EndpointUrl::parse("http://as.example/authorize"), Err(InvalidUri::PlainHttp));
/// # Ok::<(), InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
pub struct EndpointUrl(WebUrl);

text_identifier!(EndpointUrl);
text_order!(EndpointUrl);

impl EndpointUrl {
    /// Parses an endpoint URL.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        // C-AUTHZ-7, C-TOKEN-1
        let url = WebUrl::parse(text)?;
        if url.has_fragment() {
            return Err(InvalidUri::Fragment);
        }
        Ok(Self(url.keep()))
    }

    /// Converts the URL for an HTTP library, only for sending: `http::Uri` must never be compared.
    ///
    /// # Errors
    ///
    /// [`InvalidUri::Syntax`] if the HTTP library refuses a URI that RFC 3986 allows.
    pub fn to_uri(&self) -> Result<Uri, InvalidUri> {
        self.as_str().parse().map_err(|_| InvalidUri::Syntax)
    }

    /// Returns this URL with `parameters` added to its query, form-encoded (RFC 6749 §3.1).
    #[must_use]
    pub fn with_query<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let mut text = String::from(self.as_str());
        let has_query = self.query().is_some();
        let mut form = FormWriter::new();
        for (name, value) in parameters {
            form.append(name, value);
        }
        if !form.as_str().is_empty() {
            if !has_query {
                text.push('?');
            } else if !text.ends_with(['?', '&']) {
                text.push('&');
            }
            text.push_str(form.as_str());
        }
        text
    }

    /// Returns the first of `names` that the query has as a parameter, in any encoding.
    pub(crate) fn parameter_among(&self, names: &[&'static str]) -> Option<&'static str> {
        let query = self.query()?;
        let has = |name: &&&str| {
            query.split('&').any(|pair| {
                let own = pair.split_once('=').map_or(pair, |(own, _)| own);
                decode_component(own.as_bytes()).is_ok_and(|own| own == **name)
            })
        };
        names.iter().find(has).copied()
    }

    /// Returns the path as a router sees it: `/` if the URL has none (RFC 9110 §4.2.3).
    #[must_use]
    pub fn path(&self) -> &str {
        match self.0.path() {
            "" => "/",
            path => path,
        }
    }

    /// Returns the query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.query()
    }

    pub(crate) const fn as_web(&self) -> &WebUrl {
        &self.0
    }
}

/// Scheme, host and port of a web URL: the unit to which a bearer token may be sent.
///
/// The host is in lower case and a default port is filled in, as RFC 6454 §4 requires.
///
/// # Examples
///
/// ```
/// use oauth_types::Origin;
///
/// let origin = Origin::of("https://MCP.example:443/mcp?x=1")?;
/// assert_eq!(origin.to_string(), "https://mcp.example");
/// assert!(origin.contains("https://mcp.example/token"));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Origin {
    https: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Returns the origin of a URL.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] if the text is neither an https URL nor an http URL on a loopback host.
    pub fn of(url: &str) -> Result<Self, InvalidUri> {
        Ok(WebUrl::parse(url)?.origin())
    }

    pub(super) fn new<T: AsRef<str>>(url: &WebUrl<T>) -> Self {
        let host = url.host().to_ascii_lowercase().into();
        Self { https: url.is_https(), host, port: url.port() }
    }

    /// Returns `true` if a URL has this origin, without allocating.
    #[must_use]
    pub fn contains(&self, url: &str) -> bool {
        WebUrl::parse(url).is_ok_and(|url| {
            url.is_https() == self.https
                && url.port() == self.port
                && url.host().eq_ignore_ascii_case(&self.host)
        })
    }

    /// Returns `true` if the host is loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        super::is_loopback_host(&self.host)
    }

    /// Returns `true` if the host is loopback, or a literal address that is not public ([`is_local_ip`]).
    ///
    /// Of names, only `localhost` and those below it count as local. Any other name has to be resolved first.
    #[must_use]
    pub fn is_local_address(&self) -> bool {
        let v6 = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        self.is_loopback()
            || name == "localhost"
            || name.ends_with(".localhost")
            || v6.unwrap_or(&self.host).parse().is_ok_and(is_local_ip)
    }

    /// Returns the host in lower case; an IPv6 literal keeps its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    /// Writes the serialization of RFC 6454 §6.2: no default port, no final slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-AUTHZ-7
    #[test]
    fn no_spelling_hides_a_local_address() {
        for ambiguous in [
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "2852039166",
            "169.254.169.254.",
            "10.1",
            "0177.0.0.1",
            "%31%32%37.0.0.1",
            "%6cocalhost",
            "a.0x",
        ] {
            let parsed = EndpointUrl::parse(&format!("https://{ambiguous}/x"));
            assert_eq!(parsed, Err(InvalidUri::AmbiguousHost), "{ambiguous}");
        }
        for local in [
            "127.0.0.1",
            "localhost.",
            "a.localhost",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[fec0::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::]",
        ] {
            let url = EndpointUrl::parse(&format!("https://{local}/x")).unwrap();
            assert!(url.origin().is_local_address(), "{local}");
        }
        for public in [
            "1.1.1.1",
            "as.example",
            "1password.example",
            "[2606:4700::1111]",
            "[64:ff9b::101:101]",
        ] {
            let url = EndpointUrl::parse(&format!("https://{public}/x")).unwrap();
            assert!(!url.origin().is_local_address(), "{public}");
        }
    }

    /// C-AUTHZ-7, C-TOKEN-1, SEC-128, SEC-134
    #[test]
    fn endpoints_are_https_or_loopback() {
        for bad in [
            "javascript:alert(1)",
            "file:///bin/sh",
            "data:text/html,x",
            "vscode://x",
            "-flag",
            "http://evil.example/authorize",
            "http://localhost.evil.example/",
            "https://u@as.example/",
            "https://as.example/#f",
            "https://x.example/$(calc)`",
            "https://x.example/\n",
        ] {
            assert!(EndpointUrl::parse(bad).is_err(), "{bad:?}");
        }
        assert!(EndpointUrl::parse("http://[::1]:9/authorize").is_ok());
    }

    #[test]
    fn a_query_is_kept_and_extended() {
        let url = EndpointUrl::parse("https://as.example/a?t=1").unwrap();
        assert_eq!(url.with_query([("b", "c d&")]), "https://as.example/a?t=1&b=c%20d%26");
        assert_eq!(url.with_query([]), "https://as.example/a?t=1");
        let url = EndpointUrl::parse("https://as.example").unwrap();
        assert_eq!(url.with_query([("b", "c")]), "https://as.example?b=c");
    }

    #[test]
    fn origins_fold_case_and_default_port() {
        let origin = |url| Origin::of(url).unwrap();
        assert_eq!(origin("https://A.example/x"), origin("https://a.example:443"));
        assert_ne!(origin("https://a.example"), origin("https://a.example:8443"));
        assert_ne!(origin("http://localhost:443"), origin("https://localhost"));
        assert_eq!(origin("https://A.example:443/x").to_string(), "https://a.example");
        assert_eq!(origin("http://[::1]:9/x").to_string(), "http://[::1]:9");
        let own = origin("https://a.example");
        for url in ["https://A.example:443/x?y", "https://a.example", "HTTPS://a.EXAMPLE/"] {
            assert!(own.contains(url), "{url}");
        }
        for url in ["https://a.example:8443/", "https://b.a.example/", "http://a.example/", "a"] {
            assert!(!own.contains(url), "{url}");
        }
    }
}
