//! The client that the official conformance suite drives: `mcp-authz-reqwest` under rmcp.
//!
//! `conformance <MCP URL>`, with the scenario in the environment as the suite puts it there. It lists the tools,
//! calls one, and ends: what the suite checks is what was sent on the way. `cargo xtask conformance` runs it.

#![expect(clippy::disallowed_methods, reason = "the suite tells all in arguments and environment")]

mod config;

use std::time::Duration;

use anyhow::{Context as _, Result};
use mcp_authz_reqwest::McpTransport;
use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Map;

use crate::config::Scenario;

/// Shorter than the suite's own patience, which ends the shell and not this program.
const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args().next_back().context("usage: conformance <MCP URL>")?;
    let scenario = Scenario::from_environment()?;
    tokio::time::timeout(PATIENCE, run(&url, &scenario)).await.context("not done in time")?
}

async fn run(url: &str, scenario: &Scenario) -> Result<()> {
    let client = scenario.client(url).await?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    config.retry_config = std::sync::Arc::new(NeverRetry::default());
    let transport = StreamableHttpClientTransport::with_client(McpTransport::new(client), config);
    let version = scenario.version.clone();
    let mut info = ClientConfig::default();
    info.protocol_version = version.clone();
    let lifecycle = match version >= ProtocolVersion::V_2026_07_28 {
        true => ClientLifecycleMode::Discover { preferred_versions: vec![version] },
        false => ClientLifecycleMode::Initialize,
    };
    let mcp = info.serve_with_lifecycle(transport, lifecycle).await?;
    mcp.list_all_tools().await?;
    let mut call = CallToolRequestParams::new("test-tool");
    call.arguments = Some(Map::new());
    mcp.call_tool(call).await?;
    mcp.cancel().await?;
    Ok(())
}
