//! The two servers, each on its own loopback port.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use authorization_server::{Config, Lifetimes, MemoryStore, RefreshKey, RefreshKeys, Store};
use axum::Router;
use axum::middleware::from_fn;
use mcp_oauth_axum::{
    AuthorizationServer, ConnectionDeadlines, DemoLogin, Protect, StoreVerifier, metadata_routes,
};
use oauth_types::{Entropy, Issuer, ResourceUri};
use resource_server::Resource;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::storage::{self, StoreKind};
use crate::tools::{self, Files};
use crate::wire::{self, Tap};

/// Both servers, running.
pub(crate) struct Servers {
    pub(crate) mcp_url: String,
    pub(crate) issuer: Issuer,
    pub(crate) mcp: Running,
    pub(crate) authorization: Running,
}

/// One server, until it is stopped.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let deadlines = ConnectionDeadlines { stop: Duration::ZERO, ..Default::default() };
            mcp_oauth_axum::serve(listener, router, deadlines, async { drop(stopped.await) }).await;
        });
        Self { stop, task }
    }

    /// Stops taking connections.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

impl Servers {
    /// Starts both on 127.0.0.1; port 0 means any.
    pub(crate) async fn start(
        mcp_port: u16,
        authorization_port: u16,
        lifetimes: Lifetimes,
        tap: Option<Tap>,
    ) -> anyhow::Result<Self> {
        let keys = RefreshKeys::new(RefreshKey::new(1, &random()?));
        let store = Arc::new(MemoryStore::default());
        Self::start_on(store, keys, mcp_port, authorization_port, lifetimes, tap).await
    }

    /// The same on a store of one's own.
    pub(crate) async fn start_on(
        store: Arc<impl Store + 'static>,
        keys: RefreshKeys,
        mcp_port: u16,
        authorization_port: u16,
        lifetimes: Lifetimes,
        tap: Option<Tap>,
    ) -> anyhow::Result<Self> {
        let (mcp_listener, mcp_at) = bind(mcp_port).await?;
        let (authorization_listener, authorization_at) = bind(authorization_port).await?;
        let mcp_url = format!("http://{mcp_at}/mcp");
        let issuer = Issuer::parse(&format!("http://{authorization_at}"))?;
        let scopes = tools::scopes()?;
        let uri = ResourceUri::parse(&mcp_url)?;

        // The authorization server.
        let config = Config::new(issuer.clone(), vec![uri.clone()], scopes.all().clone(), keys)?
            .with_lifetimes(lifetimes)?;
        let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
            .describe("files:read", "See your files")
            .describe("files:write", "Create and change your files")
            .router();

        // The MCP server, behind the layer.
        let resource = Resource::new(uri, vec![issuer.clone()])?.with_scopes_listed(scopes.all());
        let verifier = StoreVerifier::new(store, issuer.clone());
        let mcp = Router::new()
            .nest_service("/mcp", tools::service(Files::with_readme()))
            .layer(Protect::new(resource.clone(), verifier, scopes))
            .merge(metadata_routes(&resource));

        let tapped = |router: Router| match tap.clone() {
            Some(tap) => {
                router.layer(from_fn(move |request, next| wire::listen(tap.clone(), request, next)))
            }
            None => router,
        };
        Ok(Self {
            mcp_url,
            issuer,
            mcp: Running::start(mcp_listener, tapped(mcp)),
            authorization: Running::start(authorization_listener, tapped(authorization)),
        })
    }

    /// Stops both.
    pub(crate) async fn stop(self) {
        self.mcp.stop().await;
        self.authorization.stop().await;
    }
}

async fn bind(port: u16) -> anyhow::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| format!("port {port} of 127.0.0.1 is not free"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[expect(clippy::disallowed_methods, reason = "the demo draws its own key")]
fn random() -> anyhow::Result<Entropy<32>> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy::new(bytes))
}

/// Keeps both servers running until Ctrl-C.
pub(crate) async fn serve(
    kind: StoreKind,
    mcp_port: u16,
    authorization_port: u16,
    token_seconds: u64,
) -> anyhow::Result<()> {
    let access_token = Duration::from_secs(token_seconds);
    let lifetimes = Lifetimes { access_token, ..Lifetimes::default() };
    let servers = match kind {
        StoreKind::Memory => Servers::start(mcp_port, authorization_port, lifetimes, None).await?,
        StoreKind::Sqlite(path) => {
            let (store, keys) = storage::open(&path)?;
            Servers::start_on(store, keys, mcp_port, authorization_port, lifetimes, None).await?
        }
    };
    println!("MCP server:           {}", servers.mcp_url);
    println!("authorization server: {}", servers.issuer);
    println!("Point any MCP client at the MCP server. Ctrl-C stops both.");
    tokio::signal::ctrl_c().await?;
    servers.stop().await;
    Ok(())
}
