//! Cross-origin requests (CORS, Fetch §3.2) of clients that run in browsers.
//!
//! These layers answer preflights and name the response headers that a page may read. Cookies are ignored, so
//! `Access-Control-Allow-Credentials` is never sent.

use core::time::Duration;
use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE,
    ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, Method, Request};
use oauth_types::header::{
    DPOP, DPOP_NONCE, LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID,
};
use resource_server::Resource;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// Request headers of OAuth and MCP that a preflight has to allow.
const REQUEST_HEADERS: [HeaderName; 8] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    DPOP,
    LAST_EVENT_ID,
    MCP_PROTOCOL_VERSION,
    MCP_SESSION_ID,
    MCP_METHOD,
    MCP_NAME,
];

/// Response headers that clients need to read.
const RESPONSE_HEADERS: [HeaderName; 4] =
    [WWW_AUTHENTICATE, RETRY_AFTER, DPOP_NONCE, MCP_SESSION_ID];

/// Time for which a browser may cache the answer to a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(RESPONSE_HEADERS)
        .max_age(MAX_AGE)
}

/// Creates the layer for routes that pages of any origin may call.
///
/// These are public documents, and endpoints that ignore cookies.
pub(crate) fn public(method: Method) -> CorsLayer {
    cors().allow_origin(Any).allow_methods([method])
}

/// Creates the layer for a cross-origin request to a protected resource.
///
/// The resource's settings decide which origins may read the answer. Returns `None` for a request without `Origin`, and
/// for an `OPTIONS` request that is not a preflight.
pub(crate) fn of_resource<B>(resource: &Arc<Resource>, request: &Request<B>) -> Option<CorsLayer> {
    let headers = request.headers();
    if !headers.contains_key(ORIGIN) {
        return None;
    }
    let resource = Arc::clone(resource);
    let origins = AllowOrigin::predicate(move |origin, _| {
        origin.to_str().is_ok_and(|origin| resource.is_open_to(origin))
    });
    let methods = [Method::GET, Method::POST, Method::DELETE];
    let cors = cors().allow_methods(methods).allow_origin(origins);
    if request.method() != Method::OPTIONS {
        return Some(cors);
    }
    // An OPTIONS request without this header is no preflight, so it needs a token like any other request.
    headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD).then(|| {
        let more = headers_of_mcp(headers);
        cors.allow_headers(REQUEST_HEADERS.into_iter().chain(more).collect::<Vec<_>>())
    })
}

/// Returns further MCP headers of a preflight, such as a tool's `Mcp-Param-…`.
fn headers_of_mcp(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lines = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    names
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .filter(|name| name.as_str().starts_with("mcp-") && !REQUEST_HEADERS.contains(name))
}
