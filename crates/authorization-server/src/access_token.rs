//! What an access token looks like: random bytes, or a JWT that says itself what it is (RFC 9068). Either is stored by
//! its digest, so that it is revoked, introspected and looked up in the same way.

use oauth_types::{ClientId, Entropy, ResourceUri, ScopeSet, Secret, Thumbprint, UnixTime};
#[cfg(feature = "jwt_access_tokens")]
pub use signed::SigningKeys;

use crate::config::Config;

/// What an access token is about.
#[cfg_attr(
    not(feature = "jwt_access_tokens"),
    expect(dead_code, reason = "random bytes say nothing about themselves")
)]
pub(crate) struct About<'a> {
    pub(crate) client_id: &'a ClientId,
    pub(crate) subject: &'a str,
    pub(crate) resource: &'a ResourceUri,
    pub(crate) scopes: &'a ScopeSet,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) jkt: Option<Thumbprint>,
}

impl Config {
    /// A fresh access token.
    #[cfg_attr(
        not(feature = "jwt_access_tokens"),
        expect(
            clippy::unused_self,
            reason = "asks the configuration where there is something to ask"
        )
    )]
    pub(crate) fn access_token(&self, entropy: Entropy<32>, about: &About<'_>) -> Secret {
        let random = entropy.into_secret();
        #[cfg(feature = "jwt_access_tokens")]
        if let Some(keys) = &self.signing_keys {
            // The key has signed before. Should the library ever fail, the token is one that has to be looked up.
            return keys.sign(&self.issuer, &random, about).unwrap_or(random);
        }
        #[cfg(not(feature = "jwt_access_tokens"))]
        let _ = about;
        random
    }
}

#[cfg(feature = "jwt_access_tokens")]
mod signed {
    use bytes::Bytes;
    use client_auth::{InvalidSigningKey, SigningFailed, SigningKey};
    use oauth_types::{Issuer, ScopeSet, Secret, Thumbprint, UnixTime};
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::About;

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

        /// An access token with this identifier.
        pub(super) fn sign(
            &self,
            issuer: &Issuer,
            id: &Secret,
            about: &About<'_>,
        ) -> Result<Secret, SigningFailed> {
            // RFC 9068 §2.2
            let claims = Claims {
                iss: issuer.as_str(),
                sub: about.subject,
                aud: about.resource.as_str(),
                exp: about.expires_at,
                iat: about.issued_at,
                jti: id.expose(),
                client_id: about.client_id.as_str(),
                scope: about.scopes,
                cnf: about.jkt.map(|jkt| Confirmation { jkt }),
            };
            self.current.sign_claims("at+jwt", &claims)
        }
    }

    #[derive(Serialize)]
    struct Claims<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        exp: UnixTime,
        iat: UnixTime,
        jti: &'a str,
        client_id: &'a str,
        scope: &'a ScopeSet,
        #[serde(skip_serializing_if = "Option::is_none")]
        cnf: Option<Confirmation>,
    }

    /// Which key the sender has to hold (RFC 7800 §3.1, RFC 9449 §6.1).
    #[derive(Serialize)]
    struct Confirmation {
        jkt: Thumbprint,
    }
}
