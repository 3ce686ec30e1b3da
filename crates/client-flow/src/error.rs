//! Why a flow ended, sorted by who can do something about it.

mod consequence;

use core::fmt;
use std::borrow::Cow;

use client_auth::NoUsableMethod;
use http::StatusCode;
use iss_validate::{AuthorizationError, CallbackRejected};
use oauth_types::{
    ClientMetadata, DocumentError, EndpointUrl, ErrorDescription, ErrorResponse, InvalidScope,
    InvalidUri, Issuer, RegistrationErrorCode, SentSecrets, TokenErrorCode,
};

use crate::profile::ServerProfile;
use crate::purpose::Purpose;
use crate::transport::TransportFailed;

/// A login, refresh or step-up ended without tokens. No secret and no unvalidated text is in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FlowError {
    // The network.
    /// A request brought no response. Tokens that were held before are still good.
    Transport {
        /// What the request was for.
        purpose: Purpose,
        /// What happened.
        failure: TransportFailed,
    },
    // The peer broke a rule.
    /// A server answered with a status that ends the flow.
    Status {
        /// What the request was for.
        purpose: Purpose,
        /// The status.
        status: StatusCode,
    },
    /// A document is not what it should be.
    Document {
        /// What the request was for.
        purpose: Purpose,
        /// Where it was.
        url: EndpointUrl,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// The metadata describes another resource than the one being called (RFC 9728 §3.3).
    ResourceMismatch {
        /// Where the metadata was.
        url: EndpointUrl,
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
        /// What it points to.
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
        /// Whose metadata it is.
        issuer: Issuer,
        /// Where users would log in.
        authorization_endpoint: EndpointUrl,
        /// Where their codes would be sent.
        token_endpoint: EndpointUrl,
    },
    /// The registration endpoint is on an origin that is neither the issuer's nor that of its other endpoints or its
    /// metadata. Nothing was sent there. A host configures credentials for the issuer instead
    /// ([`ClientConfig::pre_registered`](crate::ClientConfig::pre_registered)).
    RegistrationElsewhere {
        /// Whose metadata it is.
        issuer: Issuer,
        /// The registration endpoint.
        url: EndpointUrl,
    },
    /// The callback does not answer this login. Nothing was sent anywhere.
    Callback(CallbackRejected),
    /// The callback came more than ten minutes after the login began.
    CallbackTooLate,
    /// The callback was used before. Nothing was sent anywhere.
    CallbackReplayed,
    /// A login was to be sealed for a session without a name.
    NoSession,
    /// What should be a sealed login was not sealed with this key for this user's session, or was changed.
    NotSealedHere,
    /// The scopes to ask for are past the bounds.
    Scope(InvalidScope),
    // The peer lacks a feature.
    /// The server publishes no protected resource metadata.
    NoResourceMetadata,
    /// The metadata names no authorization server.
    NoAuthorizationServer,
    /// No well-known URL of the authorization server has its metadata.
    NoServerMetadata {
        /// Whose metadata was looked for.
        issuer: Issuer,
    },
    /// The authorization server lacks this endpoint.
    NoEndpoint {
        /// Whose metadata it is.
        issuer: Issuer,
        /// The member that is missing.
        member: &'static str,
    },
    /// The authorization server does not list PKCE with S256 (RFC 7636).
    NoS256 {
        /// Whose metadata it is.
        issuer: Issuer,
    },
    // The user or the server said no.
    /// The authorization server's answer, from the right server.
    Denied(AuthorizationError),
    /// The token endpoint refused.
    Token(ErrorResponse<TokenErrorCode>),
    /// The enterprise's identity provider refused.
    IdentityProvider(ErrorResponse<TokenErrorCode>),
    /// The registration endpoint refused, also a second request without the members that a client can do without
    /// where the first was refused for its metadata. This is the last request and its reason.
    RegistrationRejected {
        /// The status.
        status: StatusCode,
        /// The server's reason, when it gave one.
        error: Option<ErrorResponse<RegistrationErrorCode>>,
        /// What was sent; change it and try again.
        sent: Box<ClientMetadata>,
    },
    // The host has to do something.
    /// There is no way to become a client of this server: nothing is pre-registered for it, it takes no
    /// metadata document or there is none, and it has no registration endpoint.
    NoRegistration {
        /// Which server.
        issuer: Issuer,
    },
    /// The MCP server takes only tokens that are bound to a key (RFC 9728 §2), and none can be had: the configuration
    /// has no such key (`ClientConfig::with_proof_key`, feature `dpop`), or the authorization server binds tokens to
    /// none of its kind.
    NoBoundTokens {
        /// Which authorization server.
        issuer: Issuer,
    },
    /// The credentials cannot be used at this server.
    Credentials(NoUsableMethod),
    /// The address of the MCP server cannot be used.
    ServerUrl(InvalidUri),
    /// An address that a server named, or one made from its issuer, cannot be used.
    NamedUrl(InvalidUri),
    /// The cryptographic library did not sign a token request.
    NotSigned,
    /// The host could not keep what has to be kept before it is used.
    NotSaved,
    /// The host could not look up what is kept, and what is held may have been used by another process.
    NotLoaded,
    /// There is no refresh token.
    NoRefreshToken,
}

impl FlowError {
    /// Strikes the secrets of a request out of what the response says about it.
    pub(crate) fn without(self, sent: &SentSecrets) -> Self {
        match self {
            Self::Token(error) => Self::Token(struck_out(error, sent)),
            Self::IdentityProvider(error) => Self::IdentityProvider(struck_out(error, sent)),
            other => other,
        }
    }
}

impl fmt::Display for FlowError {
    #[expect(clippy::too_many_lines, reason = "a table: one message for each error")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { purpose, failure } => write!(f, "{purpose}: {failure}"),
            Self::Status { purpose, status } => {
                write!(f, "{purpose}: the server answered {}", status.as_u16())
            }
            // A query may hold what the user keeps to themselves.
            Self::Document { purpose, url, error } => {
                write!(f, "{purpose} at {}: {error}", url.without_query())
            }
            Self::ResourceMismatch { url } => write!(
                f,
                "the metadata at {} describes another resource than the one being called \
                 (RFC 9728 §3.3)",
                url.without_query()
            ),
            Self::IssuerMismatch { expected, received } => write!(
                f,
                "the metadata of {expected} names another issuer, {received} (RFC 8414 §3.3): the \
                 server's operator has to correct one of them; if you trust {received}, pin it for \
                 this server (`ClientConfig::pinned_issuers`)"
            ),
            Self::TenantPlaceholder { issuer } => write!(
                f,
                "the metadata of {issuer} names no tenant but `{{tenantid}}`: pin the issuer of \
                 your tenant for this server; if it is Microsoft Entra and that is not enough, use \
                 `ServerProfile::entra` for the pinned issuer (its endpoints have to be on the \
                 same origin)"
            ),
            Self::LeadsToLocalAddress { url } => {
                write!(
                    f,
                    "a server on the network points to a local address: {}",
                    url.without_query()
                )
            }
            Self::LeadsToAnotherOrigin { issuer, url } => write!(
                f,
                "the metadata of {issuer} is at a place that only the MCP server names, and has an \
                 endpoint on another origin, {}: if the documentation of {issuer} says where its \
                 metadata is, name that URL with `ServerProfile::with_metadata_at` for this issuer",
                url.without_query()
            ),
            Self::MixUp { issuer, authorization_endpoint, token_endpoint } => write!(
                f,
                "the metadata of {issuer} has its authorization_endpoint on {} and its \
                 token_endpoint on {}, and does not promise `iss` (RFC 9207): a code of one server \
                 could be sent to another (RFC 9700 §4.4); the operator of {issuer} has to promise \
                 `iss` or to put both on one origin; if its documentation names this authorization \
                 endpoint, name it with `ServerProfile::with_authorization_endpoint_at` for this \
                 issuer",
                authorization_endpoint.origin(),
                token_endpoint.origin(),
            ),
            Self::RegistrationElsewhere { issuer, url } => write!(
                f,
                "the metadata of {issuer} has its registration_endpoint on {}, where neither the \
                 issuer nor any other endpoint of it is: the operator of {issuer} has to correct \
                 that; until then configure credentials that it gives out \
                 (`ClientConfig::pre_registered`)",
                url.origin(),
            ),
            Self::Callback(rejected) => rejected.fmt(f),
            Self::CallbackTooLate => f.write_str("the login took longer than ten minutes"),
            Self::CallbackReplayed => f.write_str("this login was finished before"),
            Self::NoSession => {
                f.write_str("a login is sealed for a session, and this one has no name")
            }
            Self::NotSealedHere => f.write_str("this session began no such login"),
            Self::Scope(error) => write!(f, "the scopes cannot be requested: {error}"),
            Self::NoResourceMetadata => {
                f.write_str("the server publishes no protected resource metadata (RFC 9728)")
            }
            Self::NoAuthorizationServer => {
                f.write_str("the protected resource metadata names no authorization server")
            }
            Self::NoServerMetadata { issuer } => {
                write!(f, "{issuer} publishes no metadata at its well-known URLs (RFC 8414 §3)")
            }
            Self::NoEndpoint { issuer, member } => write!(f, "{issuer} has no {member}"),
            Self::NoS256 { issuer } => {
                write!(
                    f,
                    "{issuer} does not list PKCE with S256, without which no code is safe; "
                )?;
                match ServerProfile::made_for(issuer) {
                    Some(profile) => write!(f, "use `{profile}` for this issuer"),
                    None => f.write_str(
                        "if its documentation says that it supports PKCE, use \
                         `ServerProfile::with_s256_assumed` for this issuer (`ServerProfile::entra` \
                         if it is Microsoft Entra)",
                    ),
                }
            }
            Self::Denied(error) => error.fmt(f),
            Self::Token(error) | Self::IdentityProvider(error) => {
                let who = match self {
                    Self::Token(_) => "the token endpoint",
                    _ => "the identity provider",
                };
                write!(f, "{who} answered {}", error.error)?;
                match &error.error_description {
                    Some(description) => write!(f, ": {description}"),
                    None => Ok(()),
                }
            }
            Self::RegistrationRejected { status, error, .. } => {
                write!(f, "the registration was refused with {}", status.as_u16())?;
                if let Some(error) = error {
                    write!(f, " {}", error.error)?;
                }
                if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    f.write_str(
                        ": the server does not register every client; configure credentials that \
                         its operator gives out (`ClientConfig::pre_registered`)",
                    )?;
                }
                Ok(())
            }
            Self::NoRegistration { issuer } => {
                write!(f, "{issuer} registers no clients by itself: configure credentials for it")
            }
            Self::NoBoundTokens { issuer } => write!(
                f,
                "the server takes only tokens that are bound to a key, and {issuer} gives this client none"
            ),
            Self::Credentials(error) => error.fmt(f),
            Self::NamedUrl(rule) => write!(f, "an address that a server named {rule}"),
            Self::ServerUrl(rule) => write!(f, "the address of the MCP server {rule}"),
            Self::NotSigned => f.write_str("the token request could not be signed"),
            Self::NotSaved => f.write_str("the credentials could not be saved"),
            Self::NotLoaded => f.write_str("the credentials could not be looked up"),
            Self::NoRefreshToken => f.write_str("there is no refresh token"),
        }
    }
}

/// The same error, without what was sent.
fn struck_out(
    mut error: ErrorResponse<TokenErrorCode>,
    sent: &SentSecrets,
) -> ErrorResponse<TokenErrorCode> {
    let description = error.error_description.take();
    error.error_description =
        description.map(|text| ErrorDescription::new(&sent.strike_out(text.as_str())));
    let is_clean = |uri: &EndpointUrl| sent.strike_out(uri.as_str()) == uri.as_str();
    error.error_uri = error.error_uri.filter(is_clean);
    if let Cow::Owned(code) = sent.strike_out(error.error.as_str()) {
        error.error = TokenErrorCode::parse(&code).unwrap_or(TokenErrorCode::InvalidRequest);
    }
    error
}

impl core::error::Error for FlowError {}
