//! SIGKILL under load, again and again: nothing that was answered is lost, nothing happens twice.

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;

use crate::client::Client;
use crate::database::Database;
use crate::judge::judge;
use crate::ledger::Login;
use crate::load::work;
use crate::server::{Setup, random};

const CLIENTS: usize = 8;

async fn cycles(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::new(folder.path().join("oauth.db"));
    let setup = Setup::new(database.store());
    let begun = Instant::now();
    let (mut answers, mut unanswered) = (0, 0);
    let mut logins: Vec<Login> = Vec::new();
    let mut server = setup.start();
    for _ in 0..count {
        let workers: Vec<_> =
            (0..CLIENTS).map(|_| tokio::spawn(work(Client::of(&setup)))).collect();
        sleep(Duration::from_millis(60 + random() % 90)).await;
        server.kill();
        let ledgers = join_all(workers).await.into_iter().map(Result::unwrap);

        server = setup.start();
        let look = database.look();
        let judges = ledgers.map(|mut ledger| {
            answers += ledger.answers;
            let more = ledger.logins.iter().filter(|login| login.compare(look.family(&login.code)));
            unanswered += more.count();
            let client = Client::of(&setup);
            tokio::spawn(async move {
                judge(&client, &mut ledger).await.expect("the server is up");
                ledger.logins
            })
        });
        for judged in join_all(judges.collect::<Vec<_>>()).await {
            let judged = judged.unwrap();
            judged.iter().for_each(|login| login.agrees(look.family(&login.code)));
            logins.extend(judged);
        }
    }
    // Later kills took nothing from what earlier ones left.
    let look = database.look();
    logins.iter().for_each(|login| login.agrees(look.family(&login.code)));
    look.is_sound();
    assert!(answers > count, "{answers}");
    let (seconds, logins) = (begun.elapsed().as_secs(), logins.len());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{count} kills: {logins} logins, {answers} answers, {unanswered} done and not answered, {seconds} s"
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_200_sec_036_sec_172_a_server_that_is_killed_loses_nothing_and_doubles_nothing() {
    cycles(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn sec_200_sec_036_sec_172_300_kills() {
    cycles(300).await;
}
