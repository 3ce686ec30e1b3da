//! An rmcp client without a token at an rmcp server of which a part is public.

use std::sync::Arc;

use axum::Router;
use mcp_authz_axum::{ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{Issuer, ResourceUri, Secret, UnixTime};
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use rmcp::model::CallToolRequestParams;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{
    StreamableHttpClientTransport, StreamableHttpServerConfig, StreamableHttpService,
};
use rmcp::{ServiceExt as _, tool, tool_router};
use tokio::net::TcpListener;

/// No token is good.
struct Nothing;

impl TokenVerifier for Nothing {
    async fn verify(
        &self,
        _: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        Ok(None)
    }
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(name = "search", description = "Finds what everybody may see")]
    fn search(&self) -> String {
        "found".to_owned()
    }

    #[tool(name = "write", description = "Writes")]
    fn write(&self) -> String {
        "written".to_owned()
    }
}

/// The address of a server whose refusals are results of tools, if that is asked for.
async fn server(answers_tool_calls: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = Resource::new(ResourceUri::parse(&url).unwrap(), vec![issuer]).unwrap();
    let scopes = OperationScopes::new("files:read").unwrap().public_tool("search");
    let scopes = scopes.tool("write", "files:write").unwrap();
    let protect = ProtectLayer::new(resource, Nothing, scopes);
    let protect = if answers_tool_calls { protect.with_tool_result_challenges() } else { protect };
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let router = Router::new().nest_service("/mcp", service).layer(protect);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_client_without_a_token_may_list_and_search_but_not_write() {
    for answers_tool_calls in [false, true] {
        let transport = StreamableHttpClientTransport::from_uri(server(answers_tool_calls).await);
        let mcp = ().serve(transport).await.expect("a session without a token");
        let tools = mcp.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 2);
        let found = mcp.call_tool(CallToolRequestParams::new("search")).await.unwrap();
        assert_ne!(found.is_error, Some(true));
        let written = mcp.call_tool(CallToolRequestParams::new("write")).await;
        match (answers_tool_calls, written) {
            (false, written) => assert!(written.is_err(), "{written:?}"),
            (true, written) => {
                let written = written.unwrap();
                assert_eq!(written.is_error, Some(true));
                let challenges = serde_json::to_value(&written).unwrap();
                let challenge = &challenges["_meta"]["mcp/www_authenticate"][0];
                assert!(challenge.as_str().unwrap().contains("scope=\"files:read files:write\""));
            }
        }
    }
}
