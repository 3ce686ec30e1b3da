//! Requests without a token, with one for another tool, and with one for theirs.

use std::sync::Arc;

use async_trait::async_trait;
use authorization_server::store::{FamilyId, NewAccess, NewFamily};
use authorization_server::{MemoryStore, Store as _};
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use mcp_authz_axum::StoreVerifier;
use oauth_types::{
    BearerChallenge, ClientId, Entropy, Issuer, ProtectedResourceMetadata, ResourceUri, ScopeSet,
    SecretDigest, Subject, UnixTime,
};
use resource_server::{OperationScopes, Resource};
use rust_mcp_sdk::id_generator::{FastIdGenerator, UuidGenerator};
use rust_mcp_sdk::mcp_http::{DEFAULT_MAX_LISTEN_STREAMS, McpAppState};
use rust_mcp_sdk::mcp_server::{ServerHandler, ToMcpServerHandler as _};
use rust_mcp_sdk::schema::schema_utils::CallToolError;
use rust_mcp_sdk::schema::{
    CallToolRequestParams, CallToolResult, Implementation, ServerCapabilities,
    ServerCapabilitiesTools, ServerResult, TextContent,
};
use rust_mcp_sdk::{McpServer, RequestContext, ServerDetails};
use rust_mcp_sdk_server::{Protect, router};
use tower::ServiceExt as _;

/// A tool of any name, which greets its user.
struct Greeter;

#[async_trait]
impl ServerHandler for Greeter {
    async fn handle_call_tool_request(
        &self,
        call: CallToolRequestParams,
        _: &RequestContext,
        server: Arc<dyn McpServer>,
    ) -> Result<ServerResult, CallToolError> {
        let user = server.auth_info_cloned().await.and_then(|user| user.user_id);
        let text = format!("Hello, {}: {}.", user.unwrap_or_default(), call.name);
        Ok(CallToolResult::text_content(vec![TextContent::from(text)]).into())
    }
}

fn state() -> Arc<McpAppState> {
    let server_info = Implementation {
        name: "greeter".to_owned(),
        version: "1".to_owned(),
        title: None,
        description: None,
        icons: Vec::new(),
        website_url: None,
    };
    let capabilities = ServerCapabilities {
        tools: Some(ServerCapabilitiesTools { list_changed: None }),
        ..ServerCapabilities::default()
    };
    let details = ServerDetails { server_info, capabilities, meta: None, instructions: None };
    Arc::new(McpAppState {
        id_generator: Arc::new(UuidGenerator {}),
        stream_id_gen: Arc::new(FastIdGenerator::new(Some("s_"))),
        server_details: Arc::new(details),
        handler: Greeter.to_mcp_server_handler(),
        ping_interval: std::time::Duration::from_secs(12),
        transport_options: Arc::default(),
        enable_json_response: true,
        message_observer: None,
        extensions: Arc::default(),
        active_listen_streams: Arc::default(),
        max_listen_streams: DEFAULT_MAX_LISTEN_STREAMS,
    })
}

fn message(tool: &str, more: &str) -> String {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let params = format!(r#"{{"name":"{tool}","arguments":{{{more}}},"_meta":{meta}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

fn call(tool: &str, token: Option<&str>) -> Request<Body> {
    post(tool, token, message(tool, ""))
}

/// Returns a request whose headers name this tool, whatever its body says.
fn post(tool: &str, token: Option<&str>, body: String) -> Request<Body> {
    let mut request = Request::post("/mcp")
        .header("host", "127.0.0.1:8000")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_tool_needs_a_token_with_its_scope() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::parse("http://127.0.0.1:8001")?;
    let uri = ResourceUri::parse("http://127.0.0.1:8000/mcp")?;
    let read = ScopeSet::parse("files:read")?;
    let store = Arc::new(MemoryStore::default());
    let end = UnixTime::saturating_from(std::time::SystemTime::now())
        .saturating_add(std::time::Duration::from_secs(600));
    let family = NewFamily::new(
        FamilyId::new(Entropy::new([1; 16])),
        ClientId::parse("c1")?,
        Subject::parse("alice")?,
        uri.clone(),
        NewAccess::new(SecretDigest::of("abc"), read.clone(), end),
    );
    store.insert_family(family, UnixTime::from_secs(0)).await?;
    let scopes = OperationScopes::new("files:read")?
        .tool("list-files", "files:read")?
        .tool("write-file", "files:read files:write")?;
    let protect = Protect(
        Resource::new(uri.clone(), vec![issuer.clone()])?,
        scopes,
        StoreVerifier::new(store, issuer.clone()),
    );
    let router = router(state(), protect);
    let send = async |request: Request<Body>| {
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 16).await.unwrap();
        (parts, String::from_utf8(body.to_vec()).unwrap())
    };

    // Without a token: our challenge, which leads to the metadata of this server.
    let (parts, _) = send(call("list-files", None)).await;
    assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
    let challenge = BearerChallenge::from_headers(&parts.headers).ok_or("no challenge")?;
    assert_eq!(challenge.scope, Some(read));
    let url = challenge.resource_metadata.ok_or("no metadata")?;
    let path = url.as_str().strip_prefix("http://127.0.0.1:8000").ok_or("another server")?;
    let request = Request::get(path).header("host", "127.0.0.1:8000").body(Body::empty())?;
    let (_, document) = send(request).await;
    let metadata = ProtectedResourceMetadata::from_json(document.as_bytes())?;
    assert_eq!((metadata.resource, metadata.authorization_servers), (uri, vec![issuer]));

    let (parts, _) = send(call("list-files", Some("xyz"))).await;
    assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
    let (parts, _) = send(call("write-file", Some("abc"))).await;
    assert_eq!(parts.status, StatusCode::FORBIDDEN);
    let challenge = BearerChallenge::from_headers(&parts.headers).ok_or("no challenge")?;
    assert_eq!(challenge.scope, Some(ScopeSet::parse("files:read files:write")?));

    let (parts, answer) = send(call("list-files", Some("abc"))).await;
    assert_eq!(parts.status, StatusCode::OK, "{answer}");
    assert!(answer.contains("Hello, alice: list-files."), "{answer}");

    // rust-mcp-sdk 2.0.0 reads a body line by line, so that a line within a message is a message to it.
    let hidden = format!("\"hidden\":[\n{}\n]", message("write-file", ""));
    let smuggled = post("list-files", Some("abc"), message("list-files", &hidden));
    let (parts, answer) = send(smuggled).await;
    assert!(!answer.contains("write-file"), "{answer}");
    assert_eq!(parts.status, StatusCode::BAD_REQUEST);
    Ok(())
}
