//! Errors of becoming a client of an authorization server (RFC 7591).

use core::fmt;

use http::StatusCode;
use oauth_types::{ClientMetadata, EndpointUrl, ErrorResponse, Issuer, RegistrationErrorCode};

use super::{FlowError, FlowErrorKind};
use crate::stage::FlowStage;

/// Reason for which the client is not one of the authorization server's.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RegistrationError {
    /// There is no way to become a client of this server: no credentials are configured for it, it takes no
    /// metadata document or the configuration has none, and it has no registration endpoint.
    NotOffered {
        /// The authorization server.
        issuer: Issuer,
    },
    /// The registration endpoint is on an origin that is neither the issuer's nor that of its other endpoints or its
    /// metadata. Nothing was sent there. A host configures credentials for the issuer instead
    /// ([`ClientConfig::pre_registered`](crate::ClientConfig::pre_registered)).
    Elsewhere {
        /// The issuer whose metadata it is.
        issuer: Issuer,
        /// The registration endpoint.
        url: EndpointUrl,
    },
    /// The registration endpoint refused, also a second request without the members that a client can do without
    /// where the first was refused for its metadata. This is the last request and its reason.
    Rejected {
        /// The status.
        status: StatusCode,
        /// The server's reason, if it gave one.
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
                match *status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => f.write_str(
                        ": the server does not register every client; configure credentials that \
                         its operator gives out (`ClientConfig::pre_registered`)",
                    ),
                    _ => Ok(()),
                }
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
