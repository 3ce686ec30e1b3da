//! Secrets that are stored as password hashes: how often they are verified, and with which outcome.

#![cfg(test)]

use std::sync::Mutex;
use std::thread;

use client_auth::{
    Authenticated, ClientAuthError, ClientAuthRecord, InvalidSecretHash, Presented, Reason,
    SecretHash, SecretVerifier, Verified,
};
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::{AuthMethod, FormPairs, Secret, UnixTime};
use proptest::prelude::*;

const BASIC_C1: &str = "Basic YzE6czNjcmV0"; // c1:s3cret
const BASIC_EMPTY: &str = "Basic YzE6";
const HASH: &str = "plain$s3cret";
const DECOY: &str = "plain$decoy";
const NOW: UnixTime = UnixTime::from_secs(2000);

/// Verifier of a made-up hash, `plain$` and the secret, that notes each hash that it is given.
#[derive(Default)]
struct Plain {
    seen: Mutex<Vec<String>>,
    decoy: Option<&'static str>,
}

impl Plain {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().drain(..).collect()
    }
}

impl SecretVerifier for Plain {
    fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash> {
        self.seen.lock().unwrap().push(hash.to_owned());
        Ok(secret.matches(hash.strip_prefix("plain$").ok_or(InvalidSecretHash)?))
    }

    fn decoy(&self) -> &str {
        self.decoy.unwrap_or(DECOY)
    }
}

fn presented(header: Option<&str>, body: &str) -> Presented {
    let mut headers = HeaderMap::new();
    headers.extend(header.map(|line| (AUTHORIZATION, HeaderValue::from_str(line).unwrap())));
    Presented::parse(&headers, &FormPairs::parse(body.as_bytes()).unwrap()).unwrap()
}

fn done(outcome: Result<Verified, ClientAuthError>) -> Result<Authenticated, Reason> {
    match outcome {
        Ok(Verified::Done(client)) => Ok(client),
        Ok(Verified::FirstUse(_)) => panic!("only an assertion is checked for replay"),
        Err(error) => Err(error.reason()),
    }
}

fn try_auth(
    verifier: &Plain,
    record: Option<&ClientAuthRecord>,
    header: Option<&str>,
    body: &str,
) -> Result<Authenticated, Reason> {
    done(presented(header, body).verify_with(verifier, record, &[], NOW))
}

fn hashed(method: AuthMethod) -> ClientAuthRecord {
    ClientAuthRecord::new(method).with_secret_hash(HASH)
}

/// A-AUTHN-5
#[test]
fn a_hashed_secret_authenticates_in_header_and_body() {
    let verifier = Plain::default();
    let post = hashed(AuthMethod::ClientSecretPost);
    let basic = hashed(AuthMethod::ClientSecretBasic);
    let body = "client_id=c1&client_secret=s3cret";
    for (record, header, body) in [(&post, None, body), (&basic, Some(BASIC_C1), "")] {
        let client = try_auth(&verifier, Some(record), header, body).unwrap();
        assert!(client.is_confidential());
        assert_eq!(verifier.seen(), [HASH]);
    }
    let wrong = "client_id=c1&client_secret=decoy";
    assert_eq!(try_auth(&verifier, Some(&post), None, wrong), Err(Reason::WrongSecret));
}

/// SEC-254: the text of the decoy authenticates neither a client without a hash nor an unknown one.
#[test]
fn the_text_of_the_decoy_opens_nothing() {
    let verifier = Plain::default();
    let method = AuthMethod::ClientSecretPost;
    let digest = ClientAuthRecord::new(method.clone()).with_secret(Secret::new("other").digest());
    let none = ClientAuthRecord::new(method);
    for (record, reason) in [
        (None, Reason::UnknownClient),
        (Some(&digest), Reason::WrongSecret),
        (Some(&none), Reason::NoStoredSecret),
    ] {
        let outcome = try_auth(&verifier, record, None, "client_id=c1&client_secret=decoy");
        assert_eq!((outcome.unwrap_err(), &*verifier.seen()), (reason, &[DECOY.to_owned()][..]));
    }
}

/// A-AUTHN-8, SEC-255: an empty secret is refused without a verification, whatever is stored.
#[test]
fn an_empty_secret_is_refused_without_a_verification() {
    let verifier = Plain::default();
    let (basic, post) = (AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost);
    for (method, header, body, reason) in [
        (basic, Some(BASIC_EMPTY), "", Reason::WrongSecret),
        (post, None, "client_id=c1&client_secret=", Reason::WrongMethod),
    ] {
        let record = ClientAuthRecord::new(method).with_secret_hash("plain$");
        assert_eq!(try_auth(&verifier, Some(&record), header, body), Err(reason));
        assert_eq!(done(presented(header, body).verify(Some(&record), &[], NOW)), Err(reason));
    }
    assert!(verifier.seen().is_empty());
}

/// SEC-256: the verifier gets a secret of more than 72 bytes whole, and decides about it.
#[test]
fn a_secret_that_is_longer_than_72_bytes_arrives_whole() {
    let verifier = Plain::default();
    let same = "a".repeat(72);
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret_hash(format!("plain${same}right"));
    for (end, is_right) in [("right", true), ("wrong", false), ("", false)] {
        let body = format!("client_id=c1&client_secret={same}{end}");
        assert_eq!(try_auth(&verifier, Some(&record), None, &body).is_ok(), is_right, "{end}");
    }
}

/// SEC-257: a hash or decoy that is malformed is a fault of the host: 500, and no 401 that blames the client.
#[test]
fn a_malformed_hash_is_a_fault_of_the_host() {
    let post = AuthMethod::ClientSecretPost;
    let digest = ClientAuthRecord::new(post.clone()).with_secret(Secret::new("other").digest());
    let broken = ClientAuthRecord::new(post).with_secret_hash("$argon2id$v=19");
    let broken_decoy = Plain { decoy: Some(""), ..Plain::default() };
    let body = "client_id=c1&client_secret=s3cret";
    for (verifier, record) in
        [(&Plain::default(), Some(&broken)), (&broken_decoy, None), (&broken_decoy, Some(&digest))]
    {
        let outcome = presented(None, body).verify_with(verifier, record, &[], NOW);
        let error = outcome.unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidSecretHash);
        assert!(error.is_failure());
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(response.body().starts_with(br#"{"error":"server_error""#));
    }
}

#[test]
fn without_a_verifier_a_hash_is_a_fault_of_the_host() {
    let record = hashed(AuthMethod::ClientSecretPost);
    let credentials = presented(None, "client_id=c1&client_secret=s3cret");
    let error = credentials.clone().verify(Some(&record), &[], NOW).unwrap_err();
    assert_eq!(error.reason(), Reason::NoSecretVerifier);
    assert!(error.reason().to_string().contains("verify_with"));
    assert_eq!(error.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    // An outcome counts only for the hash that was verified.
    let other = ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret_hash("plain$other");
    let checked = credentials.secret_check(Some(&record), NOW).run(&Plain::default());
    assert!(done(checked.clone().verify(Some(&record), &[], NOW)).is_ok());
    assert_eq!(done(checked.verify(Some(&other), &[], NOW)), Err(Reason::NoSecretVerifier));
}

/// A-AUTHN-6
#[test]
fn an_expired_hash_is_refused_and_a_record_has_one_secret() {
    let verifier = Plain::default();
    let body = "client_id=c1&client_secret=s3cret";
    let expired = hashed(AuthMethod::ClientSecretPost).with_secret_expires_at(NOW);
    assert_eq!(try_auth(&verifier, Some(&expired), None, body), Err(Reason::ExpiredSecret));
    let digest = Secret::new("s3cret").digest();
    let record = hashed(AuthMethod::ClientSecretPost).with_secret(digest);
    assert!(record.secret_hash.is_none());
    assert!(try_auth(&verifier, Some(&record), None, body).is_ok());
    let record = record.with_secret_hash("plain$other");
    assert!(record.secret.is_none());
    // A host that sets both members gets the stricter: the hash decides.
    let mut both = record;
    both.secret = Some(digest);
    assert_eq!(try_auth(&verifier, Some(&both), None, body), Err(Reason::WrongSecret));
}

/// SEC-192
#[test]
fn neither_the_secret_nor_the_hash_is_shown() {
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret_hash("canary");
    let credentials = presented(None, "client_id=c1&client_secret=canary");
    let basic = presented(Some("Basic YzE6Y2FuYXJ5"), "");
    let check = credentials.clone().secret_check(Some(&record), NOW);
    assert!(!format!("{record:?} {credentials:?} {basic:?} {check:?}").contains("canary"));
    let checked = check.run(&Plain::default());
    assert!(!format!("{checked:?}").contains("canary"));
}

#[test]
fn a_hash_is_stored_beside_the_digest() {
    let text = r#"{"method":"client_secret_post","secret":null,"secret_expires_at":null,"secret_hash":"plain$s3cret"}"#;
    let record = hashed(AuthMethod::ClientSecretPost);
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
    assert_eq!(serde_json::from_str::<ClientAuthRecord>(text).unwrap(), record);
    let without = serde_json::to_string(&ClientAuthRecord::public()).unwrap();
    assert!(!without.contains("hash"), "older releases read it");
}

/// A host runs the check on a thread of its own; a check that is dropped leaves nothing behind.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test is the host")]
fn a_check_runs_on_another_thread() {
    let record = hashed(AuthMethod::ClientSecretPost);
    let credentials = presented(None, "client_id=c1&client_secret=s3cret");
    drop(credentials.clone().secret_check(Some(&record), NOW));
    let check = credentials.secret_check(Some(&record), NOW);
    assert!(check.is_needed());
    let verifier: Box<dyn SecretVerifier> = Box::new(Plain::default());
    let checked = thread::spawn(move || check.run(&*verifier)).join().unwrap();
    assert!(done(checked.verify(Some(&record), &[], NOW)).is_ok());
}

fn any_method() -> impl Strategy<Value = AuthMethod> {
    prop::sample::select(vec![
        AuthMethod::None,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::PrivateKeyJwt,
        AuthMethod::parse("tls_client_auth"),
    ])
}

fn any_record() -> impl Strategy<Value = Option<ClientAuthRecord>> {
    let secret = prop::option::of(prop::sample::select(vec!["s3cret", "other", ""]));
    let hash = prop::option::of(prop::sample::select(vec![HASH, "plain$other", "plain$"]));
    let end = prop::option::of(1999_u64..2002);
    let record = (any_method(), secret, hash, end).prop_map(|(method, secret, hash, end)| {
        let mut record = ClientAuthRecord::new(method)
            .with_secret(secret.map(|secret| Secret::new(secret).digest()))
            .with_secret_expires_at(end.map(UnixTime::from_secs));
        record.secret_hash = hash.map(SecretHash::from);
        record
    });
    prop::option::of(record)
}

proptest! {
    /// A-AUTHN-5, SEC-080, SEC-254: one verification, of the hash or the decoy, unless a digest accepts the secret.
    #[test]
    fn one_verification_unless_a_digest_accepts_the_secret(
        record in any_record(),
        (header, body, is_presented) in prop::sample::select(vec![
            (None, "client_id=c1", false),
            (None, "client_id=c1&client_secret=", false),
            (Some(BASIC_EMPTY), "", false),
            (None, "client_id=c1&client_secret=s3cret", true),
            (None, "client_id=c1&client_secret=decoy", true),
            (Some(BASIC_C1), "client_id=c1", true),
            (Some("Basic YzE6eA=="), "", true),
        ]),
    ) {
        let verifier = Plain::default();
        let outcome = try_auth(&verifier, record.as_ref(), header, body);
        let hash = record.as_ref().and_then(|record| record.secret_hash.as_ref());
        let hash = hash.map_or(DECOY, SecretHash::as_str);
        let credentials = presented(header, body);
        let is_accepted = done(credentials.verify(record.as_ref(), &[], NOW)).is_ok();
        let is_verified = is_presented && !is_accepted;
        let expected: &[String] = if is_verified { &[hash.to_owned()] } else { &[] };
        prop_assert_eq!(&*verifier.seen(), expected);
        if let (Ok(client), Some(record)) = (&outcome, &record) {
            let by_hash = record.secret_hash.as_ref().is_some_and(|hash| hash.as_str() == HASH);
            let by_digest = record.secret_hash.is_none()
                && record.secret.is_some_and(|digest| digest.matches("s3cret"));
            prop_assert!(!client.is_confidential() || by_hash || by_digest);
        }
        prop_assert!(outcome.is_err() || record.is_some());
    }
}
