//! The word of an enterprise's identity provider for tokens (RFC 7523 §2.1,
//! draft-ietf-oauth-identity-assertion-authz-grant §4.4).
//!
//! Only for clients that the operator put into the store ([`ClientRecord::for_enterprise`](crate::ClientRecord)), by
//! the word of the identity providers of the configuration. Nothing is fetched.
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the client has proved who it is, not only said so | A-TOKEN-9 | `unauthorized_client` |
//! | `assertion` is there | | `invalid_request` |
//! | it names an identity provider of the configuration | A-TOKEN-9 | `invalid_grant` |
//! | it is an ID-JAG with its claims, and the one key of that provider that fits has signed it | A-TOKEN-9 | `invalid_grant` |
//! | it is meant for this server, and for nobody else | A-TOKEN-9 | `invalid_grant` |
//! | it is given to this client | A-TOKEN-9 | `invalid_grant` |
//! | it counts now, and for an hour at most | A-TOKEN-9 | `invalid_grant` |
//! | it names no tenant and no `authorization_details`, which are not known here; its user and identifier have a size | A-TOKEN-9 | `invalid_grant` |
//! | `resource`, its own and the request's, leave one that tokens are given for | A-TOKEN-8 | `invalid_target` |
//! | its scopes are known here; some of them are asked for, and within what the client is registered for | A-TOKEN-9 | `invalid_scope` |
//! | the key that it is bound to, if to any, is held, by a proof that is new | A-TOKEN-9 | `invalid_grant`, `invalid_dpop_proof` |
//! | it is used for the first time | A-TOKEN-9 | `invalid_grant` |
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

/// What the header says an ID-JAG is.
const TYP: &str = "oauth-id-jag+jwt";
/// Longest name of a user (OpenID Connect Core §2) and longest identifier of an assertion, in bytes.
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
    /// One or several, like an audience.
    #[serde(default)]
    resource: Option<Audience>,
    #[serde(default)]
    scope: Option<ScopeSet>,
}

/// Which key the client has to hold. A confirmation of another kind cannot be obeyed, so it is no ID-JAG for us.
#[derive(Deserialize)]
struct Confirmation {
    jkt: Thumbprint,
}

/// Issues the token that a client may have for a user, once its assertion is known to be new.
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
    // A-TOKEN-8: what the request names, within what the assertion names.
    let admits = |own: &&ResourceUri| {
        let is_own = |text: &String| ResourceUri::parse(text).is_ok_and(|one| one.is_same(own));
        claims.resource.as_ref().is_none_or(|named| named.0.iter().any(is_own))
    };
    let admitted: Vec<ResourceUri> = config.resources.iter().filter(admits).cloned().collect();
    let resource = form.resource.select(&admitted).ok_or_else(unknown_resource)?;
    let bound = claims.cnf.as_ref().map(|cnf| cnf.jkt);
    let scopes = scopes(config, form.scope, claims.scope, registered)?;
    // The issuer has no fragment, so that two providers never name the same user.
    let subject = Subject::try_from(format!("{}#{}", claims.iss, claims.sub));
    let subject = subject.map_err(|_| refuse(AssertionError::Malformed))?;
    // A client assertion's key begins with a digit. The length in front keeps two pairs from running into one text.
    let once = format!("id-jag:{}:{}{}", claims.iss.len(), claims.iss, claims.jti);
    let granted = FirstUse::new((subject, resource, scopes), SecretDigest::of(&once), until);
    let key = proof.first_use(env.store(), bound, now).await?;
    // An assertion that was put is used up, whatever becomes of the token: a client whose answer got lost asks its
    // identity provider for another.
    let replayed = |_| refuse(AssertionError::Replayed);
    let granted = use_once(env.store(), granted, now, replayed).await?;
    issue_once(config, env, &client, granted, key, now).await
}

/// The claims of an assertion that is true and for this client, and until when it is.
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
    // Of an issuer with several tenants, `sub` alone does not say who it is.
    let has_size = |text: &str| (1..=MAX_BYTES).contains(&text.len());
    // What would narrow the grant, and cannot be obeyed, is not passed over.
    let is_narrower = claims.aud_tenant.is_some() || claims.authorization_details.is_some();
    if claims.tenant.is_some() || is_narrower || !has_size(&claims.sub) || !has_size(&claims.jti) {
        return Err(AssertionError::Malformed);
    }
    Ok((claims, until))
}

/// What the assertion grants, the request asks for and the client is registered for, all at once. An assertion
/// without scopes grants nothing.
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
