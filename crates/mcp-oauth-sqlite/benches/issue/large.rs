//! A million clients and ten million tokens, and what a sweep of them makes others wait.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use authorization_server::Store as _;
use futures::executor::block_on;
use futures::future::join;
use mcp_oauth_sqlite::{Settings, SqliteStore};
use oauth_types::SecretDigest;
use rusqlite::{Connection, params};

use crate::samples::*;

/// Redemptions, with and without a sweep in turns.
const COUNT: u64 = 500;
const ROUNDS: u64 = 8;
/// Batches that are swept while nobody waits.
const BATCHES: usize = 2000;

/// Redemptions and look-ups with many rows around them, beside the same with a thousandth of them.
pub(crate) fn large() {
    println!("\nwith many rows, microseconds       p50       p99   longest");
    for (clients, tokens) in [(1_000, 10_000), (1_000_000, 10_000_000)] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("large.db");
        let store = SqliteStore::open(&path, &Settings::default()).unwrap();
        fill(&path, clients, tokens);
        println!("{clients} clients, {tokens} tokens");
        let mut looks = Vec::new();
        for number in 0..2000 {
            // One of the many, spread over all of them.
            let digest = SecretDigest::of(&format!("{}", number * (tokens / 2000)));
            looks.push(time(|| drop(block_on(store.access(&digest, NOW)).unwrap())));
        }
        tell("look-up", looks);
        // In turns, so that a bad moment of the disk is everybody's.
        let (mut quiet, mut swept_over, mut swept) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let first = 2 * round * COUNT;
            quiet.extend(block_on(redeem(&store, first)));
            let is_over = Cell::new(false);
            let sweep = async {
                let mut left = true;
                while left && !is_over.get() {
                    let rows = store.sweep(NOW, 1000).await.unwrap();
                    left = rows > 0;
                    swept += rows;
                }
            };
            let redeem = async {
                swept_over.extend(redeem(&store, first + COUNT).await);
                is_over.set(true);
            };
            block_on(join(sweep, redeem));
        }
        tell("redeem", quiet);
        tell("redeem in a sweep", swept_over);
        println!("  rows swept meanwhile  {swept:>9}");
        // How long the writer does nothing else.
        let mut batches = Vec::new();
        for _ in 0..BATCHES {
            batches.push(time(|| swept += block_on(store.sweep(NOW, 20)).unwrap()));
        }
        tell("a batch alone", batches);
    }
}

/// Codes and their redemptions, one after the other; how long each redemption took.
async fn redeem(store: &SqliteStore, first: u64) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in first..first + COUNT {
        store.insert_code(code(number)).await.unwrap();
        let begin = Instant::now();
        store.redeem(&code_digest(number), family(number), NOW).await.unwrap();
        waits.push(begin.elapsed());
    }
    waits
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_micros();
    println!("  {what:<20} {:>9} {:>9} {:>9}", at(50), at(99), at(100));
}

fn time(run: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}

/// Clients with a family each, and tokens in random order, a tenth of which has expired.
fn fill(path: &Path, clients: u64, tokens: u64) {
    let mut raw = Connection::open(path).unwrap();
    raw.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000").unwrap();
    let transaction = raw.transaction().unwrap();
    {
        let mut client = transaction
            .prepare("INSERT INTO clients VALUES (?1, '{}', '[]', '{}', 1000000, NULL)")
            .unwrap();
        let mut new = transaction
            .prepare(
                "INSERT INTO families VALUES (?1, ?2, 'user', 'https://rs.example/mcp', \
                 'files:read', 3000000, 2000000, 0, 1000000, NULL, 0, 3000000)",
            )
            .unwrap();
        for number in 0..clients {
            client.execute([format!("many-{number:08}")]).unwrap();
            new.execute(params![many_id(number).as_bytes(), format!("many-{number:08}")]).unwrap();
        }
        // In the order of the tree, which is thirty times faster and makes the same tree.
        let mut rows: Vec<([u8; 32], u64)> = (0..tokens)
            .map(|number| (*SecretDigest::of(&number.to_string()).as_bytes(), number))
            .collect();
        rows.sort_unstable();
        transaction.execute_batch("DROP INDEX access_expires_at").unwrap();
        let mut access = transaction
            .prepare("INSERT INTO access VALUES (?1, ?2, 'files:read', ?3, NULL)")
            .unwrap();
        for (digest, number) in rows {
            let age = i64::try_from(number % 1000).unwrap();
            let expires_at = if number % 10 == 1 { 900_000 + age } else { 2_000_000 };
            access
                .execute(params![digest, many_id(number % clients).as_bytes(), expires_at])
                .unwrap();
        }
    }
    transaction.execute_batch("CREATE INDEX access_expires_at ON access (expires_at)").unwrap();
    transaction.commit().unwrap();
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // Nobody is to wait for what the disk still owes.
    File::open(path).unwrap().sync_all().unwrap();
}
