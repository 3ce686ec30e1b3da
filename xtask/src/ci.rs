//! `cargo xtask ci`: `test`, then the suites that need more than a Rust toolchain.

use xshell::cmd;

use crate::workspace::{Error, Step, Workspace, run_steps};
use crate::{interop, test};

/// A suite that needs a tool, a browser, a database or another SDK gets its line here. Each fails
/// when what it needs is absent, and says how to get it.
const SUITES: &[Step] = &[
    ("cargo-deny: bans, licences, sources", deny),
    ("interop with the official SDKs", interop::run),
];

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
