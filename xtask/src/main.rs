//! The workspace's own commands: what CI runs is what a developer runs before a commit.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to the terminal is this program's job"
)]

mod browser;
mod ci;
mod conformance;
mod deps;
mod examples;
mod fuzz;
mod interleavings;
mod interop;
mod load;
mod package;
mod process;
mod surface;
mod test;
mod tidy;
mod timing;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::{Error, Workspace};

/// The workspace's own commands
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What a real browser makes of the login, consent and error pages
    ///
    /// Headless Chromium meets `tests/examples/browser_server.rs`; axe-core looks for what keeps people out. Pictures of
    /// every page are left in target/browser. Needs Chromium, npm and its registry.
    Browser,
    /// Everything that needs a Rust toolchain and nothing else
    ///
    /// Formatting, Clippy package by package, tests, documentation, `deps`, `tidy`, the example's
    /// self-check, and the example clients against its servers. Run it before every commit.
    Test,
    /// `test`, then all that needs more than a Rust toolchain
    ///
    /// A tool that is missing fails the run; nothing is skipped in silence.
    Ci {
        /// Leave `test` out, because it has just passed
        #[arg(long)]
        after_test: bool,
    },
    /// The official MCP conformance suite against our client and our authorization server
    ///
    /// Every scenario about authorization on every wire, and the suite's authorization-server mode as a client of each
    /// method. It is installed into target/conformance in the version that tests/peers/conformance pins. Needs npm and
    /// its registry.
    Conformance {
        /// Only scenarios whose name contains this; `authorization-server` is the server's
        #[arg(long)]
        scenario: Option<String>,
    },
    /// The arrows between the crates, and what each core builds
    ///
    /// A crate may use only crates of lower layers. What a core pulls in is compared with
    /// xtask/closures.txt, and crates that know a runtime, a socket, a clock or a random source are
    /// refused in layers 0 to 2. The page of each core states how many crates it builds.
    Deps {
        /// Rewrite xtask/closures.txt and the numbers on the pages; refused crates stay refused
        #[arg(long)]
        bless: bool,
        /// Measure the first build of each core in an empty folder instead; needs a machine that does nothing else
        #[arg(long, conflicts_with = "bless")]
        build_times: bool,
    },
    /// Every fuzz target for a while
    ///
    /// Needs cargo-fuzz and a nightly toolchain. The seeds come from tests/vectors and tests/peers/documents.
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
    /// What renews tokens, in every order in which tasks can meet
    ///
    /// tests/interleavings. Takes minutes; `ci` leaves out what is ignored there, and samples it.
    Interleavings,
    /// The official SDKs read what we write, and we what they write; each logs in at the other
    ///
    /// Installs the TypeScript and Python SDKs and oidc-provider into target/interop, in the versions that
    /// tests/peers pins. Our client logs in, refreshes and steps up at the authorization server of each, and the
    /// clients of both lines of both SDKs, and of rmcp, at ours.
    /// Needs Node.js and Python, and their package registries.
    Interop,
    /// Packages all crates, and builds each from its package beside the packages of the others
    ///
    /// Fails on a package without licence, with a private key or with another file than source and pages, on a manifest
    /// that a registry would refuse or a reader would miss something in, and on a README whose `[dependencies]` are wrong.
    /// Builds most dependencies again: `ci` leaves it out, and the public workflow runs it beside `ci`.
    Package,
    /// The share of its rate that good traffic keeps while hostile traffic is on
    ///
    /// tests/load: idle connections, stalled bodies, sessions of one user, made-up documents. Fails below 90 %. Needs
    /// Linux, 16,000 descriptors, about five minutes, and a machine that does nothing else. The figures stand in
    /// crates/mcp-authz-axum/README.md.
    Load {
        /// Rounds of each case; medians are printed and judged
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Only cases whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
    /// The crates as other people's builds meet them
    ///
    /// Each feature alone (cargo-hack), the oldest Rust and the lowest versions that the manifests promise, and what is
    /// exported (cargo-public-api, listings in xtask/public-api; cargo-check-external-types, lists in the manifests).
    /// Builds most dependencies several times: `ci` leaves it out, and the public workflow runs it beside `ci`. Needs the
    /// tools and toolchains that .github/workflows/ci.yml pins.
    Surface {
        /// Only steps whose title contains this
        #[arg(long)]
        only: Option<String>,
        /// Rewrite the listings of exported names
        #[arg(long)]
        bless: bool,
    },
    /// File length, module heads, and the requirement and attack IDs
    ///
    /// An ID that is not yet proved must stand in tests/catalogue/requirements-open.tsv or
    /// tests/catalogue/attacks-open.tsv with the reason; one that is proved must not.
    Tidy {
        /// Take rows that are now proved out of the open lists; rows are only ever added by hand
        #[arg(long)]
        bless: bool,
        /// Name each open ID, what it has, and why it is open
        #[arg(long, short)]
        verbose: bool,
    },
    /// Whether the time of a decision tells a secret, or whether a client exists
    ///
    /// Three runs of tests/timing; what is found in each of them fails. Takes minutes, and a machine that does
    /// nothing else.
    Timing {
        /// Samples of each case and run
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
        samples: u64,
        /// Only cases whose name contains this
        #[arg(long)]
        case: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    let workspace = Workspace::load()?;
    match command {
        Command::Browser => browser::run(&workspace),
        Command::Test => test::run(&workspace),
        Command::Ci { after_test } => ci::run(&workspace, *after_test),
        Command::Conformance { scenario } => conformance::run(&workspace, scenario.as_deref()),
        Command::Deps { build_times: true, .. } => deps::build_times(&workspace),
        Command::Deps { bless, .. } => deps::run(&workspace, *bless),
        Command::Fuzz { seconds, target } => fuzz::run(&workspace, *seconds, target.as_deref()),
        Command::Interleavings => interleavings::run(&workspace),
        Command::Interop => interop::run(&workspace),
        Command::Package => package::run(&workspace),
        Command::Load { rounds, only } => load::run(&workspace, *rounds, only.as_deref()),
        Command::Surface { only, bless } => surface::run(&workspace, only.as_deref(), *bless),
        Command::Timing { samples, case } => timing::run(&workspace, *samples, case.as_deref()),
        Command::Tidy { bless, verbose } => tidy::run(&workspace, *bless, *verbose),
    }
}
