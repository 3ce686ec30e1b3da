//! JSON responses with the `Cache-Control` that OAuth requires, and media types of bodies.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, PRAGMA,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// Returns the media type of a body, in lower case and without parameters (RFC 9110 §8.3).
///
/// # Examples
///
/// ```
/// use http::HeaderMap;
/// use http::header::{CONTENT_TYPE, HeaderValue};
/// use oauth_types::media_type;
///
/// let value = HeaderValue::from_static("Application/JSON; charset=utf-8");
/// let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
/// assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
/// ```
#[must_use]
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let own = value.split_once(';').map_or(value, |(own, _)| own);
    Some(own.trim().to_ascii_lowercase())
}

/// Creates the response to a request for a metadata document (RFC 8414 §3.2, RFC 9728 §3.2).
///
/// It is public, cacheable for 3600 seconds and readable from any origin. Methods other than GET and HEAD get a 405.
///
/// # Examples
///
/// ```
/// use http::Method;
/// use http::header::CACHE_CONTROL;
/// use oauth_types::metadata_response;
///
/// let response = metadata_response(&Method::GET, "{}".into());
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=3600");
/// ```
#[must_use]
pub fn metadata_response(method: &Method, document: Bytes) -> Response<Bytes> {
    public(method, document, "application/json", "public, max-age=3600")
}

/// Creates the response to a request for public keys (RFC 7517 §5, §8.5.2).
///
/// It equals a metadata response, but is cacheable for 300 seconds only, so that a revoked key is not trusted for
/// long.
#[must_use]
pub fn key_set_response(method: &Method, document: Bytes) -> Response<Bytes> {
    public(method, document, "application/jwk-set+json", "public, max-age=300")
}

fn public(
    method: &Method,
    document: Bytes,
    content_type: &'static str,
    caching: &'static str,
) -> Response<Bytes> {
    if *method != Method::GET && *method != Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, Bytes::new(), &[(ALLOW, "GET, HEAD")]);
    }
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, caching),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    answer(StatusCode::OK, document, &headers)
}

/// Creates a JSON response that must not be cached (RFC 6749 §5.1, §5.2).
///
/// Use it for every response with a token, a secret or an error about one.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use http::header::CACHE_CONTROL;
/// use oauth_types::json_response_uncached;
///
/// let response = json_response_uncached(StatusCode::OK, r#"{"active":false}"#.into());
/// assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
/// ```
#[must_use]
pub fn json_response_uncached(status: StatusCode, json: Bytes) -> Response<Bytes> {
    let headers =
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    answer(status, json, &headers)
}

fn answer(
    status: StatusCode,
    body: Bytes,
    headers: &[(HeaderName, &'static str)],
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value =
        |(name, text): &(HeaderName, &'static str)| (name.clone(), HeaderValue::from_static(text));
    response.headers_mut().extend(headers.iter().map(value));
    response
}
