//! The threads that hold the connections: one that writes, a few that read.
//!
//! Whatever waits for the writer is done in one transaction and stored by one flush of the disk, and nobody is answered
//! before it. An operation that fails is undone alone.

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

/// Most operations that wait; more than that, and it is better to say so.
const WAITING: usize = 4096;
/// Most operations of one transaction, so that the first does not wait for ever.
const GROUP: usize = 128;
/// How long the writer looks for more before it sleeps: on a fast disk, to be woken takes a fifth as long as to store
/// something.
const AWAKE: Duration = Duration::from_micros(100);

/// What waits for some of the threads. It ends with its sender.
type Waiting = Mutex<Receiver<Box<dyn Job>>>;
type Jobs = Vec<Box<dyn Job>>;

/// Threads that do what is put into one queue. They end with it, when all in it is done.
pub(crate) struct Threads {
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    is_damaged: Arc<AtomicBool>,
}

impl Threads {
    /// The one thread that writes.
    pub(crate) fn writer(connection: Connection) -> io::Result<Self> {
        Self::start("writer", [connection], |connection, waiting| {
            while let Some(group) = next_group(&lock(waiting)) {
                write(connection, group);
            }
        })
    }

    /// Threads that read, one for each connection.
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

    /// Does this on one of the threads.
    ///
    /// Whoever stops waiting before its turn has changed nothing; whoever stops later has changed all of it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue
            .try_send(Box::new(Operation { work, done: None, answer }))
            .map_err(|_| StoreError::Unavailable)?;
        // A thread that died with it does not say how far it came.
        let outcome = answered.await.unwrap_or(Err(StoreError::UnknownOutcome));
        if outcome.as_ref().err() == Some(&StoreError::Corrupt) {
            self.is_damaged.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether something was found that cannot be read, ever since they were started.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }
}

impl Drop for Threads {
    /// Waits for what is in the queue, and closes the connections.
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

/// What comes next; `None` when nothing will any more. Who waits for it holds the lock, and who works does not.
fn next(waiting: &Waiting) -> Option<Box<dyn Job>> {
    lock(waiting).recv().ok()
}

/// All that waits, or what comes next.
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

/// Carries a group out in one transaction, and then answers.
fn write(connection: &Connection, mut group: Jobs) {
    group.retain(|job| job.is_awaited());
    if group.is_empty() {
        return;
    }
    let outcome = commit(connection, &mut group);
    if outcome.is_err() {
        // If even that fails, SQLite is asked again before the next one begins.
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
        // The log may have it all the same.
        StoreError::UnknownOutcome
    })
}

fn run(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    if group.iter_mut().all(|job| job.run(connection)) {
        return Ok(());
    }
    // For those that fail, which are few, all begin again: points to go back to would cost all others a fifth of their
    // time.
    undo(connection)?;
    execute(connection, "BEGIN IMMEDIATE")?;
    for job in group {
        execute(connection, "SAVEPOINT one")?;
        if !job.run(connection) {
            // After some errors, as that of a full disk, SQLite has undone all, and this says so.
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    Ok(())
}

/// Undoes what was begun, unless SQLite has done so.
fn undo(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { execute(connection, "ROLLBACK") }
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Something to do with a connection, for somebody who waits for it.
trait Job: Send {
    /// Whether anybody still waits.
    fn is_awaited(&self) -> bool;
    /// Does it, or does it again after all of it was undone; whether that went well.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Says what came of it, unless all that it was done with came to nothing.
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
        // Its own error says more than that of the others.
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
