//! The client of the README: logs in at an MCP server and prints the names of its tools.

use mcp_authz_reqwest::{AuthorizedClient, LoopbackBrowser, McpTransport};
use rmcp::ServiceExt as _;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).ok_or("usage: tokio-client <MCP URL>")?;
    let client = AuthorizedClient::new(&server, "My application", LoopbackBrowser::bind().await?)?;
    let transport = StreamableHttpClientTransport::with_client(
        McpTransport::new(client),
        StreamableHttpClientTransportConfig::with_uri(server),
    );
    let mcp = ().serve(transport).await?;
    for tool in mcp.list_all_tools().await? {
        println!("{}", tool.name);
    }
    Ok(())
}
