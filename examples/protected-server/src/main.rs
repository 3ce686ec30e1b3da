//! MCP server that accepts the tokens of an external issuer.
//!
//! It verifies JWT access tokens (RFC 9068) with the keys that the authorization server publishes, or introspects each
//! token there (RFC 7662).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells who runs it where it is")]

#[cfg(test)]
mod tests;
mod tools;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use axum::Router;
use clap::Parser;
use mcp_authz_axum::{
    ConnectionLimits, IntrospectionVerifier, JwtVerifier, ProtectLayer, TokenVerifier,
    metadata_routes, serve, shutdown_signal,
};
use oauth_types::{ClientId, Issuer, ResourceUri, Secret};
use resource_server::Resource;
use tokio::net::TcpListener;

/// Environment variable of the client secret for `--introspect`.
const SECRET: &str = "PROTECTED_SERVER_SECRET";

/// MCP server for the users of an external authorization server
#[derive(Parser)]
#[command(name = "protected-server")]
struct Cli {
    /// Issuer identifier of the authorization server, exactly as in its metadata
    #[arg(long)]
    issuer: Issuer,
    /// Address to listen on, without TLS: put a TLS proxy in front of it
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Public URL of this server, which is the audience of its tokens, if it differs from the address
    #[arg(long)]
    resource: Option<ResourceUri>,
    /// Introspect each token as this client, with the secret in `PROTECTED_SERVER_SECRET`
    #[arg(long, value_name = "CLIENT_ID")]
    introspect: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Only the log has the reason of a refusal.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Cli::parse(), secret()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    Cli { issuer, listen, resource, introspect }: Cli,
    secret: Option<Secret>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| format!("cannot listen at {listen}"))?;
    let at = listener.local_addr()?;
    let uri = match resource {
        Some(uri) => uri,
        None => {
            ensure!(at.ip().is_loopback(), "by which URL do clients reach {at}? Add --resource");
            ResourceUri::parse(&format!("http://{at}/mcp"))?
        }
    };
    let resource = Resource::new(uri.clone(), vec![issuer.clone()])?;
    let router = match introspect {
        Some(client_id) => {
            let client_id = ClientId::parse(&client_id).context("what --introspect names")?;
            let secret =
                secret.with_context(|| format!("--introspect needs the secret in {SECRET}"))?;
            let verifier = IntrospectionVerifier::new(issuer.clone(), client_id, secret)?;
            router(resource, verifier)?
        }
        None => router(resource, JwtVerifier::new(issuer.clone())?)?,
    };
    println!("MCP server:           {uri}");
    println!("authorization server: {issuer}");
    println!("Point any MCP client at the MCP server. Ctrl-C stops it.");
    serve(listener, router, ConnectionLimits::default(), shutdown_signal()).await;
    Ok(())
}

/// Reads the secret from the environment, because all users of the machine see arguments.
#[expect(clippy::disallowed_methods, reason = "a program reads its environment")]
fn secret() -> Option<Secret> {
    std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()).map(Secret::new)
}

/// Returns the routes: the MCP server behind the layer, and the metadata (RFC 9728).
fn router(resource: Resource, verifier: impl TokenVerifier) -> anyhow::Result<Router> {
    let scopes = tools::scopes()?;
    let resource = resource.with_scopes_listed(scopes.all());
    // As a fallback, because a proxy may change the path of the resource.
    Ok(Router::new()
        .fallback_service(tools::service(&resource))
        .layer(ProtectLayer::new(resource.clone(), verifier, scopes))
        .merge(metadata_routes(&resource)))
}
