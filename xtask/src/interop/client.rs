//! Clients of other SDKs, and rmcp's own, against the servers of `scoped-tools`.

use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;
use xshell::cmd;

use crate::examples;
use crate::workspace::{Error, Workspace, announce};

/// Client program, called with the URL of the MCP server and then with `more`.
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) program: Utf8PathBuf,
    pub(super) script: Option<Utf8PathBuf>,
    pub(super) more: &'static [&'static str],
}

/// Server options: short-lived tokens, so that one expires while its client waits.
const SERVER: [&str; 2] = ["--token-seconds", "3"];

/// Maximum duration of a client, in seconds.
const SECONDS: &str = "120";

/// Makes each client log in, step up and refresh; returns a finding for each failure.
pub(super) fn meet(workspace: &Workspace, clients: &[Client]) -> Result<Vec<String>, Error> {
    let (_servers, url) = examples::serve(workspace, &SERVER)?;
    call(workspace, clients, &url, "our servers")
}

/// Runs each client against this MCP server; returns a finding for each failure.
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
        // Warnings of an SDK are shown only if it fails.
        let output = Command::from(command.env("PYTHONDONTWRITEBYTECODE", "1")).output()?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            findings.push(format!("{name} against {servers}: {}", output.status));
        }
    }
    Ok(findings)
}
