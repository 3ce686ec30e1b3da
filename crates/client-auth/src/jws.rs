//! Signed texts of others (RFC 7515, RFC 7519): who has signed one, and when it counts.
//!
//! The JWT library reads the token and tests the signature. What the claims have to say is decided here and by the
//! callers, because the library would ask the system what time it is.

use core::time::Duration;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth_types::{SigningAlgorithm, UnixTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::decoy::decoy;
use crate::keys::{ClientKey, Material, RSA_BYTES, RSA_EXPONENT, VerifyingKeys, decoded_bytes};

/// When a JWT of somebody else counts (RFC 7519 §4.1.4 to §4.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
#[non_exhaustive]
pub struct Lifetime {
    /// Its end.
    pub exp: UnixTime,
    /// Its beginning.
    pub nbf: Option<UnixTime>,
    /// When it was issued.
    pub iat: Option<UnixTime>,
}

impl Lifetime {
    /// The time until `exp`, without a beginning or a time of issue.
    pub const fn new(exp: UnixTime) -> Self {
        Self { exp, nbf: None, iat: None }
    }

    /// Sets the beginning.
    pub fn with_nbf(mut self, nbf: impl Into<Option<UnixTime>>) -> Self {
        self.nbf = nbf.into();
        self
    }

    /// Sets the time of issue.
    pub fn with_iat(mut self, iat: impl Into<Option<UnixTime>>) -> Self {
        self.iat = iat.into();
        self
    }

    /// How far the clock of whoever signed it may be off.
    pub const SKEW: Duration = Duration::from_secs(60);
    /// The longest that one may count; five minutes are usual.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Until when it counts, clocks that are off included; `None` when it does not count now, or is meant to count
    /// for longer than anybody needs.
    #[must_use]
    pub fn until(self, now: UnixTime) -> Option<UnixTime> {
        let until = self.exp.plus(Self::SKEW);
        let latest = now.plus(Self::SKEW);
        let is_old = |issued| now.since(issued) > Self::LONGEST + Self::SKEW;
        let counts = now < until
            && self.exp <= latest.plus(Self::LONGEST)
            && self.nbf.is_none_or(|start| start <= latest)
            && self.iat.is_none_or(|issued| issued <= latest && !is_old(issued));
        counts.then_some(until)
    }
}

impl VerifyingKeys {
    /// The claims of a JWT of this type (RFC 8725 §3.11), if the one of these keys that fits has signed it, in the
    /// key's algorithm. Nothing that its header says leads anywhere else: no other key, algorithm or address is
    /// taken from there. What the claims say is the caller's to judge.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, jwt: &str, typ: &str) -> Option<T> {
        self.verify_typed(jwt, |own| own.is_some_and(|own| own.eq_ignore_ascii_case(typ)))
    }

    /// Returns the claims as [`verify`](Self::verify) does, of a JWT whose header has one of several types or none.
    #[must_use]
    pub fn verify_typed<T: DeserializeOwned>(
        &self,
        jwt: &str,
        is_type: impl FnOnce(Option<&str>) -> bool,
    ) -> Option<T> {
        signed_claims(jwt, Some(self), is_type)
    }
}

/// The type in the header of a JWT (RFC 7515 §4.1.9), `None` inside when it has none. Not verified: only good for
/// saying why a token is refused.
#[must_use]
pub fn claimed_type(jwt: &str) -> Option<Option<String>> {
    jsonwebtoken::decode_header(jwt).ok().map(|header| header.typ)
}

/// Who a JWT says it comes from (RFC 7519 §4.1.1). Not verified: only good for choosing the keys to verify it with.
#[must_use]
pub fn claimed_issuer(jwt: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(jwt).ok()?;
    Some(claims.iss)
}

/// The claims, if the one key that fits has signed them. A signature is tested whether or not there is a key to test
/// with.
pub(crate) fn signed_claims<T: DeserializeOwned>(
    jwt: &str,
    keys: Option<&VerifyingKeys>,
    is_typ: impl FnOnce(Option<&str>) -> bool,
) -> Option<T> {
    // Two providers in one build would panic without a choice; where there is one, this changes nothing.
    let _ = DEFAULT_PROVIDER.install_default();
    let header = jsonwebtoken::decode_header(jwt).ok()?;
    // RFC 7515 §4.1.11: nothing that can be critical is understood here. RFC 8725 §3.11: other kinds of
    // tokens signed with the same key are not meant.
    if !is_typ(header.typ.as_deref()) || header.crit.is_some() {
        return None;
    }
    let (algorithm, name) = spoken(header.alg)?;
    // A key of another size would refuse the signature at once.
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
