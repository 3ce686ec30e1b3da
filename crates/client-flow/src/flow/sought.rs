//! Errors of a search that ended without metadata.

use oauth_types::{Issuer, MetadataFailure};

use crate::error::{DiscoveryError, FlowError, FlowErrorKind};
use crate::stage::FlowStage;

/// Metadata that is searched for.
pub(crate) enum Sought {
    /// Metadata of the protected resource (RFC 9728).
    Resource,
    /// Metadata of the authorization server with this issuer (RFC 8414).
    Server(Issuer),
}

impl Sought {
    /// Returns the error of a search with this failure; `None` if no URL has a document.
    pub(crate) fn not_found(self, failure: Option<MetadataFailure>) -> FlowError {
        let stage = match self {
            Self::Resource => FlowStage::ResourceMetadata,
            Self::Server(_) => FlowStage::ServerMetadata,
        };
        match (failure, self) {
            (Some(MetadataFailure::Status(status)), _) => FlowErrorKind::Status(status).at(stage),
            (Some(MetadataFailure::Document { url, error }), _) => {
                FlowErrorKind::Document { url, error }.at(stage)
            }
            (Some(MetadataFailure::ResourceMismatch { url }), _) => {
                DiscoveryError::ResourceMismatch { url }.into()
            }
            (Some(MetadataFailure::IssuerMismatch { received }), Self::Server(expected)) => {
                DiscoveryError::IssuerMismatch { expected, received }.into()
            }
            (_, Self::Server(issuer)) => DiscoveryError::NoServerMetadata { issuer }.into(),
            (_, Self::Resource) => DiscoveryError::NoResourceMetadata.into(),
        }
    }
}
