//! `cargo xtask browser`: what a real browser makes of the login, consent and error pages, and MCP Inspector in it.
//!
//! Headless Chromium, driven by `tests/peers/browser/main.mjs`, meets the example `browser_server`. Pictures of every page
//! are left in `target/browser`. Driven by `tests/peers/browser/inspector.mjs`, it runs the Inspector against `scoped-tools`.

use xshell::{Shell, cmd};

use crate::workspace::{Error, Workspace, announce};

const HOME: &str = "tests/peers/browser";
/// What Chromium is called on Debian, on older systems, and as its vendor's own build.
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
