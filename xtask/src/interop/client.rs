//! Clients of other SDKs, and rmcp's own, against the servers of `scoped-tools`.

use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;
use xshell::cmd;

use crate::examples;
use crate::workspace::{Error, Workspace, announce};

/// A program that is a client: its name, and how it is called; the address of the MCP server follows, then what is left.
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) program: Utf8PathBuf,
    pub(super) script: Option<Utf8PathBuf>,
    pub(super) more: &'static [&'static str],
}

/// So that a token dies while its client waits.
const SERVER: [&str; 2] = ["--token-seconds", "3"];

/// The longest that a client may take.
const SECONDS: &str = "120";

/// Has each client log in, step up and refresh, and says which could not.
pub(super) fn meet(workspace: &Workspace, clients: &[Client]) -> Result<Vec<String>, Error> {
    let (_servers, url) = examples::serve(workspace, &SERVER)?;
    call(workspace, clients, &url, "our servers")
}

/// Has each client do its part at this MCP server, and says which could not.
pub(super) fn call(
    workspace: &Workspace,
    clients: &[Client],
    url: &str,
    servers: &str,
) -> Result<Vec<String>, Error> {
    let sh = &workspace.sh;
    let mut findings = Vec::new();
    for Client { name, program, script, more } in clients {
        announce(&format!("{name} against {servers}"));
        let more = *more;
        let command = cmd!(sh, "timeout {SECONDS} {program} {script...} {url} {more...}");
        // What an SDK complains of is its own business, unless it fails.
        let output = Command::from(command.env("PYTHONDONTWRITEBYTECODE", "1")).output()?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            findings.push(format!("{name} against {servers}: {}", output.status));
        }
    }
    Ok(findings)
}
