//! What servers tell when they fail: that they did, and under which number the log says more; and what the log says.
//! In a process of its own: which events are wanted is everybody's in a process.

#![cfg(test)]

use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use authorization_server::store::StoreError;
use authorization_server::{
    ClientRecord, Config, MemoryStore, PageError, ServerKey, ServerKeys, Store as _,
};
use axum::Router;
use axum::body::Body;
use client_auth::{ClientAuthRecord, ProofKey};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    AuthorizationServer, Clock, Deadlines, IntrospectionVerifier, Login, LoginResult, LoginStatus,
    ProtectLayer, TokenVerifier, VerifierUnavailable,
};
use oauth_types::{
    AuthMethod, ClientId, CodeVerifier, EndpointUrl, Entropy, Issuer, RedirectUri, ResourceUri,
    ScopeSet, Secret, SecretDigest, Subject, Thumbprint, UnixTime,
};
use resource_server::{AccessTokenInfo, Resource};
use serde_json::{Value, json};
use tests::faulty::{Fault, FaultyStore};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tracing::Level;

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
const CREDENTIALS: &str = "client_id=machine&client_secret=secret";

/// All that was logged by this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of the log that has this number, and the only one.
fn logged(id: &str) -> String {
    let log = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
    let mut lines = log.lines().filter(|line| line.contains(id));
    let line = lines.next().unwrap().to_owned();
    assert!(lines.next().is_none());
    line
}

/// The log of all tests here. Each calls this first: an event that comes by before anything listens is never heard.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(Level::TRACE);
        subscriber.with_writer(move || writer.clone()).init();
        log
    })
}

/// Fails in every way that a login of the host's own can.
struct BadLogin;

impl Login for BadLogin {
    async fn status(&self, headers: &HeaderMap, _: &str) -> LoginResult {
        assert!(!headers.contains_key("x-panic"), "canary: SELECT * FROM users");
        if headers.contains_key("x-hang") {
            core::future::pending::<()>().await;
        }
        Ok(LoginStatus::Redirect("canary\n".to_owned()))
    }
}

struct Server {
    router: Router,
    store: Arc<FaultyStore>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The number that the reply names: 16 hexadecimal digits.
    fn number(&self) -> String {
        let is_id = |word: &&str| word.len() == 16 && u64::from_str_radix(word, 16).is_ok();
        let mut words = self.body.split(|c: char| !c.is_ascii_alphanumeric());
        words.find(is_id).unwrap().to_owned()
    }
}

async fn server() -> Server {
    log();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("read").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let issuer = Issuer::parse("https://as.example").unwrap();
    let config = Config::new(issuer, vec![resource], scopes.clone(), keys).unwrap();
    let store = Arc::new(FaultyStore::<MemoryStore>::default());
    let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("secret").digest());
    let machine = ClientRecord::client_credentials(id("machine"), secret, scopes, NOW);
    store.create_client(machine, NOW).await.unwrap();
    let back = RedirectUri::parse("https://app.example/cb").unwrap();
    let public = ClientAuthRecord::public();
    let app = ClientRecord::pre_registered(&config, id("app"), public, vec![back], NOW).unwrap();
    store.create_client(app, NOW).await.unwrap();
    let router = AuthorizationServer::new(config, Arc::clone(&store), BadLogin)
        .with_clock(Clock::new(|| NOW))
        .with_deadlines(Deadlines::default().with_answer(Duration::from_secs(1)))
        .router();
    Server { router, store }
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

impl Server {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("canary") && !body.contains("Corrupt") && !body.contains("Store"));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn form(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(form.to_owned().into()).unwrap()).await
    }

    async fn token(&self) -> Answer {
        self.form("/token", &format!("grant_type=client_credentials&{CREDENTIALS}")).await
    }

    /// The authorization endpoint, whose login fails.
    async fn page(&self, way: &str) -> Answer {
        let challenge = CodeVerifier::new(Entropy::new([5; 32])).challenge();
        let challenge = challenge.as_str();
        let request = Request::get(format!(
            "/authorize?response_type=code&client_id=app&code_challenge={challenge}\
             &code_challenge_method=S256"
        ));
        self.send(request.header(way, "1").body(Body::empty()).unwrap()).await
    }
}

/// SEC-180
#[tokio::test]
async fn a_revocation_that_the_store_did_not_make_is_no_200() {
    let server = server().await;
    for (fault, still_works) in [(Fault::Before, true), (Fault::After, false)] {
        let token = server.token().await.json()["access_token"].as_str().unwrap().to_owned();
        let digest = SecretDigest::of(&token);
        let works = async || server.store.access(&digest, NOW).await.unwrap().is_some();
        server.store.fail_next(fault);
        let form = format!("{CREDENTIALS}&token={token}");
        let failed = server.form("/revoke", &form).await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(failed.json()["error"], "temporarily_unavailable");
        assert!(failed.headers.contains_key(RETRY_AFTER));
        assert_eq!(works().await, still_works);
        // Who tries again, as the answer says, gets what they asked for.
        assert_eq!(server.form("/revoke", &form).await.status, StatusCode::OK);
        assert!(!works().await);
    }
}

/// SEC-195
#[tokio::test]
async fn a_failing_store_is_named_by_a_number_only() {
    let server = server().await;
    for (fault, status, error, cause) in [
        (Fault::Before, 503, "temporarily_unavailable", "the store is not available"),
        (Fault::After, 503, "temporarily_unavailable", "the store did not say whether"),
        (Fault::Corrupt, 500, "server_error", "what is stored cannot be read"),
        (Fault::Panic, 500, "server_error", "code of the host panicked"),
    ] {
        server.store.fail_next(fault);
        let failed = server.token().await;
        assert_eq!((failed.status.as_u16(), &failed.json()["error"]), (status, &json!(error)));
        assert_eq!(failed.json().as_object().unwrap().len(), 2, "{}", failed.body);
        let line = logged(&failed.number());
        assert!(line.contains("ERROR") && line.contains(cause), "{line}");
        assert!(!line.contains("canary"));
        // The next request finds everything in order.
        assert_eq!(server.token().await.status, StatusCode::OK);
    }
}

/// SEC-195
#[tokio::test]
async fn a_failing_login_is_named_by_a_number_only() {
    let server = server().await;
    for (way, status, cause) in [
        ("x-panic", 500, "code of the host panicked"),
        ("x-hang", 503, "code of the host took too long"),
        ("x-nonsense", 503, "the store is not available"),
    ] {
        let failed = server.page(way).await;
        assert_eq!(failed.status.as_u16(), status);
        assert_eq!(failed.headers[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(failed.headers["x-frame-options"], "DENY");
        assert!(logged(&failed.number()).contains(cause));
    }
}

/// SEC-202
#[test]
fn a_page_says_when_to_come_back_where_that_helps() {
    log();
    for (error, status, retry) in [
        (StoreError::Unavailable, StatusCode::SERVICE_UNAVAILABLE, true),
        (StoreError::UnknownOutcome, StatusCode::SERVICE_UNAVAILABLE, true),
        (StoreError::Corrupt, StatusCode::INTERNAL_SERVER_ERROR, false),
    ] {
        let page = PageError::store(error).into_response();
        assert_eq!((page.status(), page.headers().contains_key(RETRY_AFTER)), (status, retry));
    }
}

/// SEC-195
#[tokio::test]
async fn a_refusal_is_nobody_elses_fault_and_has_no_number() {
    let server = server().await;
    let refused = server.form("/token", "grant_type=client_credentials&client_id=machine").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(!refused.body.contains("number"));
}

/// SEC-154, SEC-192
#[tokio::test]
async fn who_cannot_ask_says_so_to_the_operator_and_tells_no_secret() {
    log();
    let answers = [
        (401, "{}", "ERROR"),
        (404, "{}", "ERROR"),
        (200, "<canary>", "ERROR"),
        (200, r#"{"active":"canary"}"#, "ERROR"),
        (500, "canary", " WARN"),
        (200, r#"{"active":false,"canary":1}"#, " INFO"),
    ];
    for (status, body, level) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let answer = async move || (status, [(CONTENT_TYPE, "application/json")], body);
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        for method in [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost] {
            let (issuer, secret) = (Issuer::parse(&url).unwrap(), Secret::new("canary-secret"));
            let verifier = IntrospectionVerifier::new(issuer, id("rs"), secret).unwrap();
            let endpoint = EndpointUrl::parse(&format!("{url}/introspect")).unwrap();
            let verifier = verifier.with_method(method).with_endpoint(endpoint);
            let found = verifier.verify(&Secret::new("canary-token"), NOW).await;
            assert_eq!(found.is_ok(), level == " INFO");
            assert!(!format!("{verifier:?} {found:?}").contains("canary"));
        }
        let log = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
        let own = log.lines().filter(|line| line.contains("mcp_authz_axum::verifier"));
        let of_this = own.filter(|line| level == " INFO" || line.contains(&url));
        assert!(of_this.filter(|line| line.contains(level)).count() >= 2, "{level}: {log}");
    }
    let log = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
    // base64("rs:canary-secret") too.
    for secret in ["canary-secret", "canary-token", "cnM6Y2FuYXJ5LXNlY3JldA", "<canary>"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// Knows one token, which is bound to a key.
struct OneToken(ResourceUri, Thumbprint);

impl TokenVerifier for OneToken {
    async fn verify(
        &self,
        _: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse("alice").unwrap(),
                id("c"),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_audience([self.0.clone()])
            .with_expires_at(now.saturating_add(Duration::from_secs(60)))
            .with_jkt(self.1),
        )))
    }
}

#[tokio::test]
async fn a_proof_that_cannot_be_remembered_lets_nobody_in() {
    log();
    let key = include_str!("../../crates/client-auth/tests/keys/es256.pem");
    let key = ProofKey::from_pem(key).unwrap();
    let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = Resource::new(uri.clone(), vec![issuer]).unwrap().with_dpop();
    let verifier = OneToken(uri, Thumbprint::parse(key.thumbprint()).unwrap());
    let store = Arc::new(FaultyStore::<MemoryStore>::default());
    let protect = ProtectLayer::new(resource, verifier, ScopeSet::empty())
        .with_clock(Clock::new(|| NOW))
        .with_shared_proofs(Arc::clone(&store));
    let router = Router::new().fallback(async || StatusCode::OK).layer(protect);
    let send = async |draw: u8| {
        let (url, token) = ("https://rs.example/mcp", Secret::new("t"));
        let draw = Entropy::new([draw; 16]);
        let proof = key.prove(&Method::GET, url, Some(&token), None, NOW, draw).unwrap();
        let request = Request::get("/mcp").header(AUTHORIZATION, "DPoP t").header("dpop", proof);
        let request = request.body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    };
    for (draw, fault, again) in [
        (1, Fault::Before, StatusCode::OK),
        (2, Fault::Corrupt, StatusCode::OK),
        // It was remembered, and nobody heard of it.
        (3, Fault::After, StatusCode::UNAUTHORIZED),
    ] {
        store.fail_next(fault);
        assert_eq!(send(draw).await, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        assert_eq!(send(draw).await, again, "{fault:?}");
    }
}
