//! `cargo xtask ci`: `test`, then the suites that need more than a Rust toolchain.

use xshell::cmd;

use crate::workspace::{Error, Step, Workspace, run_steps};
use crate::{browser, conformance, examples, fuzz, interleavings, interop, test, timing};

/// A suite that needs a tool, a browser, a database or another SDK gets its line here. Each fails
/// when what it needs is absent, and says how to get it.
const SUITES: &[Step] = &[
    ("cargo-deny: bans, licences, sources", deny),
    ("typos", typos),
    ("power cuts of a database", power_cuts),
    ("stores on PostgreSQL", postgres),
    ("servers that are killed, crashed under, and doubled", processes),
    ("two processes behind one issuer", examples::two_processes),
    ("every call to a store fails", faults),
    ("interop with the official SDKs", interop::run),
    ("official conformance suite", |workspace| conformance::run(workspace, None)),
    ("pages in a browser", browser::run),
    ("what reading costs", doubling),
    ("fuzz targets, briefly", fuzz),
    ("interleavings, briefly", interleavings::briefly),
    ("timing harness builds", timing::build),
];

/// The tests of SQLite's target `store` that cut the power. PostgreSQL's target has the same name.
const POWER: &str = "power::";

/// How long each fuzz target runs here; `cargo xtask fuzz` takes longer.
const FUZZ_SECONDS: u64 = 5;

pub(crate) fn run(workspace: &Workspace, after_test: bool) -> Result<(), Error> {
    if !after_test {
        test::run(workspace)?;
    }
    run_steps(workspace, SUITES)
}

/// The advisory database needs a network that not every machine has: `deny.toml` says who checks it.
fn deny(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "cargo deny --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("cargo-deny is missing: `cargo install --locked cargo-deny`, \
                    or `.ci/run`, which installs the pinned version"
            .into());
    }
    cmd!(sh, "cargo deny --locked --all-features check bans licenses sources").quiet().run()?;
    Ok(())
}

/// Checks the spelling of everything that is not recorded from elsewhere; `.typos.toml` has the exceptions.
fn typos(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "typos --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("typos is missing: `pip install typos`, `cargo install --locked typos-cli`, \
                    or `.ci/run`, which installs the pinned version"
            .into());
    }
    cmd!(sh, "typos").quiet().run()?;
    Ok(())
}

/// What is left of a database at any instant: 1,000 cuts of its disk.
fn power_cuts(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "strace -V").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("strace is missing: it writes down what a process does to its disk".into());
    }
    workspace.test(&["--test", "store"], &["--ignored", "--nocapture", POWER])
}

/// Whatever starts a PostgreSQL of its own; it says so where there is none.
fn postgres(workspace: &Workspace) -> Result<(), Error> {
    let skipped = ["--ignored", "--skip", POWER, "--skip", interleavings::MORE_SCHEDULES];
    workspace.test(&["--lib", "--test", "store"], &skipped)
}

/// What clients find of servers that were killed, whose database crashed, or that are two. `test` kills one ten times.
fn processes(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--test", "processes"], &["--ignored", "--nocapture", "--test-threads=1"])
}

/// What servers answer while their store fails, and what is left then; `test` tells half of it.
fn faults(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--test", "store_faults"], &["--ignored"])
}

/// How many instructions it takes to read what strangers send; `test` counts the memory.
fn doubling(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("valgrind is missing: it counts the instructions of a parser".into());
    }
    workspace.test(&["--test", "doubling"], &["--ignored"])
}

/// A toolchain that fuzzes is not on every machine that builds: where there is none, this says so.
fn fuzz(workspace: &Workspace) -> Result<(), Error> {
    if !fuzz::has_nightly(&workspace.sh) {
        println!("no nightly toolchain here: the fuzz targets were NOT run");
        return Ok(());
    }
    fuzz::run(workspace, FUZZ_SECONDS, None)
}
