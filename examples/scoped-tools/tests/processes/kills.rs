//! SIGKILL under load, again and again: nothing that was answered is lost, nothing happens twice.

use core::ops::Range;

use crate::database::Database;
use crate::trial::Trial;

/// How long clients work before each, in milliseconds.
const LOAD: Range<u64> = 60..150;

async fn kills(count: u64) {
    let mut trial = Trial::of(Database::sqlite());
    let mut server = trial.setup.start();
    for _ in 0..count {
        let load = trial.load(LOAD).await;
        server.kill();
        server = trial.setup.start();
        trial.judge(load).await;
    }
    trial.finish(&format!("{count} kills"));
}

/// SEC-200, SEC-036, SEC-172
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_doubles_nothing() {
    kills(10).await;
}

/// SEC-200, SEC-036, SEC-172: 300 kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn many_killed_servers_lose_nothing_and_double_nothing() {
    kills(300).await;
}
