//! MCP server and authorization server, each on its own loopback port.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use authorization_server::{Config, DynStore, Lifetimes, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::middleware::from_fn;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
};
use oauth_types::{Entropy, Issuer, ResourceUri};
use resource_server::Resource;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::tools::{self, Files};
use crate::wire::{self, Tap};

/// Both running servers.
pub(crate) struct Servers {
    pub(crate) mcp_url: String,
    pub(crate) issuer: Issuer,
    pub(crate) mcp: Running,
    pub(crate) authorization: Running,
}

/// Ports of the two servers on 127.0.0.1; port 0 means any free one.
#[derive(Clone, Default, Debug)]
pub(crate) struct Places {
    pub(crate) mcp_port: u16,
    pub(crate) authorization_port: u16,
    /// Public URL and issuer, if the servers are behind a proxy on this machine.
    pub(crate) public: Option<(ResourceUri, Issuer)>,
    /// Time to complete open requests when the servers stop.
    pub(crate) stop: Duration,
}

/// One running server.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(listener: TcpListener, router: Router, stop_within: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let deadlines = ConnectionLimits::default().with_stop(stop_within);
            mcp_authz_axum::serve(listener, router, deadlines, async { drop(stopped.await) }).await;
        });
        Self { stop, task }
    }

    /// Stops accepting connections.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

impl Servers {
    /// Starts both on free ports, with a store in memory.
    pub(crate) async fn start(tap: Option<Tap>) -> anyhow::Result<Self> {
        let store = DynStore::new(MemoryStore::default());
        Self::start_on(store, new_keys()?, Places::default(), Lifetimes::default(), tap).await
    }

    /// Starts both with the given store.
    pub(crate) async fn start_on(
        store: DynStore,
        keys: ServerKeys,
        places: Places,
        lifetimes: Lifetimes,
        tap: Option<Tap>,
    ) -> anyhow::Result<Self> {
        let (mcp_listener, mcp_at) = bind(places.mcp_port).await?;
        let (authorization_listener, authorization_at) = bind(places.authorization_port).await?;
        let is_behind_proxy = places.public.is_some();
        let (uri, issuer) = match places.public {
            Some(public) => public,
            None => (
                ResourceUri::parse(&format!("http://{mcp_at}/mcp"))?,
                Issuer::parse(&format!("http://{authorization_at}"))?,
            ),
        };
        let mcp_url = uri.as_str().to_owned();
        let scopes = tools::scopes()?;

        // The authorization server.
        let config = Config::new(issuer.clone(), vec![uri.clone()], scopes.all().clone(), keys)?
            // The base scope, for clients that never name a scope.
            .with_default_scope(scopes.base().clone())?
            .with_lifetimes(lifetimes)?;
        let authorization = AuthorizationServer::new(config, store.clone(), DemoLogin)
            .describe("files:read", "See your files")
            .describe("files:write", "Create and change your files")
            .with_trusted_proxies(move |address| is_behind_proxy && address.is_loopback())
            .router();

        // The MCP server, behind the layer.
        let resource = Resource::new(uri, vec![issuer.clone()])?.with_scopes_listed(scopes.all());
        let verifier = StoreVerifier::new(store, issuer.clone());
        let mcp = Router::new()
            .nest_service("/mcp", tools::service(&resource, Files::with_readme()))
            .layer(ProtectLayer::new(resource.clone(), verifier, scopes))
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
            mcp: Running::start(mcp_listener, tapped(mcp), places.stop),
            authorization: Running::start(
                authorization_listener,
                tapped(authorization),
                places.stop,
            ),
        })
    }

    /// Stops both.
    pub(crate) async fn stop(self) {
        tokio::join!(self.mcp.stop(), self.authorization.stop());
    }
}

async fn bind(port: u16) -> anyhow::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| format!("port {port} of 127.0.0.1 is not free"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Draws server keys that exist only in this process.
#[expect(clippy::disallowed_methods, reason = "the demo draws its own key")]
pub(crate) fn new_keys() -> anyhow::Result<ServerKeys> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(ServerKeys::new(ServerKey::new(1, Entropy::new(bytes))))
}
