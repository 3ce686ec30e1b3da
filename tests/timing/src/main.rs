//! Timing side channels: the duration of a decision must reveal neither secrets nor clients (attack rows 80, 81).
//!
//! Each case runs one decision on two inputs, mixed at random, and compares the durations with Welch's t-test, as
//! dudect does. `cargo xtask timing` runs and judges them, and needs an idle machine.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use client_auth::{
    ClientAuthRecord, InvalidSecretHash, Presented, SecretVerifier, VerifyingKeys,
};
use dudect_bencher::ctbench::{BenchMetadata, BenchName, BenchOpts, run_benches_console};
use dudect_bencher::rand::RngExt as _;
use dudect_bencher::{BenchRng, Class, CtRunner};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use oauth_types::{AuthMethod, CodeVerifier, FormPairs, Secret, SecretDigest, State, UnixTime};

const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw7Fjfp0ZBr1KtDRbnfVdmI";
const FIRST_DIFFERS: &str = "8Fjfp0ZBr1KtDRbnfVdmIw7Fjfp0ZBr1KtDRbnfVdmI";
const LAST_DIFFERS: &str = "7Fjfp0ZBr1KtDRbnfVdmIw7Fjfp0ZBr1KtDRbnfVdmJ";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const AUDIENCE: &[&str] = &["https://as.example"];

static SAMPLES: OnceLock<usize> = OnceLock::new();

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let samples = arguments.next().expect("how many samples").parse().expect("a number");
    SAMPLES.set(samples).expect("set once");
    let cases: [(&'static str, fn(&mut CtRunner, &mut BenchRng)); 13] = [
        ("client_secret", client_secret),
        ("client_secret_basic", client_secret_basic),
        ("client_known", client_known),
        ("client_method", client_method),
        ("client_known_hash", client_known_hash),
        ("client_known_digest", client_known_digest),
        ("client_known_es256", client_known_es256),
        ("client_known_es384", client_known_es384),
        ("client_known_eddsa", client_known_eddsa),
        ("client_known_rs256", client_known_rs256),
        ("code_verifier", code_verifier),
        ("secret_digest", secret_digest),
        ("state", state),
    ];
    let cases =
        cases.map(|(name, benchfn)| BenchMetadata { name: BenchName(name), seed: None, benchfn });
    run_benches_console(
        BenchOpts { filter: arguments.next(), ..BenchOpts::default() },
        cases.into(),
    )
}

/// Times `decide` on both inputs, in random order, once for each sample.
///
/// Every run gets its own copy, so that neither input is in the processor's cache.
fn compare<I: Clone, T>(
    runner: &mut CtRunner,
    rng: &mut BenchRng,
    per_thousand: usize,
    [left, right]: [I; 2],
    decide: impl Fn(&I) -> T,
) {
    let samples = SAMPLES.get().copied().unwrap_or_default() * per_thousand / 1000;
    for _ in 0..samples {
        let is_left: bool = rng.random();
        let class = if is_left { Class::Left } else { Class::Right };
        let input = if is_left { left.clone() } else { right.clone() };
        runner.run_one(class, || decide(&input));
    }
}

/// Performs a whole client authentication, which may fail.
fn authenticate((body, record): &(String, Option<&ClientAuthRecord>)) -> bool {
    let form = FormPairs::parse(body.as_bytes()).expect("a form");
    let presented = Presented::parse(&HeaderMap::new(), &form).expect("one method");
    presented.verify(*record, AUDIENCE, UnixTime::from_secs(0)).is_ok()
}

fn post(secret: &str) -> String {
    format!("grant_type=client_credentials&client_id=s6BhdRkqt3&client_secret={secret}")
}

fn record(method: AuthMethod) -> ClientAuthRecord {
    ClientAuthRecord::new(method).with_secret(Secret::new(SECRET).digest())
}

fn client_secret(runner: &mut CtRunner, rng: &mut BenchRng) {
    let record = record(AuthMethod::ClientSecretPost);
    let inputs = [FIRST_DIFFERS, LAST_DIFFERS].map(|secret| (post(secret), Some(&record)));
    compare(runner, rng, 1000, inputs, authenticate);
}

fn client_secret_basic(runner: &mut CtRunner, rng: &mut BenchRng) {
    let record = record(AuthMethod::ClientSecretBasic);
    let form = FormPairs::parse(b"grant_type=client_credentials").expect("a form");
    let inputs = [FIRST_DIFFERS, LAST_DIFFERS].map(|secret| {
        let pair = STANDARD.encode(format!("s6BhdRkqt3:{secret}"));
        let value = HeaderValue::from_str(&format!("Basic {pair}")).expect("a header");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    });
    compare(runner, rng, 1000, inputs, |headers| {
        let presented = Presented::parse(headers, &form).expect("one method");
        presented.verify(Some(&record), AUDIENCE, UnixTime::from_secs(0)).is_ok()
    });
}

/// Compares the right secret with one whose digest differs in every byte.
fn secret_digest(runner: &mut CtRunner, rng: &mut BenchRng) {
    let digest = SecretDigest::of(SECRET);
    compare(runner, rng, 1000, [SECRET, LAST_DIFFERS].map(str::to_owned), |text| {
        digest.matches(text)
    });
}

/// Compares a wrong secret of a known client with one of an unknown client.
fn client_known(runner: &mut CtRunner, rng: &mut BenchRng) {
    let body = post(FIRST_DIFFERS);
    let record = record(AuthMethod::ClientSecretPost);
    let inputs = [(body.clone(), Some(&record)), (body, None)];
    compare(runner, rng, 1000, inputs, authenticate);
}

/// Compares the right secret by an unregistered method with a wrong one by the right method.
fn client_method(runner: &mut CtRunner, rng: &mut BenchRng) {
    let [basic, post_only] =
        [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost].map(record);
    let inputs = [(post(SECRET), Some(&basic)), (post(FIRST_DIFFERS), Some(&post_only))];
    compare(runner, rng, 1000, inputs, authenticate);
}

/// Verifier that is fast, so that what surrounds it is measured.
struct FastHashes;

impl SecretVerifier for FastHashes {
    fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash> {
        Ok(SecretDigest::of(hash).equals(&secret.digest()))
    }

    fn decoy(&self) -> &str {
        "$fast$cccccccccccccccc"
    }
}

/// Performs a whole client authentication with a verifier of hashes, which may fail.
fn authenticate_hashed((body, record): &(String, Option<&ClientAuthRecord>)) -> bool {
    let form = FormPairs::parse(body.as_bytes()).expect("a form");
    let presented = Presented::parse(&HeaderMap::new(), &form).expect("one method");
    presented.verify_with(&FastHashes, *record, AUDIENCE, UnixTime::from_secs(0)).is_ok()
}

/// Compares a wrong secret of a client with a hash with one of an unknown client.
fn client_known_hash(runner: &mut CtRunner, rng: &mut BenchRng) {
    let body = post(FIRST_DIFFERS);
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret_hash("$fast$dddddddddddddddd");
    let inputs = [(body.clone(), Some(&record)), (body, None)];
    compare(runner, rng, 1000, inputs, authenticate_hashed);
}

/// Compares a wrong secret of a client with a digest with one of an unknown client, where a verifier is used.
fn client_known_digest(runner: &mut CtRunner, rng: &mut BenchRng) {
    let body = post(FIRST_DIFFERS);
    let record = record(AuthMethod::ClientSecretPost);
    let inputs = [(body.clone(), Some(&record)), (body, None)];
    compare(runner, rng, 1000, inputs, authenticate_hashed);
}

/// Compares an assertion with a wrong signature of a known client with one of an unknown client.
fn assertion(runner: &mut CtRunner, rng: &mut BenchRng, header: &str, signature_bytes: usize) {
    let jwks = include_str!("../../../crates/client-auth/tests/keys/public.json");
    let jwks = serde_json::from_str(jwks).expect("JSON");
    let keys = VerifyingKeys::from_jwks(&jwks, None).expect("keys");
    let claims = r#"{"iss":"c1","sub":"c1","aud":"https://as.example","exp":60,"jti":"j"}"#;
    let signature = vec![0x5A; signature_bytes];
    let parts =
        [header.as_bytes(), claims.as_bytes(), &signature].map(|part| URL_SAFE_NO_PAD.encode(part));
    let form = format!("client_assertion={}&client_assertion_type={JWT_BEARER}", parts.join("."),);
    let record = ClientAuthRecord::new(AuthMethod::PrivateKeyJwt).with_keys(keys);
    let inputs = [(form.clone(), Some(&record)), (form, None)];
    compare(runner, rng, 50, inputs, authenticate);
}

fn client_known_es256(runner: &mut CtRunner, rng: &mut BenchRng) {
    assertion(runner, rng, r#"{"alg":"ES256","kid":"es256"}"#, 64);
}

fn client_known_es384(runner: &mut CtRunner, rng: &mut BenchRng) {
    assertion(runner, rng, r#"{"alg":"ES384","kid":"es384"}"#, 96);
}

fn client_known_eddsa(runner: &mut CtRunner, rng: &mut BenchRng) {
    assertion(runner, rng, r#"{"alg":"EdDSA","kid":"eddsa"}"#, 64);
}

fn client_known_rs256(runner: &mut CtRunner, rng: &mut BenchRng) {
    assertion(runner, rng, r#"{"alg":"RS256","kid":"rs256"}"#, 256);
}

fn code_verifier(runner: &mut CtRunner, rng: &mut BenchRng) {
    let [right, first, last] = [SECRET, FIRST_DIFFERS, LAST_DIFFERS]
        .map(|text| CodeVerifier::parse(text).expect("a verifier"));
    let challenge = right.challenge();
    compare(runner, rng, 1000, [first, last], |verifier| challenge.matches(verifier));
}

/// Compares a `state` that differs in its first byte with one that differs in its last.
///
/// The browser check of a consent and the MAC check of a refresh token use the same comparison.
fn state(runner: &mut CtRunner, rng: &mut BenchRng) {
    let state = State::from_secret(Secret::new(SECRET));
    let inputs = [FIRST_DIFFERS, LAST_DIFFERS].map(str::to_owned);
    compare(runner, rng, 1000, inputs, |received| state.matches(received));
}
