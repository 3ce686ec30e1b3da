//! Verification of JWTs of other parties (RFC 7515, RFC 7519): signature and lifetime.
//!
//! The JWT library parses the token and verifies the signature. Claims are judged here and by the callers, because
//! the library would read the system's clock.

use core::time::Duration;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth_types::{SigningAlgorithm, UnixTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::decoy::decoy;
use crate::keys::{ClientKey, Material, RSA_BYTES, RSA_EXPONENT, VerifyingKeys, decoded_bytes};

/// Time in which a JWT of another party is valid (RFC 7519 §4.1.4 to §4.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
#[non_exhaustive]
pub struct Lifetime {
    /// Expiry time (`exp`).
    pub exp: UnixTime,
    /// Time before which the JWT is not valid (`nbf`).
    pub nbf: Option<UnixTime>,
    /// Time of issue (`iat`).
    pub iat: Option<UnixTime>,
}

impl Lifetime {
    /// Creates a lifetime that ends at `exp`, without `nbf` and `iat`.
    pub const fn new(exp: UnixTime) -> Self {
        Self { exp, nbf: None, iat: None }
    }

    /// Sets the time before which the JWT is not valid (`nbf`).
    pub fn with_nbf(mut self, nbf: impl Into<Option<UnixTime>>) -> Self {
        self.nbf = nbf.into();
        self
    }

    /// Sets the time of issue (`iat`).
    pub fn with_iat(mut self, iat: impl Into<Option<UnixTime>>) -> Self {
        self.iat = iat.into();
        self
    }

    /// Clock skew that is tolerated between the signer and this host.
    pub const SKEW: Duration = Duration::from_secs(60);
    /// Longest lifetime that is accepted; five minutes are usual.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Returns the time at which the JWT stops being valid; `None` if it is not valid now.
    ///
    /// The time includes [`SKEW`](Self::SKEW). A JWT is also refused if it expires, or was issued, more than
    /// [`LONGEST`](Self::LONGEST) away from `now`.
    #[must_use]
    pub fn until(self, now: UnixTime) -> Option<UnixTime> {
        let until = self.exp.saturating_add(Self::SKEW);
        let latest = now.saturating_add(Self::SKEW);
        let is_old = |issued| now.saturating_duration_since(issued) > Self::LONGEST + Self::SKEW;
        let counts = now < until
            && self.exp <= latest.saturating_add(Self::LONGEST)
            && self.nbf.is_none_or(|start| start <= latest)
            && self.iat.is_none_or(|issued| issued <= latest && !is_old(issued));
        counts.then_some(until)
    }
}

impl VerifyingKeys {
    /// Returns the claims of a JWT of this type (RFC 8725 §3.11) if the one key that fits has signed it.
    ///
    /// The key is used with its own algorithm. The header selects a key of this set and nothing else: no other key,
    /// algorithm or address is taken from it. The claims are for the caller to judge.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, jwt: &str, typ: &str) -> Option<T> {
        self.verify_typed(jwt, |own| own.is_some_and(|own| own.eq_ignore_ascii_case(typ)))
    }

    /// Returns the claims of a JWT whose `typ` passes `is_type`, verified as by [`verify`](Self::verify).
    #[must_use]
    pub fn verify_typed<T: DeserializeOwned>(
        &self,
        jwt: &str,
        is_type: impl FnOnce(Option<&str>) -> bool,
    ) -> Option<T> {
        signed_claims(jwt, Some(self), is_type)
    }
}

/// Returns the type that the header of a JWT claims (RFC 7515 §4.1.9).
///
/// The inner `None` is a header without a type. The header is not verified: use the type only to explain why a token
/// is refused.
#[must_use]
pub fn claimed_type(jwt: &str) -> Option<Option<String>> {
    jsonwebtoken::decode_header(jwt).ok().map(|header| header.typ)
}

/// Returns the issuer that a JWT claims (RFC 7519 §4.1.1).
///
/// The claim is not verified: use it only to choose the keys that the JWT is verified with.
#[must_use]
pub fn claimed_issuer(jwt: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(jwt).ok()?;
    Some(claims.iss)
}

/// Returns the claims if the one key that fits has signed them.
///
/// A signature is verified even if there is no such key, because the time taken must not tell the two apart.
pub(crate) fn signed_claims<T: DeserializeOwned>(
    jwt: &str,
    keys: Option<&VerifyingKeys>,
    is_typ: impl FnOnce(Option<&str>) -> bool,
) -> Option<T> {
    // With two cryptographic providers in one build the library panics unless one is chosen; with one, this has no
    // effect.
    let _ = DEFAULT_PROVIDER.install_default();
    let header = jsonwebtoken::decode_header(jwt).ok()?;
    // RFC 7515 §4.1.11: no critical header parameter is understood here. RFC 8725 §3.11: tokens of other types that
    // the same key has signed are refused.
    if !is_typ(header.typ.as_deref()) || header.crit.is_some() {
        return None;
    }
    let (algorithm, name) = spoken(header.alg)?;
    // Verification with a key of another size would end early.
    let size = signature_bytes(jwt, &name)?;
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
    let token = jsonwebtoken::decode::<T>(jwt, &key, &validation).ok()?;
    genuine.map(|_| token.claims)
}

/// Returns the key that the header of a JWT names.
pub(crate) fn named_key<'a>(jwt: &str, keys: &'a VerifyingKeys) -> Option<&'a ClientKey> {
    let header = jsonwebtoken::decode_header(jwt).ok()?;
    let (_, name) = spoken(header.alg)?;
    keys.find(header.kid.as_deref(), &name)
}

/// Returns the algorithm if it is supported; `none` and the algorithms with a shared key are not.
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

/// Returns the length of a signature in bytes, if the algorithm has such signatures.
fn signature_bytes(jwt: &str, algorithm: &SigningAlgorithm) -> Option<usize> {
    let (_, signature) = jwt.rsplit_once('.')?;
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
