//! JSON answers, with the caching that OAuth asks for.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, PRAGMA,
};
use http::{HeaderValue, Method, Response, StatusCode};

/// The answer to a request for a metadata document: public, kept by any cache for an hour, readable from any
/// origin (RFC 8414 §3.2, RFC 9728 §3.2). Other methods than GET and HEAD are told so.
#[must_use]
pub fn metadata_response(method: &Method, document: Bytes) -> Response<Bytes> {
    if *method != Method::GET && *method != Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, Bytes::new(), &[(ALLOW, "GET, HEAD")]);
    }
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    answer(StatusCode::OK, document, &headers)
}

/// A JSON answer that no cache may keep: everything that holds a token, a secret or an error about
/// one (RFC 6749 §5.1, §5.2).
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
