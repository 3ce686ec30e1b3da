//! MCP client of the example, and the run that prints its exchanges.

use std::time::Duration;

use anyhow::Context as _;
use mcp_authz_reqwest::{AuthorizedClient, LoopbackBrowser, McpTransport, UserAgent, find_error};
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::servers::Servers;
use crate::story;
use crate::user::ScriptedUser;

/// Maximum duration of one call, a login included.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the client against both servers and prints each step.
pub(crate) async fn run(with_browser: bool) -> anyhow::Result<()> {
    let (tap, wire) = unbounded_channel();
    let servers = Servers::start(Some(tap)).await?;
    println!("MCP server:           {}", servers.mcp_url);
    println!("authorization server: {}", servers.issuer);
    let (over, is_over) = oneshot::channel();
    let teller = tokio::spawn(story::tell(wire, is_over));
    let result = if with_browser {
        println!("Your browser opens twice: answer its page there.");
        client(&servers.mcp_url, LoopbackBrowser::bind().await?).await
    } else {
        client(&servers.mcp_url, ScriptedUser::new()?).await
    };
    servers.stop().await;
    let _ = over.send(());
    let told = teller.await.context("the story was cut short")?;
    result?;
    told?;
    println!("\nEvery step held.");
    Ok(())
}

/// Connects and calls two tools, as an application does, without any code for OAuth.
pub(crate) async fn client(mcp_url: &str, user: impl UserAgent) -> anyhow::Result<()> {
    let client = AuthorizedClient::new(mcp_url, "Scoped tools demo", user)?;
    let mcp = connect(client).await?;
    call(&mcp, "list-files", json!({})).await?;
    call(&mcp, "write-file", json!({"name": "notes.txt", "content": "Stepped up."})).await?;
    mcp.cancel().await?;
    Ok(())
}

/// Connects an rmcp client that sends its requests through `client`.
pub(crate) async fn connect(
    client: AuthorizedClient,
) -> anyhow::Result<RunningService<RoleClient, ClientConfig>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(client.server_url());
    let mut retry = ExponentialBackoff::default();
    retry.max_times = Some(3);
    config.retry_config = std::sync::Arc::new(retry);
    let transport = StreamableHttpClientTransport::with_client(McpTransport::new(client), config);
    // The protocol of 2026-07-28: no handshake, no session.
    let lifecycle =
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let connected = ClientConfig::default().serve_with_lifecycle(transport, lifecycle);
    let connected =
        tokio::time::timeout(PATIENCE, connected).await.context("no connection in time")?;
    connected.map_err(|error| explain(error, "cannot connect to the MCP server"))
}

pub(crate) async fn call(
    mcp: &RunningService<RoleClient, ClientConfig>,
    tool: &'static str,
    arguments: serde_json::Value,
) -> anyhow::Result<()> {
    let mut request = CallToolRequestParams::new(tool);
    request.arguments = arguments.as_object().cloned();
    let answer = tokio::time::timeout(PATIENCE, mcp.call_tool(request)).await;
    let answer = answer.with_context(|| format!("{tool} gave no answer in time"))?;
    let answer = answer.map_err(|error| explain(error, &format!("cannot call {tool}")))?;
    anyhow::ensure!(answer.is_error != Some(true), "{tool} reports an error");
    Ok(())
}

/// Returns the `mcp-authz` error inside of rmcp's, because it names the next action.
fn explain(error: impl std::error::Error + Send + Sync + 'static, what: &str) -> anyhow::Error {
    let ours = find_error(&error).cloned();
    match ours {
        Some(ours) => anyhow::Error::new(ours).context(what.to_owned()),
        None => anyhow::Error::new(error).context(what.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Servers;

    /// Servers on their own runtime, whose end closes all their connections.
    struct Killable(Option<tokio::runtime::Runtime>);

    impl Killable {
        fn start() -> (Self, Servers) {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let servers = std::thread::scope(|scope| {
                let start = || runtime.block_on(Servers::start(None)).unwrap();
                scope.spawn(start).join().unwrap()
            });
            (Self(Some(runtime)), servers)
        }

        /// Returns once the servers are gone; while they go, a request may still be answered with 500.
        fn kill(&mut self) {
            if let Some(runtime) = self.0.take() {
                let end = || runtime.shutdown_timeout(Duration::from_secs(10));
                std::thread::scope(|scope| scope.spawn(end).join().unwrap());
            }
        }
    }

    impl Drop for Killable {
        fn drop(&mut self) {
            self.kill();
        }
    }

    /// Returns the message of an error that has to come within the patience of a user.
    async fn error_of(call: impl Future<Output = anyhow::Result<()>>) -> String {
        let outcome = tokio::time::timeout(Duration::from_secs(20), call).await;
        format!("{:#}", outcome.expect("no hang").expect_err("no server, no success"))
    }

    #[tokio::test]
    async fn the_story_holds() {
        run(false).await.unwrap();
    }

    #[tokio::test]
    async fn the_attack_fails() {
        crate::attack::mix_up().await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_server_is_a_clear_error_before_and_between_calls() {
        let (mut killable, servers) = Killable::start();
        let client =
            AuthorizedClient::new(&servers.mcp_url, "Test", ScriptedUser::new().unwrap()).unwrap();
        let mcp = connect(client).await.unwrap();
        call(&mcp, "list-files", json!({})).await.unwrap();
        killable.kill();
        let error = error_of(call(&mcp, "list-files", json!({}))).await;
        assert!(error.contains("gave no answer"), "{error}");
        let error = error_of(client_of(&servers)).await;
        assert!(error.contains("the connection was refused"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_authorization_server_is_a_clear_error() {
        let (_killable, servers) = Killable::start();
        let Servers { mcp_url, authorization, .. } = servers;
        authorization.stop().await;
        let user = ScriptedUser::new().unwrap();
        let error = error_of(client(&mcp_url, user)).await;
        assert!(error.contains("authorization server metadata"), "{error}");
    }

    async fn client_of(servers: &Servers) -> anyhow::Result<()> {
        client(&servers.mcp_url, ScriptedUser::new()?).await
    }
}
