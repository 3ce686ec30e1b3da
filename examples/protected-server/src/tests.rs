//! MCP server with an external issuer that is down at the start, then up, then changes its keys.
//!
//! The issuer is an authorization server of this workspace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authorization_server::{
    ClientRecord, Config, MemoryStore, ResourceServer, ServerKey, ServerKeys, SigningKeys,
    Store as _,
};
use axum::body::Body;
use client_auth::{ClientAuthRecord, SigningKey};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{AuthorizationServer, DemoLogin, VerifierUnavailable};
use oauth_types::{AuthMethod, Entropy, ScopeSet, SigningAlgorithm, UnixTime};
use resource_server::AccessTokenInfo;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::*;

const MCP: &str = "http://127.0.0.1:8000/mcp";
const SCOPES: &str = "files:read files:write";
const OLD: &str = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
const NEW: &str = include_str!("../../../crates/client-auth/tests/keys/es256-other.pem");

fn key(pem: &str) -> SigningKey {
    SigningKey::from_pem(SigningAlgorithm::Es256, pem).unwrap()
}

/// Authorization server that issues tokens whether or not it can be reached.
struct Foreign {
    listen: SocketAddr,
    store: Arc<MemoryStore>,
    running: JoinSet<()>,
}

impl Foreign {
    async fn down() -> Self {
        let store = Arc::new(MemoryStore::default());
        let now = UnixTime::from_secs(0);
        let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
            .with_secret(Secret::new("secret").digest());
        let (id, scopes) = (ClientId::parse("robot").unwrap(), ScopeSet::parse(SCOPES).unwrap());
        let robot = ClientRecord::client_credentials(id, secret, scopes, now);
        store.create_client(robot, now).await.unwrap();
        // The port is free again when the listener is dropped.
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self { listen, store, running: JoinSet::new() }
    }

    fn issuer(&self) -> Issuer {
        Issuer::parse(&format!("http://{}", self.listen)).unwrap()
    }

    fn router(&self, keys: SigningKeys) -> Router {
        let resource = ResourceUri::parse(MCP).unwrap();
        let scopes = ScopeSet::parse(SCOPES).unwrap();
        let refresh = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let asks = ResourceServer::new(
            ClientId::parse("rs").unwrap(),
            ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
                .with_secret(Secret::new("not a secret").digest()),
            resource.clone(),
        );
        let config = Config::new(self.issuer(), vec![resource], scopes, refresh).unwrap();
        let config = config.with_jwt_access_tokens(keys).with_resource_server(asks).unwrap();
        AuthorizationServer::new(config, Arc::clone(&self.store), DemoLogin).router()
    }

    /// Starts the authorization server with these published keys.
    async fn up(&mut self, keys: SigningKeys) {
        self.running.shutdown().await;
        let listener = TcpListener::bind(self.listen).await.unwrap();
        let (router, never) = (self.router(keys), core::future::pending());
        self.running.spawn(serve(listener, router, ConnectionLimits::default(), never));
    }

    async fn token(&self, pem: &str, scope: &str) -> String {
        let form = "grant_type=client_credentials&client_id=robot&client_secret=secret";
        let request = Request::post("/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("{form}&scope={}", scope.replace(' ', "+"))))
            .unwrap();
        let router = self.router(SigningKeys::new(key(pem)).unwrap());
        let answer = router.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.to_bytes()).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

/// Verifier with a clock that is ahead by this number of seconds.
struct Later<V>(V, Arc<AtomicU64>);

impl<V: TokenVerifier> TokenVerifier for Later<V> {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let by = Duration::from_secs(self.1.load(Ordering::SeqCst));
        self.0.verify(token, now.saturating_add(by)).await
    }
}

/// MCP server with an external issuer.
struct Mcp {
    router: Router,
    later: Arc<AtomicU64>,
}

impl Mcp {
    fn of(issuer: Issuer, verifier: impl TokenVerifier) -> Self {
        let later = Arc::new(AtomicU64::new(0));
        let resource = Resource::new(ResourceUri::parse(MCP).unwrap(), vec![issuer]).unwrap();
        let router = router(resource, Later(verifier, Arc::clone(&later))).unwrap();
        Self { router, later }
    }

    /// Moves the clock past every retry delay.
    fn wait(&self) {
        self.later.fetch_add(60, Ordering::SeqCst);
    }

    /// Calls a tool; returns the status, and the challenge or the answer of the tool.
    async fn call(&self, token: &str, tool: &str) -> (StatusCode, String) {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        let params =
            json!({"name": tool, "arguments": {"name": "a", "content": "abc"}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let request = Request::post("/mcp")
            .header(HOST, "127.0.0.1:8000")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let challenge = parts.headers.get(WWW_AUTHENTICATE);
        if let Some(challenge) = challenge {
            return (parts.status, challenge.to_str().unwrap().to_owned());
        }
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, String::from_utf8_lossy(&body).into_owned())
    }
}

/// Checks the scopes of each tool, with either kind of verifier.
async fn each_tool_wants_its_scopes(foreign: &mut Foreign, mcp: &Mcp) {
    let [some, all] = [foreign.token(OLD, "files:read").await, foreign.token(OLD, SCOPES).await];
    let (status, says) = mcp.call(&all, "list-files").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "the issuer is down: {says}");
    foreign.up(SigningKeys::new(key(OLD)).unwrap()).await;
    mcp.wait();
    let (status, says) = mcp.call(&some, "list-files").await;
    assert!(status == StatusCode::OK && says.contains("readme.txt"), "{status} {says}");
    let (status, says) = mcp.call(&some, "write-file").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(says.contains("scope=\"files:read files:write\""), "{says}");
    let (status, says) = mcp.call(&all, "write-file").await;
    assert!(status == StatusCode::OK && says.contains("3 bytes"), "{status} {says}");
    let (_, says) = mcp.call(&all, "list-files").await;
    assert!(says.contains("by robot"), "{says}");
    let (status, says) = mcp.call("nobodys", "list-files").await;
    assert!(status == StatusCode::UNAUTHORIZED && says.contains("invalid_token"), "{says}");
}

#[tokio::test]
async fn typed_tokens_are_accepted_while_the_issuer_changes_keys() {
    let mut foreign = Foreign::down().await;
    let mcp = Mcp::of(foreign.issuer(), JwtVerifier::new(foreign.issuer()).unwrap());
    each_tool_wants_its_scopes(&mut foreign, &mcp).await;

    let [old, new] = [foreign.token(OLD, SCOPES).await, foreign.token(NEW, SCOPES).await];
    assert_eq!(mcp.call(&new, "list-files").await.0, StatusCode::UNAUTHORIZED);
    // Both keys are published during the change.
    let keys = SigningKeys::new(key(NEW)).unwrap().with_published(key(OLD)).unwrap();
    foreign.up(keys).await;
    mcp.wait();
    for token in [&old, &new] {
        assert_eq!(mcp.call(token, "list-files").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn tokens_that_the_issuer_is_asked_about() {
    let mut foreign = Foreign::down().await;
    let (id, secret) = (ClientId::parse("rs").unwrap(), Secret::new("not a secret"));
    let verifier = IntrospectionVerifier::new(foreign.issuer(), id, secret).unwrap();
    let mcp = Mcp::of(foreign.issuer(), verifier);
    each_tool_wants_its_scopes(&mut foreign, &mcp).await;
}

#[tokio::test]
async fn what_cannot_be_served_is_said_before_anything_is() {
    for (arguments, says) in [
        (vec!["--issuer", "https://as.example", "--listen", "0.0.0.0:0"], "--resource"),
        (vec!["--issuer", "https://as.example", "--listen", "192.0.2.1:1"], "192.0.2.1:1"),
        (
            vec!["--issuer", "https://as.example", "--listen", "127.0.0.1:0", "--introspect", "rs"],
            "PROTECTED_SERVER_SECRET",
        ),
    ] {
        let cli = Cli::try_parse_from([&["protected-server"], &arguments[..]].concat()).unwrap();
        let error = format!("{:#}", run(cli, None).await.unwrap_err());
        assert!(error.contains(says), "{error}");
    }
    for (arguments, says) in [
        (vec![], "--issuer"),
        (vec!["--issuer", "as.example"], "--issuer"),
        (vec!["--issuer", "http://as.example"], "is http on a host that is not loopback"),
        (vec!["--issuer", "https://as.example", "--listen", "here"], "--listen"),
        (vec!["--issuer", "https://as.example", "--resource", "/mcp"], "--resource"),
    ] {
        let cli = Cli::try_parse_from([&["protected-server"], &arguments[..]].concat());
        let error = cli.err().expect("it is refused").to_string();
        assert!(error.contains(says), "{error}");
    }
}
