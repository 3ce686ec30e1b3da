//! JSON documents of OAuth: metadata, responses of the endpoints, and key sets.
//!
//! They are strict member by member, and written back with the members that are not known here. A body is one JSON
//! object within the limits of [`DocumentError`]. Each member belongs to one of three classes:
//!
//! | class | members | if malformed |
//! |---|---|---|
//! | (a) | decide who is authenticated, where secrets go, or who has access: listed below | the document is refused |
//! | (a), one of many | items of `authorization_servers` | passed over while another item is left |
//! | (c), flags | flags that narrow what is accepted: listed below | passed over, and counts as `true` |
//! | (c) | every other member, and items of the lists among them | passed over, and counts as absent |
//!
//! - Class (a), for which [`DocumentError::Member`] names the member and the rule: `issuer`, `resource`,
//!   `authorization_endpoint`, `token_endpoint`, `registration_endpoint`, `access_token`, `token_type`,
//!   `issued_token_type`, `client_id`, `client_secret`, `redirect_uris`, `token_endpoint_auth_method`, a client's
//!   `token_endpoint_auth_methods_supported`, `token_endpoint_auth_signing_alg`, `error`, `keys`; of an introspection
//!   response also `active`, `scope`, `username`, `exp`, `nbf`, `sub`, `aud`, `iss`.
//! - Flags of class (c): `authorization_response_iss_parameter_supported`, `dpop_bound_access_tokens_required`,
//!   `dpop_bound_access_tokens`.
//! - Other members of class (c): endpoints that other parties call, lists of what is supported, lifetimes, scopes,
//!   names.
//!
//! Class (b) is about the form of a value, in every class. A value with one reading is read as that value:
//!
//! | form | read as | for |
//! |---|---|---|
//! | `null` | absent | every member |
//! | `""` | absent | every optional member, except `redirect_uris`, scopes (the empty set), introspection |
//! | digits as text | the number | lifetimes and times |
//! | `"true"`, `"false"` in any case | the boolean | flags, except `active` |
//! | one text | a list with that text | lists, except `redirect_uris` and `keys` |
//! | a list of texts | the scopes joined by spaces | `scope` |
//!
//! An endpoint is malformed if its query has a parameter that requests to it set themselves (RFC 6749 §3.1):
//! [`MemberRule::Parameter`] names it.
//!
//! `passed_over` of each document names the members that were passed over, for logs: the names are those of this
//! crate, never text of the peer. An endpoint that was passed over is absent, so a caller that needs it reports it as
//! missing. An introspection response with a malformed expiry is refused, because an expiry must not read as "never".

mod client;
mod client_id;
mod error;
mod introspection;
mod key_set;
mod members;
mod resource;
mod server;
mod token;

use core::fmt;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json;

pub use client::{ClientInformation, ClientMetadata};
pub use client_id::{ClientIdMetadata, InvalidClientIdMetadata};
pub use error::ErrorResponse;
pub use introspection::{Audience, IntrospectionResponse};
pub use key_set::JwkSet;
pub use members::MemberRule;
pub(crate) use members::Members;
pub use resource::ProtectedResourceMetadata;
pub use server::AuthorizationServerMetadata;
pub use token::{ExtraMembers, TokenExchangeResponse, TokenResponse, TokenType};

/// The reason why a body is not the expected document (RFC 8259 §4, and the RFC of the document).
///
/// It holds no text of the body.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DocumentError {
    /// The body is longer than 128 KiB.
    TooLarge,
    /// The body is not one JSON object, is nested deeper than 32, or has a member twice.
    NotAnObject,
    /// A member breaks a rule.
    Member {
        /// Name of the member.
        member: &'static str,
        /// Rule that the member breaks; its text says what would be right.
        rule: MemberRule,
    },
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(f, "the body is longer than {MAX_BYTES} bytes, and has to be shortened")
            }
            Self::NotAnObject => f.write_str(
                "the body is not the one JSON object that is expected, of bounded depth and \
                 without repeated members",
            ),
            Self::Member { member, rule } => write!(f, "`{member}` {rule}"),
        }
    }
}

impl core::error::Error for DocumentError {}

/// Longest document that is parsed, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// A document that is read from the members of a JSON object.
pub(crate) trait Document: Sized {
    /// Takes the members that the document knows, and the rest if it keeps unknown ones.
    fn read(members: &mut Members) -> Result<Self, DocumentError>;
}

/// Parses untrusted bytes into the members of one object.
fn object(json: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    if json.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    if !json::is_sound_object(json) {
        return Err(DocumentError::NotAnObject);
    }
    serde_json::from_slice(json).map_err(|_| DocumentError::NotAnObject)
}

/// Returns the names of the members that reading passes over; none for a body that is refused.
pub(crate) fn passed_over<T: Document>(json: &[u8]) -> Vec<&'static str> {
    read::<T>(json).map_or_else(|_| Vec::new(), |(_, names)| names)
}

#[expect(clippy::expect_used, reason = "documents have text keys and plain values")]
pub(crate) fn to_json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("text keys and plain values are written to memory").into()
}

/// Parses a document from untrusted bytes, and names the members that were passed over.
pub(crate) fn read<T: Document>(json: &[u8]) -> Result<(T, Vec<&'static str>), DocumentError> {
    let mut members = Members::new(object(json)?);
    let document = T::read(&mut members)?;
    Ok((document, members.into_passed_over()))
}

/// Deserializes a trusted, stored document, in which any malformed member is an error.
fn deserialize<'de, T: Document, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let mut members = Members::new(Map::deserialize(deserializer)?);
    let document = T::read(&mut members).map_err(D::Error::custom)?;
    match members.into_passed_over().first() {
        None => Ok(document),
        Some(member) => Err(D::Error::custom(format_args!("`{member}` is malformed"))),
    }
}

/// Implements `from_json`, `passed_over`, `to_json` and `Deserialize` for a document.
macro_rules! document {
    ($name:ident) => {
        impl $name {
            /// Parses the document from the body of a request or response.
            ///
            /// # Errors
            ///
            /// [`DocumentError`](crate::DocumentError) names the broken rule without quoting the body.
            pub fn from_json(json: &[u8]) -> Result<Self, crate::document::DocumentError> {
                crate::document::read(json).map(|(document, _)| document)
            }

            /// Returns the names of the members that parsing this body passes over, for logs.
            #[must_use]
            pub fn passed_over(json: &[u8]) -> Vec<&'static str> {
                crate::document::passed_over::<Self>(json)
            }

            /// Returns the document as JSON.
            #[must_use]
            pub fn to_json(&self) -> bytes::Bytes {
                crate::document::to_json(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::document::deserialize(deserializer)
            }
        }
    };
}
use document;

/// Returns `true` if the flag is `false`, so that it is not written; absent means `false`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
