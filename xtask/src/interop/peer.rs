//! A foreign authorization server in a process of its own, and our client against it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use cargo_metadata::camino::Utf8Path;
use xshell::{Shell, cmd};

use crate::workspace::{Error, Workspace};

/// Has our client log in, refresh and step up at the peer that `program` makes of `script`.
pub(super) fn meet(
    workspace: &Workspace,
    name: &str,
    program: &str,
    script: &Utf8Path,
) -> Result<(), Error> {
    let sh = &workspace.sh;
    let log = workspace.target.join(format!("interop/{name}-peer.log"));
    let outcome = Peer::start(sh, program, script, &log).and_then(|peer| {
        let url = &peer.url;
        cmd!(sh, "cargo run --quiet --locked -p tests --example interop_client -- {url}")
            .quiet()
            .run()?;
        Ok(())
    });
    if outcome.is_err() {
        println!("log of {script}:\n{}", sh.read_file(&log)?);
    }
    outcome
}

/// Runs until it is dropped.
struct Peer {
    process: Child,
    /// Open as long as the peer may write to it.
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Peer {
    /// Starts a peer and waits until it says where its MCP server is.
    fn start(sh: &Shell, program: &str, script: &Utf8Path, log: &Utf8Path) -> Result<Self, Error> {
        #[expect(clippy::disallowed_methods, reason = "the tool writes the log")]
        let log = File::create(log)?;
        let mut process = Command::from(cmd!(sh, "{program} {script}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the peer has no standard output")?;
        let mut peer = Self { process, stdout: BufReader::new(stdout), url: String::new() };
        let mut line = String::new();
        peer.stdout.read_line(&mut line)?;
        let url = line.trim_end().strip_prefix("MCP ").ok_or("the peer did not start")?;
        url.clone_into(&mut peer.url);
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // If either fails, the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
