//! Resources in front of a real rmcp server that normalises their URIs before it looks them up, as servers for files
//! do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use mcp_authz_axum::{Clock, ProtectLayer};
use oauth_types::UnixTime;
use reqwest::Url;
use resource_server::OperationScopes;
use rmcp::model::{
    ErrorData, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceContents, ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use scope_stepup::Operation;
use serde_json::{Value, json};

use crate::service::{MCP, Mcp, call};

/// Files by their paths; reads of the secret one are counted.
#[derive(Clone)]
struct Files(Arc<AtomicUsize>);

impl ServerHandler for Files {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_resources().build())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let url = Url::parse(&request.uri);
        let path = url.ok().and_then(|url| url.to_file_path().ok());
        if path.is_some_and(|path| path.as_os_str() == "/secret") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(ReadResourceResult::new(vec![ResourceContents::text("text", request.uri)]).into())
    }
}

struct Server {
    mcp: Mcp,
    secret_reads: Arc<AtomicUsize>,
}

fn files() -> Server {
    let secret_reads = Arc::new(AtomicUsize::new(0));
    let files = Files(Arc::clone(&secret_reads));
    let scopes = OperationScopes::new("base")
        .and_then(|scopes| scopes.operation(Operation::new("resources/read", None), "base"))
        .and_then(|scopes| scopes.operation(Operation::new("resources/subscribe", None), "base"))
        .and_then(|scopes| scopes.resource("file:///secret", "admin"))
        .unwrap();
    let clock = Clock::new(|| UnixTime::from_secs(1_000_000));
    let mcp = Mcp::new(MCP, files, Arc::default(), |resource, spoken| {
        ProtectLayer::new(resource, spoken, scopes).with_clock(clock)
    });
    Server { mcp, secret_reads }
}

impl Server {
    /// The status of a request of 2026-07-28 with these parameters.
    async fn asked(&self, token: &str, operation: &Operation, mut params: Value) -> StatusCode {
        params["_meta"] = call("")["params"]["_meta"].take();
        let body =
            json!({"jsonrpc": "2.0", "id": 2, "method": operation.method(), "params": params});
        let headers = operation.to_headers();
        let mut lines = vec![("MCP-Protocol-Version", "2026-07-28")];
        lines.extend(headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())));
        self.mcp.post(token, &lines, &body).await.0
    }

    fn secret_reads(&self) -> usize {
        self.secret_reads.load(Ordering::SeqCst)
    }

    async fn read(&self, token: &str, uri: &str) -> StatusCode {
        let operation = Operation::new("resources/read", Some(uri));
        self.asked(token, &operation, json!({ "uri": uri })).await
    }
}

/// SEC-234
#[tokio::test]
async fn no_spelling_of_a_resource_gets_around_its_row() {
    let server = files();
    for uri in [
        "file:///secret",
        "file:///./secret",
        "file:///a/../secret",
        "FILE:///secret",
        "file:///%73ecret",
        "file:///%2e/secret",
        "file://localhost/secret",
        "file:/secret",
        "file:///secret?x",
        "file:///secret#x",
        "file:///secret.",
        "file:///secret%20",
        "file:///secret::$DATA",
        "file:///%EF%BD%93ecret",
        "file:///SECRET~1",
    ] {
        assert_eq!(server.read("bob.base", uri).await, StatusCode::FORBIDDEN, "{uri}");
        assert_eq!(server.secret_reads(), 0, "{uri}");
    }
    assert_eq!(server.read("bob.base", "file:///public").await, StatusCode::OK);
    assert_eq!(server.secret_reads(), 0);
    // The spellings do lead to the secret behind the layer.
    for (at, uri) in ["file:///secret", "FILE:///secret", "file:///%73ecret"].iter().enumerate() {
        assert_eq!(server.read("alice.base+admin", uri).await, StatusCode::OK, "{uri}");
        assert_eq!(server.secret_reads(), at + 1, "{uri}");
    }
}

/// SEC-234
#[tokio::test]
async fn a_subscription_to_a_resource_needs_what_the_resource_needs() {
    let server = files();
    let operation = Operation::new("subscriptions/listen", None);
    let listen = async |token: &str, uris: &[&str]| {
        let filter = json!({"notifications": {"resourceSubscriptions": uris}});
        server.asked(token, &operation, filter).await
    };
    let public = "file:///public";
    assert_eq!(listen("bob.base", &[public]).await, StatusCode::OK);
    for secret in ["file:///secret", "file:///./secret", "FILE:///secret", "file:///%73ecret"] {
        assert_eq!(listen("bob.base", &[public, secret]).await, StatusCode::FORBIDDEN, "{secret}");
        let let_in = listen("alice.base+admin", &[public, secret]).await;
        assert_eq!(let_in, StatusCode::OK, "{secret}");
    }
}
