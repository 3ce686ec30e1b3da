//! Parsed http and https URLs that keep the received text and the positions of its parts.

use core::fmt;
use core::ops::Range;

use fluent_uri::Uri;

use crate::uri::{
    InvalidUri, Origin, development, host_and_port, is_loopback_host, parts, text_order,
};

/// An http or https URL with a host and a port in range, without userinfo.
///
/// The text is parsed once, and its parts are slices of it.
#[derive(Clone, Copy)]
pub(crate) struct WebUrl<T = Box<str>> {
    text: T,
    ends: Ends,
    /// The port as written, or the default of the scheme.
    port: u16,
}

/// End positions of the parts of a URL, in bytes of its text.
#[derive(Clone, Copy)]
struct Ends {
    scheme: u16,
    host: u16,
    authority: u16,
    path: u16,
    text: u16,
}

impl<'a> WebUrl<&'a str> {
    /// Parses a URL that requests may be sent to.
    ///
    /// The scheme is `https`, or `http` on a loopback host or on an origin that was allowed for development.
    pub(crate) fn parse(text: &'a str) -> Result<Self, InvalidUri> {
        let url = Self::measure(&parts(text)?)?;
        let is_http = url.scheme().eq_ignore_ascii_case("http");
        let is_allowed = url.is_https()
            || is_http && is_loopback_host(url.host())
            || is_http && development::is_allowed(url.host(), url.port);
        match is_allowed {
            true => Ok(url),
            false if is_http => Err(InvalidUri::PlainHttp),
            false => Err(InvalidUri::NotHttps),
        }
    }

    /// Finds the parts of a URI; the caller checks its scheme.
    pub(super) fn measure(uri: &Uri<&'a str>) -> Result<Self, InvalidUri> {
        let authority = host_and_port(uri)?;
        let scheme = uri.scheme().as_str();
        // Without userinfo, the host directly follows the two slashes.
        let start = scheme.len() + "://".len();
        let end = start + authority.as_str().len();
        let place = |at: usize| u16::try_from(at).map_err(|_| InvalidUri::TooLong);
        let ends = Ends {
            scheme: place(scheme.len())?,
            host: place(start + authority.host().len())?,
            authority: place(end)?,
            path: place(end + uri.path().as_str().len())?,
            text: place(uri.as_str().len())?,
        };
        let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let port = authority.port_to_u16().map_err(|_| InvalidUri::Port)?;
        Ok(Self { text: uri.as_str(), ends, port: port.unwrap_or(default) })
    }

    /// Returns the URL with its own copy of the text.
    pub(super) fn keep(self) -> WebUrl {
        self.keep_as(self.text)
    }

    /// Returns the URL with another text whose delimiters are at the same positions.
    pub(super) fn keep_as(self, text: &str) -> WebUrl {
        WebUrl { text: text.into(), ends: self.ends, port: self.port }
    }
}

impl<T: AsRef<str>> WebUrl<T> {
    pub(crate) fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme().eq_ignore_ascii_case("https")
    }

    /// Returns the scheme as written.
    pub(crate) fn scheme(&self) -> &str {
        self.part(0..self.ends.scheme)
    }

    /// Returns the host as written; an IPv6 literal keeps its brackets.
    pub(crate) fn host(&self) -> &str {
        self.part(self.ends.scheme + 3..self.ends.host)
    }

    /// Returns the port as written, or the default of the scheme.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns scheme, host and port as written.
    pub(crate) fn before_path(&self) -> &str {
        self.part(0..self.ends.authority)
    }

    /// Returns the path, which may be empty.
    pub(crate) fn path(&self) -> &str {
        self.part(self.ends.authority..self.ends.path)
    }

    /// Returns the part before the query.
    pub(crate) fn without_query(&self) -> &str {
        self.part(0..self.ends.path)
    }

    /// Returns the query without the question mark.
    pub(crate) fn query(&self) -> Option<&str> {
        let query = self.after(self.ends.path).strip_prefix('?')?;
        Some(query.split_once('#').map_or(query, |(query, _)| query))
    }

    pub(crate) fn has_fragment(&self) -> bool {
        self.after(self.ends.path).contains('#')
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::new(self)
    }

    /// Returns `true` if both URLs have one origin (RFC 6454 §5).
    pub(crate) fn has_origin_of<U: AsRef<str>>(&self, other: &WebUrl<U>) -> bool {
        self.is_https() == other.is_https()
            && self.port == other.port
            && self.host().eq_ignore_ascii_case(other.host())
    }

    /// Returns `true` if both texts are equal except for the port.
    pub(super) fn differs_by_port<U: AsRef<str>>(&self, other: &WebUrl<U>) -> bool {
        self.part(0..self.ends.host) == other.part(0..other.ends.host)
            && self.after(self.ends.authority) == other.after(other.ends.authority)
    }

    fn after(&self, at: u16) -> &str {
        self.part(at..self.ends.text)
    }

    #[expect(clippy::expect_used, reason = "the ends were measured on this text")]
    fn part(&self, part: Range<u16>) -> &str {
        let part = usize::from(part.start)..usize::from(part.end);
        self.as_str().get(part).expect("the parts of a URL end at delimiters of its text")
    }
}

impl<T: AsRef<str>> fmt::Debug for WebUrl<T> {
    /// Omits the query, because it may hold a key and `Debug` output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.query() {
            Some(_) => write!(f, "\"{}?[..]\"", self.without_query()),
            None => fmt::Debug::fmt(self.as_str(), f),
        }
    }
}

text_order!(WebUrl);
