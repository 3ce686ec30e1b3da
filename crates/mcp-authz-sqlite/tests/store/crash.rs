//! A process that is killed at any instant, under load, again and again.
//!
//! The test starts itself as another process. That one stores with several threads, and says on its output what was
//! answered; it is killed, and the next one finds all of it. Servers are killed in `examples/scoped-tools`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use authorization_server::Store as _;
use authorization_server::store::{RedeemOutcome, RotateOutcome};
use futures::executor::block_on;
use mcp_authz_sqlite::SqliteStore;

use crate::samples::*;

const FOLDER: &str = "MCP_AUTHZ_SQLITE_CRASH_FOLDER";
const FIRST: &str = "MCP_AUTHZ_SQLITE_CRASH_FIRST";
const COUNT: &str = "MCP_AUTHZ_SQLITE_CRASH_COUNT";
const THREADS: u64 = 8;

/// What was answered about one number.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Answered {
    pub(crate) is_stored: bool,
    pub(crate) is_redeemed: bool,
    pub(crate) generation: u64,
    pub(crate) is_revoked: bool,
}

/// The process that is killed; a test by itself does nothing.
#[test]
#[ignore = "the other tests of this module start it"]
fn worker() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let count = std::env::var(COUNT).map_or(usize::MAX, |count| count.parse().unwrap());
    let store = SqliteStore::open(format!("{folder}/oauth.db"), &settings()).unwrap();
    let first: u64 = first.parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || block_on(work(store, first + thread, count)));
        }
    });
}

async fn work(store: &SqliteStore, first: u64, count: usize) {
    let say = |what: &str, number: u64, generation: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "answered {what} {number} {generation}").unwrap();
        out.flush().unwrap();
    };
    for number in (first..).step_by(usize::try_from(THREADS).unwrap()).take(count) {
        store.insert_code(code(number)).await.unwrap();
        say("stored", number, 0);
        let outcome = store.redeem(&code(number).digest, family(number), NOW).await;
        assert_eq!(outcome, Ok(RedeemOutcome::Redeemed));
        say("redeemed", number, 0);
        for generation in 0..3 {
            let outcome = store.rotate(rotation(number, generation), NOW).await;
            assert_eq!(outcome, Ok(RotateOutcome::Rotated));
            say("rotated", number, generation + 1);
        }
        if number.is_multiple_of(5) {
            store.revoke_family(&family_id(number), NOW).await.unwrap();
            say("revoked", number, 0);
        }
    }
}

/// A worker on this folder, whose threads end after so many numbers.
pub(crate) fn worker_command(folder: &Path, first: u64, count: usize) -> Command {
    let mut worker = Command::new(std::env::current_exe().unwrap());
    worker
        .args(["--exact", "crash::worker", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .env(COUNT, count.to_string());
    worker
}

/// Takes down what a worker says that it was answered; whether it was that.
pub(crate) fn note(answered: &mut BTreeMap<u64, Answered>, line: &str) -> bool {
    let Some((_, rest)) = line.split_once("answered ") else { return false };
    let mut words = rest.split(' ');
    let (what, mut numbers) = (words.next().unwrap(), words.map(|word| word.parse().ok()));
    // A line that the kill cut off says nothing.
    let (Some(Some(number)), Some(Some(generation))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let own = answered.entry(number).or_default();
    match what {
        "stored" => own.is_stored = true,
        "redeemed" => own.is_redeemed = true,
        "rotated" => own.generation = own.generation.max(generation),
        "revoked" => own.is_revoked = true,
        _ => return false,
    }
    true
}

/// Starts a worker, kills it, and tells what it was answered.
fn killed(place: &Place, first: u64, after: Duration) -> BTreeMap<u64, Answered> {
    let mut worker = worker_command(place.folder.path(), first, usize::MAX);
    let mut child = worker.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut answered = BTreeMap::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Not before it works.
    while !note(&mut answered, &lines.next().expect("the worker works").unwrap()) {}
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines.map_while(Result::ok) {
        note(&mut answered, &line);
    }
    answered
}

/// What a look at the store finds after a kill: how many operations were done and never answered.
pub(crate) async fn judge(
    store: &SqliteStore,
    answered: &BTreeMap<u64, Answered>,
    first: u64,
) -> u64 {
    let mut unanswered = 0;
    // What was begun and not answered is next to what was.
    let last = answered.keys().last().copied().unwrap_or(first);
    for number in first..=last + THREADS {
        let own = answered.get(&number).copied().unwrap_or_default();
        let found = store.read_code(&code(number).digest).await.unwrap();
        let family = store.read_family(&family_id(number)).await.unwrap();
        assert!(found.is_some() || !own.is_stored, "{number}: a code is lost");
        let redeemed = found.and_then(|found| found.redeemed);
        assert!(redeemed.is_some() || !own.is_redeemed, "{number}: a redemption is lost");
        // All of an operation, or nothing.
        assert_eq!(redeemed.is_some(), family.is_some(), "{number}: half a redemption");
        let Some(family) = family else {
            assert!(store.access(&access(number, 0).digest, NOW).await.unwrap().is_none());
            continue;
        };
        assert_eq!(redeemed, Some(family_id(number)));
        unanswered += u64::from(!own.is_redeemed);
        let stored = family.generation.get();
        assert!(stored >= own.generation, "{number}: a rotation is lost");
        assert!(stored <= own.generation + 1, "{number}: a rotation of nobody");
        assert!(family.revoked || !own.is_revoked, "{number}: a revocation is lost");
        for generation in 0..=3 {
            let known = store.access(&access(number, generation).digest, NOW).await.unwrap();
            assert_eq!(known.is_some(), !family.revoked && generation <= stored, "{number}");
        }
        // A client whose answer was lost repeats what it sent, and is served.
        if !family.revoked {
            let again = store.rotate(rotation(number, own.generation), NOW).await.unwrap();
            let is_lost = stored > own.generation;
            unanswered += u64::from(is_lost);
            let expected =
                if is_lost { RotateOutcome::GraceReplay } else { RotateOutcome::Rotated };
            assert_eq!(again, expected, "{number}");
            let after = store.read_family(&family_id(number)).await.unwrap().unwrap();
            assert_eq!(after.generation.get(), own.generation + 1, "{number}: one live generation");
        }
        // No code is good twice.
        let other = self::family(number + 1_000_000_000);
        let twice = store.redeem(&code(number).digest, other, NOW).await;
        assert_eq!(twice, Ok(RedeemOutcome::AlreadyUsed(family_id(number))));
    }
    unanswered
}

/// SEC-200, SEC-036
#[test]
fn a_process_that_is_killed_loses_nothing_and_doubles_nothing() {
    const COUNT: u64 = 20;
    let place = Place::new();
    let (mut operations, mut unanswered) = (0, 0);
    for cycle in 0..COUNT {
        let first = cycle * 1_000_000;
        let after = Duration::from_millis(1 + cycle * 7 % 40);
        let answered = killed(&place, first, after);
        operations += answered.values().map(|own| 2 + own.generation).sum::<u64>();
        let store = place.open();
        unanswered += block_on(judge(&store, &answered, first));
    }
    let sound: String =
        place.raw().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    assert!(operations > COUNT, "{operations}");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{COUNT} kills: {operations} answered, {unanswered} done and not answered")
        .unwrap();
}
