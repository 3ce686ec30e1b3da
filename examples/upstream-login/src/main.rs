//! Authorization server whose users log in at an upstream provider, where it is the only client.
//!
//! The user consents to each client here first, so a client cannot profit from the consent that the provider remembers.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the print is the example")]

mod login;
mod provider;
mod sessions;
#[cfg(test)]
mod tests;
mod visit;

use std::net::Ipv4Addr;
use std::sync::Arc;

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use mcp_authz_axum::{AuthorizationServer, ConnectionLimits, serve, shutdown_signal};
use oauth_types::{Issuer, ResourceUri, ScopeSet};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::login::{ProviderLogin, random};
use crate::provider::FakeProvider;

const MCP: &str = "https://mcp.example/mcp";

/// Both servers, which run until they are stopped or dropped.
struct Servers {
    issuer: Issuer,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests look into it"))]
    store: Arc<MemoryStore>,
    provider: Arc<FakeProvider>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests look into it"))]
    login: ProviderLogin,
    stop: watch::Sender<()>,
    running: JoinSet<()>,
}

impl Servers {
    async fn start(ports: (u16, u16)) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.0)).await?;
        let provider_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.1)).await?;
        let issuer = Issuer::parse(&format!("http://{}", listener.local_addr()?))?;
        let provider = FakeProvider::new(provider_listener.local_addr()?, &issuer);

        let login = ProviderLogin::new(provider.registration()?, &random()?)?;
        let keys = ServerKeys::new(ServerKey::new(1, random()?));
        let (resources, scopes) = (vec![ResourceUri::parse(MCP)?], ScopeSet::parse("files:read")?);
        let config = Config::new(issuer.clone(), resources, scopes, keys)?;
        let store = Arc::new(MemoryStore::default());
        let router = AuthorizationServer::new(config, Arc::clone(&store), login.clone())
            .describe("files:read", "See your files")
            .with_login_routes(login.router())
            .router();

        let (mut running, (stop, stopped)) = (JoinSet::new(), watch::channel(()));
        for (listener, router) in [(listener, router), (provider_listener, provider.router())] {
            let mut stopped = stopped.clone();
            // Ends when the sender is dropped too.
            let stop = async move { drop(stopped.changed().await) };
            running.spawn(serve(listener, router, ConnectionLimits::default(), stop));
        }
        Ok(Self { issuer, store, provider, login, stop, running })
    }

    /// Accepts no more connections and completes the open requests.
    async fn stop(self) {
        drop(self.stop);
        self.running.join_all().await;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let servers = Servers::start((8001, 8002)).await?;
    println!("authorization server: {}", servers.issuer);
    println!("provider:             {}", servers.provider.registration()?.issuer);
    println!(
        "In a browser, log in at the provider with a cookie `provider=<name>`. Ctrl-C stops both."
    );
    shutdown_signal().await;
    servers.stop().await;
    Ok(())
}
