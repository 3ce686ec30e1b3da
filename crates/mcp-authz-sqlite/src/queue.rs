//! Threads that hold the database connections: one that writes, and a few that read.
//!
//! The writer runs all waiting operations in one transaction, which one flush of the disk stores (group commit), and
//! answers after that flush. An operation that fails is rolled back alone.

use core::time::Duration;
use core::{fmt, iter};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, yield_now};
use std::time::Instant;

use authorization_server::store::StoreError;
use futures::channel::oneshot;
use rusqlite::Connection;

use crate::failure::{Failure, told};

/// Most operations that wait in a queue; further ones fail at once.
const WAITING: usize = 4096;
/// Most operations in one transaction, so that the wait of the first one is bounded.
const GROUP: usize = 128;
/// Time for which the writer polls its queue before it sleeps.
///
/// On a fast disk, waking a thread takes a fifth as long as a commit.
const AWAKE: Duration = Duration::from_micros(100);

/// Receiving end of a queue, shared by its threads; it closes when its sender is dropped.
type Waiting = Mutex<Receiver<Box<dyn Job>>>;
type Jobs = Vec<Box<dyn Job>>;

/// Threads that run the operations of one queue, and end when it is closed and empty.
pub(crate) struct Threads {
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    is_damaged: Arc<AtomicBool>,
}

impl Threads {
    /// Starts the one thread that writes.
    pub(crate) fn writer(connection: Connection) -> io::Result<Self> {
        Self::start("writer", [connection], |connection, waiting| {
            while let Some(group) = next_group(&lock(waiting)) {
                write(connection, group);
            }
        })
    }

    /// Starts threads that read, one for each connection.
    pub(crate) fn readers(connections: Vec<Connection>) -> io::Result<Self> {
        Self::start("reader", connections, |connection, waiting| {
            while let Some(mut job) = next(waiting) {
                job.run(connection);
                job.answer(Ok(()));
            }
        })
    }

    fn start(
        name: &str,
        connections: impl IntoIterator<Item = Connection>,
        work: fn(&Connection, &Waiting),
    ) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            let thread = Builder::new().name(format!("mcp-authz-sqlite {name}"));
            threads.push(thread.spawn(move || work(&connection, &waiting))?);
        }
        Ok(Self { queue: Some(queue), threads, is_damaged: Arc::default() })
    }

    /// Runs an operation on one of the threads.
    ///
    /// A caller that stops waiting before the operation's turn leaves the database unchanged; one that stops later
    /// has no effect on it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue
            .try_send(Box::new(Operation { work, done: None, answer }))
            .map_err(|_| StoreError::Unavailable)?;
        // The thread died during the operation, so its outcome is unknown.
        let outcome = answered.await.unwrap_or(Err(StoreError::UnknownOutcome));
        if outcome.as_ref().err() == Some(&StoreError::Corrupt) {
            self.is_damaged.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Returns `true` if an operation has found data that cannot be read since the threads were started.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }
}

impl Drop for Threads {
    /// Waits until the queue is empty, and closes the connections.
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, Receiver<Box<dyn Job>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the next job; returns `None` once the queue is closed and empty.
///
/// A thread holds the lock while it waits, and releases it before it works.
fn next(waiting: &Waiting) -> Option<Box<dyn Job>> {
    lock(waiting).recv().ok()
}

/// Takes the jobs that wait, at most [`GROUP`], or else waits for the next one.
#[expect(clippy::disallowed_methods, reason = "it decides when to sleep, and nothing else")]
fn next_group(waiting: &Receiver<Box<dyn Job>>) -> Option<Jobs> {
    let begin = Instant::now();
    let first = loop {
        match waiting.try_recv() {
            Err(TryRecvError::Empty) if begin.elapsed() < AWAKE => yield_now(),
            Err(_) => break waiting.recv().ok()?,
            Ok(job) => break job,
        }
    };
    Some(iter::once(first).chain(waiting.try_iter()).take(GROUP).collect())
}

/// Runs a group in one transaction, then answers each job.
fn write(connection: &Connection, mut group: Jobs) {
    group.retain(|job| job.is_awaited());
    if group.is_empty() {
        return;
    }
    let outcome = commit(connection, &mut group);
    if outcome.is_err() {
        // If the rollback fails too, the next group cannot begin, and the rollback is tried again.
        let _ = undo(connection);
    }
    for job in group {
        job.answer(outcome);
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    run(connection, group).map_err(|error| told(&error))?;
    execute(connection, "COMMIT").map_err(|error| {
        told(&error);
        // The log may hold the change in spite of the error.
        StoreError::UnknownOutcome
    })
}

fn run(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    if group.iter_mut().all(|job| job.run(connection)) {
        return Ok(());
    }
    // Savepoints on the fast path cost about 20 %, and failures are rare, so a failed group is retried with one
    // savepoint per job.
    undo(connection)?;
    execute(connection, "BEGIN IMMEDIATE")?;
    for job in group {
        execute(connection, "SAVEPOINT one")?;
        if !job.run(connection) {
            // After some errors, such as a full disk, SQLite has rolled back everything, and this statement fails.
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    Ok(())
}

/// Rolls back the transaction, unless SQLite has done so already.
fn undo(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { execute(connection, "ROLLBACK") }
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Operation on a connection, with a caller that may wait for its result.
trait Job: Send {
    /// Returns `true` if the caller still waits.
    fn is_awaited(&self) -> bool;
    /// Runs the operation, again if the first run was rolled back; returns `true` if it succeeded.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Sends the caller the result, or the error of the transaction if that failed.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Operation<T, W> {
    work: W,
    done: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: Fn(&Connection) -> Result<T, Failure> + Send> Job for Operation<T, W> {
    fn is_awaited(&self) -> bool {
        !self.answer.is_canceled()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        self.done.insert((self.work)(connection)).is_ok()
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        // The operation's own error says more than that of its group.
        let answer = match self.done {
            Some(done) => {
                done.map_err(|error| error.told()).and_then(|value| outcome.map(|()| value))
            }
            None => Err(StoreError::Unavailable),
        };
        let _ = self.answer.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Job for Nothing {
        fn is_awaited(&self) -> bool {
            true
        }

        fn run(&mut self, _: &Connection) -> bool {
            true
        }

        fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
    }

    #[test]
    fn a_group_has_an_end_and_what_is_left_is_the_next() {
        let (queue, waiting) = sync_channel::<Box<dyn Job>>(WAITING);
        (0..200).for_each(|_| queue.send(Box::new(Nothing)).unwrap());
        drop(queue);
        let next = || next_group(&waiting).map(|group| group.len());
        assert_eq!([next(), next(), next()], [Some(GROUP), Some(200 - GROUP), None]);
    }
}
