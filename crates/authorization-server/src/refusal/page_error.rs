//! Errors of the authorization endpoint that are never redirected: a page or JSON (RFC 6749 §4.1.2.1).

use core::fmt;

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use oauth_types::{EndpointUrl, ErrorResponse, TokenErrorCode, json_response_uncached};

use super::{Cause, ConsentError, RETRY, UnreadBody};
use crate::correlation::CorrelationId;
use crate::error_form::ErrorForm;
use crate::page::plain;
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
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the reply is a page with the status {})", self.cause, self.status.as_u16())
    }
}

impl core::error::Error for PageError {}

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
            Cause::Store(_) | Cause::Late => TokenErrorCode::TemporarilyUnavailable,
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
