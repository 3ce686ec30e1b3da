//! Programs that run beside a command, and not longer than it.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use crate::workspace::Error;

/// Runs until it ends, or until this is dropped.
pub(crate) struct Running {
    process: Child,
    /// Open as long as the program may write to it.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Result<Self, Error> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or("the program has no standard output")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines() })
    }

    /// What follows `prefix` in the first line that has it; an error when the program ends before.
    pub(crate) fn wait_for(&mut self, prefix: &str) -> Result<String, Error> {
        for line in &mut self.lines {
            if let Some(rest) = line?.trim_start().strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
        }
        Err(format!("the program ended without a line `{prefix}`").into())
    }

    /// Its standard error, if that is piped and was not asked for before.
    pub(crate) fn errors(&mut self) -> Option<ChildStderr> {
        self.process.stderr.take()
    }

    /// Everything else that the program writes, and how it ends.
    pub(crate) fn finish(mut self) -> Result<(String, ExitStatus), Error> {
        let mut rest = String::new();
        for line in &mut self.lines {
            rest = rest + &line? + "\n";
        }
        Ok((rest, self.process.wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If either fails, the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
