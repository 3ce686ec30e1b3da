//! Errors about clients: metadata that is not accepted, documents that are refused, look-ups that failed.

use core::fmt;

use bytes::Bytes;
use client_auth::InvalidKeys;
use http::{Response, StatusCode};
use oauth_types::{InvalidClientIdMetadata, InvalidUri, media_type};

use crate::store::{ClientRecord, StoreError};

/// Rule of this server that a client's metadata breaks, whatever its source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidClient {
    /// No redirect URI, too many of them, or too many bytes of them together.
    RedirectUris,
    /// No redirect URI is allowed; the first one breaks this rule.
    RedirectUri(InvalidUri),
    /// No redirect URI is allowed; the first has a private-use scheme that is not listed.
    ///
    /// See [`Config::with_private_use_schemes`](crate::Config::with_private_use_schemes) and
    /// [`Config::with_private_use_redirects`](crate::Config::with_private_use_redirects).
    PrivateUseRedirect,
    /// No authentication method of the client is accepted.
    ///
    /// See [`Config::with_auth_methods`](crate::Config::with_auth_methods).
    AuthMethod,
    /// The metadata leads to no keys, although the client signs assertions.
    NoKeys,
    /// Both `jwks` and `jwks_uri` are present.
    TwoKeySets,
    /// The value of `jwks` is too long.
    KeysTooLong,
    /// The keys of the client break this rule.
    Keys(InvalidKeys),
    /// The grant types lack `authorization_code`.
    Grants,
    /// The response types lack `code`.
    ResponseTypes,
    /// A URL of the metadata is not https, or leads to a local address.
    ForeignUrl,
}

impl InvalidClient {
    /// Returns `true` if a redirect URI is the reason (RFC 7591 §3.2.2).
    pub(crate) const fn is_about_redirects(self) -> bool {
        matches!(self, Self::RedirectUris | Self::RedirectUri(_) | Self::PrivateUseRedirect)
    }
}

impl fmt::Display for InvalidClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RedirectUris => {
                "`redirect_uris` is missing or too long: the client has to name 1 to 16, of at most 8192 bytes together"
            }
            Self::RedirectUri(rule) => {
                return write!(
                    f,
                    "none of `redirect_uris` is https, or http on a loopback host; the first one {rule}"
                );
            }
            Self::PrivateUseRedirect => {
                "none of `redirect_uris` is https, or http on a loopback host, and the private-use scheme of the first \
                 is not listed: the client has to use another, or the operator to list the scheme"
            }
            Self::AuthMethod => {
                "no authentication method of the client is accepted: the client has to choose one of \
                 `token_endpoint_auth_methods_supported` in the server's metadata"
            }
            Self::NoKeys => {
                "the client signs assertions and its metadata leads to no public keys: the client has to send `jwks`, \
                 or a `jwks_uri` that is public, https, and fetched by this server"
            }
            Self::TwoKeySets => {
                "the metadata has both `jwks` and `jwks_uri`: the client has to send one of them (RFC 7591 §2)"
            }
            Self::KeysTooLong => {
                "`jwks` is longer than 16384 bytes: the client has to send fewer keys, or to publish them at a \
                 `jwks_uri`"
            }
            Self::Keys(rule) => return rule.fmt(f),
            Self::Grants => "`grant_types` lacks `authorization_code`: the client has to add it",
            Self::ResponseTypes => "`response_types` lacks `code`: the client has to add it",
            Self::ForeignUrl => {
                "a URL of the metadata is not https, or leads to a local address: the client has to use public https \
                 URLs"
            }
        })
    }
}

impl core::error::Error for InvalidClient {}

/// Check that the fetch of a client's document failed.
///
/// It contains neither text of the document nor the address of its host.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DocumentRefused {
    /// No response arrived in time, or no address of the host may be connected to.
    ///
    /// The two cases are not distinguished.
    Unreachable,
    /// Nothing was fetched, because too many fetches are running or came from one host or network.
    Busy,
    /// The operator of this server allows no documents of that host.
    Forbidden,
    /// The response has another status than 200.
    Status(StatusCode),
    /// The media type of the response is not JSON.
    MediaType,
    /// The document is not the metadata of the client that its URL names.
    Document(InvalidClientIdMetadata),
    /// The client that the document describes is not accepted by this server.
    Client(InvalidClient),
    /// The document at `jwks_uri` breaks this rule of public keys.
    Keys(InvalidKeys),
}

impl DocumentRefused {
    /// Returns the look-up's result: `Ok(None)` for an unknown client, an error for a temporary failure.
    ///
    /// # Errors
    ///
    /// [`ClientUnavailable::Document`] when another attempt may succeed. The client then gets a temporary error and
    /// keeps its tokens.
    pub fn into_fact(self) -> Result<Option<ClientRecord>, ClientUnavailable> {
        match self {
            Self::Unreachable | Self::Busy => Err(ClientUnavailable::Document),
            Self::Status(status) if status.as_u16() >= 500 || status.as_u16() == 429 => {
                Err(ClientUnavailable::Document)
            }
            _ => Ok(None),
        }
    }
}

impl fmt::Display for DocumentRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => {
                return write!(
                    f,
                    "the URL of the document answered {} instead of 200: the client's developer has to publish the \
                     document there",
                    status.as_u16()
                );
            }
            Self::Document(error) => return error.fmt(f),
            Self::Client(error) => return error.fmt(f),
            Self::Keys(error) => return error.fmt(f),
            Self::Unreachable => {
                "the client's metadata document could not be fetched: its developer has to publish it at a public \
                 address that answers in time"
            }
            Self::Busy => {
                "the document was not fetched, because too many fetches are running or came from one host or \
                 network: the client has to try again later"
            }
            Self::Forbidden => {
                "the operator allows no documents of that host: the client has to register in another way, or the \
                 operator to allow the host"
            }
            Self::MediaType => {
                "the document is not JSON by its media type: the client's developer has to publish it as \
                 `application/json`"
            }
        })
    }
}

impl core::error::Error for DocumentRefused {}

/// Temporary failure to look up a client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ClientUnavailable {
    /// The store failed.
    Store(StoreError),
    /// The client's document could not be fetched.
    Document,
}

impl fmt::Display for ClientUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Document => f.write_str(
                "the client's metadata document cannot be fetched now: the client has to try again, and the operator \
                 to read the reason in the log if that lasts",
            ),
        }
    }
}

impl core::error::Error for ClientUnavailable {}

impl From<StoreError> for ClientUnavailable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Checks that the answer is JSON with the status 200.
pub(crate) fn check_json(answer: &Response<Bytes>) -> Result<(), DocumentRefused> {
    if answer.status() != StatusCode::OK {
        return Err(DocumentRefused::Status(answer.status()));
    }
    let is_json = |media_type: String| {
        let subtype = media_type.strip_prefix("application/");
        subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    };
    if !media_type(answer.headers()).is_some_and(is_json) {
        return Err(DocumentRefused::MediaType);
    }
    Ok(())
}
