//! Errors of the authorization endpoint that are redirected to the client (RFC 6749 §4.1.2.1, RFC 9207).

use core::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Response, StatusCode};
use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use oauth_types::{
    AuthorizationErrorCode, ErrorDescription, ErrorResponse, RedirectUri, Secret, SecretDigest,
    Subject, UnixTime, json_response_uncached,
};

use super::Cause;
use crate::destination::Destination;
use crate::error_form::ErrorForm;
use crate::page::{Next, handed_over, plain};
use crate::store::ConsentRecord;

/// Refusal of the authorization endpoint that is redirected to the client.
///
/// The reply is a redirect with `error`, `state` and `iss`, or a page with a link to the same address. It is the page
/// unless the redirect is known to be harmless, so that a host that calls no further method is no open redirector
/// (RFC 9700 §4.11.2). The head of `authorize.rs` has the table.
#[derive(Clone)]
pub struct RedirectError {
    cause: Cause,
    redirect: Box<Response<Bytes>>,
    way: Way,
    /// Address of the redirect and its host or scheme, for the link of the page.
    link: (Box<str>, Box<str>),
    /// Error as JSON, for a program that would get a page.
    json: Bytes,
    form: ErrorForm,
}

/// Condition under which the browser is redirected without a click.
#[derive(Clone)]
enum Way {
    Open,
    /// Redirect if a user is logged in.
    User,
    /// Redirect if the logged-in user agreed to this destination before.
    Consent(Box<Destination>),
    Closed,
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
        let location = AuthorizationResponse::new(redirect_uri, &outcome)
            .with_state(state)
            .location(identification);
        Self {
            cause,
            redirect: Box::new(send_to(redirect_uri, &location)),
            way: if redirect_uri.is_loopback() { Way::Open } else { Way::Closed },
            link: (location.expose().into(), redirect_uri.display_host().into()),
            json,
            form: ErrorForm::Page,
        }
    }

    /// Allows the redirect if a user is logged in.
    ///
    /// For a web redirect URI of a client that the operator did not store, the user must also have agreed to this
    /// destination before.
    pub(crate) fn for_user(mut self, destination: Destination) -> Self {
        self.way = match self.way {
            Way::Closed
                if destination.is_of_operator || destination.redirect_uri.is_private_use() =>
            {
                Way::User
            }
            Way::Closed => Way::Consent(Box::new(destination)),
            way => way,
        };
        self
    }

    /// Allows the redirect, because the user has acted.
    pub(crate) fn after_consent(mut self) -> Self {
        self.way = Way::Open;
        self
    }

    /// Returns `true` if the redirect depends on the user who is logged in.
    ///
    /// Continue with [`with_user`](Self::with_user) if a user is logged in.
    #[must_use]
    pub const fn needs_user(&self) -> bool {
        matches!(self.way, Way::User | Way::Consent(_))
    }

    /// Returns the key of the consent on which the redirect depends, if any.
    ///
    /// Look it up with [`Store::read_consent`](crate::Store::read_consent).
    #[must_use]
    pub fn consent_key(&self, subject: &Subject) -> Option<SecretDigest> {
        match &self.way {
            Way::Consent(destination) => destination.key(subject),
            _ => None,
        }
    }

    /// Continues with the user who is logged in and the stored consent, if any.
    #[must_use]
    pub fn with_user(
        self,
        subject: &Subject,
        consent: Option<&ConsentRecord>,
        now: UnixTime,
    ) -> Self {
        let key = self.consent_key(subject);
        let is_known = consent.is_some_and(|own| Some(own.key) == key && now < own.until);
        let is_open = match self.way {
            Way::User => true,
            Way::Consent(_) => is_known,
            Way::Open | Way::Closed => false,
        };
        if is_open { self.after_consent() } else { self }
    }

    /// Sets the form of the reply, a page or JSON; a redirect stays a redirect.
    #[must_use]
    pub const fn with_form(mut self, form: ErrorForm) -> Self {
        self.form = form;
        self
    }

    /// Returns the cause, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Returns the redirect, or the page with a link.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let status = StatusCode::BAD_REQUEST;
        match (self.way, self.form) {
            (Way::Open, _) => *self.redirect,
            (_, ErrorForm::Json) => json_response_uncached(status, self.json),
            (_, ErrorForm::Page) => {
                let text = "An application sent you here with a request that cannot be granted. If you came here from \
                            it, go back to it.";
                let (location, host) = &self.link;
                let link = Next::Link(location.to_string(), format!("Go back to {host}"));
                plain(status, "Login not possible", text, &link)
            }
        }
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the reply leads back to the client)", self.cause)
    }
}

impl core::error::Error for RedirectError {}

impl fmt::Debug for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body are left out, because a redirect repeats text of the request for the client alone.
        f.debug_struct("RedirectError")
            .field("cause", &self.cause)
            .field("redirects", &matches!(self.way, Way::Open))
            .finish_non_exhaustive()
    }
}

/// Returns the authorization response that sends the browser to the client.
pub(crate) fn redirect(
    redirect_uri: &RedirectUri,
    state: Option<&str>,
    outcome: &Outcome,
    identification: &IssuerIdentification,
) -> Response<Bytes> {
    // A-AUTHZ-3, A-AUTHZ-4
    let location = AuthorizationResponse::new(redirect_uri, outcome)
        .with_state(state)
        .location(identification);
    send_to(redirect_uri, &location)
}

/// Returns a reply that sends the browser to the client.
///
/// It is a 303, so that a POST is never repeated there (A-AUTHZ-11), or a page that opens an installed application.
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
