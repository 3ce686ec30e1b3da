//! Registration of a client: its method, and the secret or the keys that verify it (RFC 7591 §2, §3.2.1).

use oauth_types::{AuthMethod, SecretDigest, UnixTime};
use serde::{Deserialize, Serialize};

use crate::keys::VerifyingKeys;
use crate::secret_verifier::SecretHash;

/// Registered authentication data of a client (RFC 7591 §2, §3.2.1).
///
/// # Examples
///
/// ```
/// use client_auth::ClientAuthRecord;
/// use oauth_types::{AuthMethod, Secret};
///
/// // The store keeps a digest, never the secret.
/// let secret = Secret::new("the secret that the client was issued");
/// let record =
///     ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
/// assert_eq!(record.method, AuthMethod::ClientSecretBasic);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientAuthRecord {
    /// The one method that is accepted.
    ///
    /// A registration without a method means `client_secret_basic` (RFC 7591 §2).
    pub method: AuthMethod,
    /// Digest of the client's secret, if it has one.
    pub secret: Option<SecretDigest>,
    /// Expiry time of the secret (exclusive); `None` means never.
    ///
    /// The 0 of RFC 7591 §3.2.1 is `None` here.
    pub secret_expires_at: Option<UnixTime>,
    /// Public keys that verify the client's assertions, if it signs any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<VerifyingKeys>,
    /// Password hash of the client's secret, if it is stored so; it counts in place of a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<SecretHash>,
}

impl ClientAuthRecord {
    /// Creates the record of a public client.
    #[must_use]
    pub const fn public() -> Self {
        Self::new(AuthMethod::None)
    }

    /// Creates the record of a client with this method.
    ///
    /// A confidential client can authenticate only after [`with_secret`](Self::with_secret),
    /// [`with_secret_hash`](Self::with_secret_hash) or [`with_keys`](Self::with_keys).
    ///
    /// # Examples
    ///
    /// ```
    /// use client_auth::ClientAuthRecord;
    /// use oauth_types::{AuthMethod, Secret};
    ///
    /// let secret = Secret::new("a secret of 256 random bits");
    /// let client = ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
    /// assert_eq!(client.secret_expires_at, None);
    /// ```
    #[must_use]
    pub const fn new(method: AuthMethod) -> Self {
        Self { method, secret: None, secret_expires_at: None, keys: None, secret_hash: None }
    }

    /// Sets the digest of the client's secret, in place of a hash.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<Option<SecretDigest>>) -> Self {
        self.secret = secret.into();
        self.secret_hash = None;
        self
    }

    /// Sets the password hash of the client's secret (argon2, bcrypt), in place of a digest.
    ///
    /// The client is verified by [`Presented::verify_with`](crate::Presented::verify_with), with the host's
    /// [`SecretVerifier`](crate::SecretVerifier).
    ///
    /// # Examples
    ///
    /// ```
    /// use client_auth::ClientAuthRecord;
    /// use oauth_types::AuthMethod;
    ///
    /// let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$WW91ciBsaWJyYXJ5IG1ha2VzIHRoaXM";
    /// let client = ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret_hash(hash);
    /// assert_eq!(client.secret, None);
    /// ```
    #[must_use]
    pub fn with_secret_hash(mut self, hash: impl Into<SecretHash>) -> Self {
        self.secret = None;
        self.secret_hash = Some(hash.into());
        self
    }

    /// Sets the time from which on the secret is refused; `None` means never.
    #[must_use]
    pub fn with_secret_expires_at(mut self, time: impl Into<Option<UnixTime>>) -> Self {
        self.secret_expires_at = time.into();
        self
    }

    /// Returns `true` if the secret has expired.
    pub(crate) fn secret_has_expired(&self, now: UnixTime) -> bool {
        // A-AUTHN-6
        self.secret_expires_at.is_some_and(|end| now >= end)
    }

    /// Sets the public keys of the client's assertions (`private_key_jwt`).
    #[must_use]
    pub fn with_keys(mut self, keys: impl Into<Option<VerifyingKeys>>) -> Self {
        self.keys = keys.into();
        self
    }
}
