//! Child processes that end with the command, and parallel work.

use core::iter;
use core::num::NonZero;
use std::io::{BufRead as _, BufReader, Lines};
use std::panic::resume_unwind;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use xshell::Shell;

use crate::workspace::Error;

/// Runs `run` for each item, one item per core at a time; results are unordered.
pub(crate) fn on_each_core<T: Send, R: Send>(
    sh: &Shell,
    items: impl Iterator<Item = T> + Send,
    run: impl Fn(&Shell, T) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = |sh: Shell| iter::from_fn(next).map(|item| run(&sh, item)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let shells = iter::repeat_with(|| sh.clone()).take(cores);
        let workers = shells.map(|sh| scope.spawn(|| work(sh))).collect::<Vec<_>>();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|results| results.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Child process that is killed when this is dropped.
pub(crate) struct Running {
    process: Child,
    /// Standard output, kept open because the program may write to it at any time.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Result<Self, Error> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or("the program has no standard output")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines() })
    }

    /// Returns the rest of the first line that begins with `prefix`.
    ///
    /// # Errors
    ///
    /// When the program ends without such a line.
    pub(crate) fn wait_for(&mut self, prefix: &str) -> Result<String, Error> {
        for line in &mut self.lines {
            if let Some(rest) = line?.trim_start().strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
        }
        Err(format!("the program ended without a line `{prefix}`").into())
    }

    /// Returns the standard error on the first call, if it is piped.
    pub(crate) fn errors(&mut self) -> Option<ChildStderr> {
        self.process.stderr.take()
    }

    /// Waits for the end; returns the remaining output and the exit status.
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
        // Both fail only if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_run_once() {
        let sh = Shell::new().unwrap();
        let mut results = on_each_core(&sh, 0..100, |_, item| item * 2);
        results.sort_unstable();
        assert_eq!(results, (0..100).map(|item| item * 2).collect::<Vec<_>>());
    }
}
