//! Proxy that sends each request to the next of several servers, to show that any of them can answer it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells who runs it where it is")]

mod proxy;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Parser;
use mcp_authz_axum::{ConnectionLimits, serve, shutdown_signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Proxy that sends each request to the next of several servers on this machine
#[derive(Parser)]
#[command(name = "two-processes")]
struct Cli {
    /// Port to listen on and ports of the servers behind it, for example 8001=8011,8021
    #[arg(required = true)]
    fronts: Vec<Front>,
}

/// Port of the proxy with the ports of the servers behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Front {
    port: u16,
    servers: Vec<u16>,
}

impl FromStr for Front {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (port, servers) = text.split_once('=')?;
            let servers: Result<_, _> = servers.split(',').map(str::parse).collect();
            Some(Self { port: port.parse().ok()?, servers: servers.ok()? })
        };
        read().ok_or("ports look like 8001=8011,8021")
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().fronts).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C or SIGTERM.
async fn run(fronts: Vec<Front>) -> anyhow::Result<()> {
    let mut serving = JoinSet::new();
    for Front { port, servers } in fronts {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("port {port} is not free"))?;
        let router = proxy::before(servers);
        let deadlines = ConnectionLimits::default();
        serving.spawn(serve(listener, router, deadlines, shutdown_signal()));
    }
    println!("Every request goes to the next server. Ctrl-C stops.");
    serving.join_all().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_or_refused() {
        let front = Front { port: 8001, servers: vec![8011, 8021] };
        assert_eq!("8001=8011,8021".parse(), Ok(front));
        for bad in ["", "8001", "8001=", "=8011", "8001=8011,", "8001=x", "99999=1", "1=2=3"] {
            assert!(bad.parse::<Front>().is_err(), "{bad}");
        }
    }
}
