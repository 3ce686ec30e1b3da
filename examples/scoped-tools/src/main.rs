//! Complete example: a protected MCP server, its authorization server, and a client that discovers them.
//!
//! The client logs a user in, calls a tool, and steps up for a tool that needs a further scope.

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

/// Protected MCP server, its authorization server, and a client that logs in at them
#[derive(Parser)]
#[command(name = "scoped-tools")]
struct Cli {
    /// Log in with your own browser instead of the scripted user
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
    /// Run both servers for any MCP client
    Serve(Serve),
    /// Answer a consent page as its user would, without a browser
    Answer {
        /// URL that a client asks its user to open
        url: String,
        /// Press "Deny" instead of "Allow"
        #[arg(long)]
        deny: bool,
    },
}

#[derive(Subcommand)]
enum Attack {
    /// Callback with the response of another authorization server
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
