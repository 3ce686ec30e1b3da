//! How many tokens a second are issued, by 1, 8 and 64 clients, beside a loop that runs the same statements on a bare
//! connection; and, with `--large`, whether a million clients and ten million tokens change anything.
//!
//! `cargo bench -p mcp-authz-sqlite`. Compare only figures of one run: disks differ, and so do hours.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![expect(clippy::print_stdout, reason = "its report")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

mod large;
mod samples;

use std::path::Path;
use std::time::Instant;

use authorization_server::Store as _;
use authorization_server::store::RedeemOutcome;
use futures::executor::block_on;
use futures::future::join_all;
use mcp_authz_sqlite::{Settings, SqliteStore};
use rusqlite::{Connection, params};

use crate::samples::*;

/// Redemptions by one client in each round; crowds do four times as many.
const COUNT: u64 = 500;
const ROUNDS: usize = 7;

fn main() {
    issue();
    if std::env::args().any(|argument| argument == "--large") {
        large::large();
    }
}

/// Rounds of all four, one after the other, so that a bad moment of the disk is everybody's.
fn issue() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = SqliteStore::open(folder.path().join("store.db"), &Settings::default()).unwrap();
    drop(SqliteStore::open(folder.path().join("bare.db"), &Settings::default()).unwrap());
    let bare = Bare::open(&folder.path().join("bare.db"));
    let mut rates = [const { Vec::new() }; 4];
    let mut next = 0;
    for _ in 0..ROUNDS {
        rates[0].push(rate(
            COUNT,
            || (next..next + COUNT).for_each(|number| bare.insert(number)),
            || {
                (next..next + COUNT).for_each(|number| bare.redeem(number));
            },
        ));
        next += COUNT;
        for (at, clients) in [(1, 1), (2, 8), (3, 64)] {
            let count = if clients == 1 { COUNT } else { 4 * COUNT } / clients * clients;
            let first = next;
            let prepare = || {
                let insert = |number| store.insert_code(code(number));
                for outcome in block_on(join_all((first..first + count).map(insert))) {
                    outcome.unwrap();
                }
            };
            let run = || {
                let client = |client: u64| {
                    let store = &store;
                    async move {
                        for number in (first + client..first + count)
                            .step_by(usize::try_from(clients).unwrap())
                        {
                            let outcome =
                                store.redeem(&code_digest(number), family(number), NOW).await;
                            assert_eq!(outcome, Ok(RedeemOutcome::Redeemed));
                        }
                    }
                };
                block_on(join_all((0..clients).map(client)));
            };
            rates[at].push(rate(count, prepare, run));
            next += count;
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    tell(medians);
}

fn tell([bare, one, eight, crowd]: [f64; 4]) {
    println!("token issue, medians of {ROUNDS} rounds, operations per second");
    println!("  bare connection, one after the other {bare:>8.0}");
    println!(
        "  store,  1 client                     {one:>8.0}   {:>5.2} of the bare loop",
        one / bare
    );
    println!(
        "  store,  8 clients                    {eight:>8.0}   {:>5.2} times one client",
        eight / one
    );
    println!(
        "  store, 64 clients                    {crowd:>8.0}   {:>5.2} times one client",
        crowd / one
    );
}

fn rate(count: u64, prepare: impl FnOnce(), run: impl FnOnce()) -> f64 {
    prepare();
    let begin = Instant::now();
    run();
    count as f64 / begin.elapsed().as_secs_f64()
}

/// The statements of the store, without the store.
struct Bare(Connection);

impl Bare {
    fn open(path: &Path) -> Self {
        let bare = Connection::open(path).unwrap();
        bare.set_prepared_statement_cache_capacity(64);
        bare.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON").unwrap();
        Self(bare)
    }

    fn run(&self, statement: &str, values: impl rusqlite::Params) {
        self.0.prepare_cached(statement).unwrap().execute(values).unwrap();
    }

    fn insert(&self, number: u64) {
        let code = code(number);
        self.run(
            "INSERT INTO codes (digest, client_id, subject, expires_at, redeemed, body) \
             VALUES (?1, ?2, ?3, ?4, NULL, ?5) ON CONFLICT DO NOTHING",
            params![
                code.digest.as_bytes(),
                code.client_id.as_str(),
                code.subject.as_str(),
                seconds(code.expires_at),
                code.body().unwrap().as_str(),
            ],
        );
    }

    fn redeem(&self, number: u64) {
        let (digest, family) = (code_digest(number), family(number));
        self.run("BEGIN IMMEDIATE", []);
        let (expires_at, redeemed): (i64, Option<i64>) = self
            .0
            .prepare_cached(
                "SELECT expires_at, redeemed, (SELECT id FROM families WHERE number = redeemed) \
                 FROM codes WHERE digest = ?1",
            )
            .unwrap()
            .query_row([digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert!(redeemed.is_none() && expires_at > 1_000_000);
        self.run(
            "INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until, \
             generation, rotated_at, revoked, needed_until, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?5, ?8)",
            params![
                family.id.as_bytes(),
                family.client_id.as_str(),
                family.subject.as_str(),
                family.resource.as_str(),
                seconds(family.expires_at),
                seconds(family.idle_until),
                1_000_000,
                family.body().unwrap().as_str(),
            ],
        );
        let number = self.0.last_insert_rowid();
        self.run(
            "INSERT INTO access (digest, family, expires_at, body) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![
                family.access.digest.as_bytes(),
                family.id.as_bytes(),
                seconds(family.access.expires_at),
                family.access.body().unwrap().as_str(),
            ],
        );
        self.run(
            "UPDATE codes SET redeemed = ?2 WHERE digest = ?1",
            params![digest.as_bytes(), number],
        );
        self.run(
            "UPDATE clients SET unused = 0, unused_until = max(unused_until, ?2) \
             WHERE client_id = ?1 AND unused_until IS NOT NULL \
             AND (unused = 1 OR ?2 - unused_until >= 86400)",
            params![family.client_id.as_str(), seconds(family.client_needed_until())],
        );
        self.run("COMMIT", []);
    }
}
