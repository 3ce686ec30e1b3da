//! An authorization code for tokens (RFC 6749 §4.1.3).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | `code` is there; `code_verifier`, if there, is well formed | A-TOKEN-3 | `invalid_request` |
//! | the code is known, and this client's | A-TOKEN-1 | `invalid_grant` |
//! | it has not expired; a used one is judged by the store | A-TOKEN-1 | `invalid_grant` |
//! | `redirect_uri`, if there, is the one it was sent to | A-TOKEN-1 | `invalid_grant` |
//! | the verifier matches the challenge | A-TOKEN-3 | `invalid_grant` |
//! | `resource`, if there, is the authorized one | A-TOKEN-1 | `invalid_target` |
//! | something of what was agreed to is still offered ([`offer`](crate::offer)): the rest is left out | RFC 6749 §3.3 | `invalid_grant` |
//! | the key that the code is bound to, if to any, is held, by a proof that is new | RFC 9449 §10 | `invalid_grant`, `invalid_dpop_proof` |
//! | it is redeemed now, by this request and no other | A-TOKEN-1, A-TOKEN-2 | `invalid_grant` |

use bytes::Bytes;
use client_auth::{Authenticated, HeldKey};
use http::Response;
use oauth_types::{CodeVerifier, Entropy, Secret, SecretDigest, TokenErrorCode, UnixTime};

use super::{GrantRequest, check_resource, invalid_grant, issued, missing};
use crate::access_token::About;
use crate::{
    Cause, ClientChecked, CodeRecord, Config, FamilyId, Generation, NewAccess, NewFamily,
    RedeemOutcome, Refusal, StoreError,
};

/// A request whose code has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its code"]
pub struct CodeGrant<'a> {
    request: GrantRequest<'a>,
    digest: SecretDigest,
    verifier: Option<CodeVerifier>,
    wants_refresh: bool,
}

impl<'a> CodeGrant<'a> {
    pub(super) fn new(request: GrantRequest<'a>, wants_refresh: bool) -> Result<Self, Refusal> {
        let value = |name| request.form.value(name).unwrap_or_default();
        let digest = value("code").map(SecretDigest::of).ok_or_else(|| missing("code"))?;
        let verifier = value("code_verifier").map(CodeVerifier::parse).transpose();
        let verifier = verifier.map_err(|_| {
            let cause = Cause::Parameter("code_verifier");
            let why = "code_verifier is malformed";
            Refusal::token(cause, TokenErrorCode::InvalidRequest, why)
        })?;
        Ok(Self { request, digest, verifier, wants_refresh })
    }

    /// The code to look up.
    #[must_use]
    pub const fn digest(&self) -> &SecretDigest {
        &self.digest
    }

    /// Goes on with what is stored about the code, if anything.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; the code is not used up by it.
    pub fn with_code(
        self,
        code: Option<CodeRecord>,
        now: UnixTime,
    ) -> Result<ClientChecked<'a, IssuableFamily<'a>>, Refusal> {
        let Self { request, digest, verifier, wants_refresh } = self;
        let GrantRequest { config, form, client, proof, scope } = request;
        // A-TOKEN-1
        let code = code.filter(|code| code.digest == digest);
        let code = code.filter(|code| code.client_id == *client.client_id());
        let Some(mut code) = code else { return Err(invalid_grant(Cause::UnknownGrant)) };
        // A used code is not expired but replayed, however late: the store revokes its family.
        if code.redeemed.is_none() && now >= code.expires_at {
            return Err(invalid_grant(Cause::Expired));
        }
        let redirect_uri = form.value("redirect_uri").unwrap_or_default();
        if redirect_uri.is_some_and(|uri| uri != code.redirect_uri.as_str()) {
            return Err(invalid_grant(Cause::RedirectUri));
        }
        // A-TOKEN-3
        if !verifier.is_some_and(|verifier| code.challenge.matches(&verifier)) {
            return Err(invalid_grant(Cause::Verifier));
        }
        check_resource(&form, &code.resource)?;
        let left = config.still_offered(scope.as_ref(), &code.resource, &code.scopes);
        code.scopes = left.ok_or_else(|| invalid_grant(Cause::NotOffered))?;
        proof.first_use(code.jkt, move |key| {
            Ok(ClientChecked::Done(IssuableFamily { config, client, key, code, wants_refresh }))
        })
    }
}

/// A code that may be redeemed, as far as anybody can tell before it is.
#[derive(Debug)]
#[must_use = "the code is redeemed only with random bytes"]
pub struct IssuableFamily<'a> {
    config: &'a Config,
    client: Authenticated,
    key: Option<HeldKey>,
    code: CodeRecord,
    wants_refresh: bool,
}

impl<'a> IssuableFamily<'a> {
    /// Makes the tokens that the code is to be redeemed for.
    pub fn draw(self, family: &Entropy<16>, access: Entropy<32>, now: UnixTime) -> Redeem<'a> {
        let Self { config, client, key, code, wants_refresh } = self;
        let jkt = key.map(|key| *key.thumbprint());
        let lifetimes = &config.lifetimes;
        let expires_at = now.plus(lifetimes.access_token);
        let about = About {
            client_id: &code.client_id,
            subject: &code.subject,
            resource: &code.resource,
            scopes: &code.scopes,
            issued_at: now,
            expires_at,
            jkt,
        };
        let access_token = config.access_token(access, &about);
        let family = NewFamily {
            id: FamilyId::new(family),
            client_id: code.client_id,
            subject: code.subject,
            // A-TOKEN-8
            resource: code.resource,
            scopes: code.scopes.clone(),
            expires_at: now.plus(lifetimes.refresh_absolute),
            idle_until: now.plus(lifetimes.refresh_idle),
            // Others show who they are whenever they refresh (RFC 9449 §5).
            jkt: jkt.filter(|_| !client.is_confidential()),
            access: NewAccess {
                digest: access_token.digest(),
                scopes: code.scopes,
                expires_at,
                jkt,
            },
        };
        Redeem { config, digest: code.digest, family, access_token, wants_refresh }
    }
}

/// The operation to carry out: [`Store::redeem`](crate::Store::redeem).
#[derive(Debug)]
#[must_use = "carry the operation out, then finish with its outcome"]
pub struct Redeem<'a> {
    config: &'a Config,
    digest: SecretDigest,
    family: NewFamily,
    access_token: Secret,
    wants_refresh: bool,
}

impl Redeem<'_> {
    /// The code to redeem.
    #[must_use]
    pub const fn digest(&self) -> &SecretDigest {
        &self.digest
    }

    /// What to redeem it for.
    #[must_use]
    pub const fn family(&self) -> &NewFamily {
        &self.family
    }

    /// The response, once the operation has its outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the code was not redeemed by this request.
    pub fn finish(
        self,
        outcome: Result<RedeemOutcome, StoreError>,
    ) -> Result<Response<Bytes>, Refusal> {
        match outcome {
            Ok(RedeemOutcome::Redeemed) => {
                let keys = &self.config.refresh_keys;
                let refresh_token =
                    self.wants_refresh.then(|| keys.token(&self.family.id, Generation::new(0)));
                Ok(issued(self.config, self.access_token, self.family.access, refresh_token))
            }
            // A-TOKEN-2
            Ok(RedeemOutcome::AlreadyUsed(_)) => Err(invalid_grant(Cause::CodeReplayed)),
            Ok(RedeemOutcome::Expired) => Err(invalid_grant(Cause::Expired)),
            Ok(RedeemOutcome::Missing) => Err(invalid_grant(Cause::UnknownGrant)),
            Err(error) => Err(Refusal::store(error)),
        }
    }
}
