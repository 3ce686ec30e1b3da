//! Which failure was it? A number that the reply and the log share, so that who has the one finds the other.

use core::fmt;

use oauth_types::Entropy;

/// Names one failure of the server: in its reply, which says nothing else about it, and in the log, which does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CorrelationId(u64);

impl CorrelationId {
    /// A fresh one.
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
