//! `cargo xtask interleavings`: tests/interleavings, which runs what renews tokens in every order.

use xshell::cmd;

use crate::workspace::{Error, Workspace};

const MANIFEST: &str = "tests/interleavings/Cargo.toml";

/// All of it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
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
