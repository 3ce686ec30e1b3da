//! A foreign authorization server in a process of its own, and our client against it.

use std::fs::File;
use std::process::Command;

use cargo_metadata::camino::Utf8Path;
use xshell::{Shell, cmd};

use crate::process::Running;
use crate::workspace::{Error, Workspace};

/// Has our client log in, refresh and step up at the peer that `program` makes of `script`.
pub(super) fn meet(
    workspace: &Workspace,
    name: &str,
    program: &str,
    script: &Utf8Path,
) -> Result<(), Error> {
    let sh = &workspace.sh;
    let log = workspace.target.join(format!("interop/{name}-peer.log"));
    let outcome = start(sh, program, script, &log).and_then(|(_peer, url)| {
        cmd!(sh, "cargo run --quiet --locked -p tests --example interop_client -- {url}")
            .quiet()
            .run()?;
        Ok(())
    });
    if outcome.is_err() {
        println!("log of {script}:\n{}", sh.read_file(&log)?);
    }
    outcome
}

/// Starts a peer and waits until it says where its MCP server is.
fn start(
    sh: &Shell,
    program: &str,
    script: &Utf8Path,
    log: &Utf8Path,
) -> Result<(Running, String), Error> {
    #[expect(clippy::disallowed_methods, reason = "the tool writes the log")]
    let log = File::create(log)?;
    let mut command = Command::from(cmd!(sh, "{program} {script}"));
    command.stderr(log);
    let mut peer = Running::start(command)?;
    let url = peer.wait_for("MCP ")?;
    Ok((peer, url))
}
