//! Errors of metadata: of the resource (RFC 9728) and of its authorization server (RFC 8414).

use core::fmt;

use oauth_types::{EndpointUrl, Issuer};

use super::{FlowError, FlowErrorKind};
use crate::profile::ServerProfile;
use crate::stage::FlowStage;

/// Reason for which metadata cannot be used: a rule between documents is broken, or something is absent.
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
        /// The issuer whose metadata was looked for.
        issuer: Issuer,
    },
    /// The metadata names another issuer than the one it was asked for (RFC 8414 §3.3).
    ///
    /// The operator of the authorization server or of the MCP server corrects it. Until then a host that trusts
    /// the issuer received can pin it for the MCP server
    /// ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)).
    IssuerMismatch {
        /// The issuer that was asked for.
        expected: Issuer,
        /// The issuer that the metadata names, a valid identifier and nothing more.
        received: Issuer,
    },
    /// The metadata is for any tenant of its server (`{tenantid}` in its issuer), which is no issuer. It stands for a
    /// pinned one by [`ServerProfile::with_tenant_placeholder`](crate::ServerProfile::with_tenant_placeholder), where
    /// every other byte is the same and the endpoints are on the same origin.
    TenantPlaceholder {
        /// The issuer that was asked for.
        issuer: Issuer,
    },
    /// A server on the network points to this machine, or to an address of a private network.
    LeadsToLocalAddress {
        /// The URL that it points to.
        url: EndpointUrl,
    },
    /// The metadata of a pinned issuer was at a place that only the resource names, and has an endpoint on another
    /// origin. A host that knows the place from the issuer's documentation names it
    /// ([`ServerProfile::with_metadata_at`](crate::ServerProfile::with_metadata_at)).
    LeadsToAnotherOrigin {
        /// The pinned issuer.
        issuer: Issuer,
        /// The endpoint.
        url: EndpointUrl,
    },
    /// The metadata sends users to one origin and their codes to another, neither of them says whose a code is (`iss`,
    /// RFC 9207), and the issuer is not where users log in: a code of one server could be sent to another (RFC 9700
    /// §4.4). Nothing was sent anywhere.
    ///
    /// The operator of the authorization server promises `iss` or puts both on one origin. Until then a host that knows
    /// the authorization endpoint from the server's documentation names it
    /// ([`ServerProfile::with_authorization_endpoint_at`](crate::ServerProfile::with_authorization_endpoint_at)).
    MixUp {
        /// The issuer whose metadata it is.
        issuer: Issuer,
        /// The endpoint that users would log in at.
        authorization_endpoint: EndpointUrl,
        /// The endpoint that their codes would be sent to.
        token_endpoint: EndpointUrl,
    },
    /// The authorization server lacks this endpoint.
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
    /// The MCP server takes only tokens that are bound to a key (RFC 9728 §2), and none can be had: the configuration
    /// has no such key (`ClientConfig::with_proof_key`, feature `dpop`), or the authorization server binds tokens to
    /// none of its kind.
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
                 address; its operator has to publish the metadata",
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
                 has to; if its documentation says where its metadata is, name that URL with \
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
                "the metadata of {issuer} has no {member}: its operator has to add it, or the \
                 server does not support this grant"
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
    write!(f, "{issuer} does not list PKCE with S256, without which no code is safe; ")?;
    match ServerProfile::made_for(issuer) {
        Some(profile) => write!(f, "use `{profile}` for this issuer"),
        None => f.write_str(
            "if its documentation says that it supports PKCE, use \
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
