//! Refusals with their finished replies. Where one may go is its type.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use client_auth::{InvalidProof, Reason};
use http::header::{ALLOW, CACHE_CONTROL, LOCATION, REFERRER_POLICY, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use oauth_types::{
    AuthorizationErrorCode, EndpointUrl, ErrorDescription, ErrorResponse, InvalidClientId,
    RedirectUri, RegistrationErrorCode, Secret, TokenErrorCode, json_response_uncached,
};

use crate::page::{handed_over, plain};
use crate::{AssertionError, CorrelationId, ErrorForm, StoreError};

/// When a failure is worth another try, in seconds.
const RETRY: &str = "2";

/// What exactly was wrong: for the log, never for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The method is not one of the endpoint's.
    Method,
    /// The body is too long, or not of the form the endpoint reads.
    Body,
    /// A parameter is missing, repeated, malformed, or in the wrong place.
    Parameter(&'static str),
    /// Client authentication failed.
    Client(Reason),
    /// No client has this identifier.
    UnknownClient,
    /// The identifier looks like the URL of a document, and breaks this rule.
    ClientUrl(InvalidClientId),
    /// The identifier is the URL of a document, and there is no client in it.
    ClientDocument,
    /// The redirect URI is not one of the client's.
    RedirectUri,
    /// The client may not use this grant, or the server lacks it.
    Grant,
    /// A scope is unknown or wider than granted.
    Scope,
    /// A resource is unknown or not the one that was authorized.
    Target,
    /// No such code or token, or not this client's.
    UnknownGrant,
    /// The code or family has expired.
    Expired,
    /// The verifier does not match the challenge.
    Verifier,
    /// A code was used a second time; its family is revoked.
    CodeReplayed,
    /// A refresh token was used again after its grace; its family is revoked.
    RefreshTokenReused,
    /// The family was revoked before.
    Revoked,
    /// A redirect URI in a registration is not allowed.
    RegisteredRedirectUri,
    /// The registration quota is reached.
    Quota,
    /// Somebody would have to be asked, and the request does not allow it.
    Unasked,
    /// Too many requests from one address.
    TooMany,
    /// An answer to a consent page is refused.
    Consent(ConsentError),
    /// A proof of possession is not taken, or missing.
    Proof(InvalidProof),
    /// The word of an identity provider is not taken.
    Assertion(AssertionError),
    /// The store failed.
    Store(StoreError),
    /// The host's own code panicked.
    Panicked,
    /// The host's own code took too long.
    Late,
}

/// Why an answer to a consent page is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ConsentError {
    /// Nobody waits for it: it was given before, or came too late, or never belonged to a page.
    Gone,
    /// It comes from another browser than the one that was asked.
    OtherBrowser,
    /// It comes from another user than the one who was asked, or from nobody who is logged in.
    OtherUser,
    /// It comes from a page of another site.
    OtherSite,
}

/// Why the body of a request was not read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UnreadBody {
    /// It is longer than anything that is read here.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// It ended too early, or is not framed as it says.
    Broken,
}

impl UnreadBody {
    const fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<UnreadBody> for Refusal {
    fn from(error: UnreadBody) -> Self {
        let why = match error {
            UnreadBody::TooLong => "the body is too long",
            UnreadBody::TooSlow => "the body did not arrive in time",
            UnreadBody::Broken => "the body is broken off",
        };
        Self::token(Cause::Body, TokenErrorCode::InvalidRequest, why).with_status(error.status())
    }
}

impl From<UnreadBody> for PageError {
    fn from(error: UnreadBody) -> Self {
        Self::with_status(Cause::Body, error.status())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A refusal of the token, registration or revocation endpoint: JSON, never cached.
#[derive(Clone)]
pub struct Refusal {
    cause: Cause,
    response: Box<Response<Bytes>>,
}

impl Refusal {
    /// What exactly was wrong, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// The reply.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    /// Whether the reply says that the server failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.response.status().is_server_error()
    }

    /// Puts the number under which the log has this failure into a reply that says that the server failed.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId) -> Self {
        // Into the description, which is what clients show to people.
        if self.is_failure()
            && let Ok(error) = ErrorResponse::<String>::from_json(self.response.body())
        {
            let said = error.error_description.as_ref().map_or("", ErrorDescription::as_str);
            let description = format!("{said} (number {id} in the server's log)");
            *self.response.body_mut() = error.with_description(&description).to_json();
        }
        self
    }

    pub(crate) fn new(cause: Cause, response: Response<Bytes>) -> Self {
        Self { cause, response: Box::new(response) }
    }

    /// 400 with a code of the token endpoint.
    pub(crate) fn token(cause: Cause, code: TokenErrorCode, description: &str) -> Self {
        // A-TOKEN-7
        let body = ErrorResponse::new(code).with_description(description).to_json();
        Self::new(cause, json_response_uncached(StatusCode::BAD_REQUEST, body))
    }

    /// 400 with a code of the registration endpoint.
    pub(crate) fn registration(
        cause: Cause,
        code: RegistrationErrorCode,
        description: &str,
    ) -> Self {
        let body = ErrorResponse::new(code).with_description(description).to_json();
        Self::new(cause, json_response_uncached(StatusCode::BAD_REQUEST, body))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        *self.response.status_mut() = status;
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.response.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }

    /// 400 that asks for a proof with this nonce (RFC 9449 §8).
    #[cfg(feature = "dpop")]
    pub(crate) fn use_nonce(nonce: &str) -> Self {
        let cause = Cause::Proof(InvalidProof::Nonce);
        let why = "send the proof with this nonce";
        let mut own = Self::token(cause, TokenErrorCode::UseDpopNonce, why);
        let name = HeaderName::from_static("dpop-nonce");
        own.response.headers_mut().extend(HeaderValue::from_str(nonce).map(|nonce| (name, nonce)));
        own
    }

    /// 405 with the methods that are allowed.
    pub(crate) fn method(allowed: &'static str) -> Self {
        Self::token(Cause::Method, TokenErrorCode::InvalidRequest, "use another method")
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(ALLOW, allowed)
    }

    /// The reply when the store failed: nothing was promised, and the same request may be sent again.
    #[must_use]
    pub fn store(error: StoreError) -> Self {
        let cause = Cause::Store(error);
        match error {
            StoreError::Corrupt => Self::server_error(cause),
            StoreError::Unavailable | StoreError::UnknownOutcome => Self::unavailable(cause),
        }
    }

    /// 429: one address does this too often. It may come again after this time.
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        let code = TokenErrorCode::TemporarilyUnavailable;
        let mut refusal = Self::token(Cause::TooMany, code, "too many requests from one address")
            .with_status(StatusCode::TOO_MANY_REQUESTS);
        // Whole seconds, and never too early.
        let rest = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(rest).max(1);
        refusal.response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        refusal
    }

    /// Whether somebody said to be a client, and could not show it: what guessing looks like.
    #[must_use]
    pub const fn is_failed_authentication(&self) -> bool {
        matches!(self.cause, Cause::Client(_))
    }

    /// The reply when the host's own code took too long. What it did by then, nobody knows; the same request may be
    /// sent again.
    #[must_use]
    pub fn late() -> Self {
        Self::unavailable(Cause::Late)
    }

    fn unavailable(cause: Cause) -> Self {
        Self::token(cause, TokenErrorCode::TemporarilyUnavailable, "try again")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, RETRY)
    }

    /// The reply when the host's own code panicked: what it said is not the peer's business.
    #[must_use]
    pub fn panicked() -> Self {
        Self::server_error(Cause::Panicked)
    }

    fn server_error(cause: Cause) -> Self {
        Self::token(cause, TokenErrorCode::ServerError, "the server failed")
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Refusal", self.cause, &self.response, f)
    }
}

/// Without headers and body: a redirect repeats what the request said, for the client alone.
fn debug(
    name: &str,
    cause: Cause,
    response: &Response<Bytes>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let status = response.status().as_u16();
    f.debug_struct(name).field("cause", &cause).field("status", &status).finish_non_exhaustive()
}

/// A refusal of the authorization endpoint before client and redirect URI are both known: a page on the
/// server's own origin, and never a redirect.
#[derive(Clone, Debug)]
pub struct PageError {
    cause: Cause,
    status: StatusCode,
    allow: Option<&'static str>,
    correlation: Option<CorrelationId>,
    form: ErrorForm,
    /// The registration endpoint, where a client has to register anew.
    register: Option<EndpointUrl>,
}

impl PageError {
    pub(crate) const fn new(cause: Cause) -> Self {
        // A-AUTHZ-1
        Self::with_status(cause, StatusCode::BAD_REQUEST)
    }

    const fn with_status(cause: Cause, status: StatusCode) -> Self {
        Self {
            cause,
            status,
            allow: None,
            correlation: None,
            form: ErrorForm::Page,
            register: None,
        }
    }

    /// A client that nobody knows. In JSON the error names the registration endpoint, because a client that registered
    /// itself (mcp-remote) reads there that it has to register anew.
    pub(crate) fn unknown_client(cause: Cause, register: &EndpointUrl) -> Self {
        let register = (cause == Cause::UnknownClient).then(|| register.clone());
        Self { register, ..Self::new(cause) }
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        let refused = Self::with_status(Cause::Method, StatusCode::METHOD_NOT_ALLOWED);
        Self { allow: Some(allow), ..refused }
    }

    /// The page when the store failed.
    #[must_use]
    pub const fn store(error: StoreError) -> Self {
        let status = match error {
            StoreError::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
            StoreError::Unavailable | StoreError::UnknownOutcome => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::with_status(Cause::Store(error), status)
    }

    /// The page when the host's own code took too long.
    #[must_use]
    pub const fn late() -> Self {
        Self::with_status(Cause::Late, StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The page when the host's own code panicked.
    #[must_use]
    pub const fn panicked() -> Self {
        Self::with_status(Cause::Panicked, StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The page for an answer to a consent page that nobody waits for: it was given before, it came too late,
    /// or it comes from somebody else than was asked.
    #[must_use]
    pub const fn consent(cause: ConsentError) -> Self {
        let status = match cause {
            ConsentError::Gone => StatusCode::BAD_REQUEST,
            ConsentError::OtherBrowser | ConsentError::OtherUser | ConsentError::OtherSite => {
                StatusCode::FORBIDDEN
            }
        };
        Self::with_status(Cause::Consent(cause), status)
    }

    /// Whether the page says that the server failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status.is_server_error()
    }

    /// Puts the number under which the log has this failure on a page that says that the server failed.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId) -> Self {
        self.correlation = self.is_failure().then_some(id);
        self
    }

    /// What exactly was wrong, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Answers in this form instead of with a page.
    #[must_use]
    pub const fn with_form(mut self, form: ErrorForm) -> Self {
        self.form = form;
        self
    }

    /// Returns the code that says the same to a program.
    const fn code(&self) -> TokenErrorCode {
        match self.cause {
            Cause::UnknownClient | Cause::ClientUrl(_) | Cause::ClientDocument => {
                TokenErrorCode::InvalidClient
            }
            Cause::Panicked | Cause::Store(StoreError::Corrupt) => TokenErrorCode::ServerError,
            Cause::Store(_) | Cause::Late => TokenErrorCode::TemporarilyUnavailable,
            _ => TokenErrorCode::InvalidRequest,
        }
    }

    /// The page, or JSON. It holds no text of the request.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let advice = match self.cause {
            // The words by which mcp-remote notices that it has been forgotten.
            Cause::UnknownClient if self.form == ErrorForm::Json => {
                "The client is not registered here. Register it anew."
            }
            Cause::UnknownClient => "The application is not known here. Start again from it.",
            Cause::ClientUrl(_) | Cause::ClientDocument => {
                "The application says what it is at an address that cannot be read now, or is not accepted. \
                 Try again, or ask its makers."
            }
            Cause::RedirectUri => {
                "The application asks to be answered at an address it did not register."
            }
            Cause::Consent(ConsentError::Gone) => {
                "This page was answered before, or is too old. Start again from the application."
            }
            Cause::Consent(_) => {
                "This answer does not come from the page and the person that were asked. Start again from \
                 the application."
            }
            Cause::Store(_) | Cause::Late | Cause::Panicked => {
                "The server cannot answer now. Try again in a moment."
            }
            _ => "The application sent a request that cannot be read.",
        };
        let number = self.correlation.map_or(String::new(), |id| {
            format!(" Whoever runs the server finds it in the log under {id}.")
        });
        let advice = [advice, &*number].concat();
        let mut response = match self.form {
            ErrorForm::Page => plain(self.status, "Login not possible", &advice, None),
            ErrorForm::Json => {
                let mut error = ErrorResponse::new(self.code()).with_description(&advice);
                if let Some(register) = &self.register {
                    let register = register.as_str().into();
                    error.extra.0.insert("registration_endpoint".into(), register);
                }
                json_response_uncached(self.status, error.to_json())
            }
        };
        let allow = self.allow.map(|allow| (ALLOW, HeaderValue::from_static(allow)));
        response.headers_mut().extend(allow);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY));
        }
        response
    }
}

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
