//! Task list: an MCP server and a health check that share one state.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::{tool, tool_router};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default)]
struct AppState {
    tasks: Arc<Mutex<Vec<String>>>,
}

#[derive(Deserialize, JsonSchema)]
struct NewTask {
    title: String,
}

#[tool_router(server_handler)]
impl AppState {
    #[tool(description = "Add a task to the list")]
    fn add_task(&self, Parameters(NewTask { title }): Parameters<NewTask>) -> String {
        let mut tasks = self.tasks.lock().unwrap();
        tasks.push(title);
        format!("{} task(s)", tasks.len())
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    tasks: usize,
}

async fn health(State(state): State<AppState>) -> Json<Health> {
    Json(Health {
        status: "up",
        tasks: state.tasks.lock().unwrap().len(),
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let state = AppState::default();
    let handler = state.clone();
    let mcp = StreamableHttpService::new(
        move || Ok(handler.clone()),
        LocalSessionManager::default().into(),
        Default::default(),
    );
    let app = Router::new()
        .nest_service("/mcp", mcp)
        .route("/healthz", get(health))
        .with_state(state);

    let port: u16 = std::env::var("PORT")
        .ok()
        .map_or(Ok(8000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
