//! Server side of `private_key_jwt`: what an assertion claims, and whether it is true (RFC 7523 §3).
//!
//! The JWT library reads the token and tests the signature. What the claims have to say is decided here,
//! because the library would ask the system what time it is.

use core::time::Duration;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth_types::{Audience, ClientId, SecretDigest, SigningAlgorithm, UnixTime};
use serde::Deserialize;

use crate::Reason;
use crate::decoy::decoy;
use crate::keys::{ClientKeys, Material, RSA_BYTES, RSA_EXPONENT, decoded_bytes};

/// How far the client's clock may be off.
const SKEW: Duration = Duration::from_secs(60);
/// The longest life of an assertion; clients usually ask for five minutes.
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Longest identifier of an assertion, in bytes.
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

/// What is left to check of an assertion that is right.
pub(crate) struct Unused {
    pub(crate) key: SecretDigest,
    pub(crate) until: UnixTime,
}

/// The client that an assertion claims to come from. Not verified: only good for looking it up.
pub(crate) fn claimed_client(assertion: &str) -> Option<ClientId> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(assertion).ok()?;
    ClientId::parse(&claims.sub).ok()
}

/// Tests an assertion. Signatures are tested whether or not there is a key to test with: an unknown client
/// costs the same work as a wrong signature.
pub(crate) fn verify(
    assertion: &str,
    client_id: &ClientId,
    keys: Option<&ClientKeys>,
    audience: &[&str],
    now: UnixTime,
) -> Result<Unused, Reason> {
    // A-AUTHN-9
    let claims = signed_claims(assertion, keys).ok_or(Reason::WrongSignature)?;
    if claims.iss != claims.sub || claims.sub != client_id.as_str() {
        return Err(Reason::WrongIssuer);
    }
    // Every member: one that is not ours could show the assertion to us and to another (RFC 7523 §5).
    let is_ours = |member: &String| audience.contains(&member.as_str());
    if claims.aud.0.is_empty() || !claims.aud.0.iter().all(is_ours) {
        return Err(Reason::WrongAudience);
    }
    let until = claims.exp.plus(SKEW);
    let latest = now.plus(SKEW);
    if now >= until
        || claims.exp > latest.plus(MAX_LIFETIME)
        || claims.nbf.is_some_and(|start| start > latest)
        || claims
            .iat
            .is_some_and(|issued| issued > latest || now.since(issued) > MAX_LIFETIME + SKEW)
    {
        return Err(Reason::OutsideLifetime);
    }
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
        return Err(Reason::MalformedAssertion);
    }
    // The length in front keeps two pairs from running into one text.
    let id = client_id.as_str();
    let key = SecretDigest::of(&format!("{}:{id}{}", id.len(), claims.jti));
    Ok(Unused { key, until })
}

/// The claims, if the one key that fits has signed them.
fn signed_claims(assertion: &str, keys: Option<&ClientKeys>) -> Option<Claims> {
    // Two providers in one build would panic without a choice; where there is one, this changes nothing.
    let _ = DEFAULT_PROVIDER.install_default();
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    // RFC 7515 §4.1.11: nothing that can be critical is understood here. RFC 8725 §3.11: other kinds of
    // tokens signed with the same key are no assertions.
    let is_assertion = header.typ.is_none_or(|typ| {
        ["JWT", "client-authentication+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
    });
    if !is_assertion || header.crit.is_some() {
        return None;
    }
    let (algorithm, name) = spoken(header.alg)?;
    // A key of another size would refuse the signature at once.
    let size = signature_bytes(assertion, &name)?;
    let genuine = keys
        .and_then(|keys| keys.find(header.kid.as_deref(), &name))
        .filter(|key| key.material.signature_bytes() == size);
    let key = match genuine {
        Some(key) => decoding_key(&key.material)?,
        None => decoding_key(decoy(&name, size)?)?,
    };
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let token = jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok()?;
    genuine.map(|_| token.claims)
}

/// The algorithms that are spoken here: `none` and the ones with a shared key are not.
fn spoken(algorithm: Algorithm) -> Option<(Algorithm, SigningAlgorithm)> {
    let name = match algorithm {
        Algorithm::ES256 => SigningAlgorithm::Es256,
        Algorithm::ES384 => SigningAlgorithm::Es384,
        Algorithm::EdDSA => SigningAlgorithm::EdDsa,
        Algorithm::RS256 => SigningAlgorithm::Rs256,
        Algorithm::PS256 => SigningAlgorithm::Ps256,
        _ => return None,
    };
    Some((algorithm, name))
}

/// How many bytes the signature has, if a key of this algorithm makes such signatures.
fn signature_bytes(assertion: &str, algorithm: &SigningAlgorithm) -> Option<usize> {
    let (_, signature) = assertion.rsplit_once('.')?;
    let size = decoded_bytes(signature);
    let is_possible = match algorithm {
        SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => size == 64,
        SigningAlgorithm::Es384 => size == 96,
        _ => RSA_BYTES.contains(&size),
    };
    is_possible.then_some(size)
}

fn decoding_key(material: &Material) -> Option<DecodingKey> {
    match material {
        Material::Ec { x, y } => DecodingKey::from_ec_components(x, y),
        Material::Ed { x } => DecodingKey::from_ed_components(x),
        Material::Rsa { n } => DecodingKey::from_rsa_components(n, RSA_EXPONENT),
    }
    .ok()
}
