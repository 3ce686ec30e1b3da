//! What all form endpoints check before they read a parameter.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the method is POST | A-TOKEN-10 | 405 with `Allow` |
//! | no parameter is in the URL | | 400 `invalid_request` |
//! | the body is a form | A-TOKEN-10 | 400 `invalid_request` |
//! | it is within bounds | A-TOKEN-10 | 413, or 400 `invalid_request` |
//! | no parameter but `resource` is repeated | | 400 `invalid_request` |

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use oauth_types::{FormError, FormPairs, TokenErrorCode, media_type};

use crate::{Cause, Refusal};

/// The form that a POST to the token or revocation endpoint carries.
pub(crate) fn read_form(request: &Request<Bytes>) -> Result<FormPairs<'_>, Refusal> {
    // A-TOKEN-10
    let bad = |cause, why| Refusal::token(cause, TokenErrorCode::InvalidRequest, why);
    if request.method() != Method::POST {
        return Err(Refusal::method("POST"));
    }
    // A secret in a URL is a secret in a log: it is not honoured.
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(bad(Cause::Parameter("query"), "parameters belong in the body"));
    }
    if media_type(request.headers()) != "application/x-www-form-urlencoded" {
        return Err(bad(Cause::Body, "send application/x-www-form-urlencoded"));
    }
    let form = FormPairs::parse(request.body()).map_err(|error| {
        let refusal = bad(Cause::Body, "the form is malformed or too long");
        match error {
            FormError::TooLong => refusal.with_status(StatusCode::PAYLOAD_TOO_LARGE),
            _ => refusal,
        }
    })?;
    if form.has_repeated_except("resource") {
        return Err(bad(Cause::Parameter("repeated"), "a parameter is repeated"));
    }
    Ok(form)
}
