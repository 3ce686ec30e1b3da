//! Server side: one setting behind the redirect and the metadata (RFC 9207 §2, §2.3).

use oauth_types::{
    AuthorizationErrorCode, AuthorizationServerMetadata, ErrorDescription, FormWriter, Issuer,
    RedirectUri, Secret,
};

/// Whether this server names itself on every authorization response.
///
/// It drives both the `iss` parameter and `authorization_response_iss_parameter_supported`, and
/// nothing else does, so the two cannot disagree.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IssuerIdentification {
    /// Every response, success and error, carries this issuer.
    Emit(Issuer),
    /// The response comes from an upstream server that this one is a proxy of; neither the parameter
    /// nor the flag is ours to set.
    LeftToUpstream,
}

impl IssuerIdentification {
    /// Sets the metadata flag and, where responses carry it, the issuer that they carry.
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
            Self::LeftToUpstream => None,
        }
    }
}

/// What the authorization endpoint has to say to the client.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a response is a code or an error (RFC 6749 §4.1.2)")]
pub enum Outcome {
    /// The user agreed (RFC 6749 §4.1.2).
    Code(Secret),
    /// Somebody did not (RFC 6749 §4.1.2.1).
    Error {
        /// Which error.
        code: AuthorizationErrorCode,
        /// For the developer.
        description: Option<ErrorDescription>,
    },
}

/// The one way to build a redirect back to a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizationResponse<'a> {
    /// Where to: matched against the client's registration before.
    pub redirect_uri: &'a RedirectUri,
    /// The client's `state`, byte for byte, when it sent one.
    pub state: Option<&'a str>,
    /// What to say.
    pub outcome: &'a Outcome,
}

impl<'a> AuthorizationResponse<'a> {
    /// A response without `state`, to a redirect URI that was matched against the client's registration before.
    #[must_use]
    pub const fn new(redirect_uri: &'a RedirectUri, outcome: &'a Outcome) -> Self {
        Self { redirect_uri, state: None, outcome }
    }

    /// Sets the `state` of the client's request, byte for byte. A request that has one gets it back
    /// (RFC 6749 §4.1.2).
    #[must_use]
    pub fn with_state(mut self, state: impl Into<Option<&'a str>>) -> Self {
        self.state = state.into();
        self
    }

    /// The URI to send the browser to: the registered one with its own query untouched, then each
    /// response parameter exactly once. Secret, because it may hold a code.
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
        // A-AUTHZ-5: absent when the callback is an upstream's.
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
