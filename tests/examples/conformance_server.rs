//! Our authorization server for the official conformance suite, which plays a client that is registered already.
//!
//! `conformance_server METHOD [PATH]` takes clients that authenticate by METHOD and no others. Its issuer ends in
//! PATH. It prints `ISSUER <url>` and runs until it is killed.

#![expect(clippy::print_stdout, reason = "it says where it is")]
#![expect(clippy::disallowed_methods, reason = "a program reads its arguments and the clock")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use authorization_server::{ClientRecord, Config, MemoryStore, ServerKey, ServerKeys, Store as _};
use client_auth::ClientAuthRecord;
use mcp_authz_axum::{AuthorizationServer, DemoLogin};
use oauth_types::{
    AuthMethod, ClientId, Entropy, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret, UnixTime,
};
use tokio::net::TcpListener;

const CLIENT_ID: &str = "conformance";
const CLIENT_SECRET: &str = "a secret: 100% / safe?";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().context("usage: conformance_server METHOD [PATH]")?;
    let method = AuthMethod::parse(&method);
    let path = arguments.next().unwrap_or_default();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let issuer = Issuer::parse(&format!("http://{}{path}", listener.local_addr()?))?;
    let resource = ResourceUri::parse("https://mcp.example/mcp")?;
    // It runs for seconds, on this machine only.
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let config = Config::new(issuer.clone(), vec![resource], ScopeSet::parse("mcp")?, keys)?
        .with_auth_methods(vec![method.clone()])?;

    let authentication = match method {
        AuthMethod::None => ClientAuthRecord::public(),
        method => ClientAuthRecord::new(method).with_secret(Secret::new(CLIENT_SECRET).digest()),
    };
    // The suite listens on a port that it is given, which plays no part in loopback redirects.
    let callback = RedirectUri::parse("http://127.0.0.1/callback")?;
    let id = ClientId::parse(CLIENT_ID)?;
    let now = UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let client = ClientRecord::pre_registered(&config, id, authentication, vec![callback], now)?;
    let store = Arc::new(MemoryStore::default());
    store.create_client(client, now).await?;

    println!("ISSUER {issuer}");
    axum::serve(listener, AuthorizationServer::new(config, store, DemoLogin).router()).await?;
    Ok(())
}
