//! The public keys of a client, each bound to one algorithm when it registers.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_types::SigningAlgorithm;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a JWK Set (RFC 7517) cannot be a client's keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidKeys {
    /// It is not a JWK Set of at most [`ClientKeys::MAX_KEYS`] keys (RFC 7517 §5).
    NotAKeySet,
    /// It holds a private or symmetric key. That key is known to others now: it has to be replaced.
    Private,
    /// A key lacks a member, or a member does not have its form or length (RFC 7518 §6, RFC 8037 §2).
    Malformed,
    /// Two keys have the same identifier.
    RepeatedKeyId,
    /// No key is for signatures in an algorithm that is spoken here and that the client registered.
    NoUsableKey,
}

impl fmt::Display for InvalidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "jwks is not a set of at most 16 keys",
            Self::Private => "a private key was sent: replace it, and send public keys only",
            Self::Malformed => "a key in jwks does not have its form",
            Self::RepeatedKeyId => "two keys in jwks have the same kid",
            Self::NoUsableKey => {
                "no key in jwks signs with an algorithm that is registered and spoken here"
            }
        })
    }
}

impl core::error::Error for InvalidKeys {}

/// The public keys that a client signs its assertions with (RFC 7591 §2, `jwks`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientKeys(Vec<ClientKey>);

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ClientKey {
    pub(crate) id: Option<Box<str>>,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) material: Material,
}

/// The public numbers, in base64url as they came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Material {
    Ec { x: Box<str>, y: Box<str> },
    Ed { x: Box<str> },
    Rsa { n: Box<str>, e: Box<str> },
}

impl ClientKeys {
    /// The algorithms that assertions are verified in; for `token_endpoint_auth_signing_alg_values_supported`.
    pub const ALGORITHMS: [SigningAlgorithm; 5] = [
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es384,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
    ];
    /// Most keys of one client.
    pub const MAX_KEYS: usize = 16;

    /// Reads a JWK Set, keeping the keys that can verify an assertion. Each gets the one algorithm that it
    /// is used with from then on, whatever an assertion says: `registered`, else what the key names, else
    /// what its type means (RS256 for RSA).
    ///
    /// # Errors
    ///
    /// [`InvalidKeys`] names the rule broken.
    pub fn from_jwks(
        jwks: &Value,
        registered: Option<&SigningAlgorithm>,
    ) -> Result<Self, InvalidKeys> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(InvalidKeys::NotAKeySet)?;
        if keys.len() > Self::MAX_KEYS || !keys.iter().all(Value::is_object) {
            return Err(InvalidKeys::NotAKeySet);
        }
        // `d` is the private part of every asymmetric key and `k` the whole of a symmetric one; the others
        // come with `d` or betray it.
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if keys.iter().any(|key| private.iter().any(|member| key.get(member).is_some())) {
            return Err(InvalidKeys::Private);
        }
        let mut usable: Vec<ClientKey> = Vec::new();
        for key in keys {
            let Some(key) = ClientKey::read(key, registered)? else { continue };
            if key.id.is_some() && usable.iter().any(|other| other.id == key.id) {
                return Err(InvalidKeys::RepeatedKeyId);
            }
            usable.push(key);
        }
        if usable.is_empty() {
            return Err(InvalidKeys::NoUsableKey);
        }
        Ok(Self(usable))
    }

    /// The one key that an assertion with this header has to be signed with: the one of that algorithm that
    /// has the identifier or, where none has it, the only one that cannot contradict it.
    #[cfg(feature = "private_key_jwt")]
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: &SigningAlgorithm,
    ) -> Option<&ClientKey> {
        let of_algorithm = || self.0.iter().filter(|key| key.algorithm == *algorithm);
        if let Some(named) = of_algorithm().find(|key| id.is_some() && key.id.as_deref() == id) {
            return Some(named);
        }
        let mut others = of_algorithm().filter(|key| id.is_none() || key.id.is_none());
        others.next().filter(|_| others.next().is_none())
    }
}

impl ClientKey {
    /// One key; `None` when it is for something else, or of a kind that is not spoken here.
    fn read(
        key: &Value,
        registered: Option<&SigningAlgorithm>,
    ) -> Result<Option<Self>, InvalidKeys> {
        let text = |name| key.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Ok(None);
        }
        let ec = |size| -> Result<_, InvalidKeys> {
            Ok(Material::Ec {
                x: number(text("x"), size..=size)?,
                y: number(text("y"), size..=size)?,
            })
        };
        let (material, fitting): (_, &[SigningAlgorithm]) = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => (ec(32)?, &[SigningAlgorithm::Es256]),
            (Some("EC"), Some("P-384")) => (ec(48)?, &[SigningAlgorithm::Es384]),
            (Some("OKP"), Some("Ed25519")) => {
                (Material::Ed { x: number(text("x"), 32..=32)? }, &[SigningAlgorithm::EdDsa])
            }
            (Some("RSA"), _) => {
                // 2048 bits at least (RFC 7518 §3.3); more than 4096 only cost the server work.
                let (n, e) = (number(text("n"), 256..=512)?, number(text("e"), 1..=8)?);
                (Material::Rsa { n, e }, &[SigningAlgorithm::Rs256, SigningAlgorithm::Ps256])
            }
            _ => return Ok(None),
        };
        let named = text("alg").map(SigningAlgorithm::from_name);
        if let (Some(named), Some(registered)) = (&named, registered)
            && named != registered
        {
            return Ok(None);
        }
        let wanted = registered.or(named.as_ref());
        let algorithm = match wanted {
            Some(wanted) => fitting.iter().find(|fits| *fits == wanted),
            None => fitting.first(),
        };
        let id = text("kid").map(Box::from);
        Ok(algorithm.map(|algorithm| Self { id, algorithm: algorithm.clone(), material }))
    }
}

/// A number in base64url without padding, of a length in bytes that its key allows.
fn number(
    text: Option<&str>,
    bytes: core::ops::RangeInclusive<usize>,
) -> Result<Box<str>, InvalidKeys> {
    let text = text.ok_or(InvalidKeys::Malformed)?;
    let decoded = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKeys::Malformed)?;
    if bytes.contains(&decoded.len()) { Ok(text.into()) } else { Err(InvalidKeys::Malformed) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const XY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn read(
        keys: &Value,
        registered: Option<&SigningAlgorithm>,
    ) -> Result<Vec<SigningAlgorithm>, InvalidKeys> {
        let keys = ClientKeys::from_jwks(&json!({ "keys": keys }), registered)?;
        Ok(keys.0.into_iter().map(|key| key.algorithm).collect())
    }

    #[test]
    fn each_key_gets_one_algorithm() {
        let n = "A".repeat(342);
        let keys = json!([
            {"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": "1"},
            {"kty": "OKP", "crv": "Ed25519", "x": XY},
            {"kty": "RSA", "n": n, "e": "AQAB", "alg": "PS256"},
            {"kty": "RSA", "n": n, "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "use": "enc"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        ]);
        use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        assert_eq!(read(&keys, None), Ok(vec![Es256, EdDsa, Ps256, Rs256]));
        assert_eq!(read(&keys, Some(&Ps256)), Ok(vec![Ps256, Ps256]));
        assert_eq!(read(&keys, Some(&Es256)), Ok(vec![Es256]));
        let unknown = SigningAlgorithm::from_name("HS256");
        assert_eq!(read(&keys, Some(&unknown)), Err(InvalidKeys::NoUsableKey));
    }

    #[cfg(feature = "private_key_jwt")]
    #[test]
    fn an_assertion_names_its_key_or_leaves_no_choice() {
        let key =
            |id: Option<&str>| json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": id});
        let find = |keys: &[Option<&str>], id: Option<&str>| {
            let keys: Vec<Value> = keys.iter().map(|id| key(*id)).collect();
            let keys = ClientKeys::from_jwks(&json!({ "keys": keys }), None).unwrap();
            keys.find(id, &SigningAlgorithm::Es256).map(|key| key.id.as_deref().map(str::to_owned))
        };
        let (one, two) = (Some("1"), Some("2"));
        assert_eq!(find(&[one, two], two), Some(Some("2".to_owned())));
        assert_eq!(find(&[one], None), Some(Some("1".to_owned())));
        assert_eq!(find(&[one, two], None), None);
        assert_eq!(find(&[one], two), None);
        // Its only key has no name: whatever the header calls it, there is no other.
        assert_eq!(find(&[None], two), Some(None));
        assert_eq!(find(&[None, one], two), Some(None));
        assert_eq!(find(&[None, None], two), None);
    }

    #[test]
    fn sec_087_sec_111_sec_112_what_cannot_be_a_clients_keys() {
        use InvalidKeys::{Malformed, NoUsableKey, NotAKeySet, Private, RepeatedKeyId};
        let ec = json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": "1"});
        for (keys, why) in [
            (json!([]), NoUsableKey),
            (json!({}), NotAKeySet),
            (json!([1]), NotAKeySet),
            (json!(vec![ec.clone(); 17]), NotAKeySet),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "d": XY}]), Private),
            (json!([{"kty": "oct", "k": XY, "alg": "HS256"}]), Private),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY}]), Malformed),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": "AAAA"}]), Malformed),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": "=".repeat(43)}]), Malformed),
            (json!([{"kty": "RSA", "n": "A".repeat(171), "e": "AQAB"}]), Malformed),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "alg": "none"}]), NoUsableKey),
            (json!([ec, ec]), RepeatedKeyId),
        ] {
            assert_eq!(read(&keys, None), Err(why), "{keys}");
        }
        assert_eq!(ClientKeys::from_jwks(&Value::Null, None), Err(NotAKeySet));
    }
}
