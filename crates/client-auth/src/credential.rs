//! Credential of a request: at most one, of one method (RFC 6749 §2.3).

use oauth_types::{AuthMethod, Secret};

use crate::basic::BasicCredentials;

/// Credential that a request presents.
#[derive(Debug)]
pub(crate) enum Proof {
    Nothing,
    /// Keeps the decoded pair, because a copy of the secret would be an allocation of its own.
    Header(BasicCredentials),
    Body(Secret),
    #[cfg(feature = "jwt")]
    Assertion(Secret),
}

impl Proof {
    /// Returns the method that the credential is of.
    pub(crate) const fn method(&self) -> AuthMethod {
        match self {
            Self::Nothing => AuthMethod::None,
            Self::Header(_) => AuthMethod::ClientSecretBasic,
            Self::Body(_) => AuthMethod::ClientSecretPost,
            #[cfg(feature = "jwt")]
            Self::Assertion(_) => AuthMethod::PrivateKeyJwt,
        }
    }

    /// Returns the presented secret; `None` if it is empty.
    pub(crate) fn secret(&self) -> Option<&str> {
        let secret = match self {
            Self::Header(basic) => basic.secret(),
            Self::Body(secret) => secret.expose(),
            _ => return None,
        };
        Some(secret).filter(|secret| !secret.is_empty())
    }
}

impl Clone for Proof {
    fn clone(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Header(basic) => Self::Header(basic.copy()),
            Self::Body(secret) => Self::Body(secret.clone()),
            #[cfg(feature = "jwt")]
            Self::Assertion(assertion) => Self::Assertion(assertion.clone()),
        }
    }
}
