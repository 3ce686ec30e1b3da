//! Commands of the workspace, the same for CI and for a developer before a commit.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to the terminal is this program's job"
)]

mod browser;
mod ci;
mod conformance;
mod cost;
mod deps;
mod examples;
mod fuzz;
mod guides;
mod interleavings;
mod interop;
mod load;
mod outside;
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

/// Commands of this workspace
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the login, consent and error pages in a real browser
    ///
    /// Headless Chromium visits `tests/examples/browser_server.rs`; axe-core checks accessibility. MCP Inspector then
    /// logs in at the scoped-tools example. Pictures of every page are written to target/browser. Needs Chromium, npm
    /// and its registry.
    Browser,
    /// Run all checks that need only a Rust toolchain
    ///
    /// Formatting, Clippy for each package, tests, documentation, `deps`, `tidy`, the self-check of the scoped-tools
    /// example, and the example clients against its servers. Run it before every commit.
    Test,
    /// Run `test`, then the suites that need more than a Rust toolchain
    ///
    /// A missing tool fails the run. Only the fuzz targets are left out, with a message, if there is no nightly
    /// toolchain.
    Ci {
        /// Leave out `test`, for example because it has just passed
        #[arg(long)]
        after_test: bool,
    },
    /// Run the official MCP conformance suite against this client and server
    ///
    /// Every scenario about authorization in every protocol revision, and the suite's authorization-server mode with
    /// each client authentication method. The suite is installed into target/conformance in the version that
    /// tests/peers/conformance pins. Needs npm and its registry.
    Conformance {
        /// Only scenarios whose name contains this text; `authorization-server` selects the server mode
        #[arg(long)]
        scenario: Option<String>,
    },
    /// Count the instructions of the hot paths
    ///
    /// Runs each path of tests/cost under callgrind and fails if it takes more than 5 % above its figure in
    /// tests/cost/instructions.txt, or 20 % if another compiler made the figure. Needs valgrind. What else the machine
    /// does does not matter.
    Cost {
        /// Keep the figures of this run
        #[arg(long)]
        bless: bool,
    },
    /// Check the dependencies between the crates, and those of each core
    ///
    /// A crate may use only crates of lower layers. The dependencies of each core are compared with
    /// xtask/closures.txt. Crates with a runtime, a socket, a clock or a random source are refused in layers 0 to 2.
    /// The page of each core states the number of its dependencies.
    Deps {
        /// Rewrite xtask/closures.txt and the numbers on the pages; refused crates stay refused
        #[arg(long)]
        bless: bool,
        /// Measure the first build of each core in an empty folder instead; needs an idle machine
        #[arg(long, conflicts_with = "bless")]
        build_times: bool,
    },
    /// Run every fuzz target for some seconds
    ///
    /// Needs cargo-fuzz and a nightly toolchain. The seeds come from tests/vectors and tests/peers/documents.
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
    /// Protect the servers of tests/guides with their diffs, and log in at each
    ///
    /// Six unlike servers on rmcp, without authorization, and for each a diff of at most twelve changed lines. The
    /// servers are copied to target/guides and run as they are, then with their diffs: a request without a token is
    /// refused, a client logs in and calls a tool, other routes answer as before. Then a client logs in through nginx
    /// and through Caddy, configured as on the page `behind_a_proxy`. Needs both.
    Guides {
        /// Rewrite the two lock files of tests/guides
        #[arg(long)]
        bless: bool,
    },
    /// Run the token renewal in every interleaving of its tasks
    ///
    /// Runs tests/interleavings and the long test of the renewal model. Takes minutes; `ci` leaves out the ignored
    /// tests.
    Interleavings,
    /// Exchange documents and logins with the official SDKs
    ///
    /// Installs the TypeScript and Python SDKs and oidc-provider into target/interop, in the versions that
    /// tests/peers pins. This workspace's client logs in, refreshes and steps up at the authorization server of each.
    /// The clients of rmcp and of both major versions of each SDK do the same at this workspace's server. Needs
    /// Node.js and Python, and their package registries.
    Interop,
    /// Package all crates and build each from its package
    ///
    /// Each crate is built beside the packages of the others. Fails on a package without licence, with a private key or
    /// with a file that is neither source nor page; on a manifest that a registry would refuse or that lacks something
    /// for its readers; and on a README with wrong `[dependencies]`. Builds most dependencies again, so `ci` packs
    /// without building, and the public workflow runs the whole beside `ci`.
    Package,
    /// Measure the rate of good traffic under hostile traffic
    ///
    /// Runs tests/load: idle connections, stalled bodies, sessions of one user, made-up documents. Fails when good
    /// traffic keeps less than 90 % of its rate. Needs Linux, 16,000 descriptors, about five minutes, and an idle
    /// machine. The figures are in crates/mcp-authz-axum/README.md.
    Load {
        /// Rounds of each case; their medians are judged
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Only cases whose name contains this text
        #[arg(long)]
        only: Option<String>,
    },
    /// Test the programs of users in tests/outside, written from the public pages alone
    ///
    /// A workspace of its own, with one program for each row of the README's table. Each has at most 60 lines of code. The
    /// client and the server that the README shows are run against each other.
    Outside,
    /// Check features, Rust version, dependency versions and public items
    ///
    /// Each feature alone (cargo-hack), the oldest Rust and the lowest versions that the manifests promise, and the
    /// public items (cargo-public-api, listings in xtask/public-api; cargo-check-external-types, lists in the
    /// manifests). Builds most dependencies several times, so `ci` leaves it out and the public workflow runs it beside
    /// `ci`. Needs the tools and toolchains that .github/workflows/ci.yml pins.
    Surface {
        /// Only steps whose title contains this text
        #[arg(long)]
        only: Option<String>,
        /// Rewrite the listings of public items
        #[arg(long)]
        bless: bool,
    },
    /// Check file length, module heads, summaries, and the requirement and attack IDs
    ///
    /// An unproved ID has to be listed in tests/catalogue/requirements-open.tsv or tests/catalogue/attacks-open.tsv,
    /// with a reason; a proved one must not be listed.
    Tidy {
        /// Remove proved rows from the open lists and lower the shares of xtask/style.toml
        #[arg(long)]
        bless: bool,
        /// List each open ID with its missing proof and the reason, and each vague summary
        #[arg(long, short)]
        verbose: bool,
    },
    /// Check that decision times reveal neither secrets nor registered clients
    ///
    /// Runs tests/timing three times; a case fails if it exceeds its limit in each run. Takes minutes and needs an idle
    /// machine.
    Timing {
        /// Samples of each case and run
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
        samples: u64,
        /// Only cases whose name contains this text
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
        Command::Cost { bless } => cost::run(&workspace, *bless),
        Command::Deps { build_times: true, .. } => deps::build_times(&workspace),
        Command::Deps { bless, .. } => deps::run(&workspace, *bless),
        Command::Fuzz { seconds, target } => fuzz::run(&workspace, *seconds, target.as_deref()),
        Command::Guides { bless } => guides::run(&workspace, *bless),
        Command::Interleavings => interleavings::run(&workspace),
        Command::Interop => interop::run(&workspace),
        Command::Package => package::run(&workspace),
        Command::Load { rounds, only } => load::run(&workspace, *rounds, only.as_deref()),
        Command::Outside => outside::run(&workspace),
        Command::Surface { only, bless } => surface::run(&workspace, only.as_deref(), *bless),
        Command::Timing { samples, case } => timing::run(&workspace, *samples, case.as_deref()),
        Command::Tidy { bless, verbose } => tidy::run(&workspace, *bless, *verbose),
    }
}
