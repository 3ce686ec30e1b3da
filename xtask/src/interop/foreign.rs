//! Clients against `protected-server` with the tokens of an external issuer.

use cargo_metadata::camino::Utf8Path;
use xshell::cmd;

use crate::interop::client::{self, Client};
use crate::interop::peer;
use crate::workspace::{Error, Workspace};

/// Token formats of the issuer, each with the options of `protected-server`.
const FORMATS: [(&str, &[&str]); 2] =
    [("jwt", &[]), ("opaque", &["--introspect", "resource-server"])];

/// Makes each client log in at the peer `script`, call a tool and step up.
pub(super) fn meet(
    workspace: &Workspace,
    script: &Utf8Path,
    clients: &[Client],
) -> Result<Vec<String>, Error> {
    let sh = &workspace.sh;
    let _secret = sh.push_env("PROTECTED_SERVER_SECRET", "not-a-secret");
    let mut findings = Vec::new();
    for (format, more) in FORMATS {
        let logs = ["issuer", "protected-server"]
            .map(|name| workspace.target.join(format!("interop/{name}-{format}.log")));
        let command = cmd!(sh, "node {script} {format}");
        let (_peer, issuer) = peer::start(command.into(), &logs[0], "ISSUER ")?;
        let server = workspace.program("protected-server");
        let command =
            cmd!(sh, "{server}").args(["--issuer", &issuer, "--listen", "127.0.0.1:0"]).args(more);
        let (_server, url) = peer::start(command.into(), &logs[1], "MCP server:")?;
        let found = client::call(workspace, clients, &url, &format!("a peer's {format} tokens"))?;
        for log in logs.iter().filter(|_| !found.is_empty()) {
            println!("{log}:\n{}", sh.read_file(log)?);
        }
        findings.extend(found);
    }
    Ok(findings)
}
