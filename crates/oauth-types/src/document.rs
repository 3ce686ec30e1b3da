//! The JSON documents of OAuth, read strictly and written back with what they did not know.

mod client;
mod client_id;
mod error;
mod introspection;
mod key_set;
mod resource;
mod server;
mod token;

use core::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::{Secret, json};

pub use client::{ClientInformation, ClientMetadata};
pub use client_id::{ClientIdMetadata, InvalidClientIdMetadata};
pub use error::ErrorResponse;
pub use introspection::{Audience, IntrospectionAnswer};
pub use key_set::KeySet;
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
    /// A member is missing or does not have its form. The path is made of our own member names; it is `.`
    /// where it is not known.
    Member(Box<str>),
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the document is longer than {MAX_BYTES} bytes"),
            Self::NotAnObject => f.write_str(
                "the document is not one JSON object of bounded depth without repeated members",
            ),
            Self::Member(path) if &**path == "." => {
                f.write_str("the document lacks a required member, or one does not have its form")
            }
            Self::Member(path) => write!(f, "the member {path} does not have its form"),
        }
    }
}

impl core::error::Error for DocumentError {}

/// Longest document that is read, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// Reads a document from bytes of others.
fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, DocumentError> {
    if json.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    if !json::is_sound_object(json) {
        return Err(DocumentError::NotAnObject);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| DocumentError::Member(error.path().to_string().into()))
}

/// `from_json` and `to_json`, the same for every document.
macro_rules! document {
    ($name:ident) => {
        impl $name {
            /// Reads the document from the bytes of a response or request.
            ///
            /// # Errors
            ///
            /// [`DocumentError`](crate::DocumentError) says what is wrong without quoting the body.
            pub fn from_json(json: &[u8]) -> Result<Self, crate::DocumentError> {
                crate::document::read(json)
            }

            /// The document as JSON.
            #[must_use]
            pub fn to_json(&self) -> bytes::Bytes {
                // Text keys and plain values: writing them to memory does not fail.
                serde_json::to_vec(self).unwrap_or_default().into()
            }
        }
    };
}
use document;

/// `null` is what some peers write for an absent member; here it reads as one.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Members that are not known here. One that is `null` says nothing, and strict readers refuse to be told so.
fn known_values<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<serde_json::Map<String, serde_json::Value>, D::Error> {
    let mut members = serde_json::Map::deserialize(deserializer)?;
    members.retain(|_, value| !value.is_null());
    Ok(members)
}

/// An empty secret is none: it must not take the place of one that works.
fn secret_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<Secret>::deserialize(deserializer)?.filter(|secret| !secret.expose().is_empty()))
}

/// `true` where a flag is absent in neither direction: absent reads as `false`, `false` is not
/// written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
