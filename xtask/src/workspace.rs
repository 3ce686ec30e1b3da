//! Basis of every command: a shell in the workspace root, the packages, steps and findings.

use std::time::Instant;

use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{MetadataCommand, Package};
use xshell::{Shell, cmd};

/// Error message for the developer.
pub(crate) type Error = Box<dyn std::error::Error>;

/// Arguments that select every package with every feature.
///
/// All builds share them, because Cargo builds a dependency again for every other set of features.
const EVERYTHING: [&str; 3] = ["--locked", "--workspace", "--all-features"];

/// Programs of `examples/` that commands run.
///
/// The two clients without tokio are missing here, because they are built alone, as in their users' builds.
const PROGRAMS: [&str; 3] = ["scoped-tools", "two-processes", "protected-server"];

/// Workspace in which the command was started.
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

    /// Returns the published packages: all under `crates/`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        let home = self.root.join("crates");
        self.packages.iter().filter(move |package| package.manifest_path.starts_with(&home))
    }
}

/// One check of a command: its title and its function.
pub(crate) type Step = (&'static str, fn(&Workspace) -> Result<(), Error>);

/// Runs the steps in order and prints their durations.
///
/// # Errors
///
/// The first failure, with the title of its step.
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
