//! Programs that run beside a command, and not longer than it.

use core::iter;
use core::num::NonZero;
use std::io::{BufRead as _, BufReader, Lines};
use std::panic::resume_unwind;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use xshell::Shell;

use crate::workspace::Error;

/// Runs something for each item, as many at a time as the machine has cores. The results have no order.
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
