//! Authorization-server mode of the conformance suite, with each client authentication method that the suite supports.
//!
//! The suite chooses the weakest method that the metadata lists, so the server offers one method at a time. It prints
//! the authorization URL and listens for the redirect; `scoped-tools answer` plays the user.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use cargo_metadata::camino::Utf8Path;
use serde_json::Value;
use xshell::{Shell, cmd};

use super::Suite;
use crate::process::Running;
use crate::workspace::{Error, Workspace};

/// Client authentication method of the server, and the path of its issuer.
const RUNS: &[(&str, &str)] = &[
    ("none", ""),
    ("client_secret_post", ""),
    ("client_secret_basic", ""),
    ("client_secret_basic", "/tenant/one"),
];

/// Client that `tests/examples/conformance_server.rs` registers.
const CLIENT_ID: &str = "conformance";
const CLIENT_SECRET: &str = "a secret: 100% / safe?";
const RESOURCE: &str = "https://mcp.example/mcp";

/// Checks that have to succeed in each run.
const CHECKS: [&str; 3] = [
    "authorization-server-metadata",
    "authorization-server-metadata-cimd",
    "authorization-code-grant",
];

/// Returns the number of passed runs, and a finding for each failed one.
pub(super) fn run(
    workspace: &Workspace,
    suite: &Suite,
    results: &Utf8Path,
) -> Result<(usize, Vec<String>), Error> {
    let mut findings = Vec::new();
    for (method, path) in RUNS {
        let output = results.join(format!("{method}{}", path.replace('/', "-")));
        if let Err(error) = check(workspace, suite, (method, path), &output) {
            findings.push(format!("authorization server, {method} at \"{path}\": {error}"));
        }
    }
    Ok((RUNS.len() - findings.len(), findings))
}

fn check(
    workspace: &Workspace,
    suite: &Suite,
    (method, path): (&str, &str),
    output: &Utf8Path,
) -> Result<(), Error> {
    let (sh, server) = (&workspace.sh, workspace.example("conformance_server"));
    let mut server = Running::start(cmd!(sh, "{server} {method} {path}").into())?;
    let issuer = server.wait_for("ISSUER ")?;

    let Suite { node, program } = suite;
    let secret = (method != "none").then_some(["--client-secret", CLIENT_SECRET]);
    let secret = secret.iter().flatten();
    // The port is free now and very likely still free when the suite opens it.
    #[expect(clippy::disallowed_methods, reason = "the suite does not say which port it chose")]
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string();
    let run = cmd!(
        sh,
        "{node} {program} authorization --url {issuer} --client-id {CLIENT_ID} {secret...}
         --resource {RESOURCE} --port {port} --output-dir {output}"
    );
    let mut run = Command::from(run);
    run.stderr(Stdio::inherit());
    let mut run = Running::start(run)?;
    let start = format!("{issuer}/authorize?");
    let page = format!("{start}{}", run.wait_for(&start)?);
    run.wait_for("Callback server started")?;
    let user = workspace.program("scoped-tools");
    cmd!(sh, "{user} answer {page}").quiet().ignore_stdout().run()?;
    let (said, status) = run.finish()?;
    if !status.success() {
        return Err(format!("the suite says {status}\n{said}").into());
    }
    judge(sh, output)
}

/// Judges a run by the recorded checks, because the suite exits with success after a skip.
fn judge(sh: &Shell, output: &Utf8Path) -> Result<(), Error> {
    let mut right = BTreeSet::new();
    for scenario in sh.read_dir(output)? {
        let checks: Vec<Value> =
            serde_json::from_str(&sh.read_file(scenario.join("checks.json"))?)?;
        for check in checks {
            let member = |name| check.get(name).and_then(Value::as_str).unwrap_or_default();
            let id = member("id");
            match member("status") {
                "SUCCESS" => drop(right.insert(id.to_owned())),
                "INFO" => {}
                status => return Err(format!("{id}: {status} {}", member("errorMessage")).into()),
            }
        }
    }
    match CHECKS.iter().find(|id| !right.contains(**id)) {
        Some(id) => Err(format!("{id} was not checked").into()),
        None => Ok(()),
    }
}
