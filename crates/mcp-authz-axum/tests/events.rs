//! Events for operators: what a process serves when it starts, and a failing login.
//!
//! A program of its own: `tracing` remembers for each place of an event whether anything listens, and another test that
//! comes by at the same moment could settle it before this one listens.

#![cfg(test)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, DemoLogin, DynLogin, Login, LoginResult, LoginStatus,
    LoginUnavailable, ProtectLayer, StoreVerifier, metadata_routes, serve,
};
use oauth_types::{EndpointUrl, Entropy, Issuer, ResourceUri, ScopeSet};
use resource_server::Resource;
use tokio::net::TcpListener;
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

/// Returns the event in the log that contains this text, from its level on; there is one.
fn event(log: &Log, text: &str) -> String {
    let lines = log.lines(text);
    let [line] = &*lines else { panic!("{text}: {lines:?}") };
    let (_, event) = line.split_once(" INFO ").unwrap();
    format!("INFO {event}")
}

/// The deployment page shows the events of this process, but for the name of the store.
#[tokio::test]
async fn a_server_says_once_at_its_start_what_it_serves() {
    let log = log();
    let store = Arc::new(MemoryStore::default());
    let resource = ResourceUri::parse("https://mcp.example/mcp").unwrap();
    let issuer = Issuer::parse("https://as.example").unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let config = Config::new(issuer.clone(), vec![resource.clone()], scopes.clone(), keys).unwrap();
    let authorization = AuthorizationServer::new(config, Arc::clone(&store), Host).router();
    let resource = Resource::new(resource, vec![issuer.clone()]).unwrap();
    let protect = ProtectLayer::new(resource.clone(), StoreVerifier::new(store, issuer), scopes);
    let mcp = Router::new()
        .route("/mcp", any(async || "answer"))
        .route("/mcp/other", any(async || "answer"))
        .layer(protect)
        .merge(metadata_routes(&resource));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..3 {
        let request = Request::get("/mcp").body(Body::empty()).unwrap();
        assert_eq!(mcp.clone().oneshot(request).await.unwrap().status(), 401);
        let request = Request::get("/token").body(Body::empty()).unwrap();
        assert_eq!(authorization.clone().oneshot(request).await.unwrap().status(), 405);
    }
    serve(
        listener,
        authorization.merge(mcp.reset_fallback()),
        ConnectionLimits::default(),
        async {},
    )
    .await;

    let page = include_str!("../../mcp-authz/src/guide/deployment.md");
    for (text, port) in [
        (" issuer=https://as.example ", None),
        (" resource=https://mcp.example/mcp ", None),
        ("connections are accepted at this address", Some(address.port())),
    ] {
        let mut event = event(log, text).replace("MemoryStore", "SqliteStore");
        if let Some(port) = port {
            event = event.replace(&port.to_string(), "8001");
        }
        assert!(page.contains(&event), "the page has to show: {event}");
    }
}

/// Kinds of logins are told apart, and what cannot be reached is not named.
#[test]
fn the_start_up_event_tells_a_demo_from_a_login_elsewhere() {
    let log = log();
    let server = |issuer| (config(issuer), Arc::new(MemoryStore::default()));
    let (demo, store) = server("http://127.0.0.1:8001");
    let _ = AuthorizationServer::new(demo, store, DemoLogin).without_client_documents().router();
    let demo = event(log, " issuer=http://127.0.0.1:8001 ");
    assert!(demo.contains(" login=demo registration=dynamic authorize=/authorize "), "{demo}");
    assert!(!demo.contains("introspect=") && !demo.contains("jwks="), "{demo}");

    let (prefixed, store) = server("https://elsewhere.example/auth");
    let login =
        DynLogin::new(Elsewhere(EndpointUrl::parse("https://idp.example/a?key=canary").unwrap()));
    let server = AuthorizationServer::new(prefixed, store, login);
    let _ = server.with_stripped_prefix("/auth").unwrap().router();
    let event = event(log, " issuer=https://elsewhere.example/auth ");
    assert!(event.contains(" login=https://idp.example ") && !event.contains("canary"), "{event}");
    assert!(event.contains(" token=/token "), "{event}");
}

struct Host;

impl Login for Host {
    async fn status(&self, _: &HeaderMap, _: &str) -> LoginResult {
        Ok(LoginStatus::Redirect("/login".to_owned()))
    }
}

struct Elsewhere(EndpointUrl);

impl Login for Elsewhere {
    async fn status(&self, _: &HeaderMap, _: &str) -> LoginResult {
        Ok(LoginStatus::Redirect("/login".to_owned()))
    }

    fn upstream(&self) -> Option<&EndpointUrl> {
        Some(&self.0)
    }
}
