//! Record bodies: the facts that a store keeps with a record as text, without reading them.
//!
//! A body is a JSON object with a version, `v`. This table is its format:
//!
//! | record | members |
//! |---|---|
//! | client | `authentication`, `redirect_uris`, `metadata`, `registered_at` |
//! | code | `redirect_uri`, `challenge`, `resource`, `scopes`, `jkt` |
//! | family, access token | `scopes`, `jkt` |
//! | consent | `scopes`, `metadata` |
//!
//! Digests (`jkt` and the `metadata` of a consent) are 64 lower-case hexadecimal digits, so that a migration in SQL can
//! write them.
//!
//! A member that an older release may ignore is added without a new version, and that release skips it. A member that
//! restricts what is granted must not be ignored, so it comes with a higher version. An older release refuses such a
//! record as [`StoreError::Unavailable`] instead of granting more: the record is sound, and a process of the later
//! release can read it. No operation of [`Store`](super::Store) rewrites a body that it read, so that an older process
//! beside a newer one loses none of its facts.

use core::fmt;
use std::borrow::Cow;

use client_auth::ClientAuthRecord;
use oauth_types::{
    ClientMetadata, CodeChallenge, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Thumbprint,
    UnixTime,
};
use serde::de::{DeserializeOwned, Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::StoreError;

/// Facts of a record that no store searches, compares or expires, as text.
///
/// Only this crate reads them. A store keeps the text byte for byte and returns it with
/// [`from_stored`](Self::from_stored), so that a release with a new fact needs no new column.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBody(String);

/// Omits the text, because it contains digests of secrets and the metadata of clients.
impl fmt::Debug for RecordBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordBody({} bytes)", self.0.len())
    }
}

impl RecordBody {
    /// Most bytes of a body: 1 MiB, far more than a request can bring.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Creates a body from the text that a store kept; it is checked when the record is read.
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn write(facts: &impl Serialize) -> Result<Self, StoreError> {
        let text = serde_json::to_string(facts).ok();
        let text = text.filter(|text| text.len() <= Self::MAX_BYTES);
        text.map(Self).ok_or(StoreError::Unavailable)
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        if self.0.len() > Self::MAX_BYTES {
            return Err(StoreError::Corrupt);
        }
        serde_json::from_str(&self.0).map_err(|_| {
            let version = serde_json::from_str::<Versioned>(&self.0);
            match version.is_ok_and(|body| body.v > VERSION) {
                true => StoreError::Unavailable,
                false => StoreError::Corrupt,
            }
        })
    }
}

/// Version that this release writes, and the highest that it reads.
const VERSION: u64 = 1;

/// Version of a body of any release.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// Version of a body; a higher one cannot be deserialized.
pub(super) struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1..=VERSION => Ok(Self),
            other => Err(D::Error::invalid_value(Unexpected::Unsigned(other), &"a known version")),
        }
    }
}

/// Body of a client.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientBody<'a> {
    pub(super) v: Version,
    pub(super) authentication: Cow<'a, ClientAuthRecord>,
    pub(super) redirect_uris: Cow<'a, [RedirectUri]>,
    pub(super) metadata: Cow<'a, ClientMetadata>,
    pub(super) registered_at: UnixTime,
}

/// Body of a code.
#[derive(Serialize, Deserialize)]
pub(super) struct CodeBody<'a> {
    pub(super) v: Version,
    pub(super) redirect_uri: Cow<'a, RedirectUri>,
    pub(super) challenge: Cow<'a, CodeChallenge>,
    pub(super) resource: Cow<'a, ResourceUri>,
    pub(super) scopes: Cow<'a, ScopeSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jkt: Option<Hex>,
}

/// Body of a family or an access token: the granted scopes, and the key that they are bound to.
#[derive(Serialize, Deserialize)]
pub(super) struct GrantBody<'a> {
    pub(super) v: Version,
    pub(super) scopes: Cow<'a, ScopeSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jkt: Option<Hex>,
}

/// Body of a consent.
#[derive(Serialize, Deserialize)]
pub(super) struct ConsentBody<'a> {
    pub(super) v: Version,
    pub(super) scopes: Cow<'a, ScopeSet>,
    pub(super) metadata: Hex,
}

/// Digest as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Hex([u8; 32]);

impl From<Thumbprint> for Hex {
    fn from(jkt: Thumbprint) -> Self {
        Self(*jkt.as_bytes())
    }
}

impl From<Hex> for Thumbprint {
    fn from(hex: Hex) -> Self {
        Self::from_bytes(hex.0)
    }
}

impl From<SecretDigest> for Hex {
    fn from(digest: SecretDigest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl From<Hex> for SecretDigest {
    fn from(hex: Hex) -> Self {
        Self::from_bytes(hex.0)
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_hex(&text).map(Self).ok_or_else(|| D::Error::custom("not a digest"))
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>().filter(|_| rest.is_empty())?;
    bytes.try_into().ok()
}
