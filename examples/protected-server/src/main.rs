//! An MCP server that takes the tokens of an authorization server which somebody else runs. It verifies those that are
//! JWTs (RFC 9068) with the keys that the server publishes, or asks the server about each token (RFC 7662).

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
    ConnectionLimits, IntrospectionVerifier, JwtVerifier, Protect, TokenVerifier, metadata_routes,
    serve, shutdown_signal,
};
use oauth_types::{ClientId, Issuer, ResourceUri, Secret};
use resource_server::Resource;
use tokio::net::TcpListener;

/// Where the secret of `--introspect` is looked for.
const SECRET: &str = "PROTECTED_SERVER_SECRET";

/// An MCP server for the users of an authorization server that you name
#[derive(Parser)]
#[command(name = "protected-server")]
struct Cli {
    /// The authorization server, spelled as its own metadata spell it
    #[arg(long)]
    issuer: Issuer,
    /// Where to listen; in front of it belongs something that speaks TLS
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// The URL that clients reach this server by and that its tokens are for, if it is another than where it listens
    #[arg(long)]
    resource: Option<ResourceUri>,
    /// Ask the authorization server about each token, as this client; its secret stands in `PROTECTED_SERVER_SECRET`
    #[arg(long, value_name = "CLIENT_ID")]
    introspect: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Why a request was refused is told to the log alone.
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

/// From the environment: everybody on the machine sees the arguments of a program.
#[expect(clippy::disallowed_methods, reason = "a program reads its environment")]
fn secret() -> Option<Secret> {
    std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()).map(Secret::new)
}

/// The MCP server behind the layer, and beside it the document that tells clients where to log in.
fn router(resource: Resource, verifier: impl TokenVerifier) -> anyhow::Result<Router> {
    let scopes = tools::scopes()?;
    let resource = resource.with_scopes_listed(scopes.all());
    // Whatever path a proxy in front makes of the resource's.
    Ok(Router::new()
        .fallback_service(tools::service(&resource))
        .layer(Protect::new(resource.clone(), verifier, scopes))
        .merge(metadata_routes(&resource)))
}
