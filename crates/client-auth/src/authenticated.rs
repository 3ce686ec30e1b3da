//! Evidence that a client is authenticated (RFC 6749 §2.3).

use oauth_types::{AuthMethod, ClientId};

/// Authenticated client (RFC 6749 §2.3); only [`Presented::verify`](crate::Presented::verify) yields one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    client_id: ClientId,
    method: AuthMethod,
}

impl Authenticated {
    pub(crate) const fn new(client_id: ClientId, method: AuthMethod) -> Self {
        Self { client_id, method }
    }

    /// Returns the client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the method with which the client authenticated.
    #[must_use]
    pub const fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// Returns `true` if the client proved that it holds a secret or a private key (RFC 6749 §2.1).
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.method != AuthMethod::None
    }
}
