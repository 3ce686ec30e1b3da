//! `cargo xtask guides`: the servers of tests/guides, run as they are, then with the diffs that protect them.

mod proxies;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xshell::{Shell, cmd};

use crate::examples::free_ports;
use crate::process::Running;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/guides";
const DIFF: &str = "protect.diff";

/// Maximum number of lines that a diff adds and removes.
const MAX_CHANGED: usize = 12;

/// Server of tests/guides.
struct Guide {
    name: &'static str,
    mcp: &'static [Mcp],
    /// Paths that never need a token, each with a text of its answer.
    public: &'static [[&'static str; 2]],
}

/// MCP server of a program: its path, and calls.
struct Mcp {
    path: &'static str,
    /// A tool, its arguments, and a text of its answer.
    calls: &'static [[&'static str; 3]],
}

#[rustfmt::skip]
const GUIDES: [Guide; 6] = [
    Guide {
        name: "app-state",
        mcp: &[Mcp { path: "/mcp", calls: &[["add_task", r#"{"title": "Write"}"#, "task(s)"]] }],
        public: &[["/healthz", r#""status":"up""#]],
    },
    Guide {
        name: "nested",
        mcp: &[Mcp { path: "/api/v1/mcp", calls: &[["search_books", r#"{"text": "Em"}"#, "1: Emma"]] }],
        public: &[["/", "<h1>Library</h1>"], ["/api/v1/books", "Middlemarch"], ["/api/v1/books/1", "Emma"]],
    },
    Guide {
        name: "on-hyper",
        mcp: &[Mcp { path: "/mcp", calls: &[["now", "{}", " s"]] }],
        public: &[],
    },
    Guide {
        name: "stateful",
        // The second answer shows that both calls are of one session.
        mcp: &[Mcp { path: "/mcp", calls: &[["increment", "{}", "\"1\""], ["increment", "{}", "\"2\""]] }],
        public: &[],
    },
    Guide {
        name: "stateless-json",
        mcp: &[Mcp { path: "/mcp", calls: &[["fahrenheit", r#"{"celsius": 100}"#, "212.0 °F"]] }],
        public: &[],
    },
    Guide {
        name: "two-services",
        mcp: &[
            Mcp { path: "/texts", calls: &[["count_words", r#"{"text": "two words"}"#, "2 word(s)"]] },
            Mcp { path: "/sums", calls: &[["add", r#"{"numbers": [2, 3]}"#, "sum 5"]] },
        ],
        public: &[["/", "/sums"]],
    },
];

/// Runs all servers without and with their diffs; `bless` rewrites both lock files.
pub(crate) fn run(workspace: &Workspace, bless: bool) -> Result<(), Error> {
    let sh = &workspace.sh;
    none_of(&findings(sh)?)?;
    workspace.build_programs()?;
    let copy = workspace.target.join("guides").into_std_path_buf();
    sh.remove_path(&copy)?;
    copy_folder(sh, Path::new(HOME), &copy)?;
    let ports = free_ports()?;

    announce("servers as they are");
    build(workspace, &copy, "Cargo.lock", bless)?;
    for (guide, port) in GUIDES.iter().zip(ports) {
        check(workspace, guide, port, None).map_err(|error| format!("{}: {error}", guide.name))?;
    }

    announce("servers with their diffs");
    for Guide { name, .. } in &GUIDES {
        let _folder = sh.push_dir(copy.join(name));
        cmd!(sh, "git apply {DIFF}").quiet().run()?;
    }
    build(workspace, &copy, "protected.lock", bless)?;
    let urls = GUIDES.iter().zip(ports).flat_map(|(guide, port)| urls(guide, port));
    let program = workspace.example("guides");
    let mut issuer = Running::start(cmd!(sh, "{program} issuer").args(urls).into())?;
    let url = issuer.wait_for("issuer:")?;
    for (guide, port) in GUIDES.iter().zip(ports) {
        check(workspace, guide, port, Some(&url))
            .map_err(|error| format!("{} with its diff: {error}", guide.name))?;
    }
    proxies::run(workspace)
}

/// Returns what is wrong with the folders and the diffs.
fn findings(sh: &Shell) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    let folders = sh.read_dir(HOME)?.into_iter().filter(|path| path.join("src").is_dir());
    let folders: BTreeSet<_> =
        folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    let names = GUIDES.iter().map(|guide| guide.name.to_owned()).collect();
    findings.extend(folders.symmetric_difference(&names).map(|name| {
        format!("{HOME}/{name} is a folder or a row of xtask/src/guides.rs, but not both")
    }));
    for name in &folders {
        let path = Path::new(HOME).join(name).join(DIFF);
        let changed = changed_lines(&sh.read_file(&path)?);
        println!("    {name}: {changed} changed lines");
        if !(1..=MAX_CHANGED).contains(&changed) {
            let path = path.display();
            findings.push(format!("{path}: {changed} changed lines, not 1 to {MAX_CHANGED}"));
        }
    }
    Ok(findings)
}

/// Returns the number of lines that a unified diff adds and removes, blank ones included.
fn changed_lines(diff: &str) -> usize {
    let is_head = |line: &&str| line.starts_with("--- a/") || line.starts_with("+++ b/");
    diff.lines().filter(|line| line.starts_with(['+', '-']) && !is_head(line)).count()
}

fn copy_folder(sh: &Shell, from: &Path, to: &Path) -> Result<(), Error> {
    for path in sh.read_dir(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(sh, &path, &target)?;
        } else {
            sh.create_dir(to)?;
            sh.copy_file(&path, target)?;
        }
    }
    Ok(())
}

/// Builds the copy with this lock file of `tests/guides`.
fn build(workspace: &Workspace, copy: &Path, lock: &str, bless: bool) -> Result<(), Error> {
    let (sh, target) = (&workspace.sh, &workspace.target);
    let (ours, theirs) = (PathBuf::from(HOME).join(lock), copy.join("Cargo.lock"));
    sh.copy_file(&ours, &theirs)?;
    let manifest = copy.join("Cargo.toml");
    // The diffs name the version of the registry; what is built is the crate of this workspace.
    let facade = workspace.root.join("crates/mcp-authz");
    let patch = format!("patch.crates-io.mcp-authz.path={:?}", facade.as_str());
    let patch: &[&str] = if lock == "Cargo.lock" { &[] } else { &["--config", &patch] };
    let locked = (!bless).then_some("--locked");
    cmd!(sh, "cargo build --quiet {locked...} --manifest-path {manifest} --workspace")
        .args(patch)
        .args(["--target-dir", target.as_str()])
        .quiet()
        .run()?;
    if bless {
        sh.copy_file(theirs, ours)?;
    }
    Ok(())
}

fn urls(guide: &Guide, port: u16) -> impl Iterator<Item = String> {
    guide.mcp.iter().map(move |mcp| format!("http://127.0.0.1:{port}{}", mcp.path))
}

/// Runs a server, with its diff if there is an issuer, and checks its routes.
fn check(
    workspace: &Workspace,
    guide: &Guide,
    port: u16,
    issuer: Option<&str>,
) -> Result<(), Error> {
    let sh = &workspace.sh;
    let program = workspace.program(guide.name);
    let mut server = Command::from(cmd!(sh, "{program}"));
    server.env("PORT", port.to_string());
    if let Some(issuer) = issuer {
        server.env("ISSUER", issuer).envs(urls(guide, port).map(|url| ("MCP_URL", url)));
    }
    with_log(server, |server| {
        server.wait_for("listening on")?;
        ask(workspace, guide, port, issuer)
    })
}

/// Runs a program until `check` returns; if that fails, the error has the program's log, which is short.
fn with_log(
    mut command: Command,
    check: impl FnOnce(&mut Running) -> Result<(), Error>,
) -> Result<(), Error> {
    command.stderr(Stdio::piped());
    let mut program = Running::start(command)?;
    let log = program.errors();
    let outcome = check(&mut program);
    drop(program);
    outcome.map_err(|error| {
        let mut lines = String::new();
        // What cannot be read is missing from the message, which names the failure anyway.
        let _ = log.map(|mut log| log.read_to_string(&mut lines));
        format!("{error}\n{lines}").into()
    })
}

/// Sends requests to every route of a running server.
fn ask(workspace: &Workspace, guide: &Guide, port: u16, issuer: Option<&str>) -> Result<(), Error> {
    let (sh, user) = (&workspace.sh, workspace.example("guides"));
    for [path, text] in guide.public {
        let url = format!("http://127.0.0.1:{port}{path}");
        cmd!(sh, "{user} get {url} {text}").quiet().run()?;
    }
    for (mcp, url) in guide.mcp.iter().zip(urls(guide, port)) {
        if let Some(issuer) = issuer {
            cmd!(sh, "{user} refused {url} {issuer}").quiet().run()?;
        }
        let visits = if issuer.is_some() { "1" } else { "0" };
        let calls = mcp.calls.as_flattened();
        cmd!(sh, "{user} call {url} {visits} {calls...}").quiet().run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_counted_without_the_heads_of_files() {
        let diff = "--- a/src/main.rs\n+++ b/src/main.rs\n@@ -1,3 +1,4 @@\n a\n-b\n+c\n+\n d\n";
        assert_eq!(changed_lines(diff), 3);
    }

    #[test]
    fn the_guide_shows_the_diffs_that_are_applied() {
        let sh = Shell::new().unwrap();
        sh.change_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let page = sh.read_file("crates/mcp-authz/src/guide/protect_rmcp.md").unwrap();
        for Guide { name, .. } in &GUIDES {
            let diff = sh.read_file(Path::new(HOME).join(name).join(DIFF)).unwrap();
            assert!(page.contains(&format!("```diff\n{diff}```\n")), "{HOME}/{name}/{DIFF}");
            assert!(page.contains(&format!("/{HOME}/{name})")), "no link to {HOME}/{name}");
        }
    }
}
