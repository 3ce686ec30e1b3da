//! The server of the README: an authorization server, and an MCP server of rmcp that is protected by it.

use std::sync::Arc;

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
    serve, shutdown_signal,
};
use oauth_types::{Entropy, Issuer, ResourceUri};
use resource_server::{OperationScopes, Resource};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tokio::net::TcpListener;

struct Files;

#[tool_router(server_handler)]
impl Files {
    #[tool(name = "list-files", description = "List the files")]
    fn list_files(&self) -> String {
        "readme.txt".to_owned()
    }
}

type Error = Box<dyn std::error::Error>;

fn routers(issuer: Issuer, uri: ResourceUri, keys: ServerKeys) -> Result<(Router, Router), Error> {
    let scopes =
        OperationScopes::new("files:read")?.tool("write-file", "files:read files:write")?;
    let store = Arc::new(MemoryStore::default());
    let config = Config::new(issuer.clone(), vec![uri.clone()], scopes.all().clone(), keys)?;
    let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin).router();

    let resource = Resource::new(uri, vec![issuer.clone()])?;
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names());
    let files =
        StreamableHttpService::new(|| Ok(Files), Arc::new(LocalSessionManager::default()), config);
    let mcp = Router::new()
        .nest_service("/mcp", files) // knows nothing of OAuth
        .layer(ProtectLayer::new(resource.clone(), StoreVerifier::new(store, issuer), scopes))
        .merge(metadata_routes(&resource));
    Ok((authorization, mcp))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let issuer = Issuer::parse(&format!("http://{}", first.local_addr()?))?;
    let uri = ResourceUri::parse(&format!("http://{}/mcp", second.local_addr()?))?;
    println!("MCP server: {uri}");
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::fill(getrandom::fill)?));
    let (authorization, mcp) = routers(issuer, uri, keys)?;
    let limits = ConnectionLimits::default();
    tokio::join!(
        serve(first, authorization, limits, shutdown_signal()),
        serve(second, mcp, limits, shutdown_signal())
    );
    Ok(())
}
