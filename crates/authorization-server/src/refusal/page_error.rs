//! Errors of the authorization endpoint that are never redirected: a page or JSON (RFC 6749 §4.1.2.1).

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use oauth_types::{EndpointUrl, ErrorResponse, TokenErrorCode, json_response_uncached};

use super::{Cause, ConsentError, RETRY, UnreadBody};
use crate::correlation::CorrelationId;
use crate::error_form::ErrorForm;
use crate::page::{Next, plain};
use crate::store::StoreError;

/// Refusal of the authorization endpoint that is shown as a page.
///
/// Never a redirect, because the client or its redirect URI is not known (RFC 6749 §4.1.2.1).
#[derive(Clone, Debug)]
pub struct PageError {
    cause: Cause,
    status: StatusCode,
    allow: Option<&'static str>,
    correlation: Option<CorrelationId>,
    form: ErrorForm,
    /// URL of the registration endpoint, if the client has to register again.
    register: Option<EndpointUrl>,
    /// Boxed, because few errors have one.
    login: Option<Box<LoginFailure>>,
}

/// Failure of the host's login, and how the browser repeats its request.
#[derive(Clone, Debug)]
struct LoginFailure {
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
    next: Next,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the reply is a page with the status {})", self.cause, self.status.as_u16())
    }
}

impl Error for PageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.login.as_ref()?.source.as_ref()?;
        Some(&**source)
    }
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
            login: None,
        }
    }

    /// Returns the error for an unknown client.
    ///
    /// The JSON form names the registration endpoint, because some clients that registered themselves (mcp-remote) read
    /// there that they have to register again.
    pub(crate) fn unknown_client(cause: Cause, register: &EndpointUrl) -> Self {
        let register = (cause == Cause::UnknownClient).then(|| register.clone());
        Self { register, ..Self::new(cause) }
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        let refused = Self::with_status(Cause::Method, StatusCode::METHOD_NOT_ALLOWED);
        Self { allow: Some(allow), ..refused }
    }

    /// Returns the page for a failure of the store.
    #[must_use]
    pub const fn store(error: StoreError) -> Self {
        let status = match error {
            StoreError::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
            StoreError::Unavailable | StoreError::UnknownOutcome => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::with_status(Cause::Store(error), status)
    }

    /// Returns the page for a login of the host that cannot tell now which user a browser belongs to.
    ///
    /// `source` is for the log and is never shown. The reply has a `Retry-After` if the time is known. The page repeats
    /// the request if [`with_retry_link`](Self::with_retry_link) or [`with_retry_of`](Self::with_retry_of) is called.
    ///
    /// ```
    /// use authorization_server::PageError;
    ///
    /// let down = std::io::Error::other("no route to db.internal");
    /// let error = PageError::login_unavailable(None, Some(std::sync::Arc::new(down)))
    ///     .with_retry_link("/authorize?client_id=c1&state=x");
    /// let page = error.into_response();
    /// assert_eq!(page.status(), 503);
    /// let html = std::str::from_utf8(page.body())?;
    /// assert!(html.contains("?client_id=c1&amp;state=x") && !html.contains("db.internal"));
    /// # Ok::<(), std::str::Utf8Error>(())
    /// ```
    #[must_use]
    pub fn login_unavailable(
        retry_after: Option<Duration>,
        source: Option<Arc<dyn Error + Send + Sync>>,
    ) -> Self {
        let failure = LoginFailure { retry_after, source, next: Next::Nothing };
        let error = Self::with_status(Cause::LoginUnavailable, StatusCode::SERVICE_UNAVAILABLE);
        Self { login: Some(Box::new(failure)), ..error }
    }

    /// Adds a link that repeats a GET request, to the page of [`login_unavailable`](Self::login_unavailable).
    ///
    /// Only the query of `return_to` is used, so that the link keeps the path that the browser knows, which a proxy may
    /// have changed.
    #[must_use]
    pub fn with_retry_link(self, return_to: &str) -> Self {
        let query = return_to.split_once('?').map_or("", |(_, query)| query);
        self.with_next(Next::Link(["?", query].concat(), "Try again".to_owned()))
    }

    pub(crate) fn with_next(mut self, next: Next) -> Self {
        if let Some(login) = &mut self.login {
            login.next = next;
        }
        self
    }

    /// Returns the page for host code that took too long.
    #[must_use]
    pub const fn late() -> Self {
        Self::with_status(Cause::Late, StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Returns the page for host code that panicked.
    #[must_use]
    pub const fn panicked() -> Self {
        Self::with_status(Cause::Panicked, StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the page for a refused answer to a consent page.
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

    /// Returns `true` if the page says that the server failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status.is_server_error()
    }

    /// Adds the number of the log entry to a page that says that the server failed.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId) -> Self {
        self.correlation = self.is_failure().then_some(id);
        self
    }

    /// Returns the cause, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Sets the form of the reply: a page or JSON.
    #[must_use]
    pub const fn with_form(mut self, form: ErrorForm) -> Self {
        self.form = form;
        self
    }

    /// Returns the error code of the JSON form.
    const fn code(&self) -> TokenErrorCode {
        match self.cause {
            Cause::UnknownClient | Cause::ClientUrl(_) | Cause::ClientDocument => {
                TokenErrorCode::InvalidClient
            }
            Cause::Panicked | Cause::Store(StoreError::Corrupt) => TokenErrorCode::ServerError,
            Cause::Store(_) | Cause::Late | Cause::LoginUnavailable => {
                TokenErrorCode::TemporarilyUnavailable
            }
            _ => TokenErrorCode::InvalidRequest,
        }
    }

    /// Returns the page or JSON, without any text of the request.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let advice = match self.cause {
            // mcp-remote recognizes these words, and registers again.
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
            Cause::LoginUnavailable => {
                "The server cannot find out now who is logged in. Nothing was decided. Try again in a moment."
            }
            _ => "The application sent a request that cannot be read.",
        };
        let number = self.correlation.map_or(String::new(), |id| {
            format!(" Whoever runs the server finds it in the log under {id}.")
        });
        let advice = [advice, &*number].concat();
        let mut response = match self.form {
            ErrorForm::Page => {
                let next = self.login.as_ref().map_or(&Next::Nothing, |login| &login.next);
                plain(self.status, "Login not possible", &advice, next)
            }
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
        let retry_after = match &self.login {
            // Rounded up, because a request in the last second would come too early.
            Some(login) => login.retry_after.map(|wait| {
                let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                HeaderValue::from(seconds)
            }),
            None if self.status == StatusCode::SERVICE_UNAVAILABLE => {
                Some(HeaderValue::from_static(RETRY))
            }
            None => None,
        };
        response.headers_mut().extend(retry_after.map(|value| (RETRY_AFTER, value)));
        response
    }
}

impl From<UnreadBody> for PageError {
    fn from(error: UnreadBody) -> Self {
        Self::with_status(Cause::Body, error.status())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn json(cause: Cause) -> (StatusCode, Value) {
        let register = EndpointUrl::parse("https://as.example/register").unwrap();
        let error = PageError::unknown_client(cause, &register).with_form(ErrorForm::Json);
        let response = error.into_response();
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    #[test]
    fn a_program_with_a_forgotten_client_reads_where_to_register() {
        let (status, error) = json(Cause::UnknownClient);
        assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &"invalid_client".into()));
        let description = error["error_description"].as_str().unwrap();
        assert!(description.contains("The client is not registered here"), "{description}");
        assert_eq!(error["registration_endpoint"], "https://as.example/register");
    }

    #[test]
    fn a_client_of_a_document_is_not_told_to_register() {
        let (_, error) = json(Cause::ClientDocument);
        assert_eq!(error["error"], "invalid_client");
        assert!(error.get("registration_endpoint").is_none());
    }
}
