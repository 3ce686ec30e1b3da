//! Refresh token grant, with rotation (RFC 6749 §6, OAuth 2.1 §4.3.1).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | `refresh_token` is present | | `invalid_request` |
//! | its MAC is valid; a forgery is refused before any look-up and revokes nothing | A-TOKEN-4 | `invalid_grant` |
//! | its family is stored, belongs to this client, and is not revoked | A-TOKEN-4 | `invalid_grant` |
//! | `resource`, if present, is the authorized one | A-TOKEN-5 | `invalid_target` |
//! | part of the granted scope is still offered ([`offer`](crate::offer)) | RFC 6749 §3.3 | `invalid_grant` |
//! | `scope`, if present, is within the grant and names a scope that is still offered | A-TOKEN-5 | `invalid_scope` |
//! | a key-bound token comes with a new proof of that key | RFC 9449 §5 | `invalid_grant`, `invalid_dpop_proof` |
//! | it is the current generation, or the previous one within the grace period | A-TOKEN-4 | `invalid_grant` |

use bytes::Bytes;
use http::Response;
use oauth_types::{Scope, ScopeSet, TokenErrorCode, UnixTime};

use super::issue::Grant;
use super::{GrantRequest, other_resource};
use crate::config::Config;
use crate::environment::Environment;
use crate::offer::requested_scopes;
use crate::refusal::{Cause, Refusal};
use crate::store::{FamilyRecord, RotateOutcome, Rotation, Store as _};

/// Rotates a refresh token.
pub(super) async fn rotate<E: Environment>(
    config: &Config,
    env: &E,
    request: GrantRequest<'_>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let token = request.form.refresh_token.ok_or_else(|| Refusal::missing("refresh_token"))?;
    let genuine = config.server_keys.open(token);
    let (family, presented) = genuine.ok_or_else(|| Refusal::invalid_grant(Cause::UnknownGrant))?;
    let record = env.store().read_family(&family).await.map_err(Refusal::store)?;
    let (record, scopes) = check(config, &request, record)?;
    let key = request.proof.first_use(env.store(), record.jkt, now).await?;

    let random = Refusal::drawn(env.entropy())?;
    let grant = Grant {
        client_id: &record.client_id,
        subject: &record.subject,
        resource: &record.resource,
        scopes: &scopes,
        key,
    };
    let (issued, access) = grant.access_token(config, random, now);
    let lifetimes = &config.lifetimes;
    let idle_until = now.saturating_add(lifetimes.refresh_inactivity);
    let rotation =
        Rotation { family, presented, access, idle_until, grace: lifetimes.refresh_grace };
    match env.store().rotate(rotation, now).await.map_err(Refusal::store)? {
        // The next refresh token is computed, so a client that lost the response gets the identical one.
        RotateOutcome::Rotated | RotateOutcome::GraceReplay => {
            let successor = config.server_keys.token(&family, presented.next());
            Ok(issued.response(config, Some(successor)))
        }
        RotateOutcome::Reused => Err(Refusal::invalid_grant(Cause::RefreshTokenReused)),
        RotateOutcome::Revoked => Err(Refusal::invalid_grant(Cause::Revoked)),
        RotateOutcome::Expired => Err(Refusal::invalid_grant(Cause::Expired)),
        RotateOutcome::Missing => Err(Refusal::invalid_grant(Cause::UnknownGrant)),
    }
}

/// Checks the stored family; returns it with the scopes of the new access token.
fn check(
    config: &Config,
    request: &GrantRequest<'_>,
    record: Option<FamilyRecord>,
) -> Result<(FamilyRecord, ScopeSet), Refusal> {
    // A-TOKEN-4
    let record = record.filter(|record| record.client_id == *request.client.client_id());
    let record = record.ok_or_else(|| Refusal::invalid_grant(Cause::UnknownGrant))?;
    if record.revoked {
        return Err(Refusal::invalid_grant(Cause::Revoked));
    }
    // A-TOKEN-5
    if !request.form.resource.is_within(&record.resource) {
        return Err(other_resource());
    }
    let left = config.still_offered(request.registered, &record.resource, &record.scopes);
    let left = left.ok_or_else(|| Refusal::invalid_grant(Cause::NotOffered))?;
    // Clients repeat the scope of the authorization request, from which `offline_access` was left out.
    let counts = |scope: &str| scope != Scope::OFFLINE_ACCESS || record.scopes.contains(scope);
    let requested = requested_scopes(request.form.scope, Some(left.clone()), counts);
    let scopes = requested.filter(|scopes| !scopes.exceeds(&record.scopes));
    let scopes = scopes.map(|scopes| scopes.filter(|scope| left.contains(scope)));
    let scopes = scopes.filter(|scopes| left.is_empty() || !scopes.is_empty());
    let scopes = scopes.ok_or_else(|| {
        let why = "a refresh cannot widen the scope";
        Refusal::token(Cause::Scope, TokenErrorCode::InvalidScope, why)
    })?;
    Ok((record, scopes))
}
