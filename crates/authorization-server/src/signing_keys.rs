//! The keys that sign access tokens, and those that are published (RFC 7517 §5).

use bytes::Bytes;
use client_auth::{InvalidSigningKey, SigningFailed, SigningKey};
use oauth_types::Secret;
use serde::Serialize;
use serde_json::{Value, json};

/// The key that signs access tokens, and all keys that are published (RFC 7517 §5).
///
/// To change the key, publish the new one first, for at least the five minutes that caches keep the set. Then let
/// it sign, and publish the old one for as long as its tokens live.
///
/// ```
/// use authorization_server::SigningKeys;
/// use client_auth::SigningKey;
/// use oauth_types::SigningAlgorithm;
///
/// # let (new, old) = (
/// #     include_str!("../../client-auth/tests/keys/es256.pem"),
/// #     include_str!("../../client-auth/tests/keys/eddsa.pem"),
/// # );
/// let new = SigningKey::from_pem(SigningAlgorithm::Es256, new)?;
/// let old = SigningKey::from_pem(SigningAlgorithm::EdDsa, old)?.with_id("2026-01");
/// let keys = SigningKeys::new(new)?.with_published(old)?;
/// # Ok::<(), client_auth::InvalidSigningKey>(())
/// ```
#[derive(Clone, Debug)]
pub struct SigningKeys {
    current: SigningKey,
    published: Vec<Value>,
}

impl SigningKeys {
    /// One key. Without an identifier of its own it is called by its thumbprint (RFC 7638).
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`] when it has no public half that could be published.
    pub fn new(current: SigningKey) -> Result<Self, InvalidSigningKey> {
        let current = current.identified()?;
        let published = vec![current.public_key()?];
        Ok(Self { current, published })
    }

    /// Also publishes a key that does not sign: the next one, or an earlier one.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`]; another key may have its identifier.
    pub fn with_published(mut self, other: SigningKey) -> Result<Self, InvalidSigningKey> {
        let public = other.identified()?.public_key()?;
        if self.published.iter().any(|own| own.get("kid") == public.get("kid")) {
            return Err(InvalidSigningKey::RepeatedId);
        }
        self.published.push(public);
        Ok(self)
    }

    /// The key set that is published.
    pub(crate) fn document(&self) -> Bytes {
        json!({ "keys": self.published }).to_string().into()
    }

    /// Signs the claims of an access token (RFC 9068 §2.1).
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, SigningFailed> {
        self.current.sign_claims("at+jwt", claims)
    }
}
