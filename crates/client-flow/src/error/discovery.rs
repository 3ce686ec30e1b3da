//! Errors of metadata: of the resource (RFC 9728) and of its authorization server (RFC 8414).

use core::fmt;

use oauth_types::{EndpointUrl, Issuer};

use super::{FlowError, FlowErrorKind};
use crate::profile::ServerProfile;
use crate::stage::FlowStage;

/// Reason for which metadata cannot be used: a broken rule between documents, or an absence.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The server publishes no protected resource metadata.
    NoResourceMetadata,
    /// The metadata describes another resource than the one being called (RFC 9728 §3.3).
    ResourceMismatch {
        /// The URL of the metadata.
        url: EndpointUrl,
    },
    /// The resource's metadata names no authorization server.
    NoAuthorizationServer,
    /// No well-known URL of the authorization server has its metadata.
    NoServerMetadata {
        /// The issuer whose metadata was searched.
        issuer: Issuer,
    },
    /// The metadata names another issuer than the one it was asked for (RFC 8414 §3.3).
    ///
    /// The operator of the authorization server or of the MCP server has to correct it. Until then a host that trusts
    /// the received issuer can pin it for the MCP server
    /// ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)).
    IssuerMismatch {
        /// The issuer that was asked for.
        expected: Issuer,
        /// The issuer that the metadata names: syntactically valid, otherwise untrusted.
        received: Issuer,
    },
    /// The metadata names the placeholder `{tenantid}` instead of a tenant in its issuer.
    ///
    /// It stands for a pinned issuer by
    /// [`ServerProfile::with_tenant_placeholder`](crate::ServerProfile::with_tenant_placeholder), where every other
    /// byte is the same and the endpoints are on the same origin.
    TenantPlaceholder {
        /// The issuer that was asked for.
        issuer: Issuer,
    },
    /// A server on the network names a URL at an address of this machine or of a private network.
    LeadsToLocalAddress {
        /// The URL that the server names.
        url: EndpointUrl,
    },
    /// Metadata at a URL that only the resource names has an endpoint on another origin.
    ///
    /// The issuer is pinned. A host that knows the metadata URL from the issuer's documentation names it
    /// ([`ServerProfile::with_metadata_at`](crate::ServerProfile::with_metadata_at)).
    LeadsToAnotherOrigin {
        /// The pinned issuer.
        issuer: Issuer,
        /// The endpoint on the other origin.
        url: EndpointUrl,
    },
    /// The metadata permits a mix-up attack (RFC 9700 §4.4); nothing was sent.
    ///
    /// Authorization endpoint and token endpoint are on different origins, the authorization endpoint is not on the
    /// issuer's origin, and the metadata does not promise `iss` (RFC 9207): a code of one server could be sent to
    /// another.
    ///
    /// The operator of the authorization server has to promise `iss` or to put both on one origin. Until then a host
    /// that knows the authorization endpoint from the server's documentation names it
    /// ([`ServerProfile::with_authorization_endpoint_at`](crate::ServerProfile::with_authorization_endpoint_at)).
    MixUp {
        /// The issuer whose metadata it is.
        issuer: Issuer,
        /// The authorization endpoint, at which users would log in.
        authorization_endpoint: EndpointUrl,
        /// The token endpoint, to which their codes would be sent.
        token_endpoint: EndpointUrl,
    },
    /// The authorization server metadata lacks a required endpoint.
    NoEndpoint {
        /// The issuer whose metadata it is.
        issuer: Issuer,
        /// The absent member.
        member: &'static str,
    },
    /// The authorization server does not list PKCE with S256 (RFC 7636).
    NoS256 {
        /// The issuer whose metadata it is.
        issuer: Issuer,
    },
    /// The MCP server requires DPoP-bound tokens (RFC 9728 §2), which the client cannot obtain.
    ///
    /// The configuration has no proof key (`ClientConfig::with_proof_key`, feature `dpop`), or the authorization server
    /// does not support its algorithm.
    NoBoundTokens {
        /// The authorization server.
        issuer: Issuer,
    },
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResourceMetadata => f.write_str(
                "the MCP server publishes no protected resource metadata (RFC 9728): check its \
                 address; if it is right, the server's operator has to publish the metadata",
            ),
            Self::ResourceMismatch { url } => write!(
                f,
                "the metadata at {} describes another resource than the one being called \
                 (RFC 9728 §3.3): check the address of the MCP server; if it is right, the \
                 server's operator has to correct `resource`",
                url.without_query()
            ),
            Self::NoAuthorizationServer => f.write_str(
                "the protected resource metadata names no authorization server: the MCP server's \
                 operator has to name one; if you know it, pin it for this server \
                 (`ClientConfig::pinned_issuers`)",
            ),
            Self::NoServerMetadata { issuer } => write!(
                f,
                "{issuer} publishes no metadata at its well-known URLs (RFC 8414 §3): its operator \
                 has to publish it; if its documentation says where its metadata is, name that URL with \
                 `ServerProfile::with_metadata_at` for this issuer"
            ),
            Self::IssuerMismatch { expected, received } => write!(
                f,
                "the metadata of {expected} names another issuer, {received} (RFC 8414 §3.3): the \
                 server's operator has to correct one of them; if you trust {received}, pin it for \
                 this server (`ClientConfig::pinned_issuers`)"
            ),
            Self::TenantPlaceholder { issuer } => tenant_placeholder(issuer, f),
            Self::LeadsToLocalAddress { url } => write!(
                f,
                "a server on the network points to a local address, {}: its operator has to \
                 correct that; if the server belongs to your own network, set \
                 `ClientConfig::allows_local_addresses`",
                url.without_query()
            ),
            Self::LeadsToAnotherOrigin { issuer, url } => write!(
                f,
                "the metadata of {issuer} is at a place that only the MCP server names, and has an \
                 endpoint on another origin, {}: if the documentation of {issuer} says where its \
                 metadata is, name that URL with `ServerProfile::with_metadata_at` for this issuer",
                url.without_query()
            ),
            Self::MixUp { issuer, authorization_endpoint, token_endpoint } => {
                mix_up(issuer, authorization_endpoint, token_endpoint, f)
            }
            Self::NoEndpoint { issuer, member } => write!(
                f,
                "the metadata of {issuer} has no {member}: its operator has to add it, if the server \
                 supports this grant; otherwise use another grant"
            ),
            Self::NoS256 { issuer } => no_s256(issuer, f),
            Self::NoBoundTokens { issuer } => write!(
                f,
                "the MCP server takes only tokens that are bound to a key, and {issuer} gives this \
                 client none: configure a key (`ClientConfig::with_proof_key`, feature `dpop`), or \
                 ask the operator of {issuer} to support DPoP with ES256 (RFC 9449)"
            ),
        }
    }
}

fn mix_up(
    issuer: &Issuer,
    authorization_endpoint: &EndpointUrl,
    token_endpoint: &EndpointUrl,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(
        f,
        "the metadata of {issuer} has its authorization_endpoint on {} and its token_endpoint on \
         {}, and does not promise `iss` (RFC 9207): a code of one server could be sent to another \
         (RFC 9700 §4.4); the operator of {issuer} has to promise `iss` or to put both on one \
         origin; if its documentation names this authorization endpoint, name it with \
         `ServerProfile::with_authorization_endpoint_at` for this issuer",
        authorization_endpoint.origin(),
        token_endpoint.origin(),
    )
}

fn tenant_placeholder(issuer: &Issuer, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "the metadata of {issuer} names no tenant but `{{tenantid}}`: pin the issuer of your \
         tenant for this server; if it is Microsoft Entra and that is not enough, use \
         `ServerProfile::entra` for the pinned issuer (its endpoints have to be on the same origin)"
    )
}

fn no_s256(issuer: &Issuer, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{issuer} does not list PKCE with S256, without which no code is safe: ")?;
    match ServerProfile::made_for(issuer) {
        Some(profile) => write!(f, "configure `{profile}` for this issuer"),
        None => f.write_str(
            "its operator has to list it; if its documentation says that it supports PKCE, use \
             `ServerProfile::with_s256_assumed` for this issuer (`ServerProfile::entra` if it is \
             Microsoft Entra)",
        ),
    }
}

impl core::error::Error for DiscoveryError {}

impl From<DiscoveryError> for FlowError {
    fn from(error: DiscoveryError) -> Self {
        let stage = match error {
            DiscoveryError::NoResourceMetadata
            | DiscoveryError::ResourceMismatch { .. }
            | DiscoveryError::NoAuthorizationServer => FlowStage::ResourceMetadata,
            _ => FlowStage::ServerMetadata,
        };
        FlowErrorKind::Discovery(error).at(stage)
    }
}
