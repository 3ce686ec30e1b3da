//! Server side of issuer identification (RFC 9207 §2, §3): redirect and metadata.

use oauth_types::{
    AuthorizationErrorCode, AuthorizationServerMetadata, ErrorDescription, FormWriter, Issuer,
    RedirectUri, Secret,
};

/// Setting for issuer identification in authorization responses (RFC 9207).
///
/// The `iss` parameter and `authorization_response_iss_parameter_supported` both follow from it alone, so that they
/// cannot disagree.
///
/// # Examples
///
/// ```
/// use iss_validate::IssuerIdentification;
/// use oauth_types::{AuthorizationServerMetadata, Issuer};
///
/// let issuer = Issuer::parse("https://as.example")?;
/// let mut metadata = AuthorizationServerMetadata::new(issuer.clone());
/// IssuerIdentification::Emit(issuer).advertise(&mut metadata);
/// assert!(metadata.authorization_response_iss_parameter_supported);
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[doc(alias = "authorization_response_iss_parameter_supported")]
#[doc(alias = "mix-up")]
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IssuerIdentification {
    /// Every response, success or error, carries this issuer.
    Emit(Issuer),
    /// An upstream server makes the responses, and this server is its proxy.
    ///
    /// Neither the parameter nor the flag is set.
    Omit,
}

impl IssuerIdentification {
    /// Sets the metadata flag and, if responses carry an issuer, the issuer.
    pub fn advertise(&self, metadata: &mut AuthorizationServerMetadata) {
        // A-META-3
        metadata.authorization_response_iss_parameter_supported = matches!(self, Self::Emit(_));
        if let Self::Emit(issuer) = self {
            metadata.issuer = issuer.clone();
        }
    }

    const fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Emit(issuer) => Some(issuer),
            Self::Omit => None,
        }
    }
}

/// Result of an authorization request, to be sent to the client.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a response is a code or an error (RFC 6749 §4.1.2)")]
pub enum Outcome {
    /// The resource owner granted the request (RFC 6749 §4.1.2).
    Code(Secret),
    /// The request was refused (RFC 6749 §4.1.2.1).
    Error {
        /// Error code.
        code: AuthorizationErrorCode,
        /// Description for the developer.
        description: Option<ErrorDescription>,
    },
}

/// Authorization response (RFC 6749 §4.1.2): the only way to build a redirect to a client.
///
/// # Examples
///
/// ```
/// use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
/// use oauth_types::{Issuer, RedirectUri, Secret};
///
/// let identification = IssuerIdentification::Emit(Issuer::parse("https://as.example")?);
/// let redirect_uri = RedirectUri::parse("https://client.example/cb")?;
/// let outcome = Outcome::Code(Secret::new("c0de"));
/// let response = AuthorizationResponse::new(&redirect_uri, &outcome).with_state("xyz");
/// assert_eq!(
///     response.location(&identification).expose(),
///     "https://client.example/cb?code=c0de&state=xyz&iss=https%3A%2F%2Fas.example",
/// );
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizationResponse<'a> {
    /// Redirect URI, already matched against the client's registration.
    pub redirect_uri: &'a RedirectUri,
    /// The client's `state`, byte for byte, if the request has one.
    pub state: Option<&'a str>,
    /// Result to be sent.
    pub outcome: &'a Outcome,
}

impl<'a> AuthorizationResponse<'a> {
    /// Creates a response without `state`; match the redirect URI against the client's registration first.
    #[must_use]
    pub const fn new(redirect_uri: &'a RedirectUri, outcome: &'a Outcome) -> Self {
        Self { redirect_uri, state: None, outcome }
    }

    /// Sets the `state` of the client's request, byte for byte.
    ///
    /// It is required in the response if the request has one (RFC 6749 §4.1.2).
    #[must_use]
    pub fn with_state(mut self, state: impl Into<Option<&'a str>>) -> Self {
        self.state = state.into();
        self
    }

    /// Returns the URI to redirect the browser to; secret, because it may hold a code.
    ///
    /// It is the registered URI with its own query unchanged, followed by each response parameter exactly once.
    #[must_use]
    pub fn location(&self, identification: &IssuerIdentification) -> Secret {
        // A-AUTHZ-3, A-AUTHZ-4: a registered URI has no response parameter of its own.
        let mut form = FormWriter::new();
        match self.outcome {
            Outcome::Code(code) => {
                form.append("code", code.expose());
            }
            Outcome::Error { code, description } => {
                form.append("error", code.as_str());
                if let Some(description) = description {
                    form.append("error_description", description.as_str());
                }
            }
        }
        if let Some(state) = self.state {
            form.append("state", state);
        }
        // A-AUTHZ-5: absent where an upstream server makes the callback.
        if let Some(issuer) = identification.issuer() {
            form.append("iss", issuer.as_str());
        }
        let uri = self.redirect_uri.as_str();
        let separator = match uri.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        Secret::new([uri, separator, form.as_str()].concat())
    }
}
