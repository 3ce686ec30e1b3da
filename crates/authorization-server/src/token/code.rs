//! An authorization code for tokens (RFC 6749 §4.1.3).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | `code` is there; `code_verifier`, if there, is well formed | A-TOKEN-3 | `invalid_request` |
//! | the code is known, and this client's | A-TOKEN-1 | `invalid_grant` |
//! | it has not expired; a used one is judged by the store | A-TOKEN-1 | `invalid_grant` |
//! | `redirect_uri`, if there, is the one it was sent to | A-TOKEN-1 | `invalid_grant` |
//! | the verifier matches the challenge | A-TOKEN-3 | `invalid_grant` |
//! | the key that the code is bound to, if to any, is held | RFC 9449 §10 | `invalid_grant` |
//! | `resource`, if there, is the authorized one | A-TOKEN-1 | `invalid_target` |
//! | it is redeemed now, by this request and no other | A-TOKEN-1, A-TOKEN-2 | `invalid_grant` |

use bytes::Bytes;
use client_auth::{Authenticated, HeldKey};
use http::Response;
use oauth_types::{
    CodeVerifier, Entropy, FormPairs, Secret, SecretDigest, TokenErrorCode, UnixTime,
};

use super::{check_resource, invalid_grant, issued, missing};
use crate::access_token::About;
use crate::possession::check_bound;
use crate::{
    Cause, CodeRecord, Config, FamilyId, Generation, NewAccess, NewFamily, RedeemOutcome, Refusal,
    StoreError,
};

/// A request whose code has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its code"]
pub struct CodeGrant<'a> {
    config: &'a Config,
    form: FormPairs<'a>,
    client: Authenticated,
    key: Option<HeldKey>,
    digest: SecretDigest,
    verifier: Option<CodeVerifier>,
    wants_refresh: bool,
}

impl<'a> CodeGrant<'a> {
    pub(super) fn new(
        config: &'a Config,
        form: FormPairs<'a>,
        client: Authenticated,
        key: Option<HeldKey>,
        wants_refresh: bool,
    ) -> Result<Self, Refusal> {
        let value = |name| form.value(name).unwrap_or_default();
        let digest = value("code").map(SecretDigest::of).ok_or_else(|| missing("code"))?;
        let verifier = value("code_verifier").map(CodeVerifier::parse).transpose();
        let verifier = verifier.map_err(|_| {
            let cause = Cause::Parameter("code_verifier");
            let why = "code_verifier is malformed";
            Refusal::token(cause, TokenErrorCode::InvalidRequest, why)
        })?;
        Ok(Self { config, form, client, key, digest, verifier, wants_refresh })
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
    ) -> Result<IssuableFamily<'a>, Refusal> {
        // A-TOKEN-1
        let code = code.filter(|code| code.digest == self.digest);
        let code = code.filter(|code| code.client_id == *self.client.client_id());
        let Some(code) = code else { return Err(invalid_grant(Cause::UnknownGrant)) };
        // A used code is not expired but replayed, however late: the store revokes its family.
        if code.redeemed.is_none() && now >= code.expires_at {
            return Err(invalid_grant(Cause::Expired));
        }
        let redirect_uri = self.form.value("redirect_uri").unwrap_or_default();
        if redirect_uri.is_some_and(|uri| uri != code.redirect_uri.as_str()) {
            return Err(invalid_grant(Cause::RedirectUri));
        }
        // A-TOKEN-3
        if !self.verifier.is_some_and(|verifier| code.challenge.matches(&verifier)) {
            return Err(invalid_grant(Cause::Verifier));
        }
        check_bound(code.jkt, self.key)?;
        check_resource(&self.form, &code.resource)?;
        let Self { config, client, key, wants_refresh, .. } = self;
        Ok(IssuableFamily { config, client, key, code, wants_refresh })
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
