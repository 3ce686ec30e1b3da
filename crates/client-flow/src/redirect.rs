//! Redirects of the MCP endpoint (RFC 9110 §15.4).
//!
//! | response to a request for the MCP endpoint | leads to |
//! |---|---|
//! | the first 307 or 308 that only adds or removes a slash at the path's end | that URL, with token, method and body |
//! | any other 301, 302, 303, 307 or 308 | [`EndpointMoved`] |
//! | any other response, or a response to another URL | no redirect: [`judge`](crate::judge()) the response |
//!
//! Such a URL has the same origin and the same query.

use core::fmt;

use http::{HeaderMap, StatusCode};
use oauth_types::{EndpointUrl, Location, ResourceUri};

use crate::judge::Tried;

/// Redirect of the MCP endpoint that is not followed, because the token would be sent along.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EndpointMoved {
    /// The status of the redirect.
    pub status: StatusCode,
    /// The target, without its query; `None` if the response names no web URL.
    pub location: Option<Location>,
}

/// Returns the URL to send the same request to, if the response is a redirect to follow.
///
/// `None` means that the response is not a redirect of the MCP endpoint.
///
/// Frameworks that mount an application at a path answer `/mcp` with a redirect to `/mcp/`, or the reverse. That URL is
/// the same resource on the same origin, so the token may be sent there. Set [`Tried::redirect`] before you send the
/// request again; a DPoP proof is made for the new URL (RFC 9449 §4.2).
///
/// ```
/// use client_flow::{Tried, endpoint_redirect};
/// use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};
/// use oauth_types::ResourceUri;
///
/// let server = ResourceUri::canonical("https://rs.example/mcp")?;
/// let to = |location| HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
/// let follow = |location| {
///     let response = (StatusCode::TEMPORARY_REDIRECT, &to(location));
///     endpoint_redirect(&server, server.as_str(), Tried::default(), response)
/// };
/// let url = follow("/mcp/")?.ok_or("no redirect")?;
/// assert_eq!(url.as_str(), "https://rs.example/mcp/");
/// let moved = follow("https://other.example/mcp?key=1").unwrap_err();
/// assert!(moved.to_string().contains("https://other.example/mcp,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`EndpointMoved`] when the endpoint redirects to any other URL, or a second time.
pub fn endpoint_redirect(
    server: &ResourceUri,
    requested: &str,
    tried: Tried,
    (status, headers): (StatusCode, &HeaderMap),
) -> Result<Option<EndpointUrl>, EndpointMoved> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let parsed = (EndpointUrl::parse(server.as_str()), EndpointUrl::parse(requested));
    let (Ok(endpoint), Ok(requested)) = parsed else { return Ok(None) };
    if endpoint.origin() != requested.origin() || !differ_by_slash(&endpoint, &requested) {
        return Ok(None);
    }
    let location = Location::from_headers(headers, &requested).ok();
    let target = location.as_ref().and_then(|location| location.on_origin_of(&requested));
    let is_slash_form = |target: &EndpointUrl| {
        target.path() != requested.path()
            && differ_by_slash(target, &requested)
            && target.query() == requested.query()
    };
    // 301, 302 and 303 may turn a POST into a GET.
    let may_follow = matches!(status.as_u16(), 307 | 308) && !tried.redirect;
    match target.filter(is_slash_form).filter(|_| may_follow) {
        Some(target) => Ok(Some(target)),
        None => Err(EndpointMoved { status, location }),
    }
}

/// Returns `true` if two paths differ by at most one slash at the end.
fn differ_by_slash(one: &EndpointUrl, other: &EndpointUrl) -> bool {
    let [one, other] = [one, other].map(|url| url.path().strip_suffix('/').unwrap_or(url.path()));
    one == other
}

impl fmt::Display for EndpointMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        let Some(location) = &self.location else {
            return write!(
                f,
                "the MCP server answered {status} without an address to go to; its operator has to \
                 correct `Location`"
            );
        };
        write!(
            f,
            "the MCP server has moved: it answered {status} and leads to {location}, where its \
             token is not sent; use that address for the server if you trust it"
        )?;
        if location.to_string().starts_with("http:") {
            f.write_str(
                "; if it should be https, the server does not know its public address, and its \
                 operator has to pass the scheme on, as with `X-Forwarded-Proto`",
            )?;
        }
        Ok(())
    }
}

impl core::error::Error for EndpointMoved {}
