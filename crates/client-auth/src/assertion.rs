//! Server side of `private_key_jwt`: verification of client assertions (RFC 7523 §3).

use oauth_types::{Audience, ClientId, SecretDigest, UnixTime};
use serde::Deserialize;

use crate::error::Reason;
use crate::jws::{Lifetime, signed_claims};
use crate::keys::VerifyingKeys;
use crate::replay::FirstUse;

/// Longest `jti` of an assertion, in bytes.
const MAX_JTI: usize = 256;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: UnixTime,
    #[serde(default)]
    iat: Option<UnixTime>,
    #[serde(default)]
    nbf: Option<UnixTime>,
    jti: String,
}

/// Returns the client that an assertion claims as its subject.
///
/// The claim is not verified: use it only to look up the client.
pub(crate) fn claimed_client(assertion: &str) -> Option<ClientId> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(assertion).ok()?;
    ClientId::parse(&claims.sub).ok()
}

/// Verifies an assertion up to the replay check (RFC 7523 §3).
///
/// A signature is verified even if there are no keys, so that an unknown client costs the same work as a wrong
/// signature.
pub(crate) fn verify(
    assertion: &str,
    client_id: &ClientId,
    keys: Option<&VerifyingKeys>,
    audience: &[&str],
    now: UnixTime,
) -> Result<FirstUse<()>, Reason> {
    // A-AUTHN-9
    let is_assertion = |typ: Option<&str>| {
        let known = ["JWT", "client-authentication+jwt"];
        typ.is_none_or(|typ| known.iter().any(|known| typ.eq_ignore_ascii_case(known)))
    };
    let claims: Claims =
        signed_claims(assertion, keys, is_assertion).ok_or(Reason::WrongSignature)?;
    if claims.iss != claims.sub || claims.sub != client_id.as_str() {
        return Err(Reason::WrongIssuer);
    }
    // Every member has to be this server, because a second audience could present the assertion here (RFC 7523 §5).
    let is_ours = |member: &String| audience.contains(&member.as_str());
    if claims.aud.0.is_empty() || !claims.aud.0.iter().all(is_ours) {
        return Err(Reason::WrongAudience);
    }
    let lifetime = Lifetime::new(claims.exp).with_nbf(claims.nbf).with_iat(claims.iat);
    let until = lifetime.until(now).ok_or(Reason::OutsideLifetime)?;
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
        return Err(Reason::MalformedAssertion);
    }
    // The length in front keeps two pairs of identifier and `jti` from giving the same text.
    let id = client_id.as_str();
    let key = SecretDigest::of(&format!("{}:{id}{}", id.len(), claims.jti));
    Ok(FirstUse::new((), key, until))
}
