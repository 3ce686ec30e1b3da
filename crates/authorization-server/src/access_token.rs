//! Format of access tokens: random bytes, or a self-contained JWT (RFC 9068). Either is stored by its digest, so
//! revocation, introspection and look-up work in the same way.

#[cfg(feature = "jwt")]
mod claims;

use oauth_types::{
    ClientId, Entropy, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, UnixTime,
};

#[cfg(feature = "jwt")]
use self::claims::Claims;
use crate::config::Config;

/// Contents of an access token: client, subject, resource, scopes, times and key.
#[cfg_attr(
    not(feature = "jwt"),
    expect(dead_code, reason = "random bytes say nothing about themselves")
)]
pub(crate) struct About<'a> {
    pub(crate) client_id: &'a ClientId,
    pub(crate) subject: &'a Subject,
    pub(crate) resource: &'a ResourceUri,
    pub(crate) scopes: &'a ScopeSet,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) jkt: Option<Thumbprint>,
}

impl Config {
    /// Creates an access token: a JWT if the server has signing keys, otherwise random bytes.
    #[cfg_attr(
        not(feature = "jwt"),
        expect(
            clippy::unused_self,
            reason = "asks the configuration where there is something to ask"
        )
    )]
    pub(crate) fn access_token(&self, entropy: Entropy<32>, about: &About<'_>) -> Secret {
        let random = entropy.into_secret();
        #[cfg(feature = "jwt")]
        if let Some(keys) = &self.signing_keys {
            // The key signed successfully when it was loaded. If signing fails all the same, the token is an opaque
            // one, which resource servers introspect.
            let claims = Claims::new(&self.issuer, &random, about);
            return keys.sign(&claims).unwrap_or(random);
        }
        #[cfg(not(feature = "jwt"))]
        let _ = about;
        random
    }
}
