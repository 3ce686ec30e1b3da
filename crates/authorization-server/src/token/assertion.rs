//! Identity assertion grant (ID-JAG): an enterprise's identity provider vouches for the user (RFC 7523 §2.1,
//! draft-ietf-oauth-identity-assertion-authz-grant §4.4).
//!
//! Only for clients that the operator put into the store ([`ClientRecord::id_jag`](crate::ClientRecord)), with
//! assertions of the configured identity providers. Their keys are configured too, so nothing is fetched.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the client is confidential | A-TOKEN-9 | `unauthorized_client` |
//! | `assertion` is present | | `invalid_request` |
//! | its issuer is a configured identity provider | A-TOKEN-9 | `invalid_grant` |
//! | its `typ` is that of an ID-JAG, its claims are well formed | A-TOKEN-9 | `invalid_grant` |
//! | the matching key of that provider verifies its signature | A-TOKEN-9 | `invalid_grant` |
//! | its only audience is this server's issuer | A-TOKEN-9 | `invalid_grant` |
//! | its `client_id` is this client | A-TOKEN-9 | `invalid_grant` |
//! | it is within its lifetime, and that is at most one hour | A-TOKEN-9 | `invalid_grant` |
//! | it is without `tenant`, `aud_tenant` and `authorization_details` | A-TOKEN-9 | `invalid_grant` |
//! | its `sub` and its `jti` have 1 to 255 bytes | A-TOKEN-9 | `invalid_grant` |
//! | its `resource` and that of the request select one configured resource | A-TOKEN-8 | `invalid_target` |
//! | all of its scopes are configured | A-TOKEN-9 | `invalid_scope` |
//! | at least one of them is requested and within the registered scope | A-TOKEN-9 | `invalid_scope` |
//! | a key-bound one comes with a new proof of that key | A-TOKEN-9 | `invalid_grant`, `invalid_dpop_proof` |
//! | the assertion is used for the first time | A-TOKEN-9 | `invalid_grant` |
//! | the token is stored | | 503 |

use bytes::Bytes;
use client_auth::{Authenticated, FirstUse, Lifetime, claimed_issuer};
use http::Response;
use oauth_types::{
    Audience, ResourceUri, ScopeSet, SecretDigest, Subject, Thumbprint, TokenErrorCode, UnixTime,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::issue::issue_once;
use super::{GrantRequest, check_confidential, unknown_resource};
use crate::config::Config;
use crate::environment::Environment;
use crate::first_use::use_once;
use crate::refusal::{AssertionError, Cause, Refusal};

/// Value of the `typ` header of an ID-JAG.
const TYP: &str = "oauth-id-jag+jwt";
/// Maximum length of `sub` (OpenID Connect Core §2) and of `jti`, in bytes.
const MAX_BYTES: usize = 255;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    client_id: String,
    jti: String,
    exp: UnixTime,
    iat: UnixTime,
    #[serde(default)]
    nbf: Option<UnixTime>,
    #[serde(default)]
    tenant: Option<IgnoredAny>,
    #[serde(default)]
    aud_tenant: Option<IgnoredAny>,
    #[serde(default)]
    authorization_details: Option<IgnoredAny>,
    #[serde(default)]
    cnf: Option<Confirmation>,
    /// One resource or several, in the syntax of `aud`.
    #[serde(default)]
    resource: Option<Audience>,
    #[serde(default)]
    scope: Option<ScopeSet>,
}

/// Confirmation claim: the key that the client has to prove (RFC 7800 §3.1).
///
/// A confirmation without `jkt` cannot be enforced, so an assertion that has one is refused.
#[derive(Deserialize)]
struct Confirmation {
    jkt: Thumbprint,
}

/// Issues an access token for the user of an assertion that is used for the first time.
pub(super) async fn issue<E: Environment>(
    config: &Config,
    env: &E,
    request: GrantRequest<'_>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let GrantRequest { form, client, proof, registered } = request;
    // A-TOKEN-9
    check_confidential(&client)?;
    let assertion = form.assertion.ok_or_else(|| Refusal::missing("assertion"))?;
    let refuse = |error| Refusal::invalid_grant(Cause::Assertion(error));
    let (claims, until) = check(config, assertion, &client, now).map_err(refuse)?;
    // A-TOKEN-8: the request selects among the resources that the assertion names.
    let admits = |own: &&ResourceUri| {
        let is_own = |text: &String| ResourceUri::parse(text).is_ok_and(|one| one.is_same(own));
        claims.resource.as_ref().is_none_or(|named| named.0.iter().any(is_own))
    };
    let admitted: Vec<ResourceUri> = config.resources.iter().filter(admits).cloned().collect();
    let resource = form.resource.select(&admitted).ok_or_else(unknown_resource)?;
    let bound = claims.cnf.as_ref().map(|cnf| cnf.jkt);
    let scopes = scopes(config, form.scope, claims.scope, registered)?;
    // An issuer has no fragment, so the subjects of two providers differ.
    let subject = Subject::try_from(format!("{}#{}", claims.iss, claims.sub));
    let subject = subject.map_err(|_| refuse(AssertionError::Malformed))?;
    // The prefix keeps it apart from the replay keys of client assertions, which begin with a digit. The length keeps
    // two pairs of issuer and identifier from joining into one text.
    let once = format!("id-jag:{}:{}{}", claims.iss.len(), claims.iss, claims.jti);
    let granted = FirstUse::new((subject, resource, scopes), SecretDigest::of(&once), until);
    let key = proof.first_use(env.store(), bound, now).await?;
    // The assertion is used up even if no token is issued, so a client that lost the response requests a new assertion
    // from its identity provider.
    let replayed = |_| refuse(AssertionError::Replayed);
    let granted = use_once(env.store(), granted, now, replayed).await?;
    issue_once(config, env, &client, granted, key, now).await
}

/// Verifies an assertion for this client; returns its claims and its expiry time.
fn check(
    config: &Config,
    assertion: &str,
    client: &Authenticated,
    now: UnixTime,
) -> Result<(Claims, UnixTime), AssertionError> {
    let claimed = claimed_issuer(assertion);
    let is_it = |issuer: &str| claimed.as_deref() == Some(issuer);
    let mut known = config.identity_providers.iter();
    let provider = known.find(|provider| is_it(provider.issuer.as_str()));
    let provider = provider.ok_or(AssertionError::UnknownProvider)?;
    let claims: Option<Claims> = provider.keys.verify(assertion, TYP);
    let claims = claims.ok_or(AssertionError::WrongSignature)?;
    if claims.aud.0 != [config.issuer.as_str()] {
        return Err(AssertionError::WrongAudience);
    }
    if claims.client_id != client.client_id().as_str() {
        return Err(AssertionError::OtherClient);
    }
    let lifetime = Lifetime::new(claims.exp).with_nbf(claims.nbf).with_iat(claims.iat);
    let until = lifetime.until(now).ok_or(AssertionError::OutsideLifetime)?;
    // At an issuer with several tenants `sub` is unique only within a tenant, so `tenant` is refused.
    let has_size = |text: &str| (1..=MAX_BYTES).contains(&text.len());
    // Members that narrow the grant are refused, because they cannot be enforced here.
    let is_narrower = claims.aud_tenant.is_some() || claims.authorization_details.is_some();
    if claims.tenant.is_some() || is_narrower || !has_size(&claims.sub) || !has_size(&claims.jti) {
        return Err(AssertionError::Malformed);
    }
    Ok((claims, until))
}

/// Returns the scopes that the assertion, the request and the registration all allow.
///
/// A request without `scope` asks for all; an assertion without `scope` grants nothing.
fn scopes(
    config: &Config,
    asked: Option<&str>,
    granted: Option<ScopeSet>,
    registered: Option<&ScopeSet>,
) -> Result<ScopeSet, Refusal> {
    let bad_scope = || {
        let why = "the scope is not within what the assertion grants";
        Refusal::token(Cause::Scope, TokenErrorCode::InvalidScope, why)
    };
    let registered = registered.ok_or_else(bad_scope)?;
    let asked = asked.map(ScopeSet::parse).transpose();
    let asked = asked.map_err(|_| bad_scope())?;
    let granted = granted.filter(|granted| !granted.exceeds(&config.scopes));
    let within = |scope: &str, bound: Option<&ScopeSet>| bound.is_none_or(|it| it.contains(scope));
    let granted = granted.map(|granted| {
        granted.filter(|scope| within(scope, asked.as_ref()) && registered.contains(scope))
    });
    granted.filter(|granted| !granted.is_empty()).ok_or_else(bad_scope)
}
