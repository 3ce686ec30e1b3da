//! What every command stands on: a shell in the workspace root, the packages, steps and findings.

use std::time::Instant;

use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{MetadataCommand, Package};
use xshell::{Shell, cmd};

/// Something a person can act on; no code looks inside.
pub(crate) type Error = Box<dyn std::error::Error>;

/// Every package with every feature. All that is run is built so, because Cargo builds every dependency again for each
/// other set of features: after `cargo test` with it, nothing but a few programs is left to link.
const EVERYTHING: [&str; 3] = ["--locked", "--workspace", "--all-features"];

/// The programs of `examples/` that other commands run, beside two clients that are built alone, as their users have them.
const PROGRAMS: [&str; 3] = ["scoped-tools", "two-processes", "protected-server"];

/// The workspace that the command was started in.
pub(crate) struct Workspace {
    pub(crate) sh: Shell,
    pub(crate) root: Utf8PathBuf,
    pub(crate) target: Utf8PathBuf,
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, Error> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let sh = Shell::new()?;
        sh.change_dir(&metadata.workspace_root);
        let (root, target) = (metadata.workspace_root, metadata.target_directory);
        Ok(Self { sh, root, target, packages: metadata.packages })
    }

    /// Runs all tests, or those of some targets, with options for their harness.
    pub(crate) fn test(&self, targets: &[&str], options: &[&str]) -> Result<(), Error> {
        let sh = &self.sh;
        cmd!(sh, "cargo test {EVERYTHING...} {targets...} -- {options...}").quiet().run()?;
        Ok(())
    }

    /// Builds the programs of the examples, and the examples of `tests`.
    pub(crate) fn build_programs(&self) -> Result<(), Error> {
        let sh = &self.sh;
        let programs = PROGRAMS.iter().flat_map(|name| ["--bin", name]);
        cmd!(sh, "cargo build --quiet {EVERYTHING...} --examples {programs...}").quiet().run()?;
        Ok(())
    }

    /// Returns the path of a program that [`Self::build_programs`] builds.
    pub(crate) fn program(&self, name: &str) -> Utf8PathBuf {
        self.target.join("debug").join(name)
    }

    /// Returns the path of an example that [`Self::build_programs`] builds.
    pub(crate) fn example(&self, name: &str) -> Utf8PathBuf {
        self.target.join("debug/examples").join(name)
    }

    /// The packages that are published: all under `crates/`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        let home = self.root.join("crates");
        self.packages.iter().filter(move |package| package.manifest_path.starts_with(&home))
    }
}

/// One line of a command's list of checks: its title, and what it runs.
pub(crate) type Step = (&'static str, fn(&Workspace) -> Result<(), Error>);

/// Announces and runs each step, and says how long it took; the first failure ends the list and says where it was.
pub(crate) fn run_steps(workspace: &Workspace, steps: &[Step]) -> Result<(), Error> {
    for (title, run) in steps {
        announce(title);
        #[expect(clippy::disallowed_methods, reason = "a person reads how long it took")]
        let start = Instant::now();
        run(workspace).map_err(|error| format!("{title}: {error}"))?;
        println!("    {title}: {} s", start.elapsed().as_secs());
    }
    Ok(())
}

pub(crate) fn announce(title: &str) {
    println!("==> {title}");
}

/// Fails with one line per finding.
pub(crate) fn none_of(findings: &[String]) -> Result<(), Error> {
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} finding(s)\n  {}", findings.join("\n  ")).into()),
    }
}
