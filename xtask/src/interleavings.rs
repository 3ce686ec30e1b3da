//! `cargo xtask interleavings`: token renewal in every interleaving of its tasks (tests/interleavings), and the long
//! test of the renewal model.

use xshell::cmd;

use crate::workspace::{Error, Workspace};

const MANIFEST: &str = "tests/interleavings/Cargo.toml";

/// Test of the renewal model that takes minutes.
pub(crate) const MORE_SCHEDULES: &str = "many_more_schedules";

/// Runs all tests, the ignored ones included.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--lib"], &["--ignored", MORE_SCHEDULES])?;
    test(workspace, &["--include-ignored"])
}

/// Runs the tests that take about a minute.
pub(crate) fn briefly(workspace: &Workspace) -> Result<(), Error> {
    test(workspace, &[])
}

fn test(workspace: &Workspace, which: &[&str]) -> Result<(), Error> {
    let sh = &workspace.sh;
    cmd!(sh, "cargo test --quiet --release --locked --manifest-path {MANIFEST} -- {which...}")
        .quiet()
        .run()?;
    Ok(())
}
