//! `cargo xtask package`: the packages that a registry would receive, checked and built.

mod manifest;
mod page;

use cargo_metadata::Package;
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::workspace::{Error, Step, Workspace, none_of, run_steps};

const STEPS: &[Step] = &[
    ("manifests and pages", manifests),
    ("packages, each built in an empty folder beside the packages of the others", build),
    ("files of the packages", files),
];

/// Steps without the build, which needs every dependency once more.
const UNBUILT: &[Step] =
    &[("manifests and pages", manifests), ("packages", pack), ("files of the packages", files)];

/// Licence files of the repository, which every package contains.
const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// What a package holds beside its `src`; Cargo writes those that are not in the repository.
const FILES: [&str; 8] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];

/// Every PEM form of a private key has these words in its first line.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    run_steps(workspace, STEPS)
}

/// Packs all crates without building them.
pub(crate) fn unbuilt(workspace: &Workspace) -> Result<(), Error> {
    run_steps(workspace, UNBUILT)
}

fn manifests(workspace: &Workspace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        if !is_published(workspace, package) {
            findings.extend(manifest::is_kept_back(package));
            continue;
        }
        findings.extend(manifest::findings(package));
        let path = package.manifest_path.with_file_name("README.md");
        let readme = workspace.sh.read_file(&path)?;
        findings.extend(page::findings(package, &readme));
    }
    none_of(&findings)
}

/// Cargo unpacks each package into an empty folder and builds it there. Its siblings come from their packages too,
/// through a registry that Cargo makes for the occasion, so that nothing is taken from the repository.
fn build(workspace: &Workspace) -> Result<(), Error> {
    forget_builds(workspace, &workspace.target.join("packages/debug/.fingerprint"))?;
    forget_sources(workspace)?;
    package(workspace, &["--all-features"])
}

fn pack(workspace: &Workspace) -> Result<(), Error> {
    package(workspace, &["--no-verify"])
}

fn package(workspace: &Workspace, options: &[&str]) -> Result<(), Error> {
    let sh = &workspace.sh;
    let target = workspace.target.join("packages");
    // Removed first, so packages of an earlier run cannot replace those of this one.
    sh.remove_path(target.join("package"))?;
    let packages = workspace.crates().flat_map(|package| ["--package", package.name.as_str()]);
    cmd!(
        sh,
        "cargo package --quiet --locked --allow-dirty {options...} --target-dir {target} {packages...}"
    )
    .quiet()
    .run()?;
    Ok(())
}

/// Makes Cargo build all packages anew. It takes what has the name and version of an earlier package for the same, because
/// a registry never changes one, and all files of packages have the same time. Other dependencies stay built.
fn forget_builds(workspace: &Workspace, fingerprints: &Utf8Path) -> Result<(), Error> {
    let sh = &workspace.sh;
    if !sh.path_exists(fingerprints) {
        return Ok(());
    }
    for build in sh.read_dir(fingerprints)? {
        let name = build.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if workspace.crates().any(|package| is_build_of(&package.name, name)) {
            sh.remove_path(&build)?;
        }
    }
    Ok(())
}

/// Removes what Cargo unpacked from the packages of an earlier run. It keeps that in its home, in a folder that has a hash
/// for a name, because a registry on this machine has no host.
fn forget_sources(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    let home = match sh.var("CARGO_HOME") {
        Ok(home) => Utf8PathBuf::from(home),
        Err(_) => Utf8PathBuf::from(sh.var("HOME")?).join(".cargo"),
    };
    let sources = home.join("registry/src");
    if !sh.path_exists(&sources) {
        return Ok(());
    }
    for registry in sh.read_dir(&sources)? {
        if !registry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"-")) {
            continue;
        }
        for package in workspace.crates() {
            sh.remove_path(registry.join(format!("{}-{}", package.name, package.version)))?;
        }
    }
    Ok(())
}

/// Returns `true` if Cargo names a build of this package so: its name and a hash.
fn is_build_of(package: &str, build: &str) -> bool {
    build.rsplit_once('-').is_some_and(|(name, _)| name == package)
}

fn files(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    let home = workspace.target.join("packages/package");
    let mut findings = Vec::new();
    let mut count = 0;
    for package in workspace.crates() {
        let name = format!("{}-{}", package.name, package.version);
        let unpacked = home.join("checked").join(&name);
        sh.create_dir(home.join("checked"))?;
        let (archive, into) = (home.join(format!("{name}.crate")), home.join("checked"));
        cmd!(sh, "tar --extract --gzip --file {archive} --directory {into}").quiet().run()?;
        findings.extend(licences(sh, &name, &unpacked)?);
        for file in files_below(sh, &unpacked)? {
            count += 1;
            let bytes = sh.read_binary_file(unpacked.join(&file))?;
            findings.extend(file_finding(&name, &file, &bytes));
        }
    }
    none_of(&findings)?;
    println!("package: {} packages, {count} files", workspace.crates().count());
    Ok(())
}

/// Checks that the licences, which are links in the repository, are files in the package.
fn licences(sh: &Shell, name: &str, unpacked: &Utf8Path) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    for licence in LICENCES {
        let packaged = unpacked.join(licence);
        if packaged.is_symlink() || sh.read_file(&packaged).ok() != Some(sh.read_file(licence)?) {
            findings.push(format!("{name} lacks the {licence} of the repository"));
        }
    }
    Ok(findings)
}

/// Returns the paths of the files in `folder`, relative to it.
fn files_below(sh: &Shell, folder: &Utf8Path) -> Result<Vec<String>, Error> {
    let _in_folder = sh.push_dir(folder);
    let files = cmd!(sh, "find . -not -type d").quiet().read()?;
    Ok(files.lines().map(|file| file.trim_start_matches("./").to_owned()).collect())
}

/// Returns the reason why a file must not be in the package.
fn file_finding(package: &str, file: &str, bytes: &[u8]) -> Option<String> {
    let key = PRIVATE_KEY.as_bytes();
    if bytes.windows(key.len()).any(|part| part == key) {
        return Some(format!("{package}/{file} holds a private key"));
    }
    if file.starts_with("src/") || FILES.contains(&file) {
        return None;
    }
    Some(format!("{package}/{file} is neither source nor one of {}", FILES.join(", ")))
}

fn is_published(workspace: &Workspace, package: &Package) -> bool {
    workspace.crates().any(|other| other.id == package.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_found_anywhere() {
        let key = b"//! text\n-----BEGIN EC PRIVATE KEY-----\nMHc\n";
        assert!(file_finding("x-0.1.0", "src/key.rs", key).is_some());
        assert!(file_finding("x-0.1.0", "LICENSE-MIT", b"-----BEGIN PRIVATE KEY-----").is_some());
        assert_eq!(file_finding("x-0.1.0", "src/key.rs", b"A private key is PEM."), None);
    }

    #[test]
    fn a_build_has_the_name_of_its_package_and_a_hash() {
        assert!(is_build_of("mcp-authz", "mcp-authz-00a667ef303f4a70"));
        assert!(!is_build_of("mcp-authz", "mcp-authz-axum-00a667ef303f4a70"));
        assert!(!is_build_of("http", "http-body-00a667ef303f4a70"));
    }

    #[test]
    fn a_file_outside_of_the_source_is_refused() {
        assert!(file_finding("x-0.1.0", "tests/keys/es256.pub", b"").is_some());
        assert!(file_finding("x-0.1.0", "notes.md", b"").is_some());
        assert_eq!(file_finding("x-0.1.0", "src/schema/1.sql", b""), None);
        assert_eq!(file_finding("x-0.1.0", "README.md", b""), None);
    }
}
