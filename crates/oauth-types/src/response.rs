//! JSON answers, with the caching that OAuth asks for.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, Response, StatusCode};

/// A JSON answer that any cache may keep for an hour: metadata.
#[must_use]
pub fn json_response(status: StatusCode, json: Bytes) -> Response<Bytes> {
    let mut response = Response::new(json);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// A JSON answer that no cache may keep: everything that holds a token, a secret or an error about
/// one (RFC 6749 §5.1, §5.2).
#[must_use]
pub fn json_response_uncached(status: StatusCode, json: Bytes) -> Response<Bytes> {
    let mut response = json_response(status, json);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
