//! Public keys that verify signatures (JWK Set, RFC 7517), each bound to one algorithm.
//!
//! They belong to clients, identity providers and authorization servers.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_types::{JwkSet, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reason why a JWK Set (RFC 7517) yields no usable keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidKeys {
    /// The value is not a JWK Set of at most [`VerifyingKeys::MAX_KEYS`] keys (RFC 7517 §5).
    NotAKeySet,
    /// The set holds a private or symmetric key, which has to be replaced, because it is no longer secret.
    Private,
    /// Two keys of one algorithm have the same identifier (RFC 7517 §4.5).
    RepeatedKeyId,
    /// No key is complete, for signatures, and of an algorithm that may be used.
    ///
    /// The algorithm has to be supported and, for a client that registered one, to be the registered one.
    NoUsableKey,
}

impl fmt::Display for InvalidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "jwks is not a set of at most 16 keys, as it has to be (RFC 7517 §5)",
            Self::Private => "a private key was sent; replace it, and send public keys only",
            Self::RepeatedKeyId => {
                "two keys of one algorithm in jwks have the same kid; give each its own (RFC 7517 §4.5)"
            },
            Self::NoUsableKey => {
                "no key in jwks is whole, and for signatures in an algorithm that may be used here; \
                 add one that is"
            }
        })
    }
}

impl core::error::Error for InvalidKeys {}

/// Public keys that verify signatures of one party.
///
/// The party is a client (RFC 7591 §2, `jwks`), an identity provider or an authorization server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifyingKeys(Vec<ClientKey>);

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ClientKey {
    pub(crate) id: Option<Box<str>>,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) material: Material,
}

/// Public numbers of a key, in base64url as received.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Material {
    Ec { x: Box<str>, y: Box<str> },
    Ed { x: Box<str> },
    Rsa { n: Box<str> },
}

#[cfg(feature = "jwt")]
impl Material {
    /// Returns the length of the key's signatures, in bytes.
    pub(crate) fn signature_bytes(&self) -> usize {
        match self {
            // Two numbers of the size of a coordinate (for EdDSA, a point and a number).
            Self::Ec { x, .. } | Self::Ed { x } => 2 * decoded_bytes(x),
            Self::Rsa { n } => decoded_bytes(n),
        }
    }
}

/// Returns the number of bytes that unpadded base64url text stands for.
#[cfg(feature = "jwt")]
pub(crate) const fn decoded_bytes(text: &str) -> usize {
    text.len() * 3 / 4
}

/// Accepted sizes of an RSA modulus, in bytes.
///
/// RFC 7518 §3.3 requires at least 2048 bits; more than 4096 would only cost the server work.
pub(crate) const RSA_BYTES: [usize; 3] = [256, 384, 512];
/// Members of private and symmetric keys.
///
/// `d` is in every asymmetric one, `k` is a symmetric key, and the others accompany or reveal `d`.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// RSA exponent 65537, in base64url.
pub(crate) const RSA_EXPONENT: &str = "AQAB";

impl VerifyingKeys {
    /// Algorithms of assertions that can be verified.
    ///
    /// They are for `token_endpoint_auth_signing_alg_values_supported` (RFC 8414 §2).
    pub const ALGORITHMS: [SigningAlgorithm; 5] = [
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es384,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
    ];
    /// Most keys of one client's JWK Set.
    pub const MAX_KEYS: usize = 16;
    /// Most keys of one authorization server that are kept.
    pub const MAX_SERVER_KEYS: usize = 64;

    /// Reads a JWK Set and keeps the keys that can verify an assertion (RFC 7517 §5).
    ///
    /// Each key is bound to one algorithm, whatever an assertion says: `registered`, else the key's `alg`, else the
    /// default of its type (RS256 for RSA). RSA keys have 2048, 3072 or 4096 bits and the exponent 65537. Points are
    /// not checked here; every verification with an invalid point fails.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys`] names the rule that the set breaks.
    pub fn from_jwks(
        jwks: &Value,
        registered: Option<&SigningAlgorithm>,
    ) -> Result<Self, InvalidKeys> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(InvalidKeys::NotAKeySet)?;
        if keys.len() > Self::MAX_KEYS || !keys.iter().all(Value::is_object) {
            return Err(InvalidKeys::NotAKeySet);
        }
        if keys.iter().any(is_private) {
            return Err(InvalidKeys::Private);
        }
        let mut usable: Vec<ClientKey> = Vec::new();
        for key in keys {
            let Some(key) = ClientKey::read(key, registered) else { continue };
            if usable.iter().any(|other| other.has_name_of(&key)) {
                return Err(InvalidKeys::RepeatedKeyId);
            }
            usable.push(key);
        }
        Self::some(usable)
    }

    /// Reads the keys that an authorization server signs its tokens with (RFC 8414 §2, `jwks_uri`).
    ///
    /// Each key is bound to one algorithm as in [`from_jwks`](Self::from_jwks); an RSA key without `alg` gets `rsa`.
    /// The set is published for many readers. A key that is for another purpose, private, symmetric or incomplete is
    /// therefore ignored, and of two keys with one identifier and algorithm the first counts.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys::NoUsableKey`] when no key remains.
    pub fn of_server(set: &JwkSet, rsa: &SigningAlgorithm) -> Result<Self, InvalidKeys> {
        let mut usable: Vec<ClientKey> = Vec::new();
        for key in set.keys.iter().filter(|key| !is_private(key)) {
            let is_any_rsa =
                key.get("alg").is_none() && key.get("kty").is_some_and(|kind| kind == "RSA");
            let Some(key) = ClientKey::read(key, is_any_rsa.then_some(rsa)) else { continue };
            if usable.len() < Self::MAX_SERVER_KEYS
                && !usable.iter().any(|other| other.has_name_of(&key))
            {
                usable.push(key);
            }
        }
        Self::some(usable)
    }

    fn some(usable: Vec<ClientKey>) -> Result<Self, InvalidKeys> {
        if usable.is_empty() { Err(InvalidKeys::NoUsableKey) } else { Ok(Self(usable)) }
    }

    /// Returns the one key that an assertion with this header has to be signed with.
    ///
    /// It is the key of that algorithm with the identifier; if no key has it, the only key that does not contradict
    /// it.
    #[cfg(feature = "jwt")]
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

fn is_private(key: &Value) -> bool {
    PRIVATE.iter().any(|member| key.get(member).is_some())
}

impl ClientKey {
    /// Returns `true` if both have one identifier and algorithm, so that no header can choose between them.
    fn has_name_of(&self, other: &Self) -> bool {
        self.id.is_some() && self.id == other.id && self.algorithm == other.algorithm
    }

    /// Reads one key; `None` if it is for another purpose, of an unsupported kind, or incomplete.
    fn read(key: &Value, registered: Option<&SigningAlgorithm>) -> Option<Self> {
        let text = |name| key.get(name).and_then(Value::as_str);
        let may_verify = |operations: &Value| {
            operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"))
        };
        if text("use").is_some_and(|purpose| purpose != "sig")
            || key.get("key_ops").is_some_and(|operations| !may_verify(operations))
        {
            return None;
        }
        let number = |name, sizes: &[usize]| number(text(name)?, sizes);
        let ec = |size| Some(Material::Ec { x: number("x", &[size])?, y: number("y", &[size])? });
        let (material, fitting): (_, &[SigningAlgorithm]) = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => (ec(32)?, &[SigningAlgorithm::Es256]),
            ("EC", Some("P-384")) => (ec(48)?, &[SigningAlgorithm::Es384]),
            ("OKP", Some("Ed25519")) => {
                (Material::Ed { x: number("x", &[32])? }, &[SigningAlgorithm::EdDsa])
            }
            // Few sizes and one exponent, because the decoy of an unknown client has to cost the same.
            ("RSA", _) if text("e") == Some(RSA_EXPONENT) => (
                Material::Rsa { n: modulus(text("n")?)? },
                &[SigningAlgorithm::Rs256, SigningAlgorithm::Ps256],
            ),
            _ => return None,
        };
        let named = text("alg").map(SigningAlgorithm::parse);
        if let (Some(named), Some(registered)) = (&named, registered)
            && named != registered
        {
            return None;
        }
        let algorithm = match registered.or(named.as_ref()) {
            Some(wanted) => fitting.iter().find(|fits| *fits == wanted),
            None => fitting.first(),
        }?;
        let id = text("kid").map(Box::from);
        Some(Self { id, algorithm: algorithm.clone(), material })
    }
}

/// Returns a number in unpadded base64url if it has one of these sizes in bytes.
fn number(text: &str, sizes: &[usize]) -> Option<Box<str>> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
    sizes.contains(&decoded.len()).then(|| text.into())
}

/// Returns an RSA modulus if it is odd and its highest bit is set, for one of the accepted sizes.
fn modulus(text: &str) -> Option<Box<str>> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
    let is_whole =
        |bytes: &[u8]| matches!(bytes, [first, .., last] if *first >= 0x80 && last % 2 == 1);
    (RSA_BYTES.contains(&decoded.len()) && is_whole(&decoded)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const XY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// Returns a modulus of 2048 bits whose bytes are all the same.
    fn rsa(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode([byte; 256])
    }

    fn read(
        keys: &Value,
        registered: Option<&SigningAlgorithm>,
    ) -> Result<Vec<SigningAlgorithm>, InvalidKeys> {
        let keys = VerifyingKeys::from_jwks(&json!({ "keys": keys }), registered)?;
        Ok(keys.0.into_iter().map(|key| key.algorithm).collect())
    }

    #[test]
    fn each_usable_key_gets_one_algorithm() {
        let n = rsa(0xC1);
        let keys = json!([
            {"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": "1"},
            {"kty": "OKP", "crv": "Ed25519", "x": XY},
            {"kty": "RSA", "n": n, "e": "AQAB", "alg": "PS256"},
            {"kty": "RSA", "n": n, "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "use": "enc"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
            {"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "key_ops": ["encrypt"]},
            {"kty": "EC", "crv": "P-256", "x": XY},
            {"kty": "RSA", "n": "A".repeat(171), "e": "AQAB"},
            {"kty": "RSA", "n": n, "e": "Aw"},
            {"kty": "EC", "crv": "P-384", "x": "A".repeat(64), "y": "A".repeat(64), "kid": "1",
             "use": "sig", "key_ops": ["sign", "verify"]},
        ]);
        use SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Rs256};
        assert_eq!(read(&keys, None), Ok(vec![Es256, EdDsa, Ps256, Rs256, Es384]));
        assert_eq!(read(&keys, Some(&Ps256)), Ok(vec![Ps256, Ps256]));
        assert_eq!(read(&keys, Some(&Es256)), Ok(vec![Es256]));
        let unknown = SigningAlgorithm::parse("HS256");
        assert_eq!(read(&keys, Some(&unknown)), Err(InvalidKeys::NoUsableKey));
    }

    #[cfg(feature = "jwt")]
    #[test]
    fn an_assertion_names_its_key_or_leaves_no_choice() {
        let key =
            |id: Option<&str>| json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": id});
        let find = |keys: &[Option<&str>], id: Option<&str>| {
            let keys: Vec<Value> = keys.iter().map(|id| key(*id)).collect();
            let keys = VerifyingKeys::from_jwks(&json!({ "keys": keys }), None).unwrap();
            keys.find(id, &SigningAlgorithm::Es256).map(|key| key.id.as_deref().map(str::to_owned))
        };
        let (one, two) = (Some("1"), Some("2"));
        assert_eq!(find(&[one, two], two), Some(Some("2".to_owned())));
        assert_eq!(find(&[one], None), Some(Some("1".to_owned())));
        assert_eq!(find(&[one, two], None), None);
        assert_eq!(find(&[one], two), None);
        // The only key has no identifier, so the header's `kid` cannot mean another one.
        assert_eq!(find(&[None], two), Some(None));
        assert_eq!(find(&[None, one], two), Some(None));
        assert_eq!(find(&[None, None], two), None);
    }

    /// SEC-148
    #[test]
    fn the_set_of_a_server_is_as_good_as_its_good_keys() {
        use SigningAlgorithm::{Es256, Ps256, Rs256};
        let n = rsa(0xC1);
        let ec = |id: &str| json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": id});
        let mut keys = vec![
            json!(1),
            json!({"kty": "oct", "k": XY, "kid": "1", "alg": "HS256"}),
            json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "d": XY, "kid": "1"}),
            json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "1", "x5c": ["x"], "use": "sig"}),
            json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "2", "use": "enc"}),
            json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "2", "alg": "RS512"}),
            json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "2", "alg": "RS256"}),
            ec("1"),
            ec("1"),
        ];
        let read = |keys: &[Value], rsa| {
            let set = json!({ "keys": keys }).to_string();
            let keys = VerifyingKeys::of_server(&JwkSet::from_json(set.as_bytes()).unwrap(), &rsa)?;
            Ok(keys.0.into_iter().map(|key| key.algorithm).collect::<Vec<_>>())
        };
        assert_eq!(read(&keys, Rs256), Ok(vec![Rs256, Rs256, Es256]));
        assert_eq!(read(&keys, Ps256), Ok(vec![Ps256, Rs256, Es256]));
        assert_eq!(read(&keys[..3], Rs256), Err(InvalidKeys::NoUsableKey));
        keys.extend((0..100).map(|id| ec(&format!("more {id}"))));
        assert_eq!(read(&keys, Rs256).map(|keys| keys.len()), Ok(VerifyingKeys::MAX_SERVER_KEYS));
    }

    /// SEC-087, SEC-111, SEC-112
    #[test]
    fn what_cannot_be_a_clients_keys() {
        use InvalidKeys::{NoUsableKey, NotAKeySet, Private, RepeatedKeyId};
        let ec = json!({"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "kid": "1"});
        for (keys, why) in [
            (json!([]), NoUsableKey),
            (json!({}), NotAKeySet),
            (json!([1]), NotAKeySet),
            (json!(vec![ec.clone(); 17]), NotAKeySet),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "d": XY}]), Private),
            (json!([{"kty": "oct", "k": XY, "alg": "HS256"}]), Private),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY}]), NoUsableKey),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": "AAAA"}]), NoUsableKey),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": "=".repeat(43)}]), NoUsableKey),
            (json!([{"kty": "RSA", "n": "A".repeat(171), "e": "AQAB"}]), NoUsableKey),
            (json!([{"kty": "RSA", "n": rsa(0x41), "e": "AQAB"}]), NoUsableKey),
            (json!([{"kty": "RSA", "n": rsa(0xC0), "e": "AQAB"}]), NoUsableKey),
            (json!([{"kty": "EC", "crv": "P-256", "x": XY, "y": XY, "alg": "none"}]), NoUsableKey),
            (json!([ec, ec]), RepeatedKeyId),
        ] {
            assert_eq!(read(&keys, None), Err(why), "{keys}");
        }
        assert_eq!(VerifyingKeys::from_jwks(&Value::Null, None), Err(NotAKeySet));
    }
}
