//! The main job on one page: a protected MCP server, its authorization server, and a client that meets them
//! for the first time, logs a user in, calls a tool, is told that it needs more, and gets it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the print is the example")]

mod attack;
mod run;
mod serve;
mod servers;
mod storage;
mod story;
mod tools;
mod user;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::serve::Serve;

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
    Serve(Serve),
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
        Some(Command::Serve(serve)) => serve.run().await,
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
