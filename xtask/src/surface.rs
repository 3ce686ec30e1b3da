//! `cargo xtask surface`: each feature alone, the oldest Rust, the lowest versions of dependencies, the public items,
//! and the types of other crates in signatures.
//!
//! `test` and `ci` build everything with every feature, which hides errors that need another set of features, versions
//! or another toolchain. No step is part of `ci`, because each builds most dependencies anew.

use xshell::{Shell, cmd};

use crate::workspace::{Error, Step, Workspace, none_of, run_steps};

const STEPS: &[Step] = &[
    ("each feature alone", features),
    ("oldest Rust", oldest_rust),
    ("lowest versions of direct dependencies", lowest_versions),
    ("public names", |workspace| public_names(workspace, false)),
    ("types of other crates in signatures", external_types),
];

/// Nightly toolchains in order of preference; the first one that is installed is used.
///
/// Their rustdoc writes the JSON format that cargo-public-api and cargo-check-external-types read.
const NIGHTLIES: [&str; 2] = ["nightly-2026-05-20", "nightly"];

/// Folder of the listings of public items, one file for each crate.
const LISTINGS: &str = "xtask/public-api";

/// Runs all steps, or those whose title contains `only`; `bless` rewrites the listings.
pub(crate) fn run(workspace: &Workspace, only: Option<&str>, bless: bool) -> Result<(), Error> {
    if bless {
        return public_names(workspace, true);
    }
    let chosen = |(title, _): &&Step| only.is_none_or(|only| title.contains(only));
    let steps: Vec<Step> = STEPS.iter().filter(chosen).copied().collect();
    if steps.is_empty() {
        return Err("no step has this name".into());
    }
    run_steps(workspace, &steps)
}

/// Runs Clippy on each library without features, with each one alone, and with all.
fn features(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    installed(sh, "hack")?;
    let packages = names(workspace).flat_map(|name| ["--package", name]);
    cmd!(sh, "cargo hack clippy --locked --lib --each-feature {packages...} -- -D warnings")
        .quiet()
        .run()?;
    Ok(())
}

/// Builds every library with the Rust version that `Cargo.toml` promises.
fn oldest_rust(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    let promised = workspace.crates().find_map(|package| package.rust_version.as_ref());
    let promised = promised.ok_or("the crates promise no Rust version")?;
    let toolchain = format!("{}.{}", promised.major, promised.minor);
    if !toolchains(sh)?.contains(&toolchain) {
        let install = format!("rustup toolchain install --profile minimal {toolchain}");
        return Err(format!(
            "Rust {toolchain}, which Cargo.toml promises, is missing: `{install}`"
        )
        .into());
    }
    let packages = names(workspace).flat_map(|name| ["--package", name]);
    let target = workspace.target.join("oldest");
    let toolchain = format!("+{toolchain}");
    cmd!(
        sh,
        "cargo {toolchain} check --locked --lib --all-features {packages...} --target-dir {target}"
    )
    .quiet()
    .run()?;
    Ok(())
}

/// Builds every library with the lowest versions of its direct dependencies.
fn lowest_versions(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    let nightly = nightly(sh)?;
    let home = workspace.target.join("lowest");
    let copy = home.join("tree");
    sh.remove_path(&copy)?;
    sh.create_dir(&copy)?;
    // In a copy, because the lock file is rewritten.
    let files = cmd!(sh, "git ls-files").quiet().read()?;
    let files = files.lines().filter(|file| sh.path_exists(file));
    cmd!(sh, "cp --parents {files...} {copy}").quiet().run()?;
    let _in_copy = sh.push_dir(&copy);
    cmd!(sh, "cargo {nightly} update --quiet -Z direct-minimal-versions").quiet().run()?;
    let packages = names(workspace).flat_map(|name| ["--package", name]);
    let target = home.join("target");
    cmd!(sh, "cargo check --locked --lib --all-features {packages...} --target-dir {target}")
        .quiet()
        .run()?;
    Ok(())
}

/// Compares the public items of each crate with its listing, or writes the listing.
fn public_names(workspace: &Workspace, bless: bool) -> Result<(), Error> {
    let sh = &workspace.sh;
    if !bless && !sh.path_exists(LISTINGS) {
        return Err("no listing to compare with: `cargo xtask surface --bless` writes it".into());
    }
    installed(sh, "public-api")?;
    let nightly = nightly(sh)?;
    let target = workspace.target.join("surface");
    let mut findings = Vec::new();
    for name in names(workspace) {
        let command = cmd!(sh, "cargo {nightly} public-api --package {name} --all-features -sss");
        let exported = command.env("CARGO_TARGET_DIR", &target).quiet().read()? + "\n";
        let listing = format!("{LISTINGS}/{name}.txt");
        if bless {
            sh.write_file(&listing, exported)?;
            continue;
        }
        let listed = sh.read_file(&listing).unwrap_or_default();
        findings.extend(differences(&listed, &exported).map(|line| format!("{name}: {line}")));
    }
    none_of(&findings).map_err(|error| {
        format!(
            "{error}\nIf this is meant: `cargo xtask surface --bless`, and a line in CHANGELOG.md"
        )
        .into()
    })
}

/// Checks that public signatures use only types of crates that the manifest lists.
///
/// A new major version of such a crate breaks users.
fn external_types(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    installed(sh, "check-external-types")?;
    let nightly = nightly(sh)?;
    let target = workspace.target.join("surface");
    let mut findings = Vec::new();
    for package in workspace.crates() {
        let manifest = &package.manifest_path;
        let command = cmd!(
            sh,
            "cargo {nightly} check-external-types --all-features --manifest-path {manifest}"
        );
        let output = command.env("CARGO_TARGET_DIR", &target).quiet().ignore_status().output()?;
        if !output.status.success() {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            print!("{}", String::from_utf8_lossy(&output.stderr));
            findings.push(format!(
                "{}: a type above, or a list in its manifest that allows too much",
                package.name
            ));
        }
    }
    none_of(&findings)
}

/// Returns the listed lines that are gone, then the new ones.
fn differences<'a>(listed: &'a str, exported: &'a str) -> impl Iterator<Item = String> + 'a {
    let gone = listed.lines().filter(|line| !exported.lines().any(|other| other == *line));
    let new = exported.lines().filter(|line| !listed.lines().any(|other| other == *line));
    gone.map(|line| format!("- {line}")).chain(new.map(|line| format!("+ {line}")))
}

fn names(workspace: &Workspace) -> impl Iterator<Item = &str> {
    workspace.crates().map(|package| package.name.as_str())
}

fn installed(sh: &Shell, tool: &str) -> Result<(), Error> {
    // Not every tool knows `--version`.
    if cmd!(sh, "cargo {tool} --help").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        return Ok(());
    }
    let place = "the version is pinned in .github/workflows/ci.yml";
    Err(format!("cargo-{tool} is missing: `cargo install --locked cargo-{tool}`; {place}").into())
}

/// Returns the argument that selects a nightly toolchain.
fn nightly(sh: &Shell) -> Result<String, Error> {
    let there = toolchains(sh)?;
    let found = NIGHTLIES.into_iter().find(|nightly| there.iter().any(|it| it == nightly));
    let [wanted, _] = NIGHTLIES;
    found.map(|found| format!("+{found}")).ok_or_else(|| {
        format!(
            "a nightly toolchain is missing: `rustup toolchain install --profile minimal {wanted}`"
        )
        .into()
    })
}

/// Returns the names of the installed toolchains, without their host triple.
fn toolchains(sh: &Shell) -> Result<Vec<String>, Error> {
    let listed = cmd!(sh, "rustup toolchain list --quiet").quiet().read()?;
    let host = cmd!(sh, "rustc --print host-tuple").quiet().read()?;
    let name = |line: &str| line.strip_suffix(&format!("-{host}")).unwrap_or(line).to_owned();
    Ok(listed.lines().map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_stands_before_what_is_new() {
        let found = differences("pub a\npub b\n", "pub b\npub c\n");
        assert_eq!(found.collect::<Vec<_>>(), ["- pub a", "+ pub c"]);
    }
}
