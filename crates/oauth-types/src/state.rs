//! The `state` parameter (RFC 6749 §10.12).

use crate::secret::Secret;
use crate::time::Entropy;

/// Value of `state` that binds an authorization response to its request (RFC 6749 §4.1.1).
///
/// It is secret, because an attacker who knows it can forge a response, and is compared in constant time.
///
/// # Examples
///
/// ```
/// use oauth_types::{Entropy, State};
///
/// // The host draws the bytes from its random source.
/// let state = State::new(Entropy::new([7; 32]));
/// let sent = state.as_secret().expose();
/// assert!(state.matches(sent));
/// assert!(!state.matches("forged"));
/// ```
#[doc(alias = "CSRF")]
#[derive(Clone, Debug)]
pub struct State(Secret);

impl State {
    /// Creates a value of 256 random bits.
    #[must_use]
    pub fn new(entropy: Entropy<32>) -> Self {
        Self(entropy.into_secret())
    }

    /// Takes a value that was stored during the redirect.
    #[must_use]
    pub const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// Returns the text to send and to store.
    #[must_use]
    pub const fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// Returns `true` if the response carries this value.
    #[must_use]
    pub fn matches(&self, received: &str) -> bool {
        self.0.matches(received)
    }
}
