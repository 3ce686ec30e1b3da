//! Errors of the authorization endpoint that are redirected to the client (RFC 6749 §4.1.2.1, RFC 9207).

use core::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Response, StatusCode};
use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use oauth_types::{
    AuthorizationErrorCode, ErrorDescription, ErrorResponse, RedirectUri, Secret,
    json_response_uncached,
};

use super::{Cause, debug};
use crate::ErrorForm;
use crate::page::{handed_over, plain};

/// A refusal of the authorization endpoint after client and redirect URI are known: a redirect with `error`,
/// `state` and `iss`, or a page with a link to the same place, where a browser must not be sent unasked.
#[derive(Clone)]
pub struct RedirectError {
    cause: Cause,
    response: Box<Response<Bytes>>,
    /// The address that the browser is led to, and its host or scheme, where that is not the user's machine.
    away: Option<(Box<str>, Box<str>)>,
    /// The same error as JSON, for a program that would get a page.
    json: Bytes,
}

impl RedirectError {
    pub(crate) fn new(
        cause: Cause,
        code: AuthorizationErrorCode,
        description: &str,
        redirect_uri: &RedirectUri,
        state: Option<&str>,
        identification: &IssuerIdentification,
    ) -> Self {
        let json = ErrorResponse::new(code.clone()).with_description(description).to_json();
        let description = Some(ErrorDescription::new(description));
        let outcome = Outcome::Error { code, description };
        let location = AuthorizationResponse { redirect_uri, state, outcome: &outcome }
            .location(identification);
        let away = (!redirect_uri.is_loopback())
            .then(|| (location.expose().into(), redirect_uri.display_host().into()));
        Self { cause, response: Box::new(send_to(redirect_uri, &location)), away, json }
    }

    /// The same where nobody may be asked to log in: a page instead of a redirect that leads away.
    #[must_use]
    pub fn without_asking(self) -> Self {
        let Some((location, host)) = &self.away else { return self };
        let text = "An application wanted to log in without asking you. If you came here from it, go back to it.";
        let link = Some((&**location, &*format!("Go back to {host}")));
        let page = plain(StatusCode::BAD_REQUEST, "Login not possible", text, link);
        Self { cause: self.cause, response: Box::new(page), away: None, json: self.json }
    }

    /// Answers in this form instead of with a page; a redirect stays one.
    #[must_use]
    pub fn with_form(mut self, form: ErrorForm) -> Self {
        let status = self.response.status();
        if form == ErrorForm::Json && (status.is_client_error() || status.is_server_error()) {
            *self.response = json_response_uncached(status, self.json.clone());
        }
        self
    }

    /// What exactly was wrong, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether somebody has to be logged in before this is sent: it leads the browser to a place that anybody
    /// could have registered (RFC 9700 §4.11.2).
    #[must_use]
    pub const fn needs_user(&self) -> bool {
        self.away.is_some()
    }

    /// The redirect, or the page.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }
}

impl fmt::Debug for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("RedirectError", self.cause, &self.response, f)
    }
}

/// The answer that leads back to a client.
pub(crate) fn redirect(
    redirect_uri: &RedirectUri,
    state: Option<&str>,
    outcome: &Outcome,
    identification: &IssuerIdentification,
) -> Response<Bytes> {
    // A-AUTHZ-3, A-AUTHZ-4
    let location = AuthorizationResponse { redirect_uri, state, outcome }.location(identification);
    send_to(redirect_uri, &location)
}

/// Sends a browser back: 303, so that a POST is never repeated there (A-AUTHZ-11), or a page that opens an installed
/// application and stays.
fn send_to(redirect_uri: &RedirectUri, location: &Secret) -> Response<Bytes> {
    if redirect_uri.is_private_use() {
        return handed_over(location.expose(), redirect_uri.display_host());
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.extend(location.header_value("").map(|value| (LOCATION, value)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
