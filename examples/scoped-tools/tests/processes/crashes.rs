//! The database server stops at once under load, and comes back; the authorization server goes on.

use core::ops::Range;
use core::time::Duration;

use tokio::time::{sleep, timeout};

use crate::client::{Client, Unanswered};
use crate::database::Database;
use crate::trial::Trial;

/// How long clients work before each, in milliseconds: new connections come first.
const LOAD: Range<u64> = 300..700;
/// Whoever waits longer for a server whose database is back gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// SEC-200, SEC-036, SEC-172, SEC-202: 20 crashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn crashes_of_postgresql_lose_nothing_and_double_nothing() {
    let mut trial = Trial::of(Database::postgres());
    let _server = trial.setup.start();
    let client = Client::of(&trial.setup);
    for _ in 0..20 {
        let load = trial.load(LOAD).await;
        let cluster = trial.database.cluster.as_ref().expect("it is PostgreSQL's");
        cluster.shut_down_at_once().unwrap();
        assert_eq!(client.register().await, Err(Unanswered::Later));
        cluster.start_again().unwrap();
        let is_back = async {
            while client.register().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_back).await.expect("it recovers by itself");
        trial.judge(load).await;
    }
    trial.finish("20 crashes");
}
