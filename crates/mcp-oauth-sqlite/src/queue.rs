//! The threads that hold the connections: one that writes, a few that read.
//!
//! Whatever waits for the writer is done in one transaction and stored by one flush of the disk, and nobody is answered
//! before it. An operation that fails is undone alone.

use core::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use authorization_server::StoreError;
use futures::channel::oneshot;
use rusqlite::Connection;

use crate::failure::{Failure, told};

/// Most operations that wait; more than that, and it is better to say so.
const WAITING: usize = 4096;
/// Most operations of one transaction, so that the first does not wait for ever.
const GROUP: usize = 128;

/// What waits, so many at most, once something does; `None` when nothing will any more.
type Next<'a> = dyn Fn(usize) -> Option<Jobs> + 'a;
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
        Self::start("writer", [connection], |connection, next| {
            while let Some(group) = next(GROUP) {
                write(connection, group);
            }
        })
    }

    /// Threads that read, one for each connection.
    pub(crate) fn readers(connections: Vec<Connection>) -> io::Result<Self> {
        Self::start("reader", connections, |connection, next| {
            while let Some(jobs) = next(1) {
                for mut job in jobs {
                    job.run(connection);
                    job.answer(Ok(()));
                }
            }
        })
    }

    fn start(
        name: &str,
        connections: impl IntoIterator<Item = Connection>,
        work: fn(&Connection, &Next<'_>),
    ) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            let thread = Builder::new().name(format!("mcp-oauth-sqlite {name}"));
            let next =
                move |most| next(&waiting.lock().unwrap_or_else(PoisonError::into_inner), most);
            threads.push(thread.spawn(move || work(&connection, &next))?);
        }
        Ok(Self { queue: Some(queue), threads, is_damaged: Arc::default() })
    }

    /// Does this on one of the threads.
    ///
    /// Whoever stops waiting before its turn has changed nothing; whoever stops later has changed all of it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue
            .try_send(Box::new(Operation { work: Some(work), done: None, answer }))
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

fn next(waiting: &Receiver<Box<dyn Job>>, most: usize) -> Option<Jobs> {
    let first = waiting.recv().ok()?;
    let mut group = vec![first];
    group.extend(waiting.try_iter().take(most.saturating_sub(1)));
    Some(group)
}

/// Carries a group out in one transaction, and then answers.
fn write(connection: &Connection, mut group: Jobs) {
    group.retain(|job| job.is_awaited());
    if group.is_empty() {
        return;
    }
    let outcome = commit(connection, &mut group);
    if outcome.is_err() && !connection.is_autocommit() {
        // If even that fails, SQLite is asked again before the next one begins.
        let _ = execute(connection, "ROLLBACK");
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

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Something to do with a connection, for somebody who waits for it.
trait Job: Send {
    /// Whether anybody still waits.
    fn is_awaited(&self) -> bool;
    /// Does it; whether that went well.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Says what came of it, unless all that it was done with came to nothing.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Operation<T, W> {
    work: Option<W>,
    done: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: FnOnce(&Connection) -> Result<T, Failure> + Send> Job for Operation<T, W> {
    fn is_awaited(&self) -> bool {
        !self.answer.is_canceled()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let done = self.work.take().map(|work| work(connection).map_err(|error| error.told()));
        self.done = done;
        matches!(self.done, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let done = self.done.unwrap_or(Err(StoreError::Unavailable));
        // Its own error says more than that of the others.
        let answer = done.and_then(|value| outcome.map(|()| value));
        let _ = self.answer.send(answer);
    }
}
