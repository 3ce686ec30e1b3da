//! JSON documents of OAuth: strict member by member, and written back with the members that are not known here.
//!
//! A body is one JSON object within the limits of [`DocumentError`]. Each member belongs to one of three classes:
//!
//! | class | members | malformed |
//! |---|---|---|
//! | (a) authenticates a party, says where secrets go, or decides access | `issuer`, `resource`, `authorization_endpoint`, `token_endpoint`, `registration_endpoint`, `access_token`, `token_type`, `issued_token_type`, `client_id`, `client_secret`, `redirect_uris`, `token_endpoint_auth_method`, a client's `token_endpoint_auth_methods_supported`, `token_endpoint_auth_signing_alg`, `error`, `keys`; of an introspection response also `active`, `scope`, `username`, `exp`, `nbf`, `sub`, `aud`, `iss` | refuses the document: [`DocumentError::Member`] names the member and the rule |
//! | (a) of which one has to be good | items of `authorization_servers` | a malformed item is passed over while another is left |
//! | (c) flags that narrow what is accepted | `authorization_response_iss_parameter_supported`, `dpop_bound_access_tokens_required`, `dpop_bound_access_tokens` | passed over, and counts as `true` |
//! | (c) every other member, and items of the lists among them | endpoints that others call, lists of what is supported, lifetimes, scopes, names | passed over, and counts as absent |
//!
//! Class (b) is a form, and crosses the others. A value with one reading is read as that value:
//!
//! | form | read as | where |
//! |---|---|---|
//! | `null` | absent | every member |
//! | `""` | absent | every optional member, except scopes, where it is the empty set, and introspection responses |
//! | digits as text | the number | lifetimes and times |
//! | `"true"`, `"false"` in any case | the boolean | flags, except `active` |
//! | one text | a list of it | lists, except `redirect_uris` and `keys` |
//! | a list of texts | scopes with spaces between | `scope` |
//!
//! An endpoint whose query has a parameter that requests to it set themselves (RFC 6749 §3.1) is malformed:
//! [`MemberRule::Parameter`] names it.
//!
//! The members that were passed over are named by `passed_over` of each document, for the log: the names are those of
//! this crate, never text of the peer. An endpoint that was passed over is absent, so that a caller that needs it says
//! that there is none. An expiry of access that cannot be read refuses the introspection response, because it must not
//! read as "never".

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
pub use introspection::{Audience, IntrospectionAnswer};
pub use key_set::KeySet;
pub use members::MemberRule;
pub(crate) use members::Members;
pub use resource::ProtectedResourceMetadata;
pub use server::AuthorizationServerMetadata;
pub use token::{ExtraMembers, TokenExchangeResponse, TokenResponse, TokenType};

/// Why a body is not the document that it should be (RFC 8259 §4, and the document's own RFC). It holds no text of the body.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DocumentError {
    /// Longer than 128 KiB.
    TooLarge,
    /// Not one JSON object, nested deeper than 32, or with a member twice.
    NotAnObject,
    /// A member breaks a rule.
    Member {
        /// The name of the member.
        member: &'static str,
        /// The rule, and what would be right.
        rule: MemberRule,
    },
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the document is longer than {MAX_BYTES} bytes"),
            Self::NotAnObject => f.write_str(
                "the document is not one JSON object of bounded depth without repeated members",
            ),
            Self::Member { member, rule } => write!(f, "`{member}` {rule}"),
        }
    }
}

impl core::error::Error for DocumentError {}

/// Longest document that is read, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// A document that is read from its members.
pub(crate) trait Document: Sized {
    /// Takes the members that the document knows, and the rest where it keeps it.
    fn read(members: &mut Members) -> Result<Self, DocumentError>;
}

/// Reads the members of one object from bytes of others.
fn object(json: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    if json.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    if !json::is_sound_object(json) {
        return Err(DocumentError::NotAnObject);
    }
    serde_json::from_slice(json).map_err(|_| DocumentError::NotAnObject)
}

/// Returns the names of the members that reading passes over: none of a body that is refused.
pub(crate) fn passed_over<T: Document>(json: &[u8]) -> Vec<&'static str> {
    read::<T>(json).map_or_else(|_| Vec::new(), |(_, names)| names)
}

#[expect(clippy::expect_used, reason = "documents have text keys and plain values")]
pub(crate) fn to_json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("text keys and plain values are written to memory").into()
}

/// Reads a document from bytes of others, and names the members that were passed over.
pub(crate) fn read<T: Document>(json: &[u8]) -> Result<(T, Vec<&'static str>), DocumentError> {
    let mut members = Members::new(object(json)?);
    let document = T::read(&mut members)?;
    Ok((document, members.into_passed_over()))
}

/// Reads a document of this side's own, in which nothing is passed over.
fn deserialize<'de, T: Document, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let mut members = Members::new(Map::deserialize(deserializer)?);
    let document = T::read(&mut members).map_err(D::Error::custom)?;
    match members.into_passed_over().first() {
        None => Ok(document),
        Some(member) => Err(D::Error::custom(format_args!("`{member}` is malformed"))),
    }
}

/// `from_json`, `passed_over` and `to_json`, the same for every document.
macro_rules! document {
    ($name:ident) => {
        impl $name {
            /// Reads the document from the bytes of a response or request.
            ///
            /// # Errors
            ///
            /// [`DocumentError`](crate::DocumentError) names the rule broken without quoting the body.
            pub fn from_json(json: &[u8]) -> Result<Self, crate::document::DocumentError> {
                crate::document::read(json).map(|(document, _)| document)
            }

            /// Returns the names of the members that reading this body passes over, for the log.
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

/// Returns `true` for a flag that is not written: absent reads as `false`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
