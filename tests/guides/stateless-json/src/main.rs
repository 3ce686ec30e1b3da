//! MCP server without sessions, whose answers are JSON: any number of processes can stand behind one address.

use axum::Router;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use serde::Deserialize;

struct Units;

#[derive(Deserialize, JsonSchema)]
struct Temperature {
    celsius: f64,
}

#[tool_router(server_handler)]
impl Units {
    #[tool(description = "Convert a temperature to degrees Fahrenheit")]
    fn fahrenheit(&self, Parameters(Temperature { celsius }): Parameters<Temperature>) -> String {
        format!("{:.1} °F", celsius * 1.8 + 32.0)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let mcp =
        StreamableHttpService::new(|| Ok(Units), NeverSessionManager::default().into(), config);
    let app = Router::new().route_service("/mcp", mcp);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
