//! This workspace's client against the authorization server of a peer, which runs as a child process.

use std::fs::File;
use std::process::Command;

use cargo_metadata::camino::Utf8Path;
use xshell::cmd;

use crate::process::Running;
use crate::workspace::{Error, Workspace};

/// Makes this workspace's client log in, refresh and step up at a peer.
///
/// The peer is `script`, run by `program`.
pub(super) fn meet(
    workspace: &Workspace,
    name: &str,
    program: &str,
    script: &Utf8Path,
) -> Result<(), Error> {
    let sh = &workspace.sh;
    let log = workspace.target.join(format!("interop/{name}-peer.log"));
    let command = cmd!(sh, "{program} {script}");
    let outcome = start(command.into(), &log, "MCP ").and_then(|(_peer, url)| {
        let client = workspace.example("interop_client");
        Ok(cmd!(sh, "{client} {url}").quiet().run()?)
    });
    if outcome.is_err() {
        println!("log of {script}:\n{}", sh.read_file(&log)?);
    }
    outcome
}

/// Starts a peer; returns its URL, which it prints after `prefix`.
pub(super) fn start(
    mut command: Command,
    log: &Utf8Path,
    prefix: &str,
) -> Result<(Running, String), Error> {
    #[expect(clippy::disallowed_methods, reason = "the tool writes the log")]
    let log = File::create(log)?;
    command.stderr(log);
    let mut peer = Running::start(command)?;
    let url = peer.wait_for(prefix)?;
    Ok((peer, url))
}
