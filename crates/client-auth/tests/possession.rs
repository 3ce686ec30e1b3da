//! Proofs of possession from the server's side: those of our own client, and everything that is none (RFC 9449 §4.3).

#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::{DpopError, PresentedProof, ProofKey, Replay, VerifiedProof};
use http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth_types::{Entropy, Secret, UnixTime};
use serde_json::{Value, json};

const ES256: &str = include_str!("keys/es256.pem");
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const URL: &str = "https://as.example/token";

fn own() -> ProofKey {
    ProofKey::from_pem(ES256).unwrap()
}

fn verify_at(
    proof: impl TryInto<HeaderValue, Error: std::fmt::Debug>,
    token: Option<&str>,
    now: UnixTime,
) -> Result<VerifiedProof, DpopError> {
    let mut headers = HeaderMap::new();
    headers.insert("DPoP", proof.try_into().unwrap());
    let proof = PresentedProof::parse(&headers)?.unwrap();
    proof.verify(&Method::POST, URL, token.map(Secret::new).as_ref(), now)
}

fn why(proof: &str) -> DpopError {
    verify_at(proof, None, NOW).unwrap_err()
}

fn claims() -> Value {
    json!({"htm": "POST", "htu": URL, "iat": NOW.as_secs(), "jti": "j1"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn jwk(pem: &str, algorithm: Algorithm) -> (EncodingKey, Value) {
    let key = match algorithm {
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
        Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
        _ => EncodingKey::from_ec_pem(pem.as_bytes()),
    }
    .unwrap();
    let jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    (key, jwk)
}

/// A signature over a header and claims that no library would write.
fn raw(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn signed(claims: &Value) -> String {
    let (key, jwk) = jwk(ES256, Algorithm::ES256);
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    raw(&header, claims, &key, Algorithm::ES256)
}

#[test]
fn what_our_own_client_proves_is_its_key_once() {
    let nonce = HeaderValue::from_static("n-1");
    let draw = Entropy::new([7; 16]);
    let url = "https://as.example/token?x=1#f";
    let proof = own().prove(&Method::POST, url, None, Some(&nonce), NOW, draw).unwrap();
    let unused = verify_at(proof.clone(), None, NOW).unwrap();
    assert_eq!(unused.nonce(), Some("n-1"));
    let unused = unused.first_use();
    assert_eq!(unused.until().as_secs(), NOW.as_secs() + 120);
    let key = *unused.key();
    let held = unused.resume(Replay::Fresh).unwrap();
    assert_eq!(held.thumbprint().to_string(), own().thumbprint());
    let again = verify_at(proof.clone(), None, NOW).unwrap().first_use();
    let replayed = again.resume(Replay::Seen).map_err(DpopError::from);
    assert_eq!(replayed, Err(DpopError::Replayed));
    // Its key is the same whenever it is shown, and another one's is another.
    assert_eq!(*verify_at(proof, None, NOW).unwrap().first_use().key(), key);
    let other = own().prove(&Method::POST, URL, None, None, NOW, Entropy::new([8; 16])).unwrap();
    let other = verify_at(other, None, NOW).unwrap();
    assert!(other.nonce().is_none() && *other.first_use().key() != key);
    assert!(PresentedProof::parse(&HeaderMap::new()).unwrap().is_none());
}

#[test]
fn every_kind_of_key_that_is_spoken_here_can_be_held() {
    for (pem, algorithm, alg) in [
        (ES256, Algorithm::ES256, "ES256"),
        (include_str!("keys/es384.pem"), Algorithm::ES384, "ES384"),
        (include_str!("keys/eddsa.pem"), Algorithm::EdDSA, "EdDSA"),
        (include_str!("keys/rs256.pem"), Algorithm::RS256, "RS256"),
        (include_str!("keys/rs256.pem"), Algorithm::PS256, "PS256"),
    ] {
        let (key, jwk) = jwk(pem, algorithm);
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk});
        assert!(verify_at(raw(&header, &claims(), &key, algorithm), None, NOW).is_ok(), "{alg}");
    }
}

#[test]
fn a_proof_is_for_one_method_one_url_one_minute_and_one_token() {
    use DpopError::{Malformed, OtherRequest, OutsideLifetime, WrongSignature};
    let now = NOW.as_secs();
    for (changed, reason) in [
        (with("htm", json!("GET")), OtherRequest),
        (with("htm", json!("post")), OtherRequest),
        (with("htu", json!("https://as.example/token/")), OtherRequest),
        (with("htu", json!("https://as.example/Token")), OtherRequest),
        (with("htu", json!("https://as.example")), OtherRequest),
        (with("htu", json!("https://as.example.evil.example/token")), OtherRequest),
        (with("htu", json!("https://as.example:8443/token")), OtherRequest),
        (with("htu", json!("http://as.example/token")), OtherRequest),
        (with("htu", json!("https://as.example@evil.example/token")), OtherRequest),
        (with("htu", json!("/token")), OtherRequest),
        (with("htu", json!("")), OtherRequest),
        (with("iat", json!(now - 120)), OutsideLifetime),
        (with("iat", json!(now + 61)), OutsideLifetime),
        (with("iat", json!(u64::MAX)), OutsideLifetime),
        (with("jti", json!("")), Malformed),
        (with("jti", json!("x".repeat(257))), Malformed),
        (with("iat", json!("1800000000")), WrongSignature),
        (with("iat", json!(-1)), WrongSignature),
        (with("iat", Value::Null), WrongSignature),
        (with("jti", Value::Null), WrongSignature),
        (with("htm", Value::Null), WrongSignature),
        (with("htu", Value::Null), WrongSignature),
    ] {
        assert_eq!(why(&signed(&changed)), reason, "{changed}");
    }
    for good in [
        with("htu", json!("https://as.example/token?a=b#c")),
        with("htu", json!("HTTPS://AS.example:443/token")),
        with("iat", json!(now - 119)),
        with("iat", json!(now + 60)),
        with("x", json!({"y": []})),
    ] {
        assert!(verify_at(signed(&good), None, NOW).is_ok(), "{good}");
    }
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    // The example of RFC 9449 §7.1.
    let ath = with("ath", json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"));
    assert!(verify_at(signed(&ath), Some(token), NOW).is_ok());
    for (claims, token) in [(ath, "other"), (claims(), token), (with("ath", json!("")), token)] {
        let error = verify_at(signed(&claims), Some(token), NOW).unwrap_err();
        assert_eq!(error, DpopError::OtherToken);
    }
}

/// The key of a proof is public, whole, and the one that signed, in an algorithm of its own.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of headers and keys")]
fn a_proof_with_a_wrong_key_or_algorithm_is_refused() {
    use DpopError::{Malformed, WrongSignature};
    let (key, own) = jwk(ES256, Algorithm::ES256);
    let (_, other) = jwk(include_str!("keys/es384.pem"), Algorithm::ES384);
    let (rsa, n) = jwk(include_str!("keys/rs256.pem"), Algorithm::RS256);
    let es256 = Algorithm::ES256;
    let private = {
        let mut jwk = own.clone();
        jwk["d"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        jwk
    };
    let moved = {
        let mut jwk = own.clone();
        jwk["x"] = jwk["y"].clone();
        jwk
    };
    let oct = json!({"kty": "oct", "k": "c2VjcmV0"});
    let hmac = EncodingKey::from_secret(b"secret");
    for (header, key, algorithm, reason) in [
        (json!({"typ": "JWT", "alg": "ES256", "jwk": own}), &key, es256, WrongSignature),
        (json!({"alg": "ES256", "jwk": own}), &key, es256, WrongSignature),
        (json!({"typ": "dpop+jwt", "alg": "ES256"}), &key, es256, Malformed),
        (json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": private}), &key, es256, Malformed),
        (json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": moved}), &key, es256, WrongSignature),
        (json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": other}), &key, es256, Malformed),
        (json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": own}), &key, es256, Malformed),
        (json!({"typ": "dpop+jwt", "alg": "none", "jwk": own}), &key, es256, Malformed),
        (json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": [own]}), &key, es256, Malformed),
        (
            json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": own, "crit": ["x"]}),
            &key,
            es256,
            WrongSignature,
        ),
        (
            json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": own}),
            &rsa,
            Algorithm::RS256,
            WrongSignature,
        ),
        (
            json!({"typ": "dpop+jwt", "alg": "PS256", "jwk": n}),
            &rsa,
            Algorithm::RS256,
            WrongSignature,
        ),
        (
            json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": oct}),
            &hmac,
            Algorithm::HS256,
            Malformed,
        ),
        (
            json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": own}),
            &hmac,
            Algorithm::HS256,
            Malformed,
        ),
    ] {
        assert_eq!(why(&raw(&header, &claims(), key, algorithm)), reason, "{header}");
    }
    for bad in ["", "x", "a.b.c", "....", "e30.e30.", &"x".repeat(4097)] {
        assert_eq!(why(bad), Malformed);
    }
    let genuine = signed(&claims());
    let (message, signature) = genuine.rsplit_once('.').unwrap();
    let forged = signed(&with("jti", json!("j2")));
    let forged = forged.rsplit_once('.').unwrap().0;
    assert_eq!(why(&format!("{forged}.{signature}")), WrongSignature);
    assert_eq!(why(&format!("{message}.")), WrongSignature);
    // Two headers: which of them was meant?
    let mut headers = HeaderMap::new();
    headers.append("dpop", HeaderValue::try_from(&genuine).unwrap());
    headers.append("dpop", HeaderValue::try_from(&genuine).unwrap());
    assert_eq!(PresentedProof::parse(&headers).unwrap_err(), DpopError::Repeated);
    let not_text = HeaderValue::from_bytes(b"\xff").unwrap();
    assert_eq!(verify_at(not_text, None, NOW).unwrap_err(), Malformed);
    assert!(!format!("{:?}", PresentedProof::parse(&headers)).contains(signature));
    // A header that the library writes is no different.
    let mut header = Header::new(es256);
    header.typ = Some("dpop+jwt".to_owned());
    header.jwk = Some(serde_json::from_value(own).unwrap());
    let written = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert!(verify_at(written, None, NOW).is_ok());
}
