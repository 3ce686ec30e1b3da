//! Library catalogue: pages, a REST API, and an MCP server among the routes of the API.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::{tool, tool_router};
use serde::{Deserialize, Serialize};
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

#[derive(Clone, Serialize)]
struct Book {
    id: u32,
    title: &'static str,
}

const BOOKS: [Book; 2] = [
    Book {
        id: 1,
        title: "Emma",
    },
    Book {
        id: 2,
        title: "Middlemarch",
    },
];

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// Part of the title
    text: String,
}

struct Catalogue;

#[tool_router(server_handler)]
impl Catalogue {
    #[tool(description = "Search for books by their title")]
    fn search_books(&self, Parameters(Search { text }): Parameters<Search>) -> String {
        let found = BOOKS.iter().filter(|book| book.title.contains(&text));
        found
            .map(|book| format!("{}: {}\n", book.id, book.title))
            .collect()
    }
}

async fn index() -> Html<&'static str> {
    Html("<h1>Library</h1>")
}

async fn list() -> Json<[Book; 2]> {
    Json(BOOKS)
}

async fn show(Path(id): Path<u32>) -> Result<Json<Book>, StatusCode> {
    BOOKS
        .into_iter()
        .find(|book| book.id == id)
        .map(Json)
        .ok_or(StatusCode::NOT_FOUND)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mcp = StreamableHttpService::new(
        || Ok(Catalogue),
        LocalSessionManager::default().into(),
        Default::default(),
    );
    let api = Router::new()
        .route("/books", get(list))
        .route("/books/{id}", get(show))
        .nest_service("/mcp", mcp);
    let app = Router::new()
        .route("/", get(index))
        .nest("/api/v1", api)
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http());
    let port: u16 = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(8000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
