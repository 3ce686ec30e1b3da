//! Every call to the store fails once, before it does anything, after, and by never answering: what both servers answer
//! meanwhile, and what is left of it in the end.

#![cfg(test)]

mod answers;
mod clocks;
mod site;
mod story;

use core::time::Duration;
use std::path::Path;
use std::sync::atomic::Ordering;

use authorization_server::{MemoryStore, Store};
use cluster::Cluster;
use futures::StreamExt as _;
use futures::stream::iter;
use mcp_authz_postgres::PostgresStore;
use mcp_authz_sqlite::{Settings, SqliteStore};
use tempfile::TempDir;
use tests::faulty::{Fault, FaultyStore};

use site::Site;
use story::{Left, Story, Told};

/// How many of the stories are told at once.
const AT_ONCE: usize = 16;
/// How long the servers wait for a store that answers.
const PATIENT: Duration = Duration::from_secs(60);
/// And for one that does not.
const IMPATIENT: Duration = Duration::from_millis(500);

/// What came of a story, how often the store was called, and how many answers said 503.
async fn told<S: Store + 'static>(store: S, faults: &[(usize, Fault)]) -> (Told, usize, usize) {
    let is_late = |fault| matches!(fault, Fault::HangBefore | Fault::HangAfter);
    let patience =
        if faults.iter().any(|(_, fault)| is_late(*fault)) { IMPATIENT } else { PATIENT };
    let site = Site::open(FaultyStore::new(store, faults.iter().copied()), patience).await;
    let told = Story::tell(&site).await;
    (told, site.store.calls(), site.refused.load(Ordering::SeqCst))
}

/// Tells the story with each of these faults at each call, and compares it with the one without.
async fn every_call<S: Store + 'static, P>(fresh: impl AsyncFn() -> (S, P), faults: &[&[Fault]]) {
    let (store, _place) = fresh().await;
    let (right, calls, refused) = told(store, &[]).await;
    assert_eq!((right.strayed, refused), (0, 0));
    assert!(calls > 80, "{calls}");
    let all = faults.iter().flat_map(|faults| (0..calls).map(move |call| (call, *faults)));
    let mut stories = iter(all)
        .map(|(call, faults)| {
            let faults: Vec<_> = (call..).zip(faults.iter().copied()).collect();
            let fresh = fresh();
            async move {
                let (store, _place) = fresh.await;
                (told(store, &faults).await, faults)
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some(((told, _, refused), faults)) = stories.next().await {
        assert_eq!(told.answers, right.answers, "{faults:?}");
        // What strayed, or is left over, is what a fault took.
        let lost = faults.len() + refused;
        assert!(told.strayed <= lost, "{faults:?}: {told:?}");
        let mut more = told.left.clone();
        for family in &right.left {
            let at = more.iter().position(|own| own == family);
            more.remove(at.unwrap_or_else(|| panic!("{faults:?}: {:?}", told.left)));
        }
        assert!(more.len() <= lost, "{faults:?}: {more:?}");
        // A family that nobody heard of is over, or its token never left the server.
        let is_harmless = |(is_machine, generation, is_over): &Left| {
            *is_over || (*is_machine && *generation == 0)
        };
        assert!(more.iter().all(is_harmless), "{faults:?}: {more:?}");
    }
}

/// Nobody hears of what was done.
const AFTER: [&[Fault]; 1] = [&[Fault::After]];
const BEFORE: [&[Fault]; 1] = [&[Fault::Before]];
const LATE: [&[Fault]; 2] = [&[Fault::HangBefore], &[Fault::HangAfter]];
const TWICE: [&[Fault]; 4] = [
    &[Fault::Before, Fault::Before],
    &[Fault::After, Fault::After],
    &[Fault::After, Fault::Before],
    &[Fault::Before, Fault::After],
];

async fn memory() -> (MemoryStore, ()) {
    (MemoryStore::default(), ())
}

async fn sqlite() -> (SqliteStore, TempDir) {
    // Nothing here loses power: what waits for no disk is told sooner.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    let folder = folder.unwrap();
    let store = SqliteStore::open(folder.path().join("oauth.db"), &Settings::default());
    (store.unwrap(), folder)
}

async fn postgres() -> (PostgresStore, ()) {
    let url = Cluster::shared().fresh_database().unwrap();
    // All of those that are told at once have their connections.
    let settings =
        mcp_authz_postgres::Settings::default().with_connections(2).with_timeout(PATIENT);
    (PostgresStore::open(&url, &settings).await.unwrap(), ())
}

/// SEC-202
#[tokio::test]
async fn each_call_to_a_store_in_memory_fails_once() {
    every_call(memory, &BEFORE).await;
    every_call(memory, &AFTER).await;
}

/// SEC-202
#[tokio::test]
async fn each_call_to_a_store_in_memory_is_not_answered() {
    every_call(memory, &LATE).await;
}

/// SEC-202
#[tokio::test]
async fn each_call_to_a_database_is_done_and_nobody_hears_of_it() {
    every_call(sqlite, &AFTER).await;
}

/// SEC-202
#[tokio::test]
#[ignore = "takes a minute"]
async fn each_call_to_a_store_in_memory_fails_twice() {
    every_call(memory, &TWICE).await;
}

/// SEC-202
#[tokio::test]
#[ignore = "takes a minute"]
async fn each_call_to_a_database_fails_once_or_twice() {
    every_call(sqlite, &BEFORE).await;
    every_call(sqlite, &TWICE).await;
}

/// SEC-202
#[tokio::test]
#[ignore = "takes a minute"]
async fn each_call_to_a_database_is_not_answered() {
    every_call(sqlite, &LATE).await;
}

/// SEC-202
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn each_call_to_a_database_server_fails_once() {
    every_call(postgres, &BEFORE).await;
    every_call(postgres, &AFTER).await;
}

/// SEC-188
#[tokio::test]
async fn an_answer_that_was_heard_is_the_last_whatever_the_store_says() {
    let site = Site::open(FaultyStore::new(MemoryStore::default(), []), IMPATIENT).await;
    answers::heard(&site).await;
}

/// SEC-198: what was swept stays away too.
#[tokio::test]
async fn the_used_stays_used_in_memory_whatever_the_clock_says() {
    clocks::jumps(MemoryStore::default()).await;
}

/// SEC-198: what was swept stays away too.
#[tokio::test]
async fn the_used_stays_used_in_sqlite_whatever_the_clock_says() {
    let (store, _folder) = sqlite().await;
    clocks::jumps(store).await;
}

/// SEC-198: what was swept stays away too.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_used_stays_used_in_postgresql_whatever_the_clock_says() {
    let (store, ()) = postgres().await;
    clocks::jumps(store).await;
}
