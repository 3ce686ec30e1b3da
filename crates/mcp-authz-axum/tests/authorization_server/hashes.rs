//! Client secrets that are stored as password hashes, over HTTP.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::thread;

use authorization_server::{ClientRecord, MemoryStore, Store as _};
use client_auth::{ClientAuthRecord, InvalidSecretHash, SecretVerifier};
use futures::future::join_all;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use mcp_authz_axum::{AuthorizationServer, DemoLogin, RateLimits};
use oauth_types::{AuthMethod, ClientId, ScopeSet, Secret};
use tokio::time::timeout;

use crate::rates::{Built, HERE, limited, with_secret};
use crate::server::*;

/// Verifier of a made-up hash, `plain$` and the secret, that notes what it is given and how many run at once.
#[derive(Default)]
struct Hashes {
    seen: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    duration: Duration,
}

impl Hashes {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().drain(..).collect()
    }
}

/// The same verifier, for a server and its test.
#[derive(Clone, Default)]
struct Shared(Arc<Hashes>);

impl SecretVerifier for Shared {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the host, on a thread for blocking work"
    )]
    fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash> {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(running, Ordering::SeqCst);
        thread::sleep(self.0.duration);
        self.0.seen.lock().unwrap().push(hash.to_owned());
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        assert!(hash != "panic", "the host's verifier fails");
        Ok(secret.matches(hash.strip_prefix("plain$").ok_or(InvalidSecretHash)?))
    }

    fn decoy(&self) -> &str {
        "plain$decoy"
    }
}

/// Verifier that cannot read its own decoy.
struct NoDecoy;

impl SecretVerifier for NoDecoy {
    fn verify(&self, _: &str, _: &Secret) -> Result<bool, InvalidSecretHash> {
        Err(InvalidSecretHash)
    }

    fn decoy(&self) -> &str {
        ""
    }
}

/// A server with clients whose secrets are stored as these hashes; each is named as its hash ends.
async fn server_with(hashes: &Shared, change: impl FnOnce(Built) -> Built) -> Server {
    let server = limited(|server| change(server.with_secret_verifier(hashes.clone()).unwrap()));
    for (id, hash) in [("right", "plain$right"), ("broken", "$argon2id"), ("panic", "panic")] {
        let method = AuthMethod::ClientSecretPost;
        let secret = ClientAuthRecord::new(method).with_secret_hash(hash);
        let (id, scopes) = (ClientId::parse(id).unwrap(), ScopeSet::parse("files:read").unwrap());
        let record = ClientRecord::client_credentials(id, secret, scopes, NOW);
        server.store.create_client(record, NOW).await.unwrap();
    }
    // The decoy is tried when the server is built.
    assert_eq!(hashes.0.seen(), ["plain$decoy"]);
    server
}

/// SEC-254, SEC-255, SEC-256: one verification of a refused secret, and one answer.
#[tokio::test]
async fn a_hashed_secret_is_verified_once() {
    let hashes = Shared::default();
    let server = server_with(&hashes, |server| server).await;
    assert_eq!(with_secret(&server, "right", "right", HERE).await.status, StatusCode::OK);
    assert_eq!(hashes.0.seen(), ["plain$right"]);
    let wrong = with_secret(&server, "right", "wrong", HERE).await;
    assert_eq!((wrong.status, &*wrong.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert_eq!(hashes.0.seen(), ["plain$right"]);
    for secret in ["wrong", "decoy"] {
        let unknown = with_secret(&server, "nobody", secret, HERE).await;
        assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body));
        assert_eq!(unknown.headers, wrong.headers);
        assert_eq!(hashes.0.seen(), ["plain$decoy"]);
    }
    for (secret, count) in [(String::new(), 0), (format!("right{}", "a".repeat(72)), 1)] {
        let refused = with_secret(&server, "right", &secret, HERE).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(hashes.0.seen().len(), count);
    }
}

/// SEC-257: a fault of the host or its verifier is 500 with the number of an event, and no failure of the peer.
#[tokio::test]
async fn a_fault_of_the_verifier_is_the_hosts() {
    let server = server_with(&Shared::default(), |server| server).await;
    for id in ["broken", "panic"].repeat(20) {
        let answer = with_secret(&server, id, "x", HERE).await;
        let is = (answer.status, &*answer.error());
        assert_eq!(is, (StatusCode::INTERNAL_SERVER_ERROR, "server_error"), "{id}");
        assert!(!answer.headers.contains_key(WWW_AUTHENTICATE));
        assert!(answer.json()["error_description"].as_str().unwrap().contains("number"));
    }
    let config = config("https://as.example");
    let server = AuthorizationServer::new(config, MemoryStore::default(), DemoLogin);
    let error = server.with_secret_verifier(NoDecoy).unwrap_err();
    assert!(error.to_string().contains("decoy"));
}

/// SEC-258: of many guesses sent at once, few are verified, and the others hear 429.
#[tokio::test]
async fn guesses_sent_at_once_are_limited_before_they_are_verified() {
    let hashes =
        Shared(Arc::new(Hashes { duration: Duration::from_millis(5), ..Hashes::default() }));
    let server = server_with(&hashes, |server| server).await;
    let guesses = (0..200).map(|_| with_secret(&server, "right", "wrong", HERE));
    let answers = join_all(guesses).await;
    let refused = answers.iter().filter(|it| it.status == StatusCode::UNAUTHORIZED).count();
    let late = answers.iter().filter(|it| it.status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(refused + late, 200);
    let at_once = thread::available_parallelism().unwrap().get();
    // Ten failures are allowed; a turn may begin before the failure of the one before it is counted.
    assert!(refused <= 11 + 2 * at_once, "{refused}");
    assert_eq!(hashes.0.seen().len(), refused, "no other guess was verified");
    assert!(hashes.0.most.load(Ordering::SeqCst) <= at_once);
}

/// SEC-258: a client that hangs up gives its turn to the next one only when its verification has ended.
#[tokio::test]
async fn clients_that_hang_up_do_not_run_more_at_once() {
    let hashes =
        Shared(Arc::new(Hashes { duration: Duration::from_millis(30), ..Hashes::default() }));
    let server = server_with(&hashes, |server| server.with_rate_limits(RateLimits::OFF)).await;
    let short = Duration::from_millis(5);
    for _ in 0..20 {
        let requests = (0..10).map(|_| timeout(short, with_secret(&server, "right", "x", HERE)));
        assert!(join_all(requests).await.iter().any(Result::is_err));
    }
    let at_once = thread::available_parallelism().unwrap().get();
    assert!(hashes.0.most.load(Ordering::SeqCst) <= at_once);
    assert_eq!(with_secret(&server, "right", "right", HERE).await.status, StatusCode::OK);
}
