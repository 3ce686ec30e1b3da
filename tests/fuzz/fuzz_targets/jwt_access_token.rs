//! Whatever a key set, a token or its claims say: facts come only from what the server has signed, and they are what
//! it says.

#![no_main]

use client_auth::SigningKey;
use libfuzzer_sys::fuzz_target;
use oauth_types::{Issuer, JwkSet, Secret, SigningAlgorithm, UnixTime};
use resource_server::{JwtTokens, JwtVerdict};
use serde_json::{Value, json};

const PRIVATE: &str = include_str!("../../../crates/client-auth/tests/keys/eddsa.pem");
const PUBLIC: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");
const ISSUER: &str = "https://as.example";
const NOW: u64 = 1_800_000_000;

fn verify(keys: &str, token: &str) -> Option<JwtVerdict> {
    let keys = JwkSet::from_json(keys.as_bytes()).ok()?;
    let tokens = JwtTokens::with_keys(Issuer::parse(ISSUER).unwrap(), &keys).ok()?;
    Some(tokens.verify(&Secret::new(token), UnixTime::from_secs(NOW)))
}

fn signed(claims: &Value) -> String {
    let key = SigningKey::from_pem(SigningAlgorithm::EdDsa, PRIVATE).unwrap().with_id("eddsa");
    key.sign_claims("at+jwt", claims).unwrap().expose().to_owned()
}

fuzz_target!(|text: &str| {
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://rs.example/mcp", "client_id": "c1", "exp": NOW,
    });
    let good = signed(&claims);
    // Keys of anybody's, and a token of nobody's.
    assert!(!matches!(verify(text, &good), Some(JwtVerdict::Known(_))));
    assert!(matches!(verify(PUBLIC, text), Some(JwtVerdict::Refused(_))));
    let (parts, signature) = good.rsplit_once('.').unwrap();
    for token in [format!("{text}.{signature}"), format!("{parts}.{text}")] {
        assert!(token == good || matches!(verify(PUBLIC, &token), Some(JwtVerdict::Refused(_))));
    }
    // Claims of anybody's that the server has signed.
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return };
    claims.as_object_mut().unwrap().extend(members);
    let Some(JwtVerdict::Known(facts)) = verify(PUBLIC, &signed(&claims)) else { return };
    assert!(claims["iss"] == ISSUER && facts.issuer.is(ISSUER));
    assert_eq!(claims["sub"], facts.subject.as_str());
    assert_eq!(claims["client_id"], facts.client_id.as_str());
    let seconds = claims["exp"].as_f64().unwrap();
    assert_eq!(facts.expires_at, Some(UnixTime::from_secs(seconds as u64 + 60)));
    assert_eq!(facts.jkt.is_some(), claims.get("cnf").is_some());
    let audience = claims["aud"].to_string();
    assert!(facts.audience.iter().all(|uri| audience.contains(&json!(uri).to_string())));
    for scope in facts.scopes.iter() {
        assert!(claims["scope"].as_str().unwrap().split(' ').any(|own| own == scope));
    }
});
