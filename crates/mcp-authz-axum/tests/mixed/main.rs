//! Servers of which a part needs no token, and refusals as results of tools.

#![cfg(test)]

mod operations;
mod sessions;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::routing::any;
use axum::{Extension, Router};
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{Clock, ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, AuthInfo, OperationScopes, Resource};
use scope_stepup::Operation;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Tokens say what they are: `subject.scope+scope`.
struct Spoken;

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let Some((subject, scopes)) = token.expose().split_once('.') else { return Ok(None) };
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(subject).unwrap(),
                ClientId::parse("c").unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse(&scopes.replace('+', " ")).unwrap())
            .with_audience([ResourceUri::parse("https://rs.example/mcp").unwrap()])
            .with_expires_at(UnixTime::from_secs(2000)),
        )))
    }
}

fn protect(scopes: OperationScopes) -> ProtectLayer<Spoken> {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
    ProtectLayer::new(Resource::new(uri, vec![issuer]).unwrap(), Spoken, scopes)
        .with_clock(Clock::new(|| UnixTime::from_secs(1000)))
}

/// A public search, a tool that shows users more, and a protected one.
fn mixed() -> OperationScopes {
    OperationScopes::new("read")
        .map(|scopes| scopes.public_tool("search"))
        .and_then(|scopes| scopes.optional_tool("recommend", "history"))
        .and_then(|scopes| scopes.tool("write", "write"))
        .unwrap()
}

/// A service that opens a session by `initialize`, and answers with whom it sees.
fn served(protect: ProtectLayer<Spoken>) -> Served {
    let handler =
        async |headers: HeaderMap, who: Option<Extension<Option<AuthInfo>>>, body: String| {
            let mut answer = HeaderMap::new();
            if body.contains("initialize\"") && !headers.contains_key("mcp-session-id") {
                answer.insert("mcp-session-id", "the-session".parse().unwrap());
            }
            let who = who.map(|Extension(who)| who.map(|who| who.subject().to_string()));
            (answer, format!("{who:?}"))
        };
    let router = Router::new().route("/mcp", any(handler)).layer(protect);
    Served { router, session: Mutex::new("the-session".to_owned()) }
}

struct Served {
    router: Router,
    /// The session that was opened last, as a client hears of it.
    session: Mutex<String>,
}

impl Served {
    fn session(&self) -> String {
        self.session.lock().unwrap().clone()
    }
}

struct Asked<'a> {
    method: &'a str,
    token: &'a str,
    session: bool,
    body: String,
}

fn message(method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string()
}

fn call(tool: &str) -> String {
    let params = json!({"name": tool, "arguments": {}});
    json!({"jsonrpc": "2.0", "id": "c-1", "method": "tools/call", "params": params}).to_string()
}

fn post(token: &str, body: impl Into<String>) -> Asked<'_> {
    Asked { method: "POST", token, session: false, body: body.into() }
}

fn in_session(asked: Asked<'_>) -> Asked<'_> {
    Asked { session: true, ..asked }
}

async fn send(served: &Served, asked: Asked<'_>) -> Response<Body> {
    let mut request = Request::builder().method(asked.method).uri("/mcp");
    if !asked.token.is_empty() {
        request = request.header(AUTHORIZATION, asked.token);
    }
    if asked.session {
        request = request.header("mcp-session-id", served.session());
    }
    let request = request.body(Body::from(asked.body)).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    if let Some(session) = response.headers().get("mcp-session-id") {
        *served.session.lock().unwrap() = session.to_str().unwrap().to_owned();
    }
    response
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn status(router: &Served, asked: Asked<'_>) -> u16 {
    send(router, asked).await.status().as_u16()
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_reaches_no_public_tool() {
    let router = served(protect(mixed()));
    let asks = async |name: &'static str, value: &str, token: &str, tool: &str| {
        let mut request = Request::post("/mcp").header(name, value);
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Body::from(call(tool))).unwrap();
        router.router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for (name, value, expected) in [
        ("host", "rs.example", 200),
        ("host", "localhost:8000", 200),
        ("host", "evil.example", 403),
        ("host", "rs.example.evil.example", 403),
        ("origin", "https://rs.example", 200),
        ("origin", "http://localhost:6274", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
    ] {
        assert_eq!(asks(name, value, "", "search").await, expected, "{name} {value}");
        // A token is what such a page does not have; a client is asked for one as ever.
        assert_eq!(asks(name, value, "Bearer alice.read", "search").await, 200, "{name} {value}");
        assert_eq!(asks(name, value, "", "write").await, 401, "{name} {value}");
    }
    let opened = resource_server::BrowserOrigins::listed(["https://app.example"]).unwrap();
    let router = served(protect(mixed()).with_cors(opened));
    let page = |origin| {
        let request = Request::post("/mcp").header("origin", origin);
        router.router.clone().oneshot(request.body(Body::from(call("search"))).unwrap())
    };
    assert_eq!(page("https://app.example").await.unwrap().status(), 200);
    assert_eq!(page("https://other.example").await.unwrap().status(), 403);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_nobody_has_to_come_in_time() {
    let router = served(protect(mixed()).with_tool_result_challenges());
    for (token, expected) in [("", 408), ("Bearer unknown", 401)] {
        let never = http_body_util::StreamBody::new(futures::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
        >());
        let mut request = Request::post("/mcp");
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, token);
        }
        let answer = router.router.clone().oneshot(request.body(Body::new(never)).unwrap());
        let limit = std::time::Duration::from_secs(61);
        let response = tokio::time::timeout(limit, answer).await.expect("an answer in time");
        assert_eq!(response.unwrap().status(), expected, "{token}");
    }
}

#[tokio::test]
async fn a_body_of_nobody_is_read_up_to_the_limit() {
    let router = served(protect(mixed()).with_max_body(call("search").len()));
    assert_eq!(status(&router, post("", call("search"))).await, 200);
    assert_eq!(status(&router, post("", format!("{} ", call("search")))).await, 413);
}

#[tokio::test]
async fn refused_calls_are_results_of_tools_where_the_host_says_so() {
    let router = served(protect(mixed()).with_tool_result_challenges());
    for (token, body, error) in [
        ("", call("write"), "insufficient_scope"),
        ("Bearer unknown", call("write"), "invalid_token"),
        ("Bearer unknown", call("search"), "invalid_token"),
        ("Bearer alice.read", call("write"), "insufficient_scope"),
    ] {
        let response = send(&router, post(token, body)).await;
        assert_eq!(response.status(), StatusCode::OK, "{token}");
        let answer: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!("c-1"), &json!(true)));
        let challenge = answer["result"]["_meta"]["mcp/www_authenticate"][0].as_str().unwrap();
        assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
        assert!(challenge.contains("resource_metadata=\""), "{challenge}");
    }
    // What is no call is answered as ever, and so is a batch; the handler ran for none of these.
    for (token, body, expected) in [
        ("Bearer unknown", message("initialize"), 401),
        ("", message("tasks/list"), 401),
        ("", format!("[{}]", call("write")), 401),
        ("Bearer", call("write"), 400),
        ("", call("search"), 200),
        ("Bearer alice.read+write", call("write"), 200),
    ] {
        assert_eq!(status(&router, post(token, body.clone())).await, expected, "{token} {body}");
    }
    let router = served(protect(mixed()));
    assert_eq!(status(&router, post("", call("write"))).await, 401);
}
