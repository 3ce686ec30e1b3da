//! A client's own authority for tokens (RFC 6749 §4.4).
//!
//! Only for clients that the operator put into the store ([`ClientRecord::for_itself`](crate::ClientRecord)): what
//! registers itself gets no tokens without a user.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the client has proved who it is, not only said so | RFC 6749 §4.4.2 | `unauthorized_client` |
//! | `resource` is one that tokens are given for; the only one, if none is named | A-TOKEN-8 | `invalid_target` |
//! | `scope` is well formed and within what the client is registered for; all of that, if none is named | RFC 6749 §3.3 | `invalid_scope` |
//! | it is stored | | 503 |

use bytes::Bytes;
use client_auth::Authenticated;
use http::Response;
use oauth_types::{Entropy, FormPairs, ResourceUri, ScopeSet, Secret, TokenErrorCode, UnixTime};

use super::issued;
use crate::authorize::resource;
use crate::{Cause, Config, FamilyId, NewAccess, NewFamily, Refusal, StoreError};

/// A request that may be granted.
#[derive(Debug)]
#[must_use = "tokens are given only with random bytes"]
pub struct MachineGrant<'a> {
    config: &'a Config,
    client: Authenticated,
    resource: ResourceUri,
    scopes: ScopeSet,
}

impl<'a> MachineGrant<'a> {
    pub(super) fn new(
        config: &'a Config,
        form: &FormPairs<'a>,
        client: Authenticated,
        registered: Option<&ScopeSet>,
    ) -> Result<Self, Refusal> {
        if !client.is_confidential() {
            let why = "a client without credentials acts for nobody";
            return Err(Refusal::token(Cause::Grant, TokenErrorCode::UnauthorizedClient, why));
        }
        let Some(resource) = resource(config, form) else {
            let why = "name one resource that tokens are given for";
            return Err(Refusal::token(Cause::Target, TokenErrorCode::InvalidTarget, why));
        };
        let bad_scope = || {
            let why = "the scope is not within what the client is registered for";
            Refusal::token(Cause::Parameter("scope"), TokenErrorCode::InvalidScope, why)
        };
        let registered = registered.ok_or_else(bad_scope)?;
        let scopes = match form.value("scope").unwrap_or_default() {
            Some(asked) => ScopeSet::parse(asked).map_err(|_| bad_scope())?,
            None => registered.clone(),
        };
        if scopes.is_empty() || scopes.exceeds(registered) || scopes.exceeds(&config.scopes) {
            return Err(bad_scope());
        }
        Ok(Self { config, client, resource, scopes })
    }

    /// Makes the token.
    pub fn draw(self, family: &Entropy<16>, access: Entropy<32>, now: UnixTime) -> Issue<'a> {
        let access_token = access.into_secret();
        let expires_at = now.plus(self.config.lifetimes.access_token);
        let client_id = self.client.client_id().clone();
        let family = NewFamily {
            id: FamilyId::new(family),
            // Nobody else agreed to it (RFC 9068 §2.2).
            subject: client_id.as_str().to_owned(),
            client_id,
            resource: self.resource,
            scopes: self.scopes.clone(),
            // There is nothing to refresh.
            expires_at,
            idle_until: expires_at,
            access: NewAccess { digest: access_token.digest(), scopes: self.scopes, expires_at },
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
        // RFC 6749 §4.4.3: no refresh token.
        Ok(issued(self.config, self.access_token, self.family.access.scopes, None))
    }
}
