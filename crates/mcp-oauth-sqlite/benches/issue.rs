//! How many tokens a second are issued, by 1, 8 and 64 clients, beside a loop that runs the same statements on a bare
//! connection; and, with `--large`, whether a million clients and ten million tokens change anything.
//!
//! `cargo bench -p mcp-oauth-sqlite`. Compare only figures of one run: disks differ, and so do hours.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![expect(clippy::print_stdout, reason = "its report")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::path::Path;
use std::time::{Duration, Instant};

use authorization_server::{CodeRecord, FamilyId, NewAccess, NewFamily, RedeemOutcome, Store as _};
use futures::executor::block_on;
use futures::future::join_all;
use mcp_oauth_sqlite::{Settings, SqliteStore};
use oauth_types::{
    ClientId, CodeVerifier, RedirectUri, ResourceUri, ScopeSet, SecretDigest, UnixTime,
};
use rusqlite::{Connection, params};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
/// Redemptions by one client in each round; crowds do four times as many.
const COUNT: u64 = 500;
const ROUNDS: usize = 7;
/// Rows that are swept while others redeem.
const SWEPT: usize = 30_000;

fn main() {
    issue();
    if std::env::args().any(|argument| argument == "--large") {
        large();
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
    let [bare, one, eight, crowd] = medians;
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
            "INSERT INTO codes (digest, client_id, redirect_uri, challenge, resource, scopes, \
             subject, expires_at, jkt, redeemed, needed_until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL, ?8) ON CONFLICT DO NOTHING",
            params![
                code.digest.as_bytes(),
                code.client_id.as_str(),
                code.redirect_uri.as_str(),
                code.challenge.as_str(),
                code.resource.as_str(),
                code.scopes.as_str(),
                code.subject,
                seconds(code.expires_at),
            ],
        );
    }

    fn redeem(&self, number: u64) {
        let (digest, family) = (code_digest(number), family(number));
        self.run("BEGIN IMMEDIATE", []);
        let (expires_at, redeemed): (i64, Option<[u8; 16]>) = self
            .0
            .prepare_cached("SELECT expires_at, redeemed FROM codes WHERE digest = ?1")
            .unwrap()
            .query_row([digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert!(redeemed.is_none() && expires_at > 1_000_000);
        self.run(
            "INSERT INTO families (id, client_id, subject, resource, scopes, expires_at, \
             idle_until, generation, rotated_at, jkt, revoked, needed_until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, NULL, 0, ?6)",
            params![
                family.id.as_bytes(),
                family.client_id.as_str(),
                family.subject,
                family.resource.as_str(),
                family.scopes.as_str(),
                seconds(family.expires_at),
                seconds(family.idle_until),
                1_000_000,
            ],
        );
        self.run(
            "INSERT INTO access (digest, family, scopes, expires_at, jkt) \
             VALUES (?1, ?2, ?3, ?4, NULL) ON CONFLICT DO NOTHING",
            params![
                family.access.digest.as_bytes(),
                family.id.as_bytes(),
                family.access.scopes.as_str(),
                seconds(family.access.expires_at),
            ],
        );
        self.run(
            "UPDATE codes SET redeemed = ?2, needed_until = ?3 WHERE digest = ?1",
            params![digest.as_bytes(), family.id.as_bytes(), seconds(family.expires_at)],
        );
        self.run(
            "UPDATE clients SET unused_until = NULL \
             WHERE client_id = ?1 AND unused_until IS NOT NULL",
            [family.client_id.as_str()],
        );
        self.run("COMMIT", []);
    }
}

/// Redemptions and look-ups with many rows around them, beside the same with a thousandth of them.
fn large() {
    println!(
        "\nwith many rows, microseconds      redeem p50    p99   look-up p50    p99   longest wait in a sweep"
    );
    for (clients, tokens) in [(1_000, 10_000), (1_000_000, 10_000_000)] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("large.db");
        let store = SqliteStore::open(&path, &Settings::default()).unwrap();
        fill(&path, clients, tokens);
        let mut redeems = Vec::new();
        let mut looks = Vec::new();
        for number in 0..2000 {
            block_on(store.insert_code(code(number))).unwrap();
            redeems.push(time(|| {
                block_on(store.redeem(&code_digest(number), family(number), NOW)).unwrap();
            }));
            // One of the many, spread over all of them.
            let digest = SecretDigest::of(&format!("{}", number * (tokens / 2000)));
            looks.push(time(|| drop(block_on(store.access(&digest, NOW)).unwrap())));
        }
        // A tenth of the tokens has expired. How long anybody waits is told without a sweep first.
        let quiet = block_on(requests(&store, 10_000));
        let sweep = store.sweep(NOW, SWEPT);
        let (swept, swept_over) = block_on(futures::future::join(sweep, requests(&store, 20_000)));
        println!("{clients} clients, {tokens} tokens; p50, p99 and the longest, in microseconds");
        println!("  redeem                {}", told(&mut redeems));
        println!("  look-up               {}", told(&mut looks));
        println!("  redeem                {}", told(&mut { quiet }));
        println!("  redeem in a sweep     {}", told(&mut { swept_over }));
        println!("  rows swept            {:>9}", swept.unwrap());
    }
}

/// Codes and their redemptions, one after the other; how long each redemption took.
async fn requests(store: &SqliteStore, first: u64) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in first..first + 2000 {
        store.insert_code(code(number)).await.unwrap();
        let begin = Instant::now();
        store.redeem(&code_digest(number), family(number), NOW).await.unwrap();
        waits.push(begin.elapsed());
    }
    waits
}

fn told(times: &mut [Duration]) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_micros();
    format!("{:>9} {:>9} {:>9}", at(50), at(99), at(100))
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
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap()
}

fn many_id(number: u64) -> FamilyId {
    FamilyId::from_bytes((u128::MAX / 2 + u128::from(number)).to_be_bytes())
}

fn code_digest(number: u64) -> SecretDigest {
    SecretDigest::of(&format!("code {number}"))
}

fn client_id() -> ClientId {
    ClientId::parse("client-1").unwrap()
}

fn code(number: u64) -> CodeRecord {
    CodeRecord {
        digest: code_digest(number),
        client_id: client_id(),
        redirect_uri: RedirectUri::parse("https://app.example/cb").unwrap(),
        challenge: CodeVerifier::parse(&"v".repeat(43)).unwrap().challenge(),
        resource: ResourceUri::parse("https://rs.example/mcp").unwrap(),
        scopes: ScopeSet::parse("files:read").unwrap(),
        subject: format!("user {number}"),
        expires_at: UnixTime::from_secs(1_000_060),
        jkt: None,
        redeemed: None,
    }
}

fn family(number: u64) -> NewFamily {
    // As random as identifiers are.
    let [id, _]: [[u8; 16]; 2] = {
        let digest = *SecretDigest::of(&format!("family {number}")).as_bytes();
        let (left, right) = digest.split_at(16);
        [left.try_into().unwrap(), right.try_into().unwrap()]
    };
    let scopes = ScopeSet::parse("files:read").unwrap();
    NewFamily {
        id: FamilyId::from_bytes(id),
        client_id: client_id(),
        subject: format!("user {number}"),
        resource: ResourceUri::parse("https://rs.example/mcp").unwrap(),
        scopes: scopes.clone(),
        expires_at: UnixTime::from_secs(3_000_000),
        idle_until: UnixTime::from_secs(2_000_000),
        jkt: None,
        access: NewAccess {
            digest: SecretDigest::of(&format!("access {number}")),
            scopes,
            expires_at: UnixTime::from_secs(1_000_600),
            jkt: None,
        },
    }
}
