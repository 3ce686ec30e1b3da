//! Client authentication methods that a server accepts.

use oauth_types::AuthMethod;

use super::{Config, InvalidConfig};

/// Client authentication methods that this build supports; [`Config::with_auth_methods`] selects fewer.
pub(super) const AUTH_METHODS: &[AuthMethod] = &[
    AuthMethod::None,
    AuthMethod::ClientSecretBasic,
    AuthMethod::ClientSecretPost,
    #[cfg(feature = "jwt")]
    AuthMethod::PrivateKeyJwt,
];

impl Config {
    /// Accepts only these client authentication methods.
    ///
    /// This holds for registrations, the token and revocation endpoints, and the metadata. A client that is stored with
    /// another method fails authentication. By default, all methods are accepted that this build supports.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::AuthMethods`] when the list is empty, or contains a method that this build does not support.
    pub fn with_auth_methods(mut self, methods: Vec<AuthMethod>) -> Result<Self, InvalidConfig> {
        if methods.is_empty() || !methods.iter().all(|method| AUTH_METHODS.contains(method)) {
            return Err(InvalidConfig::AuthMethods);
        }
        self.auth_methods = methods;
        Ok(self)
    }
}
