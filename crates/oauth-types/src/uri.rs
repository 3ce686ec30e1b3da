//! Identifiers that are URIs: issuers, resources, redirect URIs and endpoints.
//!
//! They are kept and compared as the text that was received. `http::Uri` never holds one of them, because it adds
//! slashes, drops fragments and folds case. The strict RFC 3986 parser `fluent-uri` checks the syntax and finds the
//! parts; the text itself is what these types keep.

mod address;
mod development;
mod endpoint;
mod issuer;
mod location;
mod redirect;
mod resource;
mod web;

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use fluent_uri::Uri;
use fluent_uri::component::Authority;
use percent_encoding::percent_decode_str;

pub use address::is_local_ip;
pub use development::{allow_http_for_development, http_origins_for_development};
pub use endpoint::{EndpointUrl, Origin};
pub use issuer::Issuer;
pub use location::Location;
pub use redirect::RedirectUri;
pub use resource::ResourceUri;
pub(crate) use web::WebUrl;

/// Longest URI that is parsed, in bytes.
pub(crate) const MAX_BYTES: usize = 2048;

/// The rule that a URI breaks (RFC 3986, and what OAuth adds), without the text of the URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidUri {
    /// Breaks the grammar of RFC 3986, or is a relative reference.
    Syntax,
    /// Is longer than 2048 bytes.
    TooLong,
    /// Has no host.
    NoHost,
    /// Has a host that lenient parsers read as another one.
    ///
    /// The host has a percent-encoded byte, or ends in a number without being an IPv4 address in four plain decimal
    /// numbers: browsers and HTTP libraries read `127.1` and `0x7f000001` as addresses.
    AmbiguousHost,
    /// Is http on a host that is neither loopback nor named to [`allow_http_for_development`].
    PlainHttp,
    /// Has a host that may be public, for which even development does not allow http.
    PublicHost,
    /// Has a scheme other than https.
    NotHttps,
    /// Has a scheme that is not allowed here.
    Scheme,
    /// Carries a user name or password.
    Userinfo,
    /// Has a port that is not a number from 0 to 65535.
    Port,
    /// Has a query.
    Query,
    /// Has a fragment.
    Fragment,
    /// Has an empty path segment before the end of the path.
    EmptySegment,
    /// Has a path segment `.` or `..`, encoded or not, so that two parsers could see two paths.
    DotSegment,
    /// Has a query parameter that the authorization response sets itself.
    ReservedParameter,
}

/// Shows a clause that follows the name of the URI, without a colon.
impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => {
                "is not of the form that is required here, such as `https://server.example/path` \
                 for a URI (RFC 3986) or `server.example` for a host"
            }
            Self::TooLong => "is longer than 2048 bytes, and has to be shortened",
            Self::NoHost => "names no host, and has to name one, as in `https://server.example`",
            Self::AmbiguousHost => {
                "has a host that some would read as another one, and has to have a plain name or \
                 an IPv4 address in four decimal numbers"
            }
            Self::PlainHttp => {
                "is http on a host that is not loopback, where https is required (for a private \
                 host in development, see `allow_http_for_development`)"
            }
            Self::PublicHost => {
                "has a host that may be public, where https is required, because http in \
                 development is for private hosts only"
            }
            Self::NotHttps => "is not https, which is required here",
            Self::Scheme => {
                "has a scheme that is not allowed here (https or http for web URLs, http for \
                 development, a private one with a dot for redirect URIs of applications)"
            }
            Self::Userinfo => "carries a user name or password, which has to be left out",
            Self::Port => "has a port that has to be a number from 0 to 65535, and is not",
            Self::Query => "has a query, which has to be left out",
            Self::Fragment => "has a fragment (the part after `#`), which has to be left out",
            Self::EmptySegment => {
                "has an empty path segment, and has to have one slash there instead of two"
            }
            Self::DotSegment => "has a path segment `.` or `..`, and has to be written without it",
            Self::ReservedParameter => {
                "has a query parameter that authorization responses set themselves, and has to \
                 have another name for it"
            }
        })
    }
}

impl core::error::Error for InvalidUri {}

/// Parses an absolute URI of bounded length.
pub(crate) fn parts(text: &str) -> Result<Uri<&str>, InvalidUri> {
    if text.len() > MAX_BYTES {
        return Err(InvalidUri::TooLong);
    }
    Uri::parse(text).map_err(|_| InvalidUri::Syntax)
}

/// Returns the authority of a URI: a host that is not empty, a port in range, no userinfo.
pub(crate) fn host_and_port<'a>(uri: &Uri<&'a str>) -> Result<Authority<'a>, InvalidUri> {
    let authority = uri.authority().ok_or(InvalidUri::NoHost)?;
    if authority.host().is_empty() {
        return Err(InvalidUri::NoHost);
    }
    if authority.has_userinfo() {
        return Err(InvalidUri::Userinfo);
    }
    if is_ambiguous_host(authority.host()) {
        return Err(InvalidUri::AmbiguousHost);
    }
    authority.port_to_u16().map_err(|_| InvalidUri::Port)?;
    Ok(authority)
}

/// Returns `true` if lenient parsers may read the host as another one.
///
/// This covers percent-encoded bytes, and hosts that end in a number (WHATWG URL Standard, "ends in a number") without
/// being a plain IPv4 address.
fn is_ambiguous_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let is_number =
        is_decimal || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    host.contains('%') || (is_number && host.parse::<Ipv4Addr>().is_err())
}

/// Returns `true` if any parser may find a `.` or `..` segment in the path.
///
/// The segment may be written plainly or percent-encoded, between slashes that are encoded or reversed, or be followed
/// by parameters after a semicolon.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let plain: Cow<'_, [u8]> = percent_decode_str(path).into();
    plain.split(|byte| b"/\\".contains(byte)).any(|segment| {
        let name = segment.split(|byte| *byte == b';').next();
        matches!(name, Some(b"." | b".."))
    })
}

/// Returns the part of a URL before the query and the fragment; the URL need not be valid.
///
/// # Examples
///
/// ```
/// use oauth_types::without_query;
///
/// assert_eq!(without_query("https://mcp.example/mcp?key=secret#top"), "https://mcp.example/mcp");
/// ```
#[must_use]
pub fn without_query(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| url.split_at(end).0)
}

/// Returns `true` if a host, as written, is loopback (RFC 8252 §7.3).
///
/// Loopback hosts are `localhost`, a literal in 127.0.0.0/8, and `[::1]`. Other spellings (`127.1`, `0x7f000001`,
/// `localhost.`) are names like any other.
///
/// # Examples
///
/// ```
/// use oauth_types::is_loopback_host;
///
/// assert!(is_loopback_host("localhost") && is_loopback_host("127.0.0.2") && is_loopback_host("[::1]"));
/// assert!(!is_loopback_host("localhost.example") && !is_loopback_host("127.1"));
/// ```
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

/// Implements equality, order and hash of a URI by its text, byte for byte.
macro_rules! text_order {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl core::hash::Hash for $name {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }
    };
}
pub(crate) use text_order;

/// Implements `as_str`, `origin`, `without_query` and the conversions from and to text for an identifier that wraps a [`WebUrl`].
macro_rules! text_identifier {
    ($name:ident) => {
        impl $name {
            /// Returns the text, byte for byte as it was received.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Returns scheme, host and port: the origin that may receive secrets meant for this URL.
            #[must_use]
            pub fn origin(&self) -> crate::uri::Origin {
                self.0.origin()
            }

            /// Returns the part before the query, for logs, because a query may hold a key.
            #[must_use]
            pub fn without_query(&self) -> &str {
                self.0.without_query()
            }
        }

        crate::text_impls::text_impls!($name, crate::uri::InvalidUri);
    };
}
pub(crate) use text_identifier;

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-247
    #[test]
    fn debug_shows_no_query() {
        let text = "https://rs.example/mcp?api_key=CANARY";
        let shown = "(\"https://rs.example/mcp?[..]\")";
        let resource = ResourceUri::parse(text).unwrap();
        assert_eq!(format!("{resource:?}"), format!("ResourceUri{shown}"));
        let endpoint = EndpointUrl::parse(text).unwrap();
        assert_eq!(format!("{endpoint:?}"), format!("EndpointUrl{shown}"));
        let issuer = Issuer::parse("https://as.example/t").unwrap();
        assert_eq!(format!("{issuer:?}"), "Issuer(\"https://as.example/t\")");
    }

    #[test]
    fn only_literal_loopback_is_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "localhost.",
            "localhost.evil.test",
            "127.1",
            "0x7f000001",
            "127.000.000.001",
            "[::ffff:127.0.0.1]",
            "128.0.0.1",
            "",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
