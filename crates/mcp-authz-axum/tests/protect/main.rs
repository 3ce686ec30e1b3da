//! The layer over HTTP: who gets to the handler, and what the others hear.

#![cfg(test)]

mod access;
mod bodies;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    Clock, ProtectLayer, RawToken, TokenVerifier, VerifierUnavailable, metadata_routes,
};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, UnixTime};
use resource_server::{AccessTokenInfo, AuthInfo, OperationScopes, Resource};
use scope_stepup::Hierarchy;
use tower::ServiceExt as _;

const MCP: &str = "https://rs.example/mcp";

/// Tokens say what they are: `subject.scope+scope.audience.expiry`, audiences by a letter.
#[derive(Clone)]
struct Spoken;

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let parts: Vec<&str> = token.expose().split('.').collect();
        let [subject, scopes, audience, expiry] = parts[..] else {
            return if token.matches("down") { Err(VerifierUnavailable::new()) } else { Ok(None) };
        };
        let audience = match audience {
            "own" => vec![MCP],
            "sibling" => vec!["https://rs.example/other"],
            "root" => vec!["https://rs.example"],
            "child" => vec!["https://rs.example/mcp/x"],
            "as" => vec!["https://as.example"],
            "several" => vec!["https://other.example", "https://as.example"],
            "own-of-another" | "own-bound" => vec![MCP],
            _ => vec![],
        };
        let issuer = match parts[2] {
            "own-of-another" => "https://other.example",
            _ => "https://as.example",
        };
        let key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(subject).unwrap(),
                ClientId::parse("c").unwrap(),
                Issuer::parse(issuer).unwrap(),
            )
            .with_scopes(ScopeSet::parse(&scopes.replace('+', " ")).unwrap())
            .with_audience(audience.iter().map(|uri| ResourceUri::parse(uri).unwrap()))
            .with_expires_at(expiry.parse().ok().map(UnixTime::from_secs))
            .with_jkt((parts[2] == "own-bound").then(|| Thumbprint::parse(key).unwrap())),
        )))
    }
}

struct Server {
    router: Router,
    ran: Arc<AtomicUsize>,
}

fn resource_at(uri: &str) -> Resource {
    let issuer = Issuer::parse("https://as.example").unwrap();
    Resource::new(ResourceUri::parse(uri).unwrap(), vec![issuer]).unwrap()
}

fn server_at(uri: &str) -> Server {
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let handler = async move |request: Request<Body>| {
        counter.fetch_add(1, Ordering::SeqCst);
        let who = request.extensions().get::<AuthInfo>().unwrap().subject().to_string();
        assert!(!request.headers().contains_key(AUTHORIZATION), "the token is taken out");
        let mut headers = HeaderMap::new();
        if !request.headers().contains_key("mcp-session-id") {
            headers.insert("mcp-session-id", format!("session-of-{who}").parse().unwrap());
        }
        (headers, who)
    };
    let resource = resource_at(uri);
    let scopes = OperationScopes::new("read")
        .and_then(|scopes| scopes.tool("admin", "read admin"))
        .and_then(|scopes| scopes.tool("lasting", "read lasting offline_access"))
        .unwrap();
    let order = Hierarchy::new([("root", "admin"), ("root", "read")]).unwrap();
    let clock = Clock::new(|| UnixTime::from_secs(1000));
    let protect =
        ProtectLayer::new(resource.clone(), Spoken, scopes).with_hierarchy(order).with_clock(clock);
    let router =
        Router::new().route("/mcp", any(handler)).layer(protect).merge(metadata_routes(&resource));
    Server { router, ran }
}

fn server() -> Server {
    server_at(MCP)
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const ADMIN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"admin"}}"#;

fn post(token: &str, body: &str) -> Request<Body> {
    let request = Request::post("/mcp").header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::from(body.to_owned())).unwrap()
}

impl Server {
    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.map_or("", |value| value.to_str().unwrap()).to_owned();
        (response.status(), challenge)
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

const METADATA: &str =
    "resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource/mcp\"";

/// R-AUTH-8, SEC-157, SEC-215
#[tokio::test]
async fn a_session_belongs_to_who_opened_it() {
    let server = server();
    let opened = server.router.clone().oneshot(post("alice.read.own.2000", LIST)).await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    // Whose it is stands in the identifier, which stays visible ASCII and short.
    assert!(session.starts_with("session-of-alice.") && session.len() < 64, "{session}");
    assert!(session.bytes().all(|byte| byte.is_ascii_graphic()));
    let with_session = |method: &str, user: &str, id: &str| {
        Request::builder()
            .method(method)
            .uri("/mcp")
            .header(AUTHORIZATION, format!("Bearer {user}.read.own.2000"))
            .header("mcp-session-id", id)
            .body(Body::from(LIST))
            .unwrap()
    };
    for method in ["POST", "GET", "DELETE"] {
        let own = with_session(method, "mallory", &session);
        assert_eq!(server.send(own).await.0, StatusCode::NOT_FOUND, "{method}");
        for unknown in ["session-of-nobody", "session-of-alice", &session[1..]] {
            let unknown = with_session(method, "alice", unknown);
            assert_eq!(server.send(unknown).await.0, StatusCode::NOT_FOUND, "{method}");
        }
    }
    assert_eq!(server.ran(), 1);
    for (method, status) in [("POST", 200), ("GET", 200), ("DELETE", 200)] {
        let own = with_session(method, "alice", &session);
        assert_eq!(server.send(own).await.0.as_u16(), status, "{method}");
    }
}

/// SEC-156
#[tokio::test]
async fn a_spoofed_host_moves_nothing() {
    let server = server();
    let request = Request::post("/mcp")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .body(Body::from(LIST))
        .unwrap();
    let (_, challenge) = server.send(request).await;
    assert!(challenge.contains(METADATA), "{challenge}");
}

#[tokio::test]
async fn a_loopback_server_answers_to_loopback_names_only() {
    let server = server_at("http://127.0.0.1:8000/mcp");
    let ask = |name: &'static str, value: &'static str| {
        let request = Request::post("/mcp").header(AUTHORIZATION, "Bearer a.read.own.2000");
        request.header(name, value).body(Body::from(LIST)).unwrap()
    };
    for (name, value) in [
        ("host", "evil.example:8000"),
        ("host", "localhost.evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let (status, challenge) = server.send(ask(name, value)).await;
        assert_eq!((status, &*challenge), (StatusCode::FORBIDDEN, ""), "{name}: {value}");
    }
    let rebound = Request::post("http://evil.example/mcp").body(Body::from(LIST)).unwrap();
    assert_eq!(server.send(rebound).await.0, StatusCode::FORBIDDEN);
    for (name, value) in [
        ("host", "127.0.0.1:8000"),
        ("host", "localhost:8000"),
        ("origin", "http://localhost:3000"),
    ] {
        // Under its own name it looks at the token, which is for another server.
        let status = server.send(ask(name, value)).await.0;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {value}");
    }
    assert_eq!(server.ran(), 0);
}

/// R-AUTH-8
#[tokio::test]
async fn a_handler_sees_the_token_where_the_host_asks_for_it() {
    for asks in [true, false] {
        let resource = resource_at(MCP);
        let protect = ProtectLayer::new(resource, Spoken, ScopeSet::parse("read").unwrap())
            .with_clock(Clock::new(|| UnixTime::from_secs(1000)));
        let protect = if asks { protect.with_raw_token() } else { protect };
        let handler = async move |request: Request<Body>| {
            assert!(!request.headers().contains_key(AUTHORIZATION));
            let granted = request.extensions().get::<AuthInfo>().unwrap();
            assert_eq!(granted.client_id().as_str(), "c");
            assert_eq!(granted.issuer().as_str(), "https://as.example");
            assert_eq!(granted.scopes().as_str(), "read write");
            assert_eq!(granted.audience(), [ResourceUri::parse(MCP).unwrap()]);
            assert_eq!(granted.expires_at(), Some(UnixTime::from_secs(2000)));
            let token = request.extensions().get::<RawToken>();
            token.map_or(String::new(), |token| token.0.expose().to_owned())
        };
        let router = Router::new().route("/mcp", any(handler)).layer(protect);
        let response = router.oneshot(post("alice.read+write.own.2000", "no JSON")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, if asks { "alice.read+write.own.2000" } else { "" });
    }
}

/// R-PRM-1
#[tokio::test]
async fn the_metadata_is_public_at_both_places() {
    let server = server();
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
    {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.0, StatusCode::OK);
    }
}
