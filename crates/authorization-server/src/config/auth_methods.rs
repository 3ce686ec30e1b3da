//! The client authentication methods that a server takes.

use oauth_types::AuthMethod;

use super::{Config, InvalidConfig};

/// Client authentication methods that are spoken here; [`Config::with_auth_methods`] takes fewer.
pub(super) const AUTH_METHODS: &[AuthMethod] = &[
    AuthMethod::None,
    AuthMethod::ClientSecretBasic,
    AuthMethod::ClientSecretPost,
    #[cfg(feature = "jwt")]
    AuthMethod::PrivateKeyJwt,
];

impl Config {
    /// Takes these client authentication methods and no others: in registrations, at the token and revocation
    /// endpoints, and in the metadata. A client that is stored with another method is not let in. Without this,
    /// all methods are taken that this build speaks.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::AuthMethods`] when there is none, or one that this build does not speak.
    pub fn with_auth_methods(mut self, methods: Vec<AuthMethod>) -> Result<Self, InvalidConfig> {
        if methods.is_empty() || !methods.iter().all(|method| AUTH_METHODS.contains(method)) {
            return Err(InvalidConfig::AuthMethods);
        }
        self.auth_methods = methods;
        Ok(self)
    }
}
