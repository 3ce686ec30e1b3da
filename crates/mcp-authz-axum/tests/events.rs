//! Events for operators: a failing login.
//!
//! A program of its own: `tracing` remembers for each place of an event whether anything listens, and another test that
//! comes by at the same moment could settle it before this one listens.

#![cfg(test)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{AuthorizationServer, Login, LoginResult, LoginUnavailable};
use oauth_types::{Entropy, Issuer, ResourceUri, ScopeSet};
use tower::ServiceExt as _;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the lines that contain this text.
    fn lines(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the log of all tests here; each calls this before its first event.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false);
        subscriber.with_writer(move || writer.clone()).init();
        log
    })
}

fn config(issuer: &str) -> Config {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    Config::new(Issuer::parse(issuer).unwrap(), vec![resource], scopes, keys).unwrap()
}

#[derive(Debug)]
struct Query;

impl core::fmt::Display for Query {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the query for the session failed")
    }
}

impl core::error::Error for Query {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&core::fmt::Error)
    }
}

struct Down;

impl Login for Down {
    async fn status(&self, _: &HeaderMap, _: &str) -> LoginResult {
        Err(LoginUnavailable::from_source(Query))
    }
}

/// The log has the source, with its own sources, under the number that the page shows.
#[tokio::test]
async fn a_failing_login_is_one_event_with_its_source() {
    let log = log();
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(config("https://down.example"), store, Down).router();
    let metadata =
        r#"{"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"}"#;
    let request = Request::post("/register").header(CONTENT_TYPE, "application/json");
    let response = router.clone().oneshot(request.body(Body::from(metadata)).unwrap()).await;
    let client = response.unwrap().into_body().collect().await.unwrap().to_bytes();
    let client: serde_json::Value = serde_json::from_slice(&client).unwrap();
    let url = format!(
        "/authorize?response_type=code&client_id={}&code_challenge_method=S256&scope=files:read&\
         resource=https://rs.example/mcp&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        client["client_id"].as_str().unwrap(),
    );
    let request = Request::get(url).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = str::from_utf8(&page).unwrap();
    assert!(!page.contains("query for the session"), "{page}");

    let source = format!("source=the query for the session failed: {}", core::fmt::Error);
    let lines = log.lines(&source);
    let [line] = &*lines else { panic!("{lines:?}") };
    assert!(line.contains("ERROR") && line.contains("who is logged in"), "{line}");
    let id = line.split_once(" id=").unwrap().1.split(' ').next().unwrap();
    assert!(page.contains(id), "{page}");
}
