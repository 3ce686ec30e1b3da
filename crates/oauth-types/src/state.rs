//! The `state` parameter (RFC 6749 §10.12).

use crate::secret::Secret;
use crate::time::Entropy;

/// The value that ties an authorization response to the request that asked for it (RFC 6749 §4.1.1).
///
/// Secret, because whoever knows it can forge a response; compared in constant time.
#[derive(Clone, Debug)]
pub struct State(Secret);

impl State {
    /// A fresh value of 256 random bits.
    #[must_use]
    pub fn new(entropy: Entropy<32>) -> Self {
        Self(entropy.into_secret())
    }

    /// A value that was kept while the browser was away.
    #[must_use]
    pub const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The text to send, and to keep.
    #[must_use]
    pub const fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// Whether the response carries this very value.
    #[must_use]
    pub fn matches(&self, received: &str) -> bool {
        self.0.matches(received)
    }
}
