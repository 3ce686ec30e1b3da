//! A refresh token for tokens (RFC 6749 §6, OAuth 2.1 §4.3.1).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | `refresh_token` is there | | `invalid_request` |
//! | it is genuine: a forgery dies before any look-up and revokes nothing | A-TOKEN-4 | `invalid_grant` |
//! | its family is known, this client's, and not revoked | A-TOKEN-4 | `invalid_grant` |
//! | `resource`, if there, is the authorized one | A-TOKEN-5 | `invalid_target` |
//! | something of what was granted is still offered ([`offer`](crate::offer)): the rest is left out | RFC 6749 §3.3 | `invalid_grant` |
//! | `scope`, if there, is not wider than granted, and names something that is left; `offline_access` is left out | A-TOKEN-5 | `invalid_scope` |
//! | the key that it is bound to, if to any, is held, by a proof that is new | RFC 9449 §5 | `invalid_grant`, `invalid_dpop_proof` |
//! | it is the live generation, or its predecessor within the grace window | A-TOKEN-4 | `invalid_grant` |

use bytes::Bytes;
use client_auth::HeldKey;
use http::Response;
use oauth_types::{Entropy, ScopeSet, Secret, TokenErrorCode, UnixTime};

use super::{GrantRequest, check_resource, invalid_grant, issued, missing};
use crate::access_token::About;
use crate::authorize::requested_scopes;
use crate::{
    Cause, ClientChecked, Config, FamilyId, FamilyRecord, Generation, NewAccess, Refusal,
    RotateOutcome, Rotation, StoreError,
};

/// A request whose family has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its family"]
pub struct RefreshGrant<'a> {
    request: GrantRequest<'a>,
    family: FamilyId,
    presented: Generation,
}

impl<'a> RefreshGrant<'a> {
    pub(super) fn new(request: GrantRequest<'a>) -> Result<Self, Refusal> {
        let token = request.form.value("refresh_token").unwrap_or_default();
        let token = token.ok_or_else(|| missing("refresh_token"))?;
        let genuine = request.config.refresh_keys.open(token);
        let (family, presented) = genuine.ok_or_else(|| invalid_grant(Cause::UnknownGrant))?;
        Ok(Self { request, family, presented })
    }

    /// The family to look up.
    #[must_use]
    pub const fn family(&self) -> &FamilyId {
        &self.family
    }

    /// Goes on with what is stored about the family, if anything.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; the token is not used up by it.
    pub fn with_family(
        self,
        record: Option<FamilyRecord>,
    ) -> Result<ClientChecked<'a, IssuableRotation<'a>>, Refusal> {
        let Self { request, family, presented } = self;
        let GrantRequest { config, form, client, proof, scope } = request;
        // A-TOKEN-4
        let record = record.filter(|record| record.client_id == *client.client_id());
        let Some(record) = record else { return Err(invalid_grant(Cause::UnknownGrant)) };
        if record.revoked {
            return Err(invalid_grant(Cause::Revoked));
        }
        // A-TOKEN-5
        check_resource(&form, &record.resource)?;
        let left = config.still_offered(scope.as_ref(), &record.resource, &record.scopes);
        let left = left.ok_or_else(|| invalid_grant(Cause::NotOffered))?;
        // Clients repeat what they asked for in the authorization request, and `offline_access` was left out there.
        let counts = |scope: &str| scope != "offline_access" || record.scopes.contains(scope);
        let requested = form.value("scope").unwrap_or_default();
        let requested = requested_scopes(requested, Some(left.clone()), counts);
        let scopes = requested.filter(|scopes| !scopes.exceeds(&record.scopes));
        let scopes = scopes.map(|scopes| scopes.filter(|scope| left.contains(scope)));
        let Some(scopes) = scopes.filter(|scopes| left.is_empty() || !scopes.is_empty()) else {
            let why = "a refresh cannot widen the scope";
            return Err(Refusal::token(Cause::Scope, TokenErrorCode::InvalidScope, why));
        };
        proof.first_use(record.jkt, move |key| {
            let issuable = IssuableRotation { config, key, family, record, presented, scopes };
            Ok(ClientChecked::Done(issuable))
        })
    }
}

/// A refresh that may be made, as far as anybody can tell before it is.
#[derive(Debug)]
#[must_use = "the token is rotated only with random bytes"]
pub struct IssuableRotation<'a> {
    config: &'a Config,
    key: Option<HeldKey>,
    family: FamilyId,
    record: FamilyRecord,
    presented: Generation,
    scopes: ScopeSet,
}

impl<'a> IssuableRotation<'a> {
    /// Makes the access token that comes with the successor.
    pub fn draw(self, access: Entropy<32>, now: UnixTime) -> Rotate<'a> {
        let lifetimes = &self.config.lifetimes;
        let expires_at = now.plus(lifetimes.access_token);
        let jkt = self.key.map(|key| *key.thumbprint());
        let about = About {
            client_id: &self.record.client_id,
            subject: &self.record.subject,
            resource: &self.record.resource,
            scopes: &self.scopes,
            issued_at: now,
            expires_at,
            jkt,
        };
        let access_token = self.config.access_token(access, &about);
        let rotation = Rotation {
            family: self.family,
            presented: self.presented,
            access: NewAccess {
                digest: access_token.digest(),
                scopes: self.scopes,
                expires_at,
                jkt,
            },
            idle_until: now.plus(lifetimes.refresh_idle),
            grace: lifetimes.grace,
        };
        Rotate { config: self.config, rotation, access_token }
    }
}

/// The operation to carry out: [`Store::rotate`](crate::Store::rotate).
#[derive(Debug)]
#[must_use = "carry the operation out, then finish with its outcome"]
pub struct Rotate<'a> {
    config: &'a Config,
    rotation: Rotation,
    access_token: Secret,
}

impl Rotate<'_> {
    /// What to do.
    #[must_use]
    pub const fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// The response, once the operation has its outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the presented token is not good any more.
    pub fn finish(
        self,
        outcome: Result<RotateOutcome, StoreError>,
    ) -> Result<Response<Bytes>, Refusal> {
        match outcome {
            // The successor is computed, so a client that lost the answer gets the identical one.
            Ok(RotateOutcome::Rotated | RotateOutcome::GraceReplay) => {
                let successor = self.rotation.presented.next();
                let token = self.config.refresh_keys.token(&self.rotation.family, successor);
                Ok(issued(self.config, self.access_token, self.rotation.access, Some(token)))
            }
            Ok(RotateOutcome::Reused) => Err(invalid_grant(Cause::RefreshTokenReused)),
            Ok(RotateOutcome::Revoked) => Err(invalid_grant(Cause::Revoked)),
            Ok(RotateOutcome::Expired) => Err(invalid_grant(Cause::Expired)),
            Ok(RotateOutcome::Missing) => Err(invalid_grant(Cause::UnknownGrant)),
            Err(error) => Err(Refusal::store(error)),
        }
    }
}
