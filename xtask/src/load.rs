//! `cargo xtask load`: good traffic under hostile traffic, measured and judged by tests/load.

use xshell::cmd;

use crate::workspace::{Error, Workspace, announce};

/// Measures all cases, or those whose name contains `only`, in that many rounds.
pub(crate) fn run(workspace: &Workspace, rounds: u32, only: Option<&str>) -> Result<(), Error> {
    let rounds = rounds.to_string();
    let only = only.into_iter().flat_map(|only| ["--only", only]);
    announce("load");
    let sh = &workspace.sh;
    cmd!(sh, "cargo run --quiet --release --locked -p load -- --rounds {rounds} {only...}")
        .quiet()
        .run()
        .map_err(|_| {
            "good traffic kept less of its rate than it has to, or was not measured".into()
        })
}
