//! `cargo xtask test`: all checks that need only a Rust toolchain.

use xshell::cmd;

use crate::workspace::{Error, Step, Workspace, announce, run_steps};
use crate::{deps, examples, tidy};

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("clippy", clippy),
    ("tests and doc tests", tests),
    ("docs", docs),
    ("deps", |workspace| deps::run(workspace, false)),
    ("tidy", |workspace| tidy::run(workspace, false, false)),
    ("self-check of examples/scoped-tools", example),
    ("clients without tokio", examples::run),
];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    run_steps(workspace, STEPS)
}

fn fmt(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    cmd!(sh, "cargo fmt --all --check").quiet().run()?;
    Ok(())
}

/// Runs Clippy on all targets at once, then on each library alone.
///
/// Alone, because in a workspace build one package can enable a feature that another one lacks.
fn clippy(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    cmd!(sh, "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings")
        .quiet()
        .run()?;
    for package in workspace.crates() {
        let name = package.name.as_str();
        let forms: &[&str] = match package.features.is_empty() {
            true => &["--all-features"],
            false => &["--all-features", "--no-default-features"],
        };
        for features in forms {
            announce(&format!("clippy {name} alone, {features}"));
            cmd!(sh, "cargo clippy --locked -p {name} --lib {features} -- -D warnings")
                .quiet()
                .run()?;
        }
    }
    Ok(())
}

fn tests(workspace: &Workspace) -> Result<(), Error> {
    workspace.test(&[], &[])
}

fn docs(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    cmd!(sh, "cargo doc --locked --workspace --no-deps --all-features --document-private-items")
        .env("RUSTDOCFLAGS", "-Dwarnings")
        .quiet()
        .run()?;
    Ok(())
}

/// Runs the example `scoped-tools` over real HTTP, then the mix-up attack against it.
fn example(workspace: &Workspace) -> Result<(), Error> {
    const FORMS: &[&[&str]] = &[&[], &["attack", "mix-up"]];
    let (sh, program) = (&workspace.sh, workspace.program("scoped-tools"));
    workspace.build_programs()?;
    for &args in FORMS {
        let command = cmd!(sh, "{program} {args...}");
        let line = command.to_string();
        announce(&line);
        let output = command.quiet().ignore_status().output()?;
        if !output.status.success() {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            print!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(format!("`{line}` ended with {}", output.status).into());
        }
    }
    Ok(())
}
