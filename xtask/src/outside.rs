//! `cargo xtask outside`: programs of users in tests/outside, built from their own manifests, tested and run.

use std::io::Read as _;
use std::process::{Command, Stdio};

use xshell::cmd;

use crate::process::Running;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/outside";

/// The most lines of code that one of these programs may need.
const MAX_LINES: usize = 60;

/// Tests all programs, and lets the client of the README log in at its server.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let (sh, target) = (&workspace.sh, &workspace.target);
    none_of(&too_long(workspace)?)?;
    let manifest = format!("{HOME}/Cargo.toml");
    // Most of what they use is built in this folder already, a cryptographic library and SQLite in C above all.
    let options = ["--quiet", "--locked", "--manifest-path", &manifest, "--target-dir"];
    cmd!(sh, "cargo test {options...} {target} --workspace").quiet().run()?;
    cmd!(sh, "cargo build {options...} {target} --bins").quiet().run()?;
    workspace.build_programs()?;

    announce("the client of the README at the server of the README");
    let (server, client) = (workspace.program("axum-server"), workspace.program("tokio-client"));
    let mut server = Running::start(cmd!(sh, "{server}").into())?;
    let url = server.wait_for("MCP server:")?;
    // A client opens what this variable names, with the URL as its argument.
    let browser = format!("{} answer", workspace.program("scoped-tools"));
    let mut client = Command::from(cmd!(sh, "{client} {url}").env("BROWSER", browser));
    client.stderr(Stdio::piped());
    let mut client = Running::start(client)?;
    let mut complaint = String::new();
    if let Some(mut errors) = client.errors() {
        errors.read_to_string(&mut complaint)?;
    }
    let (answer, status) = client.finish()?;
    let listed = answer.lines().any(|line| line == "list-files");
    if status.success() && listed {
        return Ok(());
    }
    Err(format!("the client of the README fails: {status}\n{answer}{complaint}").into())
}

/// Names the programs that need too many lines.
fn too_long(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let (mut findings, mut programs) = (Vec::new(), 0);
    let sh = &workspace.sh;
    for folder in sh.read_dir(HOME)? {
        let sources = folder.join("src");
        if !sources.is_dir() {
            continue;
        }
        let mut lines = 0;
        for path in sh.read_dir(&sources)? {
            if path.extension().is_some_and(|extension| extension == "rs") {
                lines += lines_of_code(&sh.read_file(path)?);
            }
        }
        programs += 1;
        if lines > MAX_LINES {
            findings.push(format!("{}: {lines} lines, at most {MAX_LINES}", sources.display()));
        }
    }
    if programs == 0 {
        return Err(format!("no programs in {HOME}").into());
    }
    Ok(findings)
}

/// Lines that are neither empty nor comments.
fn lines_of_code(text: &str) -> usize {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    text.lines().map(str::trim).filter(is_code).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines without their indentation, so that a part of a function compares with the page that shows it.
    fn unindented(text: &str) -> String {
        text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_readme_shows_lines_of_programs_that_run() {
        let readme = include_str!("../../README.md");
        let programs = [
            include_str!("../../tests/outside/tokio-client/src/main.rs"),
            include_str!("../../tests/outside/axum-server/src/main.rs"),
        ]
        .map(unindented);
        let blocks = readme.split("```rust").skip(1);
        let mut shown = Vec::new();
        for block in blocks {
            let (_, block) = block.split_once('\n').unwrap();
            let (code, _) = block.split_once("\n```").unwrap();
            let code = unindented(code);
            shown.push(programs.iter().position(|program| program.contains(&code)).expect(&code));
        }
        assert_eq!(shown, [0, 1]);
    }

    #[test]
    fn the_guide_shows_the_program_of_the_other_sdk() {
        let page = include_str!("../../crates/mcp-authz/src/guide/other_sdk.md");
        let program = include_str!("../../tests/outside/rust-mcp-sdk/src/lib.rs");
        let (_, code) = page.split_once("```rust,ignore\n").unwrap();
        let (code, _) = code.split_once("\n```").unwrap();
        assert!(program.contains(code), "copy the program to the page");
        let manifest = include_str!("../../tests/outside/rust-mcp-sdk/Cargo.toml");
        let (_, theirs) = page.split_once("# the verifiers").unwrap();
        let (theirs, _) = theirs.split_once("\n```").unwrap();
        for line in theirs.lines().filter(|line| line.starts_with("rust-mcp-")) {
            assert!(manifest.contains(line), "{line}");
        }
    }

    #[test]
    fn only_code_counts() {
        assert_eq!(lines_of_code("//! Head\n\n/// Text\nfn f() {\n    // Why\n}\n"), 2);
    }
}
