//! A service of rmcp behind the layer, and the requests that clients send to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, Resource};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const MCP: &str = "http://127.0.0.1:8000/mcp";
pub(crate) const LEGACY: (&str, &str) = ("MCP-Protocol-Version", "2025-11-25");
pub(crate) const MODERN: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");

/// Tokens are `user.scope+scope`.
pub(crate) struct Spoken(ResourceUri);

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let Some((user, scopes)) = token.expose().split_once('.') else { return Ok(None) };
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(user).unwrap(),
                ClientId::parse("c").unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse(&scopes.replace('+', " ")).unwrap())
            .with_audience([self.0.clone()])
            .with_expires_at(now.saturating_add(Duration::from_secs(60))),
        )))
    }
}

/// A server that answers in memory.
pub(crate) struct Mcp {
    pub(crate) router: Router,
}

impl Mcp {
    /// Puts the layer in front of a handler of rmcp's, at this address.
    pub(crate) fn new<H: ServerHandler + Clone + Sync>(
        uri: &str,
        handler: H,
        sessions: Arc<LocalSessionManager>,
        protect: impl FnOnce(Resource, Spoken) -> ProtectLayer<Spoken>,
    ) -> Self {
        let uri = ResourceUri::parse(uri).unwrap();
        let issuer = Issuer::parse("https://as.example").unwrap();
        let resource = Resource::new(uri.clone(), vec![issuer]).unwrap();
        let config =
            StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
        let protect = protect(resource, Spoken(uri));
        Self { router: Router::new().nest_service("/mcp", service).layer(protect) }
    }

    /// Sends a request, and reads an event stream up to a result or an error, or for as long as something comes.
    pub(crate) async fn send(
        &self,
        method: Method,
        token: &str,
        lines: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let request = request(method, token, lines, body);
        let (parts, mut body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let mut text = String::new();
        let wait = Duration::from_secs(2);
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(wait, body.frame()).await {
            let data = frame.data_ref().map_or(&b""[..], |data| data);
            text.push_str(str::from_utf8(data).unwrap());
            if text.contains("\"result\"") || text.contains("\"error\":") {
                break;
            }
        }
        (parts.status, parts.headers, text)
    }

    pub(crate) async fn post(
        &self,
        token: &str,
        lines: &[(&str, &str)],
        body: &Value,
    ) -> (StatusCode, HeaderMap, String) {
        self.send(Method::POST, token, lines, &body.to_string()).await
    }

    /// Begins a session of the older revisions, if that is allowed.
    pub(crate) async fn open(&self, token: &str) -> (StatusCode, Option<String>) {
        let (status, headers, _) = self.post(token, &[], &initialize()).await;
        let session = headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        (status, session)
    }

    /// Begins a session of the older revisions, and says that the client is ready.
    pub(crate) async fn session(&self, token: &str) -> String {
        let session = self.open(token).await.1.expect("a session");
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let (status, ..) = self.post(token, &[("Mcp-Session-Id", &*session), LEGACY], &ready).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        session
    }
}

pub(crate) fn request(
    method: Method,
    token: &str,
    lines: &[(&str, &str)],
    body: &str,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri("/mcp")
        .header(HOST, "127.0.0.1:8000")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

pub(crate) fn initialize() -> Value {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

/// A call as it is made since 2026-07-28: the revision stands in the message too.
pub(crate) fn call(tool: &str) -> Value {
    let mut call = legacy_call(tool);
    call["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    call
}

pub(crate) fn legacy_call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}
