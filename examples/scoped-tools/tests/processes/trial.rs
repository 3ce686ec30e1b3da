//! Rounds of load and judgement, and what all of them came to.

use core::ops::Range;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::Client;
use crate::database::Database;
use crate::judge::judge;
use crate::ledger::{Ledger, Login};
use crate::load::work;
use crate::server::{Setup, random};

const CLIENTS: usize = 8;

/// A database that goes through a lot.
pub(crate) struct Trial {
    pub(crate) setup: Setup,
    pub(crate) database: Database,
    begun: Instant,
    logins: Vec<Login>,
    answers: u64,
    unanswered: usize,
}

/// Clients that work until nobody answers, or until it is over: one that was between two requests may find the next
/// server without having missed the last.
pub(crate) struct Load {
    workers: Vec<JoinHandle<Ledger>>,
    is_over: Arc<AtomicBool>,
}

impl Trial {
    pub(crate) fn of(database: Database) -> Self {
        let setup = Setup::new(database.arguments());
        let (begun, logins) = (Instant::now(), Vec::new());
        Self { setup, database, begun, logins, answers: 0, unanswered: 0 }
    }

    /// Has clients work for a while, somewhere between so many milliseconds.
    pub(crate) async fn load(&self, between: Range<u64>) -> Load {
        let is_over = Arc::new(AtomicBool::new(false));
        let work = |_| tokio::spawn(work(Client::of(&self.setup), Arc::clone(&is_over)));
        let workers = (0..CLIENTS).map(work).collect();
        sleep(Duration::from_millis(between.start + random() % (between.end - between.start)))
            .await;
        Load { workers, is_over }
    }

    /// Compares what was answered with what is stored now, and then asks about all of it over HTTP.
    pub(crate) async fn judge(&mut self, load: Load) {
        load.is_over.store(true, Ordering::SeqCst);
        let ledgers = join_all(load.workers).await.into_iter().map(Result::unwrap);
        let look = self.database.look();
        let mut judges = Vec::new();
        for mut ledger in ledgers {
            self.answers += ledger.answers;
            let more = ledger.logins.iter().filter(|login| login.compare(look.family(&login.code)));
            self.unanswered += more.count();
            let client = Client::of(&self.setup);
            judges.push(tokio::spawn(async move {
                judge(&client, &mut ledger).await.expect("the server is up");
                ledger.logins
            }));
        }
        let judged: Vec<_> = join_all(judges).await.into_iter().flat_map(Result::unwrap).collect();
        let look = self.database.look();
        judged.iter().for_each(|login| login.agrees(look.family(&login.code)));
        self.logins.extend(judged);
    }

    /// What came later took nothing from what was there.
    pub(crate) fn finish(self, what: &str) {
        let look = self.database.look();
        self.logins.iter().for_each(|login| login.agrees(look.family(&login.code)));
        look.is_sound();
        assert!(!self.logins.is_empty());
        let Self { answers, unanswered, .. } = self;
        let (seconds, logins) = (self.begun.elapsed().as_secs(), self.logins.len());
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{what}: {logins} logins, {answers} answers, {unanswered} done and not answered, {seconds} s"
        )
        .unwrap();
    }
}
