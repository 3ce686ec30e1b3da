//! Both servers for any MCP client, as one process or as one of several behind one issuer.

use std::path::PathBuf;
use std::time::Duration;

use authorization_server::Lifetimes;
use clap::Args;
use mcp_authz_axum::{ConnectionLimits, shutdown_signal};
use oauth_types::{Issuer, ResourceUri};

use crate::servers::{Places, Servers};
use crate::storage::StoreKind;

/// Options of `serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// Store of clients, grants and tokens: `memory`, `sqlite:PATH`, or `postgres://...`
    #[arg(long, default_value = "memory")]
    store: StoreKind,
    /// File of server keys, shared by all processes of an issuer; by default beside the SQLite database
    #[arg(long)]
    server_keys: Option<PathBuf>,
    /// Port of the MCP server on 127.0.0.1
    #[arg(long, default_value_t = 8000)]
    mcp_port: u16,
    /// Port of the authorization server on 127.0.0.1
    #[arg(long, default_value_t = 8001)]
    authorization_port: u16,
    /// Public URL of the MCP server behind a proxy on this machine
    #[arg(long, requires = "issuer")]
    mcp_url: Option<ResourceUri>,
    /// Public URL of the authorization server behind a proxy on this machine
    #[arg(long, requires = "mcp_url")]
    issuer: Option<Issuer>,
    /// Lifetime of an access token, in seconds
    #[arg(long, default_value_t = 600)]
    token_seconds: u64,
}

impl Serve {
    /// Runs both servers until Ctrl-C or SIGTERM.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (store, keys) = self.store.open(self.server_keys.as_deref()).await?;
        let access_token = Duration::from_secs(self.token_seconds);
        let lifetimes = Lifetimes::default().with_access_token(access_token);
        let places = Places {
            mcp_port: self.mcp_port,
            authorization_port: self.authorization_port,
            public: self.mcp_url.zip(self.issuer),
            stop: ConnectionLimits::default().stop,
        };
        let servers = Servers::start_on(store, keys, places, lifetimes, None).await?;
        println!("MCP server:           {}", servers.mcp_url);
        println!("authorization server: {}", servers.issuer);
        println!("Point any MCP client at the MCP server. Ctrl-C stops both.");
        shutdown_signal().await;
        servers.stop().await;
        Ok(())
    }
}
