//! Servers of which a part needs no token, and refusals as results of tools.

#![cfg(test)]

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::routing::any;
use axum::{Extension, Router};
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{Clock, Protect, TokenVerifier, VerifierUnavailable};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, UnixTime};
use resource_server::{Granted, OperationScopes, Resource, TokenFacts};
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
    ) -> Result<Option<Arc<TokenFacts>>, VerifierUnavailable> {
        let Some((subject, scopes)) = token.expose().split_once('.') else { return Ok(None) };
        Ok(Some(Arc::new(TokenFacts {
            subject: subject.to_owned(),
            client_id: ClientId::parse("c").unwrap(),
            issuer: Issuer::parse("https://as.example").unwrap(),
            scopes: ScopeSet::parse(&scopes.replace('+', " ")).unwrap(),
            audience: vec![ResourceUri::parse("https://rs.example/mcp").unwrap()],
            expires_at: Some(UnixTime::from_secs(2000)),
            jkt: None,
        })))
    }
}

fn protect(scopes: OperationScopes) -> Protect<Spoken> {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
    Protect::new(Resource::new(uri, vec![issuer]).unwrap(), Spoken, scopes)
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
fn served(protect: Protect<Spoken>) -> Served {
    let handler =
        async |headers: HeaderMap, who: Option<Extension<Option<Granted>>>, body: String| {
            let mut answer = HeaderMap::new();
            if body.contains("initialize\"") && !headers.contains_key("mcp-session-id") {
                answer.insert("mcp-session-id", "the-session".parse().unwrap());
            }
            let who = who.map(|Extension(who)| who.map(|who| who.subject().to_owned()));
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
async fn a_client_without_a_token_connects_and_uses_what_is_public() {
    let router = served(protect(mixed()));
    let response = send(&router, post("", message("initialize"))).await;
    let session = response.headers()["mcp-session-id"].to_str().unwrap();
    assert!(session.starts_with("the-session."), "{session}");
    for method in ["notifications/initialized", "ping", "tools/list", "server/discover"] {
        assert_eq!(status(&router, in_session(post("", message(method)))).await, 200, "{method}");
    }
    for tool in ["search", "recommend"] {
        let response = send(&router, in_session(post("", call(tool)))).await;
        assert_eq!(text(response).await, "Some(None)", "{tool}");
    }
    for method in ["GET", "DELETE"] {
        let stream = Asked { method, token: "", session: true, body: String::new() };
        assert_eq!(status(&router, stream).await, 200, "{method}");
    }
}

#[tokio::test]
async fn sec_142_sec_213_everything_else_needs_a_token_and_the_challenge_names_what_it_needs() {
    let router = served(protect(mixed()));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    let both = format!("[{},{}]", call("search"), call("write"));
    for (body, scope) in [
        (call("write"), "read write"),
        (both, "read write"),
        (call("unknown"), "read"),
        (message("tools/call"), "read"),
        (message("tasks/list"), "read"),
        (message("subscriptions/listen"), "read"),
        (message("resources/read"), "read"),
        (message("resources/list"), "read"),
        (message("resources/templates/list"), "read"),
        (message("prompts/list"), "read"),
        (message("logging/setLevel"), "read"),
        (answer, "read"),
    ] {
        let response = send(&router, post("", body.clone())).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{body}");
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.ends_with(&format!("scope=\"{scope}\"")), "{body}: {challenge}");
        assert!(!challenge.contains("error"), "{challenge}");
    }
    // A public batch is public, and what is no message is none.
    let public = format!("[{},{}]", message("ping"), call("search"));
    assert_eq!(status(&router, post("", public)).await, 200);
    assert_eq!(status(&router, post("", "x")).await, 400);
    assert_eq!(status(&router, post("", "")).await, 400);
}

#[tokio::test]
async fn r_auth_1_a_token_that_is_presented_is_always_judged() {
    let router = served(protect(mixed()));
    for bad in ["Bearer unknown", "Basic YTpi", "Bearer", "Bearer a b"] {
        for body in [call("search"), call("recommend"), message("initialize")] {
            let found = status(&router, post(bad, body)).await;
            assert!(matches!(found, 400 | 401), "{bad}: {found}");
        }
    }
    let in_query = Request::post("/mcp?access_token=a.read").body(Body::from(call("search")));
    let response = router.router.clone().oneshot(in_query.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    for (token, tool, expected) in [
        // No scope for what is public, though the token has none of the base.
        ("Bearer alice.other", "search", 200),
        // With a token, the optional tool needs what it says.
        ("Bearer alice.read", "recommend", 403),
        ("Bearer alice.read+history", "recommend", 200),
        ("Bearer alice.read", "write", 403),
        ("Bearer alice.read+write", "write", 200),
    ] {
        assert_eq!(status(&router, post(token, call(tool))).await, expected, "{token} {tool}");
    }
    let seen = send(&router, post("Bearer alice.other", call("search"))).await;
    assert_eq!(text(seen).await, "Some(Some(\"alice\"))");
    let batch = format!("[{},{}]", call("search"), message("tools/list"));
    assert_eq!(status(&router, post("Bearer alice.other", batch)).await, 200);
    let batch = format!("[{},{}]", call("search"), call("write"));
    assert_eq!(status(&router, post("Bearer alice.read", batch)).await, 403);
}

#[tokio::test]
async fn r_auth_8_sec_157_a_session_without_an_owner_goes_over_to_nobody() {
    let router = served(protect(mixed()));
    let search = |token| in_session(post(token, call("search")));
    // Before it is opened it is nobody's.
    assert_eq!(status(&router, search("")).await, 404);
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    assert_eq!(status(&router, search("")).await, 200);
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    assert_eq!(status(&router, in_session(post("", answer.clone()))).await, 200);
    assert_eq!(status(&router, in_session(post("", call("write")))).await, 401);
    // Its streams and its identifier may be another's, so a user that has logged in begins a new session.
    let write = |token| in_session(post(token, call("write")));
    for token in ["Bearer alice.read+write", "Bearer mallory.read+write"] {
        assert_eq!(status(&router, write(token)).await, 404, "{token}");
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token, session: true, body: String::new() };
            assert_eq!(status(&router, stream).await, 404, "{method} {token}");
        }
    }
    assert_eq!(status(&router, search("")).await, 200);

    // A session of a user is closed to all others.
    let router = served(protect(mixed()));
    assert_eq!(status(&router, post("Bearer alice.read", message("initialize"))).await, 200);
    assert_eq!(status(&router, write("Bearer alice.read+write")).await, 200);
    for other in ["", "Bearer mallory.read"] {
        assert_eq!(status(&router, search(other)).await, 404, "{other}");
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token: other, session: true, body: String::new() };
            assert_eq!(status(&router, stream).await, 404, "{method} {other}");
        }
    }
    assert_eq!(status(&router, in_session(post("", answer))).await, 401);
}

#[tokio::test]
async fn sec_213_a_body_makes_no_other_method_public() {
    for protect in [protect(mixed()), protect(mixed()).without_session_binding()] {
        let router = served(protect);
        let asked = |method, token, session, body| Asked { method, token, session, body };
        assert_eq!(status(&router, post("", message("initialize"))).await, 200);
        for method in ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"] {
            for body in [message("ping"), call("search"), "[]".to_owned(), "x".to_owned()] {
                for session in [false, true] {
                    let request = asked(method, "", session, body.clone());
                    let found = status(&router, request).await;
                    assert_eq!(found, 401, "{method} {session} {body}");
                }
            }
            // A token needs the base there, and what the body says.
            for (token, tool, expected) in [
                ("Bearer alice.other", "search", 403),
                ("Bearer alice.read", "search", 200),
                ("Bearer alice.read", "write", 403),
                ("Bearer alice.read+write", "write", 200),
            ] {
                let found = status(&router, asked(method, token, false, call(tool))).await;
                assert_eq!(found, expected, "{method} {token} {tool}");
            }
        }
    }
}

#[tokio::test]
async fn sec_157_no_stream_is_replayed_without_a_token() {
    let router = served(protect(mixed()));
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    for (method, body, expected) in
        [("GET", String::new(), 405), ("POST", call("search"), 401), ("GET", message("ping"), 401)]
    {
        let request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("mcp-session-id", router.session())
            .header("last-event-id", "7/0");
        let request = request.body(Body::from(body)).unwrap();
        let response = router.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{method}");
    }
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
async fn streams_without_a_token_belong_to_sessions_without_an_owner() {
    for protect in [protect(mixed()), protect(mixed()).without_session_binding()] {
        let router = served(protect);
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token: "", session: false, body: String::new() };
            let response = send(&router, stream).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(response.headers()[ALLOW], "POST");
            let own =
                Asked { method, token: "Bearer alice.read", session: false, body: String::new() };
            assert_eq!(status(&router, own).await, 200, "{method}");
        }
        let other = Asked { method: "PUT", token: "", session: false, body: String::new() };
        assert_eq!(status(&router, other).await, 401);
    }
}

#[tokio::test]
async fn a_row_of_its_own_closes_what_a_public_tool_opens_and_any_operation_can_be_opened() {
    let list = Operation::new("tools/list", None);
    let closed = mixed().operation(list, "read").unwrap();
    let router = served(protect(closed));
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    assert_eq!(status(&router, post("", message("tools/list"))).await, 401);

    let scopes = OperationScopes::new("read").unwrap();
    let router = served(protect(scopes.clone()));
    assert_eq!(status(&router, post("", message("initialize"))).await, 401);
    let seen = send(&router, post("Bearer alice.read", message("ping"))).await;
    assert_eq!(text(seen).await, "None");
    let open = scopes.public_operation(Operation::new("resources/read", Some("doc://terms")));
    let open = open.public_operation(Operation::new("resources/list", None));
    let router = served(protect(open));
    let read = |uri: &str| {
        json!({"id": 1, "method": "resources/read", "params": {"uri": uri}}).to_string()
    };
    assert_eq!(status(&router, post("", read("doc://terms"))).await, 200);
    assert_eq!(status(&router, post("", read("doc://other"))).await, 401);
    assert_eq!(status(&router, post("", message("resources/list"))).await, 200);
    assert_eq!(status(&router, post("", message("prompts/list"))).await, 401);
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
