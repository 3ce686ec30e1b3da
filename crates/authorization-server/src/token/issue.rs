//! One access token, with nothing to refresh: where the grant comes anew with every request.

use bytes::Bytes;
use client_auth::{Authenticated, HeldKey};
use http::Response;
use oauth_types::{Entropy, ResourceUri, ScopeSet, Secret, UnixTime};

use super::issued;
use crate::access_token::About;
use crate::{Config, FamilyId, NewAccess, NewFamily, Refusal, StoreError};

/// A request that may be granted.
#[derive(Debug)]
#[must_use = "tokens are given only with random bytes"]
pub struct IssuableToken<'a> {
    pub(super) config: &'a Config,
    pub(super) client: Authenticated,
    pub(super) key: Option<HeldKey>,
    pub(super) subject: String,
    pub(super) resource: ResourceUri,
    pub(super) scopes: ScopeSet,
}

impl<'a> IssuableToken<'a> {
    /// Makes the token.
    pub fn draw(self, family: &Entropy<16>, access: Entropy<32>, now: UnixTime) -> Issue<'a> {
        let expires_at = now.plus(self.config.lifetimes.access_token);
        let jkt = self.key.map(|key| *key.thumbprint());
        let about = About {
            client_id: self.client.client_id(),
            subject: &self.subject,
            resource: &self.resource,
            scopes: &self.scopes,
            issued_at: now,
            expires_at,
            jkt,
        };
        let access_token = self.config.access_token(access, &about);
        let family = NewFamily {
            id: FamilyId::new(family),
            subject: self.subject,
            client_id: self.client.client_id().clone(),
            resource: self.resource,
            scopes: self.scopes.clone(),
            // There is nothing to refresh.
            expires_at,
            idle_until: expires_at,
            jkt: None,
            access: NewAccess {
                digest: access_token.digest(),
                scopes: self.scopes,
                expires_at,
                jkt,
            },
        };
        Issue { config: self.config, family, access_token }
    }
}

/// The operation to carry out: [`Store::insert_family`](crate::Store::insert_family).
#[derive(Debug)]
#[must_use = "carry the operation out, then finish with its outcome"]
pub struct Issue<'a> {
    config: &'a Config,
    family: NewFamily,
    access_token: Secret,
}

impl Issue<'_> {
    /// What to store.
    #[must_use]
    pub const fn family(&self) -> &NewFamily {
        &self.family
    }

    /// The response, once the operation has its outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the token was not stored.
    pub fn finish(self, outcome: Result<(), StoreError>) -> Result<Response<Bytes>, Refusal> {
        outcome.map_err(Refusal::store)?;
        // RFC 6749 §4.4.3, RFC 7521 §4.1: no refresh token.
        Ok(issued(self.config, self.access_token, self.family.access, None))
    }
}
