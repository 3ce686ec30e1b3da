//! `cargo xtask interop`: the official SDKs and we read what the other writes.
//!
//! Each SDK is installed into `target/interop`, in the versions that its lock file names. It writes its documents
//! anew, which have to be those in `tests/documents`, and reads the ones that our types wrote.

use xshell::cmd;

use crate::workspace::{Error, Workspace, announce};

const HOME: &str = "tests/interop";
const RECORDED: &str = "tests/documents";

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    for (tool, hint) in
        [("node", "Node.js 20"), ("npm", "npm"), ("python3", "Python 3.11 with venv and pip")]
    {
        if cmd!(sh, "{tool} --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
            return Err(format!("{tool} is missing: install {hint} or newer").into());
        }
    }
    cmd!(sh, "cargo test --quiet --locked -p tests --test documents")
        .quiet()
        .ignore_stdout()
        .run()?;
    let interop = workspace.target.join("interop");
    let typescript = interop.join("typescript");
    let python = interop.join("python");
    sh.remove_path(&interop)?;
    sh.create_dir(&interop)?;

    announce("interop with TypeScript");
    cmd!(sh, "cp -r {HOME}/typescript {typescript}").quiet().run()?;
    cmd!(sh, "npm ci --prefix {typescript} --ignore-scripts --no-audit --no-fund --silent")
        .quiet()
        .run()?;
    let program = typescript.join("documents.mjs");
    exchange(workspace, "typescript", "node", &[program.as_str()])?;

    announce("interop with Python");
    cmd!(sh, "python3 -m venv {python}").quiet().run()?;
    let interpreter = python.join("bin/python");
    let pins = format!("{HOME}/python/requirements.txt");
    cmd!(sh, "{interpreter} -m pip install --quiet --disable-pip-version-check -r {pins}")
        .quiet()
        .run()?;
    let program = format!("{HOME}/python/documents.py");
    exchange(workspace, "python", interpreter.as_str(), &["-B", &program])
}

/// Has an SDK write its documents and read ours.
fn exchange(workspace: &Workspace, sdk: &str, program: &str, args: &[&str]) -> Result<(), Error> {
    let sh = &workspace.sh;
    let written = workspace.target.join(format!("interop/{sdk}-documents"));
    // Where the test `documents` leaves what our types made of the recorded documents.
    let rewritten = workspace.target.join("tmp/documents");
    sh.create_dir(&written)?;
    cmd!(sh, "{program} {args...} write {written}").quiet().ignore_stdout().run()?;
    let recorded = format!("{RECORDED}/{sdk}");
    cmd!(sh, "diff -r {recorded} {written}")
        .quiet()
        .run()
        .map_err(|_| format!("what the SDK writes is no longer what stands in {recorded}"))?;
    let read = cmd!(sh, "{program} {args...} read {rewritten}").quiet().ignore_status().output()?;
    if !read.status.success() {
        print!("{}", String::from_utf8_lossy(&read.stdout));
        return Err("the SDK does not read what our types write".into());
    }
    Ok(())
}
