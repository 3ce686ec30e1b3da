//! `cargo xtask interleavings`: tests/interleavings, which runs what renews tokens in every order, and the long run of the
//! model of renewals.

use xshell::cmd;

use crate::workspace::{Error, Workspace};

const MANIFEST: &str = "tests/interleavings/Cargo.toml";

/// The test of the model of renewals that takes minutes.
pub(crate) const MORE_SCHEDULES: &str = "many_more_schedules";

/// All of it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&["--lib"], &["--ignored", MORE_SCHEDULES])?;
    test(workspace, &["--include-ignored"])
}

/// What takes about a minute.
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
