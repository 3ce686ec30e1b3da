//! `cargo xtask interop`: documents and logins exchanged with the official SDKs.
//!
//! Each peer is installed into `target/interop`, in the versions that its lock file pins. An SDK writes its documents
//! anew, which have to equal those in `tests/peers/documents`. It reads the documents that this workspace's types
//! wrote, and every challenge of this workspace's resource server. Then clients and servers meet:
//!
//! | module | client | authorization server | MCP server |
//! |---|---|---|---|
//! | [`peer`] | this workspace's | the peer's | the peer's |
//! | [`client`] | the SDKs' | this workspace's | this workspace's |
//! | [`foreign`] | both | the peer's | this workspace's |

mod client;
mod foreign;
mod peer;

use std::panic::resume_unwind;
use std::thread;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::interop::client::Client;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/peers";
const RECORDED: &str = "tests/peers/documents";
/// Folder below the target folder in which the test `documents` writes for the SDKs.
///
/// It is removed before the test, so files of an earlier run cannot replace it.
const LEFT: &str = "tmp/interop";

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    for (tool, hint) in
        [("node", "Node.js 20"), ("npm", "npm"), ("python3", "Python 3.11 with venv and pip")]
    {
        if cmd!(sh, "{tool} --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
            return Err(format!("{tool} is missing: install {hint} or newer").into());
        }
    }
    sh.remove_path(workspace.target.join(LEFT))?;
    workspace.test(&["--quiet", "--test", "documents"], &[])?;
    workspace.build_programs()?;
    let interop = workspace.target.join("interop");
    sh.remove_path(&interop)?;
    sh.create_dir(&interop)?;

    announce("install the peers");
    let [typescript, openid, interpreter, old_interpreter] = install_all(sh, &interop);
    let (typescript, openid) = (typescript?, openid?);
    let (interpreter, old_interpreter) = (interpreter?, old_interpreter?);

    announce("interop with TypeScript");
    exchange(workspace, "typescript", "node", &[typescript.join("documents.mjs").as_str()])?;
    let node = Utf8PathBuf::from("node");
    challenges(workspace, &node, &typescript.join("challenges.mjs"))?;

    announce("interop with Python");
    let python = Utf8Path::new(HOME).join("python");
    let documents = python.join("documents.py");
    exchange(workspace, "python", interpreter.as_str(), &["-B", documents.as_str()])?;
    for line in [&interpreter, &old_interpreter] {
        challenges(workspace, line, &python.join("challenges.py"))?;
    }

    let peers = Peers { node, python, typescript, openid, interpreter, old_interpreter };
    let mut findings = peers.meet_client(workspace);
    findings.extend(peers.meet_servers(workspace)?);
    none_of(&findings)
}

/// Programs and folders of the peers.
struct Peers {
    node: Utf8PathBuf,
    /// Folder of the Python scripts.
    python: Utf8PathBuf,
    typescript: Utf8PathBuf,
    openid: Utf8PathBuf,
    /// Python with the current major version of the SDK.
    interpreter: Utf8PathBuf,
    /// Python with the previous major version of the SDK.
    old_interpreter: Utf8PathBuf,
}

impl Peers {
    /// Runs this workspace's client against each peer's authorization server.
    fn meet_client(&self, workspace: &Workspace) -> Vec<String> {
        let mut findings = Vec::new();
        for (name, program, script) in [
            ("typescript", "node", self.typescript.join("peer.mjs")),
            ("python", self.interpreter.as_str(), self.python.join("peer.py")),
            ("oidc-provider", "node", self.openid.join("peer.mjs")),
        ] {
            announce(&format!("our client against {name}"));
            // The other peers are tried too, so that one run reports all failures.
            if let Err(error) = peer::meet(workspace, name, program, &script) {
                findings.push(format!("{name}: {error}"));
            }
        }
        findings
    }

    /// Runs each SDK's client against this workspace's servers.
    fn meet_servers(&self, workspace: &Workspace) -> Result<Vec<String>, Error> {
        let Self { node, python, typescript, openid, interpreter, old_interpreter } = self;
        let [rmcp, ours] = ["interop_rmcp", "interop_client"].map(|name| workspace.example(name));
        let [v2, v1] = ["client-v2.mjs", "client-v1.mjs"].map(|name| typescript.join(name));
        let [py2, py1] = ["client_v2.py", "client_v1.py"].map(|name| python.join(name));
        let of = |name, program: &Utf8Path, script: Option<&Utf8PathBuf>, more| Client {
            name,
            program: program.to_owned(),
            script: script.cloned(),
            more,
        };
        let mut findings = client::meet(
            workspace,
            &[
                of("TypeScript 2.x", node, Some(&v2), &[]),
                of("TypeScript 2.x, as of 2025-11-25", node, Some(&v2), &["legacy"]),
                of("TypeScript 1.x", node, Some(&v1), &[]),
                of("Python 2.x", interpreter, Some(&py2), &[]),
                of("Python 2.x, as of 2025-11-25", interpreter, Some(&py2), &["legacy"]),
                of("Python 1.x", old_interpreter, Some(&py1), &[]),
                of("rmcp", &rmcp, None, &[]),
            ],
        )?;
        findings.extend(foreign::meet(
            workspace,
            &openid.join("issuer.mjs"),
            &[
                of("our client", &ours, None, &["foreign"]),
                of("TypeScript 2.x", node, Some(&v2), &["foreign"]),
                of("Python 2.x", interpreter, Some(&py2), &["foreign"]),
                of("Python 1.x", old_interpreter, Some(&py1), &["foreign"]),
            ],
        )?);
        Ok(findings)
    }
}

/// Installs the Node.js peers, and one Python for each major version of its SDK.
///
/// In parallel, because most of the time is spent waiting for registries.
fn install_all(sh: &Shell, interop: &Utf8Path) -> [Result<Utf8PathBuf, xshell::Error>; 4] {
    thread::scope(|scope| {
        let [typescript, openid] = ["typescript", "oidc-provider"].map(|name| {
            let sh = sh.clone();
            scope.spawn(move || install(&sh, interop, name))
        });
        let lines = [("python", "requirements.txt"), ("python-v1", "requirements-v1.txt")];
        let [new, old] = lines.map(|(name, pins)| {
            let sh = sh.clone();
            let pins = Utf8Path::new(HOME).join("python").join(pins);
            scope.spawn(move || environment(&sh, &interop.join(name), &pins))
        });
        [typescript, openid, new, old]
            .map(|install| install.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Creates a Python environment with the packages of `pins`; returns its interpreter.
fn environment(sh: &Shell, home: &Utf8Path, pins: &Utf8Path) -> Result<Utf8PathBuf, xshell::Error> {
    cmd!(sh, "python3 -m venv {home}").quiet().run()?;
    let interpreter = home.join("bin/python");
    cmd!(sh, "{interpreter} -m pip install --quiet --disable-pip-version-check -r {pins}")
        .quiet()
        .run()?;
    Ok(interpreter)
}

/// Copies a peer's programs and installs their dependencies beside them.
fn install(sh: &Shell, interop: &Utf8Path, name: &str) -> Result<Utf8PathBuf, xshell::Error> {
    let home = interop.join(name);
    cmd!(sh, "cp -r {HOME}/{name} {home}").quiet().run()?;
    cmd!(sh, "npm ci --prefix {home} --ignore-scripts --no-audit --no-fund --silent")
        .quiet()
        .run()?;
    Ok(home)
}

/// Makes an SDK write its documents and read those of this workspace's types.
fn exchange(workspace: &Workspace, sdk: &str, program: &str, args: &[&str]) -> Result<(), Error> {
    let sh = &workspace.sh;
    let written = workspace.target.join(format!("interop/{sdk}-documents"));
    // The recorded documents, parsed and written again by this workspace's types.
    let rewritten = workspace.target.join(LEFT).join("documents");
    sh.create_dir(&written)?;
    cmd!(sh, "{program} {args...} write {written}").quiet().ignore_stdout().run()?;
    let recorded = format!("{RECORDED}/{sdk}");
    cmd!(sh, "diff -r {recorded} {written}")
        .quiet()
        .run()
        .map_err(|_| format!("what the SDK writes is no longer what stands in {recorded}"))?;
    let read = cmd!(sh, "{program} {args...} read {rewritten}").quiet().ignore_status().output()?;
    if !read.status.success() {
        for written in [&read.stdout, &read.stderr] {
            print!("{}", String::from_utf8_lossy(written));
        }
        return Err("the SDK does not read what our types write".into());
    }
    Ok(())
}

/// Makes an SDK read the challenges that the test `documents` wrote.
fn challenges(workspace: &Workspace, program: &Utf8Path, script: &Utf8Path) -> Result<(), Error> {
    let left = workspace.target.join(LEFT).join("challenges.json");
    let command = cmd!(workspace.sh, "{program} {script} {left}").quiet();
    Ok(command.env("PYTHONDONTWRITEBYTECODE", "1").run()?)
}
