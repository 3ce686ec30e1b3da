//! Errors of client registration (RFC 7591).

use core::fmt;

use http::StatusCode;
use oauth_types::{ClientMetadata, EndpointUrl, ErrorResponse, Issuer, RegistrationErrorCode};

use super::consequence::is_transient_status;
use super::{FlowError, FlowErrorKind};
use crate::stage::FlowStage;

/// Reason for which the client is not registered with the authorization server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The server offers no way to register that this client can use.
    ///
    /// No credentials are configured for it, it supports no metadata document or the configuration has none, and it has
    /// no registration endpoint for this grant.
    NotOffered {
        /// The authorization server.
        issuer: Issuer,
    },
    /// The registration endpoint is on an unrelated origin; nothing was sent there.
    ///
    /// It is on the origin of neither the issuer, nor its other endpoints, nor its metadata. A host configures
    /// credentials for the issuer instead ([`ClientConfig::pre_registered`](crate::ClientConfig::pre_registered)).
    Elsewhere {
        /// The issuer whose metadata it is.
        issuer: Issuer,
        /// The registration endpoint.
        url: EndpointUrl,
    },
    /// The registration endpoint refused the request (RFC 7591 §3.2.2).
    ///
    /// Where the first request was refused for its metadata, a second one without the optional members was refused as
    /// well. This holds the last request and its reason.
    Rejected {
        /// The status of the response.
        status: StatusCode,
        /// The server's error response, if it sent one.
        error: Option<ErrorResponse<RegistrationErrorCode>>,
        /// The metadata that was sent; change it and try again.
        sent: Box<ClientMetadata>,
    },
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered { issuer } => write!(
                f,
                "{issuer} has no registration endpoint that this client can use: configure \
                 credentials that its operator gives out (`ClientConfig::pre_registered`)"
            ),
            Self::Elsewhere { issuer, url } => write!(
                f,
                "the metadata of {issuer} has its registration_endpoint on {}, where neither the \
                 issuer nor any other endpoint of it is: the operator of {issuer} has to correct \
                 that; until then configure credentials that it gives out \
                 (`ClientConfig::pre_registered`)",
                url.origin(),
            ),
            Self::Rejected { status, error, .. } => {
                write!(f, "the registration was refused with status {}", status.as_u16())?;
                if let Some(error) = error {
                    write!(f, " and {}", error.error)?;
                }
                f.write_str(match (*status, error.as_ref().map(|error| &error.error)) {
                    (_, Some(RegistrationErrorCode::TemporarilyUnavailable)) => "; try again later",
                    (status, _) if is_transient_status(status) => "; try again later",
                    (_, Some(RegistrationErrorCode::InvalidRedirectUri)) => {
                        "; configure a redirect URI that the server takes, or ask its operator"
                    }
                    (StatusCode::BAD_REQUEST, _) | (_, Some(_)) => {
                        "; change the metadata that was sent, or configure credentials that the \
                         server's operator gives out (`ClientConfig::pre_registered`)"
                    }
                    _ => {
                        ", so it may not register every client; configure credentials that its \
                         operator gives out (`ClientConfig::pre_registered`)"
                    }
                })
            }
        }
    }
}

impl core::error::Error for RegistrationError {}

impl From<RegistrationError> for FlowError {
    fn from(error: RegistrationError) -> Self {
        FlowErrorKind::Registration(error).at(FlowStage::Registration)
    }
}
