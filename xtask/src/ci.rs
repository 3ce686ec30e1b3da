//! `cargo xtask ci`: `test`, then the suites that need more than a Rust toolchain.

use xshell::cmd;

use crate::workspace::{Error, Step, Workspace, run_steps};
use crate::{
    browser, conformance, cost, examples, fuzz, guides, interleavings, interop, outside, package,
    test, timing,
};

/// Suites that need a tool, a browser, a database or another SDK.
///
/// Each fails if its tool is missing, and the error says how to install it.
const SUITES: &[Step] = &[
    ("cargo-deny: bans, licences, sources", deny),
    ("typos", typos),
    ("power cuts of a database", power_cuts),
    ("stores on PostgreSQL", postgres),
    ("servers that are killed, crashed under, and doubled", processes),
    ("two processes behind one issuer", examples::two_processes),
    ("every call to a store fails", faults),
    ("programs of users, from the pages alone", outside::run),
    ("servers protected by the diffs of a guide", |workspace| guides::run(workspace, false)),
    ("packages, without building them", package::unbuilt),
    ("interop with the official SDKs", interop::run),
    ("official conformance suite", |workspace| conformance::run(workspace, None)),
    ("pages in a browser", browser::run),
    ("what reading costs", doubling),
    ("instructions of the hot paths", |workspace| cost::run(workspace, false)),
    ("fuzz targets, briefly", fuzz),
    ("interleavings, briefly", interleavings::briefly),
    ("timing harness builds", timing::build),
];

/// Power-cut tests in the target `store` of SQLite.
///
/// PostgreSQL's test target has the same name, so each suite filters by this prefix.
const POWER: &str = "power::";

/// Seconds for each fuzz target; `cargo xtask fuzz` runs longer by default.
const FUZZ_SECONDS: u64 = 5;

pub(crate) fn run(workspace: &Workspace, after_test: bool) -> Result<(), Error> {
    if !after_test {
        test::run(workspace)?;
    }
    run_steps(workspace, SUITES)
}

/// Checks bans, licences and sources of all dependencies.
///
/// Advisories are checked elsewhere (see `deny.toml`), because their database needs a network.
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

/// Checks the spelling; `.typos.toml` excludes recorded documents.
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

/// Checks a database after each of 1,000 power cuts.
fn power_cuts(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "strace -V").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("strace is missing: it writes down what a process does to its disk".into());
    }
    workspace.test(&["--test", "store"], &["--ignored", "--nocapture", POWER])
}

/// Runs the tests that start a PostgreSQL server and fail if it is not installed.
fn postgres(workspace: &Workspace) -> Result<(), Error> {
    let skipped = ["--ignored", "--skip", POWER, "--skip", interleavings::MORE_SCHEDULES];
    workspace.test(&["--lib", "--test", "store"], &skipped)
}

/// Runs clients against servers that are killed, lose their database, or are two.
///
/// `test` has a short form with ten kills.
fn processes(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--test", "processes"], &["--ignored", "--nocapture", "--test-threads=1"])
}

/// Runs the slow cases in which calls to the store fail; `test` runs the fast ones.
fn faults(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--test", "store_faults"], &["--ignored"])
}

/// Counts the instructions of parsing untrusted input; `test` counts the memory.
fn doubling(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("valgrind is missing: it counts the instructions of a parser".into());
    }
    workspace.test(&["--test", "doubling"], &["--ignored"])
}

/// Runs the fuzz targets briefly; without a nightly toolchain it prints that it did not.
fn fuzz(workspace: &Workspace) -> Result<(), Error> {
    if !fuzz::has_nightly(&workspace.sh) {
        println!("no nightly toolchain here: the fuzz targets were NOT run");
        return Ok(());
    }
    fuzz::run(workspace, FUZZ_SECONDS, None)
}
