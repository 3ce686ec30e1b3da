//! Correlation identifiers: a number in both the reply and the log, to find one by the other.

use core::fmt;

use oauth_types::Entropy;

/// Identifier of one failure of the server, in its reply and in the log.
///
/// The reply says nothing else about the failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CorrelationId(u64);

impl CorrelationId {
    /// Creates an identifier from random bytes.
    #[must_use]
    pub fn new(entropy: Entropy<8>) -> Self {
        Self(u64::from_be_bytes(entropy.into_bytes()))
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
