//! A million clients and ten million tokens beside a thousandth of both, and what a sweep makes others wait.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authorization_server::Store as _;
use futures::executor::block_on;
use futures::future::join;
use mcp_authz_sqlite::{Settings, SqliteStore};
use oauth_types::SecretDigest;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::samples::*;

/// Look-ups of a round, after as many that do not count: the first find nothing of the database in memory.
const LOOKS: u64 = 1000;
/// Redemptions of a round, as many again in a sweep.
const COUNT: u64 = 500;
/// In each, the stores are opened anew: whether their threads run on the processor of those who ask them is luck, and
/// counts for more than what they do.
const ROUNDS: u64 = 8;
/// Batches that are swept while nobody waits.
const BATCHES: usize = 2000;

/// Redemptions and look-ups with many rows around them, and with a thousandth of them: in turns, so that a bad moment
/// of the disk or the machine is both's.
pub(crate) fn large() {
    let mut sizes = [(1_000, 10_000), (1_000_000, 10_000_000)].map(Size::new);
    for round in 0..ROUNDS {
        let stores = sizes.each_ref().map(Size::open);
        for number in 0..2 * LOOKS {
            for (size, store) in sizes.iter_mut().zip(&stores) {
                let wait = size.look(store, 2 * LOOKS * round + number);
                size.looks.extend((number >= LOOKS).then_some(wait));
            }
        }
        for (size, store) in sizes.iter_mut().zip(&stores) {
            size.redeem(store, 2 * COUNT * round);
        }
    }
    println!("\nwith many rows, microseconds       p50       p99   longest");
    for size in sizes {
        println!("{} clients, {} tokens", size.clients, size.tokens);
        // How long the writer does nothing else.
        let store = size.open();
        let sweep = || assert!(block_on(store.sweep(NOW, 20)).unwrap() <= 20);
        let batches = (0..BATCHES).map(|_| time(sweep)).collect();
        for (what, times) in [
            ("look-up", size.looks),
            ("redeem", size.alone),
            ("redeem in a sweep", size.in_a_sweep),
            ("a batch alone", batches),
        ] {
            tell(what, times);
        }
        println!("  rows swept meanwhile  {:>9}", size.swept);
    }
}

/// A database with many rows or few, and how long things took there.
struct Size {
    clients: u64,
    tokens: u64,
    folder: TempDir,
    looks: Vec<Duration>,
    alone: Vec<Duration>,
    in_a_sweep: Vec<Duration>,
    swept: usize,
}

impl Size {
    fn new((clients, tokens): (u64, u64)) -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let [looks, alone, in_a_sweep] = [const { Vec::new() }; 3];
        let size = Self { clients, tokens, folder, looks, alone, in_a_sweep, swept: 0 };
        drop(size.open());
        fill(&size.path(), clients, tokens);
        size
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("large.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path(), &Settings::default()).unwrap()
    }

    /// Looks one of the tokens up, which are spread over all.
    fn look(&self, store: &SqliteStore, number: u64) -> Duration {
        let token = number * self.tokens / (2 * LOOKS * ROUNDS);
        let digest = SecretDigest::of(&token.to_string());
        time(|| drop(block_on(store.access(&digest, NOW)).unwrap()))
    }

    fn redeem(&mut self, store: &SqliteStore, first: u64) {
        let Self { swept, in_a_sweep, .. } = self;
        self.alone.extend(block_on(redeem(store, first)));
        let is_over = Cell::new(false);
        let sweep = async {
            let mut left = true;
            while left && !is_over.get() {
                let rows = store.sweep(NOW, 1000).await.unwrap();
                left = rows > 0;
                *swept += rows;
            }
        };
        let redeem = async {
            in_a_sweep.extend(redeem(store, first + COUNT).await);
            is_over.set(true);
        };
        block_on(join(sweep, redeem));
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

/// Clients with a family each, and tokens in the order of time, the first tenth of which has expired.
fn fill(path: &Path, clients: u64, tokens: u64) {
    let mut raw = Connection::open(path).unwrap();
    raw.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000").unwrap();
    let transaction = raw.transaction().unwrap();
    {
        let mut client = transaction
            .prepare("INSERT INTO clients (client_id, unused, of_operator, body) VALUES (?1, 0, 0, '{}')")
            .unwrap();
        let mut new = transaction
            .prepare(
                "INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until, \
                 generation, rotated_at, revoked, needed_until, body) \
                 VALUES (?1, ?2, 'user', 'https://rs.example/mcp', 3000000, 2000000, 0, 1000000, \
                 0, 3000000, '{\"v\":1,\"scopes\":\"files:read\"}')",
            )
            .unwrap();
        for number in 0..clients {
            client.execute([format!("many-{number:08}")]).unwrap();
            new.execute(params![many_id(number).as_bytes(), format!("many-{number:08}")]).unwrap();
        }
        // The index of random digests is made at last, which is thirty times faster and makes the same tree.
        transaction.execute_batch("DROP INDEX access_digest").unwrap();
        let mut access = transaction
            .prepare(r#"INSERT INTO access VALUES (?1, ?2, ?3, '{"v":1,"scopes":"files:read"}')"#)
            .unwrap();
        for number in 0..tokens {
            let digest = SecretDigest::of(&number.to_string());
            let expires_at =
                if number < tokens / 10 { 900_000 + number * 1000 / tokens } else { 2_000_000 };
            let family = many_id(number % clients);
            access
                .execute(params![
                    digest.as_bytes(),
                    family.as_bytes(),
                    i64::try_from(expires_at).unwrap()
                ])
                .unwrap();
        }
    }
    transaction.execute_batch("CREATE UNIQUE INDEX access_digest ON access (digest)").unwrap();
    transaction.commit().unwrap();
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // Nobody is to wait for what the disk still owes.
    File::open(path).unwrap().sync_all().unwrap();
}
