//! An authorization server whose users log in at another server, where it is one client for all of its own. A client
//! that nobody here agreed to gets nothing out of what the provider remembers.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the print is the example")]

mod login;
mod provider;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::Arc;

use authorization_server::{Config, MemoryStore, RefreshKey, RefreshKeys};
use mcp_oauth_axum::{AuthorizationServer, ConnectionDeadlines, serve};
use oauth_types::{Issuer, ResourceUri, ScopeSet};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::login::{ProviderLogin, random};
use crate::provider::FakeProvider;

const MCP: &str = "https://mcp.example/mcp";

/// Both servers, until they are dropped.
struct Servers {
    issuer: Issuer,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests look into it"))]
    store: Arc<MemoryStore>,
    provider: Arc<FakeProvider>,
    _running: JoinSet<()>,
}

impl Servers {
    async fn start(ports: (u16, u16)) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.0)).await?;
        let provider_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.1)).await?;
        let issuer = Issuer::parse(&format!("http://{}", listener.local_addr()?))?;
        let provider = FakeProvider::new(provider_listener.local_addr()?, &issuer);

        let login = ProviderLogin::new(provider.registration()?)?;
        let keys = RefreshKeys::new(RefreshKey::new(1, &random()?));
        let (resources, scopes) = (vec![ResourceUri::parse(MCP)?], ScopeSet::parse("files:read")?);
        let config = Config::new(issuer.clone(), resources, scopes, keys)?;
        let store = Arc::new(MemoryStore::default());
        let router = AuthorizationServer::new(config, Arc::clone(&store), login.clone())
            .describe("files:read", "See your files")
            .router()
            .merge(login.router());

        let mut running = JoinSet::new();
        for (listener, router) in [(listener, router), (provider_listener, provider.router())] {
            let (deadlines, stop) = (ConnectionDeadlines::default(), core::future::pending());
            running.spawn(serve(listener, router, deadlines, stop));
        }
        Ok(Self { issuer, store, provider, _running: running })
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
    tokio::signal::ctrl_c().await?;
    Ok(())
}
