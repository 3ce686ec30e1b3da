//! The layer over HTTP: who gets to the handler, and what the others hear.

#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    Clock, Protect, RawToken, TokenVerifier, VerifierUnavailable, metadata_routes,
};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Thumbprint, UnixTime};
use resource_server::{Granted, OperationScopes, Resource, TokenFacts};
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
    ) -> Result<Option<Arc<TokenFacts>>, VerifierUnavailable> {
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
        Ok(Some(Arc::new(TokenFacts {
            subject: subject.to_owned(),
            client_id: ClientId::parse("c").unwrap(),
            issuer: Issuer::parse(issuer).unwrap(),
            scopes: ScopeSet::parse(&scopes.replace('+', " ")).unwrap(),
            audience: audience.iter().map(|uri| ResourceUri::parse(uri).unwrap()).collect(),
            expires_at: expiry.parse().ok().map(UnixTime::from_secs),
            jkt: (parts[2] == "own-bound").then(|| Thumbprint::parse(key).unwrap()),
        })))
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
        let who = request.extensions().get::<Granted>().unwrap().subject().to_owned();
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
        Protect::new(resource.clone(), Spoken, scopes).with_hierarchy(order).with_clock(clock);
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

#[tokio::test]
async fn r_auth_1_sec_142_without_a_token_the_challenge_has_no_error() {
    let server = server();
    for request in [
        Request::post("/mcp").body(Body::from(LIST)).unwrap(),
        Request::get("/mcp").body(Body::empty()).unwrap(),
        Request::delete("/mcp").body(Body::empty()).unwrap(),
        Request::post("/mcp").header(AUTHORIZATION, "Basic YTpi").body(Body::from(LIST)).unwrap(),
    ] {
        let (status, challenge) = server.send(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(challenge, format!("Bearer {METADATA}, scope=\"read\""));
    }
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn r_auth_1_r_auth_3_sec_143_sec_144_sec_145_sec_146_a_token_that_is_no_good_here() {
    let server = server();
    for token in [
        "unknown",
        "a.read.sibling.2000",
        "a.read.root.2000",
        "a.read.child.2000",
        "a.read.as.2000",
        "a.read.several.2000",
        "a.read.none.2000",
        "a.read.own-of-another.2000",
        "a.read.own-bound.2000",
        "a.read.own.1000",
        "a.other.own.999",
        "a.read.own.never",
    ] {
        let (status, challenge) = server.send(post(token, LIST)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains(METADATA) && challenge.contains("scope=\"read\""));
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(post("a.read.own.1001", LIST)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn r_auth_2_r_auth_7_sec_147_one_header_one_token_and_no_other_place() {
    let server = server();
    let good = "a.read.own.2000";
    let in_query =
        Request::post(format!("/mcp?access_token={good}")).body(Body::from(LIST)).unwrap();
    assert_eq!(server.send(in_query).await.0, StatusCode::UNAUTHORIZED);
    let two = Request::post("/mcp")
        .header(AUTHORIZATION, format!("Bearer {good}"))
        .header(AUTHORIZATION, format!("Bearer {good}"))
        .body(Body::from(LIST))
        .unwrap();
    let malformed = |value: &str| {
        Request::post("/mcp").header(AUTHORIZATION, value).body(Body::from(LIST)).unwrap()
    };
    for query in
        ["x=1&access_token=other", "access%5Ftoken=x", "%61ccess_token", "x=1;access_token=x"]
    {
        let elsewhere_too = Request::post(format!("/mcp?{query}"))
            .header(AUTHORIZATION, format!("Bearer {good}"))
            .body(Body::from(LIST))
            .unwrap();
        assert_eq!(server.send(elsewhere_too).await.0, StatusCode::BAD_REQUEST, "{query}");
    }
    for request in [
        two,
        malformed("Bearer"),
        malformed("Bearer "),
        malformed("Bearer a b"),
        malformed("Bearer a,b"),
        malformed("Bearer =="),
    ] {
        let (status, challenge) = server.send(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(malformed(&format!("bEARER   {good}"))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn r_auth_4_sec_151_sec_213_the_body_decides_and_the_challenge_names_everything() {
    let server = server();
    let (status, challenge) = server.send(post("a.read.own.2000", ADMIN)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""));
    assert!(challenge.contains("scope=\"read admin\"") && challenge.contains(METADATA));
    // A header that says something harmless changes nothing.
    for name in ["harmless", "=?base64?aGFybWxlc3M=?="] {
        let mut request = post("a.read.own.2000", ADMIN);
        request.headers_mut().insert("mcp-name", name.parse().unwrap());
        request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap());
        assert_eq!(server.send(request).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(post("a.read+admin.own.2000", ADMIN)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn r_auth_1_r_auth_4_a_token_that_is_expired_and_lacks_scope_is_expired() {
    let server = server();
    for expiry in ["1000", "999", "never"] {
        let (status, challenge) = server.send(post(&format!("a.read.own.{expiry}"), ADMIN)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{expiry}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}

#[tokio::test]
async fn r_auth_4_r_auth_6_sec_149_sec_151_a_challenge_is_one_line_without_offline_access() {
    let server = server();
    let body = r#"{"method":"tools/call","params":{"name":"lasting\r\nX: y\", scope=\"root"}}"#;
    for body in [body, &body.replace(r#"\r\nX: y\", scope=\"root"#, "")] {
        let (status, challenge) = server.send(post("a.read.own.2000", body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(
            !challenge.contains("offline_access") && !challenge.contains("root"),
            "{challenge}"
        );
        assert!(challenge.contains("lasting\"") && challenge.contains(METADATA), "{challenge}");
        assert_eq!(challenge.matches("scope=").count(), 1, "{challenge}");
    }
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn r_auth_5_sec_152_a_broader_scope_is_enough() {
    let server = server();
    assert_eq!(server.send(post("a.root.own.2000", ADMIN)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sec_216_unknown_operations_batches_and_bodies_that_are_none() {
    let server = server();
    let unknown = r#"{"method":"tools/call","params":{"name":"forgotten"}}"#;
    let batch = format!("[{LIST},{ADMIN}]");
    for (body, status) in [
        (unknown, StatusCode::FORBIDDEN),
        (batch.as_str(), StatusCode::FORBIDDEN),
        ("not json", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.send(post("a.read.own.2000", body)).await.0, status, "{body}");
    }
    let huge = format!("\"{}\"", "x".repeat(5 * 1024 * 1024));
    let status = server.send(post("a.read.own.2000", &huge)).await.0;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.ran(), 0);
}

#[tokio::test]
async fn a_verifier_that_is_down_is_neither_yes_nor_no() {
    let server = server();
    let (status, challenge) = server.send(post("down", LIST)).await;
    assert_eq!((status, challenge.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
}

#[tokio::test]
async fn r_auth_8_sec_157_sec_215_a_session_belongs_to_who_opened_it() {
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

#[tokio::test]
async fn sec_156_a_spoofed_host_moves_nothing() {
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

#[tokio::test]
async fn r_auth_8_a_handler_sees_the_token_where_the_host_asks_for_it() {
    for asks in [true, false] {
        let resource = resource_at(MCP);
        let protect = Protect::new(resource, Spoken, ScopeSet::parse("read").unwrap())
            .with_clock(Clock::new(|| UnixTime::from_secs(1000)));
        let protect = if asks { protect.with_raw_token() } else { protect };
        let handler = async move |request: Request<Body>| {
            assert!(!request.headers().contains_key(AUTHORIZATION));
            let granted = request.extensions().get::<Granted>().unwrap();
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

#[tokio::test]
async fn sec_213_what_a_body_asks_for_is_decided_whatever_the_method() {
    let server = server();
    for method in
        ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "post", "POSTX"]
    {
        let ask = |token: &str| {
            let mut request = post(token, ADMIN);
            *request.method_mut() = method.parse().unwrap();
            request
        };
        assert_eq!(server.send(ask("a.read.own.2000")).await.0, StatusCode::FORBIDDEN, "{method}");
        let ran = server.ran();
        server.send(ask("a.read+admin.own.2000")).await;
        assert_eq!(server.ran(), ran + 1, "{method}");
    }
    let empty = Request::get("/mcp").header(AUTHORIZATION, "Bearer a.read.own.2000");
    let (status, _) = server.send(empty.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn sec_153_a_panic_of_the_hosts_code_is_an_answer_and_lets_nobody_in() {
    struct Panics;
    impl scope_stepup::ScopeOrder for Panics {
        fn implies(&self, _: &str, _: &str) -> bool {
            panic!("a bug of the host")
        }
    }
    let protect =
        |scope: &str| Protect::new(resource_at(MCP), Spoken, ScopeSet::parse(scope).unwrap());
    let now = Clock::new(|| UnixTime::from_secs(1000));
    for protect in [
        protect("admin").with_clock(now).with_hierarchy(Panics),
        protect("read").with_clock(Clock::new(|| panic!("a bug of the host"))),
    ] {
        let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
        let response = router.oneshot(post("a.read.own.2000", LIST)).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], br#"{"error":"server_error"}"#);
    }
}

#[tokio::test]
async fn r_auth_2_sec_147_a_token_in_a_form_is_none() {
    let protect = Protect::new(resource_at(MCP), Spoken, ScopeSet::parse("read").unwrap());
    let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
    let form = Request::post("/mcp")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("access_token=a.read.own.2000"))
        .unwrap();
    assert_eq!(router.oneshot(form).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sec_213_a_body_in_pieces_is_decided_about_and_handed_on_as_a_whole() {
    let scopes = OperationScopes::new("read").and_then(|scopes| scopes.tool("admin", "admin"));
    let protect = Protect::new(resource_at(MCP), Spoken, scopes.unwrap())
        .with_clock(Clock::new(|| UnixTime::from_secs(1000)))
        .with_max_body(ADMIN.len());
    let echo = any(async |body: String| body);
    let router = Router::new().route("/mcp", echo).layer(protect);
    let (start, end) = ADMIN.split_at(20);
    for (token, pieces, status) in [
        ("a.read.own.2000", ["", start, "", end], 403),
        ("a.read+admin.own.2000", ["", start, "", end], 200),
        ("a.read+admin.own.2000", [ADMIN, "", "", ""], 200),
        ("a.read+admin.own.2000", [start, end, "", " "], 413),
    ] {
        let pieces = futures::stream::iter(pieces.map(Ok::<_, std::io::Error>));
        let mut request = post(token, "");
        *request.body_mut() = Body::from_stream(pieces);
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status != 200 || body == ADMIN, "{body:?}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_what_the_host_says() {
    let scopes = OperationScopes::new("read").unwrap();
    let protect = Protect::new(resource_at(MCP), Spoken, scopes)
        .with_clock(Clock::new(|| UnixTime::from_secs(1000)))
        .with_max_body(LIST.len());
    let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
    for (body, status) in [(LIST, 200), (&format!("{LIST} "), 413)] {
        let response = router.clone().oneshot(post("a.read.own.2000", body)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn r_prm_1_the_metadata_is_public_at_both_places() {
    let server = server();
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
    {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.0, StatusCode::OK);
    }
}
