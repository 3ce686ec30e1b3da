//! Keys that sign access tokens, and the published key set (RFC 7517 §5).

use bytes::Bytes;
use client_auth::{InvalidSigningKey, SigningFailed, SigningKey};
use oauth_types::Secret;
use serde::Serialize;
use serde_json::{Value, json};

/// Key that signs access tokens, with the published key set (RFC 7517 §5).
///
/// To change the key, publish the new one first, for at least the five minutes for which the set is cached. Then sign
/// with it, and publish the old one until the last token that it signed has expired.
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
    /// Takes the key that signs; its default identifier is its thumbprint (RFC 7638).
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`] when the key has no public half to publish.
    pub fn new(current: SigningKey) -> Result<Self, InvalidSigningKey> {
        let current = current.identified()?;
        let published = vec![current.public_key()?];
        Ok(Self { current, published })
    }

    /// Publishes a further key that does not sign: the next one, or an earlier one.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`] when the key has no public half, or another published key has the same identifier.
    pub fn with_published(mut self, other: SigningKey) -> Result<Self, InvalidSigningKey> {
        let public = other.identified()?.public_key()?;
        if self.published.iter().any(|own| own.get("kid") == public.get("kid")) {
            return Err(InvalidSigningKey::RepeatedId);
        }
        self.published.push(public);
        Ok(self)
    }

    /// Returns the published key set as JSON.
    pub(crate) fn document(&self) -> Bytes {
        json!({ "keys": self.published }).to_string().into()
    }

    /// Signs the claims of an access token (RFC 9068 §2.1).
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, SigningFailed> {
        self.current.sign_claims("at+jwt", claims)
    }
}
