//! The layer in front of a real rmcp server: whatever the headers say, the tool that runs is the tool that was
//! decided about.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use mcp_authz_axum::{Clock, ProtectLayer};
use oauth_types::{ScopeSet, UnixTime};
use resource_server::OperationScopes;
use rmcp::{tool, tool_router};
use scope_stepup::Hierarchy;
use serde_json::json;
use tower::ServiceExt as _;

use crate::service::{MCP, Mcp, Spoken, call, legacy_call};

#[derive(Clone)]
struct Tools(Arc<AtomicUsize>);

#[tool_router(server_handler)]
impl Tools {
    #[tool(name = "harmless", description = "Says hello")]
    fn harmless(&self) -> String {
        "hello".to_owned()
    }

    #[tool(name = "by-argument", description = "Needs what its argument says")]
    fn by_argument(&self) -> String {
        "did it".to_owned()
    }

    #[tool(name = "admin", description = "Does what only an administrator may")]
    fn admin(&self) -> String {
        self.0.fetch_add(1, Ordering::SeqCst);
        "done".to_owned()
    }
}

struct Server {
    mcp: Mcp,
    admin_ran: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        Self::at(MCP)
    }

    fn at(uri: &str) -> Self {
        let admin_ran = Arc::new(AtomicUsize::new(0));
        let tools = Tools(Arc::clone(&admin_ran));
        let scopes = OperationScopes::new("base")
            .and_then(|scopes| scopes.tool("harmless", "base"))
            .and_then(|scopes| scopes.tool("admin", "base admin"))
            .and_then(|scopes| {
                scopes.tool_with("by-argument", "base extra", |arguments| {
                    let scope = arguments.get("needs")?.as_str()?;
                    assert!(scope != "panic", "a bug of the host");
                    ScopeSet::parse(scope).ok()
                })
            })
            .unwrap();
        let order = Hierarchy::new([("root", "admin"), ("root", "base")]).unwrap();
        let clock = Clock::new(|| UnixTime::from_secs(1_000_000));
        let mcp = Mcp::new(uri, tools, Arc::default(), |resource, spoken| {
            ProtectLayer::new(resource, spoken, scopes).with_hierarchy(order).with_clock(clock)
        });
        Self { mcp, admin_ran }
    }

    fn admin_runs(&self) -> usize {
        self.admin_ran.load(Ordering::SeqCst)
    }
}

/// The name by which a server is called, in front of rmcp's own check of `Host`.
#[tokio::test]
async fn a_server_answers_at_its_public_name_and_at_no_other() {
    let server = Server::at("https://mcp.example/mcp");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},
        "clientInfo":{"name":"c","version":"1"}}}"#;
    for (host, status) in [
        ("mcp.example", StatusCode::OK),
        ("127.0.0.1:8000", StatusCode::OK),
        ("evil.example", StatusCode::FORBIDDEN),
    ] {
        let request = Request::post("/mcp")
            .header(HOST, host)
            .header(AUTHORIZATION, "Bearer alice.base")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(ping))
            .unwrap();
        let response = server.mcp.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
}

/// R-AUTH-4, SEC-151, SEC-213
#[tokio::test]
async fn in_older_revisions_the_body_decides_despite_a_name_header() {
    let server = Server::start();
    let session = server.mcp.session("alice.base").await;
    let id = ("Mcp-Session-Id", &*session);
    for lines in [
        vec![id],
        vec![id, ("MCP-Protocol-Version", "2025-11-25")],
        vec![id, ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Name", "harmless")],
        vec![id, ("Mcp-Method", "tools/list"), ("Mcp-Name", "harmless")],
    ] {
        let (status, headers, _) =
            server.mcp.post("alice.base", &lines, &legacy_call("admin")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{lines:?}");
        let challenge = headers[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains("scope=\"base admin\""), "{challenge}");
    }
    assert_eq!(server.admin_runs(), 0);
    // The same call runs for whom it is meant, and the other tool for everybody.
    let lines = [id, ("MCP-Protocol-Version", "2025-11-25")];
    let (status, _, text) = server.mcp.post("alice.base", &lines, &legacy_call("harmless")).await;
    assert!(status == StatusCode::OK && text.contains("hello"), "{status} {text}");
    let (status, _, text) =
        server.mcp.post("alice.base+admin", &lines, &legacy_call("admin")).await;
    assert!(status == StatusCode::OK && text.contains("done"), "{status} {text}");
    assert_eq!(server.admin_runs(), 1);
}

/// SEC-214
#[tokio::test]
async fn since_2026_07_28_the_decoded_name_must_match_the_body() {
    let server = Server::start();
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let method = ("Mcp-Method", "tools/call");
    let encoded = ("Mcp-Name", "=?base64?YWRtaW4=?=");
    for name in [encoded, ("Mcp-Name", "admin")] {
        let lines = [version, method, name];
        let (status, ..) = server.mcp.post("alice.base", &lines, &call("admin")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name:?}");
    }
    for lines in [
        vec![version, method],
        vec![version, method, ("Mcp-Name", "harmless")],
        vec![version, method, ("Mcp-Name", "admin"), ("Mcp-Name", "admin")],
        vec![version, method, ("Mcp-Name", "harmless"), ("Mcp-Name", "admin")],
        vec![version, ("Mcp-Method", "tools/list"), ("Mcp-Name", "admin")],
    ] {
        for token in ["alice.base", "alice.base+admin"] {
            let (status, ..) = server.mcp.post(token, &lines, &call("admin")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{lines:?}");
        }
    }
    // Only the message speaks of the new revision: rmcp itself refuses that.
    let (status, ..) = server.mcp.post("alice.base+admin", &[method], &call("admin")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(server.admin_runs(), 0);
    for (token, tool, name) in [
        ("alice.base+admin", "admin", encoded),
        ("alice.base", "harmless", ("Mcp-Name", "harmless")),
    ] {
        let (status, _, text) = server.mcp.post(token, &[version, method, name], &call(tool)).await;
        assert!(status == StatusCode::OK && text.contains("\"result\""), "{status} {text}");
    }
    assert_eq!(server.admin_runs(), 1);
}

/// SEC-216
#[tokio::test]
async fn what_nobody_knows_needs_everything_and_reaches_no_tool() {
    let server = Server::start();
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let lines = [version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "forgotten")];
    let (status, ..) = server.mcp.post("alice.base", &lines, &call("forgotten")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for (body, expected) in [
        (json!([legacy_call("harmless"), legacy_call("admin")]).to_string(), StatusCode::FORBIDDEN),
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(ProtectLayer::<Spoken>::MAX_BODY + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, ..) = server.mcp.send(Method::POST, "alice.base", &[], &body).await;
        assert_eq!(status, expected);
    }
    assert_eq!(server.admin_runs(), 0);
}

/// R-AUTH-5, SEC-152
#[tokio::test]
async fn a_broader_scope_runs_the_tool() {
    let server = Server::start();
    let lines = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "admin"),
    ];
    let (status, _, text) = server.mcp.post("alice.root", &lines, &call("admin")).await;
    assert!(status == StatusCode::OK && text.contains("done"), "{status} {text}");
}

/// SEC-153
#[tokio::test]
async fn a_host_that_cannot_say_what_a_call_needs_denies_it() {
    let server = Server::start();
    let lines = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "by-argument"),
    ];
    for (arguments, expected) in [
        (json!({}), StatusCode::INTERNAL_SERVER_ERROR),
        (json!({"needs": "panic"}), StatusCode::INTERNAL_SERVER_ERROR),
        (json!({"needs": "not\"a scope"}), StatusCode::INTERNAL_SERVER_ERROR),
        (json!({"needs": "extra"}), StatusCode::FORBIDDEN),
        (json!({"needs": "base"}), StatusCode::OK),
    ] {
        let mut body = call("by-argument");
        body["params"]["arguments"] = arguments;
        let (status, _, text) = server.mcp.post("alice.root", &lines, &body).await;
        assert_eq!(status, expected, "{body} {text}");
        assert_eq!(text.contains("did it"), expected == StatusCode::OK, "{text}");
    }
}

/// SEC-157, SEC-215
#[tokio::test]
async fn a_session_of_rmcp_answers_its_own_user_only() {
    let server = Server::start();
    let session = server.mcp.session("alice.base").await;
    let lines = [("Mcp-Session-Id", &*session), ("MCP-Protocol-Version", "2025-11-25")];
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let body = legacy_call("harmless").to_string();
        let (status, ..) = server.mcp.send(method.clone(), "mallory.base", &lines, &body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    let (status, _, text) = server.mcp.post("alice.base", &lines, &legacy_call("harmless")).await;
    assert!(status == StatusCode::OK && text.contains("hello"), "{status} {text}");
}
