//! `cargo xtask deps`: crates use lower layers only; the dependencies of each core are listed, and its page states
//! their number.

mod build_times;
mod closure;
mod pages;

use cargo_metadata::DependencyKind;

pub(crate) use crate::deps::closure::{Features, closure as closure_of};
use crate::workspace::{Error, Workspace, none_of};

/// Layers of `crates/ARCHITECTURE.md`, from the vocabulary up to the façade.
const LAYERS: &[&[&str]] = &[
    &["oauth-types"],
    &["client-auth", "iss-validate", "scope-stepup"],
    &["client-flow", "authorization-server", "resource-server"],
    &["mcp-authz-keys", "mcp-authz-http"],
    &["mcp-authz-reqwest", "mcp-authz-axum", "mcp-authz-sqlite", "mcp-authz-postgres"],
    &["mcp-authz"],
];

/// First layer that may use a runtime; the layers below it are cores.
const ADAPTERS: usize = 3;

/// Packages outside of the layers that start servers for tests; only adapters may use them.
const TEST_TOOLS: &[&str] = &["cluster"];

/// Package that the unit tests of every crate may use; it depends on nothing.
const ERROR_TABLE: &str = "error-table";

pub(crate) fn run(workspace: &Workspace, bless: bool) -> Result<(), Error> {
    none_of(&arrows(workspace))?;
    let cores = cores(workspace);
    closure::check(&workspace.sh, &cores, bless)?;
    pages::check(workspace, &cores, bless)?;
    println!(
        "deps: {} crates in {} layers, arrows point down; {} cores build what is listed",
        workspace.crates().count(),
        LAYERS.len(),
        cores.len()
    );
    Ok(())
}

/// Prints how long the first build of each core takes on this machine.
pub(crate) fn build_times(workspace: &Workspace) -> Result<(), Error> {
    build_times::measure(workspace, &cores(workspace))
}

/// From the lowest layer up.
fn cores(workspace: &Workspace) -> Vec<&'static str> {
    let cores = LAYERS.iter().take(ADAPTERS).copied().flatten().copied();
    cores.filter(|core| workspace.crates().any(|package| package.name == *core)).collect()
}

fn arrows(workspace: &Workspace) -> Vec<String> {
    let mut findings = Vec::new();
    for package in workspace.crates() {
        let from = package.name.as_str();
        if layer(from).is_none() {
            findings.push(format!("{from} has no layer in xtask/src/deps.rs"));
            continue;
        }
        let inside = package.dependencies.iter().filter(|it| it.path.is_some());
        findings.extend(inside.filter_map(|it| forbidden(from, &it.name, it.kind)));
    }
    findings
}

/// Returns a finding if `from` may not use `to`.
///
/// In tests adapters may use each other and the test tools; cores may not. All may list their errors.
fn forbidden(from: &str, to: &str, kind: DependencyKind) -> Option<String> {
    let in_tests = kind == DependencyKind::Development;
    if in_tests && (to == ERROR_TABLE || layer(from) >= Some(ADAPTERS) && TEST_TOOLS.contains(&to))
    {
        return None;
    }
    let (Some(above), Some(below)) = (layer(from), layer(to)) else {
        return Some(format!("{from} uses {to}, which has no layer"));
    };
    if below < above || (in_tests && above >= ADAPTERS) {
        return None;
    }
    let how = if in_tests { "tests with" } else { "uses" };
    Some(format!("{from} (layer {above}) {how} {to} (layer {below}): arrows point down"))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: DependencyKind = DependencyKind::Normal;
    const DEV: DependencyKind = DependencyKind::Development;

    #[test]
    fn arrows_point_down() {
        assert_eq!(forbidden("client-auth", "oauth-types", NORMAL), None);
        assert_eq!(forbidden("client-flow", "iss-validate", NORMAL), None);
        assert_eq!(forbidden("mcp-authz-axum", "oauth-types", NORMAL), None);
    }

    #[test]
    fn up_and_sideways_are_refused() {
        for (from, to) in [
            ("oauth-types", "client-auth"),
            ("client-auth", "scope-stepup"),
            ("resource-server", "authorization-server"),
            ("mcp-authz-sqlite", "mcp-authz-axum"),
        ] {
            for kind in [NORMAL, DependencyKind::Build] {
                assert!(forbidden(from, to, kind).is_some(), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn only_adapters_meet_each_other_in_tests() {
        assert!(forbidden("client-auth", "iss-validate", DEV).is_some());
        assert!(forbidden("client-flow", "mcp-authz-reqwest", DEV).is_some());
        assert_eq!(forbidden("client-flow", "client-auth", DEV), None);
        assert_eq!(forbidden("mcp-authz-reqwest", "mcp-authz-axum", DEV), None);
    }

    #[test]
    fn a_crate_outside_the_house_is_refused() {
        assert!(forbidden("client-auth", "xtask", NORMAL).is_some());
        assert!(forbidden("mcp-authz-axum", "mcp-authz-tests", DEV).is_some());
        assert_eq!(forbidden("mcp-authz-postgres", "cluster", DEV), None);
        assert!(forbidden("mcp-authz-postgres", "cluster", NORMAL).is_some());
        assert!(forbidden("authorization-server", "cluster", DEV).is_some());
        assert_eq!(forbidden("oauth-types", "error-table", DEV), None);
        assert!(forbidden("oauth-types", "error-table", NORMAL).is_some());
    }
}
