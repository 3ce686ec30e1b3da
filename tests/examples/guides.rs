//! What `cargo xtask guides` needs beside the servers of `tests/guides`: their authorization server, and their client.
//!
//! | arguments | what it does |
//! |---|---|
//! | `issuer URL...` | runs an authorization server whose access tokens are JWTs, for MCP servers at these URLs |
//! | `behind URL` | runs both servers for a proxy at this URL, which removes the prefix `/auth` of the issuer |
//! | `get URL TEXT` | waits for the server, and fails unless it answers 200 without a token, with this text |
//! | `refused URL ISSUER` | fails unless the MCP server refuses a request without a token, and names this issuer |
//! | `call URL VISITS (TOOL ARGUMENTS TEXT)...` | logs in, calls the tools and compares their answers |

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to who runs it")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys, SigningKeys};
use axum::Router;
use client_auth::SigningKey;
use client_flow::{BrowserRequest, ClientConfig};
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
    serve, shutdown_signal,
};
use mcp_authz_reqwest::{AuthorizedClient, McpTransport, UserAgent, VisitError};
use oauth_types::{
    BearerChallenge, Entropy, FormWriter, Issuer, ProtectedResourceMetadata, RedirectUri,
    ResourceUri, ScopeSet, SigningAlgorithm,
};
use resource_server::{OperationScopes, Resource};
use rmcp::model::CallToolRequestParams;
use rmcp::service::ServiceExt as _;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{
    StreamableHttpClientTransport, StreamableHttpServerConfig, StreamableHttpService,
};
use rmcp::{tool, tool_router};
use tokio::net::TcpListener;

/// For all steps of a check together; a server that hangs ends here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
const KEY: &str = include_str!("../../crates/client-auth/tests/keys/es256.pem");
const SCOPES: &str = "books:read clock counter tasks tools units";

#[tokio::main]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a program reads its arguments")]
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match &arguments[..] {
        ["issuer", resources @ ..] => issue(resources).await,
        ["behind", url] => behind(url).await,
        [..] => match tokio::time::timeout(PATIENCE, check(&arguments)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("not finished in {PATIENCE:?}")),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn check(arguments: &[&str]) -> anyhow::Result<()> {
    match arguments {
        ["get", url, text] => get(url, text).await,
        ["refused", url, issuer] => refused(url, issuer).await,
        ["call", url, visits, calls @ ..] => call(url, visits.parse()?, calls).await,
        _ => bail!("the arguments are in the head of tests/examples/guides.rs"),
    }
}

/// Runs the authorization server of these resources until the process is killed.
async fn issue(resources: &[&str]) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let issuer = Issuer::parse(&format!("http://{}", listener.local_addr()?))?;
    let resources = resources.iter().map(|uri| ResourceUri::parse(uri));
    let resources = resources.collect::<Result<Vec<_>, _>>()?;
    // It runs for seconds, on this machine only.
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let signing = SigningKeys::new(SigningKey::from_pem(SigningAlgorithm::Es256, KEY)?)?;
    let config = Config::new(issuer.clone(), resources, ScopeSet::parse(SCOPES)?, keys)?
        .with_jwt_access_tokens(signing);
    let router = AuthorizationServer::new(config, MemoryStore::default(), DemoLogin).router();
    println!("issuer: {issuer}");
    axum::serve(listener, router).await?;
    Ok(())
}

/// MCP server behind a proxy.
struct Echo;

#[tool_router(server_handler)]
impl Echo {
    #[tool(description = "Say hello")]
    fn hello(&self) -> String {
        "hello from behind the proxy".to_owned()
    }
}

/// Runs both servers of the page `behind_a_proxy`, each on a port of its own, until the process is killed.
async fn behind(url: &str) -> anyhow::Result<()> {
    let issuer = Issuer::parse(&format!("{url}/auth"))?;
    let uri = ResourceUri::parse(&format!("{url}/mcp"))?;
    let scopes = OperationScopes::new("tools")?;
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let store = Arc::new(MemoryStore::default());
    let config = Config::new(issuer.clone(), vec![uri.clone()], scopes.all().clone(), keys)?;
    let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
        .with_trusted_proxies(|address| address.is_loopback())
        .with_stripped_prefix("/auth")?
        .router();
    let resource = Resource::new(uri, vec![issuer.clone()])?;
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names());
    let mcp =
        StreamableHttpService::new(|| Ok(Echo), Arc::<LocalSessionManager>::default(), config);
    let mcp = Router::new()
        .nest_service("/mcp", mcp)
        .layer(ProtectLayer::new(resource.clone(), StoreVerifier::new(store, issuer), scopes))
        .merge(metadata_routes(&resource));
    let first = TcpListener::bind(("127.0.0.1", 0)).await?;
    let second = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("authorization server: {}", first.local_addr()?);
    println!("MCP server: {}", second.local_addr()?);
    let limits = ConnectionLimits::default();
    tokio::join!(
        serve(first, authorization, limits, shutdown_signal()),
        serve(second, mcp, limits, shutdown_signal())
    );
    Ok(())
}

async fn get(url: &str, text: &str) -> anyhow::Result<()> {
    let answer = loop {
        match reqwest::get(url).await {
            Err(error) if error.is_connect() => tokio::time::sleep(PAUSE).await,
            answer => break answer?,
        }
    };
    let (status, body) = (answer.status(), answer.text().await?);
    ensure!(status == StatusCode::OK && body.contains(text), "{status}: {body}");
    Ok(())
}

/// Sends a request without a token, and follows the challenge to the metadata.
async fn refused(url: &str, issuer: &str) -> anyhow::Result<()> {
    let request = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#;
    let answer = reqwest::Client::new()
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(request)
        .send()
        .await?;
    ensure!(answer.status() == StatusCode::UNAUTHORIZED, "answered with {}", answer.status());
    let challenge = BearerChallenge::from_headers(answer.headers()).context("no challenge")?;
    let at = challenge.resource_metadata.context("the challenge names no metadata")?;
    let document = reqwest::get(at.as_str()).await?;
    ensure!(document.status() == StatusCode::OK, "{at} answers {}", document.status());
    let metadata: ProtectedResourceMetadata = serde_json::from_slice(&document.bytes().await?)?;
    ensure!(metadata.resource.as_str() == url, "{at} is of {}", metadata.resource);
    let issuers: Vec<_> = metadata.authorization_servers.iter().map(Issuer::as_str).collect();
    ensure!(issuers == [issuer], "{at} names {issuers:?}");
    Ok(())
}

/// Calls tools through rmcp, by a client that logs in if it is told to.
async fn call(url: &str, visits: usize, calls: &[&str]) -> anyhow::Result<()> {
    let user = User::new()?;
    let seen = Arc::clone(&user.visits);
    let config = ClientConfig::new("Guides", user.redirect_uri.clone());
    let client = AuthorizedClient::builder(url, config).user(user).build()?;
    let transport = StreamableHttpClientTransport::with_client(
        McpTransport::new(client),
        StreamableHttpClientTransportConfig::with_uri(url),
    );
    let mcp = ().serve(transport).await?;
    let (calls, rest) = calls.as_chunks();
    ensure!(!calls.is_empty() && rest.is_empty(), "each call is a tool, arguments and a text");
    for [tool, arguments, text] in calls {
        let mut request = CallToolRequestParams::new((*tool).to_owned());
        request.arguments = Some(serde_json::from_str(arguments)?);
        let answer = mcp.call_tool(request).await?;
        ensure!(answer.is_error != Some(true), "{tool} fails: {answer:?}");
        let answer = serde_json::to_string(&answer.content)?;
        ensure!(answer.contains(text), "{tool} answers {answer}");
    }
    let seen = seen.load(Ordering::SeqCst);
    ensure!(seen == visits, "{seen} visit(s) of the browser instead of {visits}");
    mcp.cancel().await?;
    Ok(())
}

/// Presses "Allow" on the consent page.
struct User {
    http: reqwest::Client,
    redirect_uri: RedirectUri,
    visits: Arc<AtomicUsize>,
}

impl User {
    fn new() -> anyhow::Result<Self> {
        let none = reqwest::redirect::Policy::none();
        Ok(Self {
            http: reqwest::Client::builder().redirect(none).build()?,
            // Without a listener, because the redirect is read instead of followed.
            redirect_uri: RedirectUri::parse("http://127.0.0.1/callback")?,
            visits: Arc::default(),
        })
    }

    async fn allow(&self, url: &str) -> anyhow::Result<String> {
        let page = self.http.get(url).send().await?;
        let base = page.url().clone();
        let cookie = page.headers().get(SET_COOKIE).context("no cookie")?.to_str()?.to_owned();
        let html = page.text().await?;
        let between = |before| html.split_once(before).and_then(|(_, rest)| rest.split('"').next());
        let transaction = between("name=\"transaction\" value=\"").context("no consent page")?;
        let mut form = FormWriter::new();
        form.append("transaction", transaction).append("decision", "allow");
        let answer = self
            .http
            .post(base.join(between("action=\"").context("no form")?)?)
            .header(COOKIE, cookie.split(';').next().unwrap_or_default())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await?;
        Ok(answer.headers().get(LOCATION).context("no redirect")?.to_str()?.to_owned())
    }
}

impl UserAgent for User {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            self.visits.fetch_add(1, Ordering::SeqCst);
            self.allow(visit.url()).await.map_err(|error| {
                eprintln!("the visit failed: {error:#}");
                VisitError::NoBrowser
            })
        })
    }
}
