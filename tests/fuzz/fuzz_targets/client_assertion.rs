//! A signed assertion lets its client in as it was signed and for as long as it counts; with any byte changed it does
//! not, and neither does anything that nobody signed.

#![no_main]

use arbitrary::Arbitrary;
use client_auth::{Presented, ClientAuthRecord, SigningKey, Verified, VerifyingKeys};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthMethod, ClientAssertionType, ClientId, Entropy, FormPairs, FormWriter, Issuer,
    SigningAlgorithm, UnixTime,
};

const PRIVATE: &str = include_str!("../../../crates/client-auth/tests/keys/eddsa.pem");
const PUBLIC: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");
const SIGNED_AT: u64 = 1_800_000_000;

#[derive(Arbitrary, Debug)]
struct Input {
    flips: Vec<(u16, u8)>,
    elapsed: u16,
    arbitrary: String,
}

fn genuine() -> String {
    let key = SigningKey::from_pem(SigningAlgorithm::EdDsa, PRIVATE).unwrap();
    let (client, issuer) =
        (ClientId::parse("c1").unwrap(), Issuer::parse("https://as.example").unwrap());
    let now = UnixTime::from_secs(SIGNED_AT);
    let mut form = FormWriter::new();
    key.sign(&client, &issuer, now, Entropy::new([7; 16])).unwrap().attach(&mut form);
    let form = FormPairs::parse(form.as_str().as_bytes()).unwrap();
    form.value("client_assertion").unwrap().unwrap().to_owned()
}

/// Whether an assertion lets its client in, if it was not used before.
fn is_let_in(assertion: &str, now: u64) -> bool {
    let mut form = FormWriter::new();
    form.append("client_assertion_type", ClientAssertionType::JwtBearer.as_str())
        .append("client_assertion", assertion);
    let Ok(form) = FormPairs::parse(form.as_str().as_bytes()) else { return false };
    let jwks = PUBLIC.parse().unwrap();
    let record = ClientAuthRecord::new(AuthMethod::PrivateKeyJwt)
        .with_keys(VerifyingKeys::from_jwks(&jwks, None).unwrap());
    let Ok(presented) = Presented::parse(&HeaderMap::new(), &form) else { return false };
    let now = UnixTime::from_secs(now);
    let audience = ["https://as.example"];
    matches!(presented.verify(Some(&record), &audience, now), Ok(Verified::FirstUse(_)))
}

fuzz_target!(|input: Input| {
    let genuine = genuine();
    let now = SIGNED_AT + u64::from(input.elapsed);
    // Five minutes, and one for a clock that is off.
    assert_eq!(is_let_in(&genuine, now), input.elapsed < 360);
    let mut changed = genuine.clone().into_bytes();
    for (at, mask) in input.flips {
        let at = usize::from(at) % changed.len();
        changed[at] ^= mask;
    }
    if let Ok(changed) = String::from_utf8(changed)
        && changed != genuine
    {
        assert!(!is_let_in(&changed, SIGNED_AT), "{changed}");
    }
    assert!(!is_let_in(&input.arbitrary, SIGNED_AT));
});
