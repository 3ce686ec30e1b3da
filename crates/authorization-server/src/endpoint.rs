//! Form bodies of the token, revocation and introspection endpoints, and the checks before a parameter is read.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the method is POST | A-TOKEN-10 | 405 with `Allow` |
//! | no parameter is in the URL | | 400 `invalid_request` |
//! | the body is a form | A-TOKEN-10 | 400 `invalid_request` |
//! | it is within bounds | A-TOKEN-10 | 413, or 400 `invalid_request` |
//! | no parameter but `resource` is repeated | | 400 `invalid_request` |

use bytes::Bytes;
use client_auth::Presented;
use http::{Method, Request, StatusCode};
use oauth_types::{FormError, FormPairs, TokenErrorCode, media_type};

use crate::refusal::{Cause, Refusal};
use crate::resource_indicator::ResourceIndicator;

/// A form in which no parameter but `resource` is repeated.
#[derive(Debug)]
pub(crate) struct Form<'a>(FormPairs<'a>);

impl<'a> Form<'a> {
    /// Parses the form of a request, after the checks of this module.
    pub(crate) fn read(request: &'a Request<Bytes>) -> Result<Self, Refusal> {
        // A-TOKEN-10
        let bad = |cause, why| Refusal::token(cause, TokenErrorCode::InvalidRequest, why);
        if request.method() != Method::POST {
            return Err(Refusal::method("POST"));
        }
        // URLs are logged, so a secret in one is refused.
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(bad(Cause::QueryInUrl, "parameters belong in the body"));
        }
        if media_type(request.headers()).as_deref() != Some("application/x-www-form-urlencoded") {
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
            return Err(bad(Cause::RepeatedParameter, "a parameter is repeated"));
        }
        Ok(Self(form))
    }

    /// Returns the value of a parameter; an empty one counts as absent (RFC 6749 §3.2).
    pub(crate) fn get(&self, name: &'static str) -> Option<&str> {
        self.0.all(name).next().filter(|value| !value.is_empty())
    }

    /// Returns the `resource` parameter (RFC 8707).
    pub(crate) fn resource(&self) -> ResourceIndicator<'_> {
        ResourceIndicator::read(&self.0)
    }

    /// Parses the client credentials of a request (RFC 6749 §2.3).
    pub(crate) fn presented<B>(&self, request: &Request<B>) -> Result<Presented, Refusal> {
        Presented::parse(request.headers(), &self.0).map_err(Refusal::unauthenticated)
    }
}
