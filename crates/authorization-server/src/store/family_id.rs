//! Identifiers of families, and their generations.

use oauth_types::Entropy;
use serde::{Deserialize, Serialize};

/// Identifier of a family: all tokens of one grant, which are revoked together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FamilyId([u8; 16]);

impl FamilyId {
    /// Creates a fresh identifier.
    #[must_use]
    pub fn new(entropy: Entropy<16>) -> Self {
        Self(entropy.into_bytes())
    }

    /// Creates an identifier from the bytes that a store or a token kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Number of rotations of a family's refresh token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Generation(u64);

impl Generation {
    /// Creates a generation from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number; the first is 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the next generation.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
