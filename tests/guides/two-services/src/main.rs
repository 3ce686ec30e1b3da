//! Two MCP servers on one port, and a page that names both.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::{ServerHandler, tool, tool_router};
use serde::Deserialize;

struct Texts;

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[tool_router(server_handler)]
impl Texts {
    #[tool(description = "Count the words of a text")]
    fn count_words(&self, Parameters(Text { text }): Parameters<Text>) -> String {
        format!("{} word(s)", text.split_whitespace().count())
    }
}

struct Sums;

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    numbers: Vec<i64>,
}

#[tool_router(server_handler)]
impl Sums {
    #[tool(description = "Add numbers")]
    fn add(&self, Parameters(Numbers { numbers }): Parameters<Numbers>) -> String {
        format!("sum {}", numbers.iter().sum::<i64>())
    }
}

fn mount<S: ServerHandler + Send + 'static>(path: &str, new: fn() -> S) -> Router {
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(new()), sessions, Default::default());
    Router::new().nest_service(path, service)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let url = std::env::var("PUBLIC_URL").unwrap_or(format!("http://127.0.0.1:{port}"));
    let index = format!("Texts: {url}/texts\nSums: {url}/sums\n");

    let texts = mount("/texts", || Texts);
    let sums = mount("/sums", || Sums);
    let app = Router::new()
        .route("/", get(index))
        .merge(texts)
        .merge(sums);

    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
