//! Authorization code grant (RFC 6749 §4.1.3), with PKCE (RFC 7636 §4.6).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | `code` is present; `code_verifier`, if present, is well formed | A-TOKEN-3 | `invalid_request` |
//! | the code is stored and was issued to this client | A-TOKEN-1 | `invalid_grant` |
//! | it has not expired; a used code goes on to the store, which reports the replay | A-TOKEN-1 | `invalid_grant` |
//! | `redirect_uri`, if present, is the one of the authorization request | A-TOKEN-1 | `invalid_grant` |
//! | the verifier matches the challenge | A-TOKEN-3 | `invalid_grant` |
//! | `resource`, if present, is the authorized one | A-TOKEN-1 | `invalid_target` |
//! | part of the authorized scope is still offered ([`offer`](crate::offer)) | RFC 6749 §3.3 | `invalid_grant` |
//! | a key-bound code comes with a new proof of that key | RFC 9449 §10 | `invalid_grant`, `invalid_dpop_proof` |
//! | this request is the one that redeems it | A-TOKEN-1, A-TOKEN-2 | `invalid_grant` |

use bytes::Bytes;
use http::Response;
use oauth_types::{CodeVerifier, GrantType, SecretDigest, TokenErrorCode, UnixTime};

use super::issue::Grant;
use super::{GrantRequest, other_resource};
use crate::config::Config;
use crate::environment::Environment;
use crate::refusal::{Cause, Refusal};
use crate::store::{CodeRecord, FamilyId, Generation, NewFamily, RedeemOutcome, Store as _};

/// Redeems a code of a client that is registered for `grants`.
pub(super) async fn redeem<E: Environment>(
    config: &Config,
    env: &E,
    request: GrantRequest<'_>,
    grants: &[GrantType],
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let digest = request.form.code.map(SecretDigest::of).ok_or_else(|| Refusal::missing("code"))?;
    let verifier = request.form.code_verifier.map(CodeVerifier::parse).transpose();
    let verifier = verifier.map_err(|_| {
        let cause = Cause::Parameter("code_verifier");
        Refusal::token(cause, TokenErrorCode::InvalidRequest, "code_verifier is malformed")
    })?;
    let code = env.store().read_code(&digest).await.map_err(Refusal::store)?;
    let code = code.filter(|code| code.digest == digest);
    let code = check(config, &request, code, verifier.as_ref(), now)?;
    let key = request.proof.first_use(env.store(), code.jkt, now).await?;

    let (id, random) = (Refusal::drawn(env.entropy())?, Refusal::drawn(env.entropy())?);
    let id = FamilyId::new(id);
    let jkt = key.as_ref().map(|key| *key.thumbprint());
    let grant = Grant {
        client_id: &code.client_id,
        subject: &code.subject,
        resource: &code.resource,
        scopes: &code.scopes,
        key,
    };
    let (issued, access) = grant.access_token(config, random, now);
    let family = NewFamily {
        id,
        client_id: code.client_id,
        subject: code.subject,
        // A-TOKEN-8
        resource: code.resource,
        scopes: code.scopes,
        expires_at: now.saturating_add(config.lifetimes.refresh_absolute),
        idle_until: now.saturating_add(config.lifetimes.refresh_inactivity),
        // Only for public clients, because confidential ones authenticate at each refresh (RFC 9449 §5).
        jkt: jkt.filter(|_| !request.client.is_confidential()),
        access,
    };
    match env.store().redeem(&digest, family, now).await.map_err(Refusal::store)? {
        RedeemOutcome::Redeemed => {
            let keys = &config.server_keys;
            let refresh_token = grants
                .contains(&GrantType::RefreshToken)
                .then(|| keys.token(&id, Generation::new(0)));
            Ok(issued.response(config, refresh_token))
        }
        // A-TOKEN-2
        RedeemOutcome::AlreadyUsed(_) => Err(Refusal::invalid_grant(Cause::CodeReplayed)),
        RedeemOutcome::Expired => Err(Refusal::invalid_grant(Cause::Expired)),
        RedeemOutcome::Missing => Err(Refusal::invalid_grant(Cause::UnknownGrant)),
    }
}

/// Checks the stored code; returns it with the scopes that are still offered.
fn check(
    config: &Config,
    request: &GrantRequest<'_>,
    code: Option<CodeRecord>,
    verifier: Option<&CodeVerifier>,
    now: UnixTime,
) -> Result<CodeRecord, Refusal> {
    // A-TOKEN-1
    let code = code.filter(|code| code.client_id == *request.client.client_id());
    let mut code = code.ok_or_else(|| Refusal::invalid_grant(Cause::UnknownGrant))?;
    // A used code counts as replayed even after its expiry, because the store then revokes its family.
    if code.redeemed.is_none() && now >= code.expires_at {
        return Err(Refusal::invalid_grant(Cause::Expired));
    }
    if request.form.redirect_uri.is_some_and(|uri| uri != code.redirect_uri.as_str()) {
        return Err(Refusal::invalid_grant(Cause::RedirectUri));
    }
    // A-TOKEN-3
    if !verifier.is_some_and(|verifier| code.challenge.matches(verifier)) {
        return Err(Refusal::invalid_grant(Cause::Verifier));
    }
    if !request.form.resource.is_within(&code.resource) {
        return Err(other_resource());
    }
    let left = config.still_offered(request.registered, &code.resource, &code.scopes);
    code.scopes = left.ok_or_else(|| Refusal::invalid_grant(Cause::NotOffered))?;
    Ok(code)
}
