//! Proofs of possession, read back as a server reads them (RFC 9449 §4.3).

#![cfg(test)]

use client_auth::{InvalidSigningKey, ProofKey};
use http::{HeaderValue, Method};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth_types::{Entropy, Secret, UnixTime};
use serde_json::{Value, json};

const PEM: &str = include_str!("keys/es256.pem");
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn key() -> ProofKey {
    ProofKey::from_pem(PEM).unwrap()
}

/// Header and claims of a proof, after its signature was checked with the key that it names itself.
fn read(proof: &HeaderValue) -> (Value, Value) {
    let proof = proof.to_str().unwrap();
    let header = jsonwebtoken::decode_header(proof).unwrap();
    let key = DecodingKey::from_jwk(header.jwk.as_ref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(proof, &key, &validation).unwrap().claims;
    (serde_json::to_value(header).unwrap(), claims)
}

#[test]
fn a_proof_is_for_one_request() {
    let url = "https://rs.example/mcp?x=1#f";
    let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    let nonce = HeaderValue::from_static("n-1");
    let draw = |byte| Entropy::new([byte; 16]);
    let proof = key().prove(&Method::POST, url, Some(&token), Some(&nonce), NOW, draw(7)).unwrap();
    let (header, claims) = read(&proof);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["htu"], "https://rs.example/mcp");
    assert_eq!(claims["iat"], 1_800_000_000);
    assert_eq!(claims["nonce"], "n-1");
    // The example of RFC 9449 §7.1.
    assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let other = key().prove(&Method::POST, url, Some(&token), None, NOW, draw(8)).unwrap();
    let (_, other) = read(&other);
    assert_ne!(claims["jti"], other["jti"]);
    assert!(other.get("nonce").is_none());
    let (_, bare) = read(&key().prove(&Method::GET, url, None, None, NOW, draw(9)).unwrap());
    assert!(bare.get("ath").is_none());
}

/// SEC-192
#[test]
fn a_proof_names_the_public_key_and_nothing_else_of_it() {
    let proof =
        key().prove(&Method::GET, "https://rs.example", None, None, NOW, Entropy::new([1; 16]));
    let (header, _) = read(&proof.unwrap());
    let members: Vec<&str> =
        header["jwk"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["crv", "kty", "x", "y"]);
    assert_eq!(format!("{:?}", key()), "ProofKey([redacted])");
}

#[test]
fn what_is_no_key_is_said_at_once() {
    let ed = include_str!("keys/eddsa.pem");
    for bad in ["", "canary", ed] {
        assert_eq!(ProofKey::from_pem(bad).unwrap_err(), InvalidSigningKey::Form);
        assert_eq!(ProofKey::from_der(bad.as_bytes()).unwrap_err(), InvalidSigningKey::Form);
    }
    let nonce = HeaderValue::from_bytes(b"\xff").unwrap();
    let refused = key().prove(
        &Method::GET,
        "https://a.example",
        None,
        Some(&nonce),
        NOW,
        Entropy::new([1; 16]),
    );
    assert!(refused.is_err());
}
