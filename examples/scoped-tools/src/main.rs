//! The main job on one page: a protected MCP server, its authorization server, and a client that meets them
//! for the first time, logs a user in, calls a tool, is told that it needs more, and gets it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the print is the example")]

mod attack;
mod run;
mod servers;
mod storage;
mod story;
mod tools;
mod user;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::storage::StoreKind;

/// A protected MCP server, its authorization server, and a client that meets them
#[derive(Parser)]
#[command(name = "scoped-tools")]
struct Cli {
    /// Let your own browser log in instead of a scripted user
    #[arg(long)]
    browser: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Play an attack and show that it fails
    Attack {
        #[command(subcommand)]
        attack: Attack,
    },
    /// Keep both servers running, for any MCP client
    Serve {
        /// Where clients, grants and tokens are kept: `memory`, or `sqlite:PATH`
        #[arg(long, default_value = "memory")]
        store: StoreKind,
        /// Port of the MCP server on 127.0.0.1
        #[arg(long, default_value_t = 8000)]
        mcp_port: u16,
        /// Port of the authorization server on 127.0.0.1
        #[arg(long, default_value_t = 8001)]
        authorization_port: u16,
        /// How long an access token lives, in seconds
        #[arg(long, default_value_t = 600)]
        token_seconds: u64,
    },
    /// Answer a consent page as its user would, without a browser
    Answer {
        /// The address that a client asks its user to open
        url: String,
        /// Press "Deny" instead of "Allow"
        #[arg(long)]
        deny: bool,
    },
}

#[derive(Subcommand)]
enum Attack {
    /// A callback that another authorization server made
    MixUp,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => run::run(cli.browser).await,
        Some(Command::Attack { attack: Attack::MixUp }) => attack::mix_up().await,
        Some(Command::Serve { store, mcp_port, authorization_port, token_seconds }) => {
            servers::serve(store, mcp_port, authorization_port, token_seconds).await
        }
        Some(Command::Answer { url, deny }) => user::answer(&url, deny).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
