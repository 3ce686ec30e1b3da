//! Targets of HTTP redirects (RFC 9110 §10.2.2, §15.4).

use core::fmt;

use fluent_uri::UriRef;
use fluent_uri::resolve::{ResolveError, Resolver};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use crate::uri::{EndpointUrl, InvalidUri, WebUrl, parts};

/// Target of a redirect: the `Location` header, resolved against the requested URL (RFC 9110 §10.2.2).
///
/// The target may be any web URL without userinfo, including plain http on the network, because errors have to name
/// it. [`on_origin_of`](Self::on_origin_of) is the only way to a URL that a request may be sent to. `Display` and
/// `Debug` show scheme, host, port and path, never the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(WebUrl);

impl Location {
    /// Largest number of consecutive redirects that are followed for one document.
    pub const MAX_REDIRECTS: u8 = 3;

    /// Parses the redirect target of the response to a request for `requested`.
    ///
    /// The header may hold an absolute URL, which is kept as it is, or a relative reference (`//host/path`, `/path`,
    /// `path`, `?query`), which is resolved as in RFC 3986 §5.2. Escapes, letter case and ports stay as they were
    /// received, and the result is checked.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] if the header is missing or repeated, or its value does not lead to a web URL.
    /// [`InvalidUri::DotSegment`] if `..` leads above the root of the path, or a dot segment is disguised.
    pub fn from_headers(headers: &HeaderMap, requested: &EndpointUrl) -> Result<Self, InvalidUri> {
        let mut values = headers.get_all(LOCATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(InvalidUri::Syntax);
        };
        let value = value.to_str().map_err(|_| InvalidUri::Syntax)?;
        let reference = UriRef::parse(value).map_err(|_| InvalidUri::Syntax)?;
        let text = if reference.has_scheme() {
            value.to_owned()
        } else {
            // RFC 3986 §5.2.4 removes `.` and `..`. Segments that only some parsers read as dots are refused.
            let is_disguised =
                |segment: &str| !matches!(segment, "." | "..") && super::has_dot_segment(segment);
            if reference.path().as_str().split('/').any(is_disguised) {
                return Err(InvalidUri::DotSegment);
            }
            let base = Resolver::with_base(parts(requested.as_str())?).allow_path_underflow(false);
            let resolved = base.resolve(&reference).map_err(|error| match error {
                ResolveError::PathUnderflow => InvalidUri::DotSegment,
                _ => InvalidUri::Syntax,
            })?;
            resolved.into_string()
        };
        let uri = parts(&text)?;
        let scheme = uri.scheme().as_str();
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(InvalidUri::Scheme);
        }
        Ok(Self(WebUrl::measure(&uri)?.keep()))
    }

    /// Returns the URL to request next, if it is on the origin of `requested`.
    ///
    /// The scheme is https (or http on a loopback host), host and port are those of `requested`, and the URL has no
    /// userinfo, fragment or dot segment.
    #[must_use]
    pub fn on_origin_of(&self, requested: &EndpointUrl) -> Option<EndpointUrl> {
        let url = EndpointUrl::parse(self.0.as_str()).ok()?;
        // An HTTP library would resolve dot segments and request another path than the one that was checked.
        let is_plain = !super::has_dot_segment(url.path());
        (is_plain && url.origin() == requested.origin()).then_some(url)
    }

    /// Returns the next URL for a GET of a public document at `requested`, if the response redirects it.
    ///
    /// The redirect is followed if its status is 301, 307 or 308 (RFC 9110 §15.4) and its target is on the same
    /// origin.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};
    /// use oauth_types::{EndpointUrl, Location};
    ///
    /// let requested = EndpointUrl::parse("https://as.example/jwks")?;
    /// let to = |location| HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
    /// let next = |status, location| Location::of_document(&requested, status, &to(location));
    /// let moved = next(StatusCode::PERMANENT_REDIRECT, "/keys").ok_or("not followed")?;
    /// assert_eq!(moved.as_str(), "https://as.example/keys");
    /// assert_eq!(next(StatusCode::FOUND, "/login"), None);
    /// assert_eq!(next(StatusCode::PERMANENT_REDIRECT, "https://evil.example/keys"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of_document(
        requested: &EndpointUrl,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<EndpointUrl> {
        // A 302 or 303 leads to a page for a user, such as a login page, so it is not followed.
        let keeps_method = matches!(status.as_u16(), 301 | 307 | 308);
        let location = keeps_method.then(|| Self::from_headers(headers, requested).ok())??;
        location.on_origin_of(requested)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.without_query())
    }
}

impl fmt::Debug for Location {
    /// Omits the query, because errors that hold a location are logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn requested() -> EndpointUrl {
        EndpointUrl::parse("https://as.example/a/b?q=1").unwrap()
    }

    fn location(value: &str) -> Result<Location, InvalidUri> {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        Location::from_headers(&HeaderMap::from_iter([(LOCATION, value)]), &requested())
    }

    #[test]
    fn a_location_is_resolved_against_the_request() {
        for (value, url) in [
            ("https://as.example/c", "https://as.example/c"),
            ("HTTPS://AS.example:443/c?x=1", "HTTPS://AS.example:443/c?x=1"),
            ("//as.example/c", "https://as.example/c"),
            ("/c/?x=1", "https://as.example/c/?x=1"),
            // RFC 3986 §5.2
            ("c", "https://as.example/a/c"),
            ("b/", "https://as.example/a/b/"),
            ("b/?q=1", "https://as.example/a/b/?q=1"),
            ("./c", "https://as.example/a/c"),
            ("../c", "https://as.example/c"),
            ("/c/../d", "https://as.example/d"),
            ("?c", "https://as.example/a/b?c"),
            ("", "https://as.example/a/b?q=1"),
            ("%7Ec;x=1", "https://as.example/a/%7Ec;x=1"),
            ("..//evil.example/c", "https://as.example//evil.example/c"),
            ("c?u=//evil.example", "https://as.example/a/c?u=//evil.example"),
        ] {
            let target = location(value).unwrap().on_origin_of(&requested()).unwrap();
            assert_eq!(target.as_str(), url, "{value}");
        }
    }

    /// SEC-135
    #[test]
    fn no_spelling_leads_to_another_origin() {
        for value in [
            "https://evil.example/c",
            "//evil.example/c",
            "http://as.example/c",
            "https://as.example:8443/c",
            "https://as.example.evil.example/c",
            "https://as.example/c#f",
            "https://as.example/c/%2e%2e/d",
            "https://as.example/c/../d",
            "c#f",
            "#f",
        ] {
            let target = location(value).unwrap();
            assert_eq!(target.on_origin_of(&requested()), None, "{value}");
        }
        for value in [
            "https://as.example@evil.example/c",
            "https://u:p@as.example/c",
            "//u@as.example/c",
            "https:/\\evil.example/c",
            "/\\evil.example/c",
            "\\\\evil.example/c",
            "/c d",
            "javascript:alert(1)",
            "https:c",
            "///evil.example/c",
            "evil.example:443/c",
            "c:d",
            "c d",
            "/..%2fd",
            "%2e%2e/d",
            "c/.%2E/d",
            "c/..;x/d",
            "/../d",
            "../../d",
            "../../../evil.example/d",
        ] {
            assert!(location(value).is_err(), "{value}");
        }
        assert!(Location::from_headers(&HeaderMap::new(), &requested()).is_err());
        let mut twice = HeaderMap::new();
        twice.append(LOCATION, HeaderValue::from_static("/c"));
        twice.append(LOCATION, HeaderValue::from_static("/d"));
        assert!(Location::from_headers(&twice, &requested()).is_err());
    }

    #[test]
    fn a_location_is_shown_without_its_query() {
        let shown = location("http://as.example/c?token=canary#canary").unwrap().to_string();
        assert_eq!(shown, "http://as.example/c");
    }

    /// C-TOKEN-10
    #[test]
    fn neither_display_nor_debug_shows_the_query() {
        let target = location("https://as.example/c?code=canary#canary").unwrap();
        assert_eq!(target.to_string(), "https://as.example/c");
        assert_eq!(format!("{target:?}"), "Location(https://as.example/c)");
    }
}
