//! `cargo xtask browser`: the login, consent and error pages, and MCP Inspector, in a real browser.
//!
//! Headless Chromium, driven by `tests/peers/browser/main.mjs`, visits the pages of the example `browser_server`. Their
//! pictures are written to `target/browser`. Driven by `tests/peers/browser/inspector.mjs`, it runs the Inspector
//! against `scoped-tools`.

use xshell::{Shell, cmd};

use crate::workspace::{Error, Workspace, announce};

const HOME: &str = "tests/peers/browser";
/// Program names of Chromium on Debian, on older systems, and of its vendor's build.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    for tool in ["node", "npm"] {
        if !answers(sh, tool) {
            return Err(format!("{tool} is missing: install Node.js 20 or newer, with npm").into());
        }
    }
    let Some(chromium) = NAMES.into_iter().find(|name| answers(sh, name)) else {
        return Err(
            "Chromium is missing: `apt-get install chromium`, or `.ci/run`, which does so".into()
        );
    };
    let chromium = cmd!(sh, "which {chromium}").quiet().read()?;
    let target = workspace.target.join("browser");
    sh.remove_path(&target)?;
    sh.create_dir(&target)?;
    let suite = target.join("suite");
    cmd!(sh, "cp -r {HOME} {suite}").quiet().run()?;
    cmd!(sh, "npm ci --prefix {suite} --ignore-scripts --no-audit --no-fund --silent")
        .quiet()
        .run()?;
    workspace.build_programs()?;
    let server = workspace.example("browser_server");
    let main = suite.join("main.mjs");
    let pictures = target.join("pictures");
    cmd!(sh, "node {main} {server} {chromium} {pictures}").quiet().run()?;

    announce("MCP Inspector in a browser");
    let server = workspace.program("scoped-tools");
    let inspector = suite.join("inspector.mjs");
    cmd!(sh, "node {inspector} {server} {chromium}").quiet().run()?;
    Ok(())
}

fn answers(sh: &Shell, tool: &str) -> bool {
    cmd!(sh, "{tool} --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
