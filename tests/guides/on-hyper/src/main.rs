//! MCP server on hyper, with tower layers and without a router.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

struct Clock;

#[tool_router(server_handler)]
impl Clock {
    #[tool(description = "Seconds since 1970")]
    fn now(&self) -> String {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        format!("{} s", since.as_secs())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mcp = StreamableHttpService::new(
        || Ok(Clock),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    );
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .concurrency_limit(100)
        .service(mcp);
    let service = TowerToHyperService::new(service);

    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            accepted = listener.accept() => accepted?,
        };
        let service = service.clone();
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection failed: {error}");
            }
        });
    }
}
