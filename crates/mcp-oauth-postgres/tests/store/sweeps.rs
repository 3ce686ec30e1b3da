//! Much that has expired at once.

use std::time::{Duration, Instant};

use authorization_server::{RedeemOutcome, Store as _};
use futures::future::join3;

use crate::samples::*;

const ROWS: usize = 50_000;

#[test]
#[ignore = "needs PostgreSQL"]
fn no_request_waits_while_two_nodes_sweep_all_that_has_expired() {
    run(async {
        let place = Place::new();
        let (store, other) = (place.open().await, place.open().await);
        place.sql(&format!(
            "INSERT INTO access SELECT sha256(i::text::bytea), '\\x00', 'files:read', i, NULL
                 FROM generate_series(1, {ROWS}) AS i;
             INSERT INTO once SELECT sha256(i::text::bytea), i FROM generate_series(1, {ROWS}) AS i"
        ));
        store.insert_family(family(1), NOW).await.unwrap();
        let mut waits = Vec::new();
        let requests = async {
            for generation in 0..100 {
                let begin = Instant::now();
                store.rotate(rotation(1, generation), NOW).await.unwrap();
                store.insert_family(family(generation + 2), NOW).await.unwrap();
                let key = access(generation, 7).digest;
                store.put_once(&key, at(60), NOW).await.unwrap();
                waits.push(begin.elapsed() / 3);
            }
        };
        let sweep = |store| async move {
            let store: &mcp_oauth_postgres::PostgresStore = store;
            store.sweep(NOW, usize::MAX).await.unwrap()
        };
        let (first, second, ()) = join3(sweep(&store), sweep(&other), requests).await;
        // What one held, the other passed over.
        let rest = store.sweep(NOW, usize::MAX).await.unwrap();
        assert_eq!(first + second + rest, 2 * ROWS);
        waits.sort();
        // Half of them, so that a busy machine does not fail it.
        assert!(waits[50] < Duration::from_millis(50), "{:?}", waits[50]);
        assert!(store.access(&access(1, 0).digest, NOW).await.unwrap().is_some());
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn sweeps_keep_what_recognizes_reuse_and_remove_all_else_in_the_end() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        for number in 0..100 {
            store.insert_code(code(number)).await.unwrap();
            let redeemed = store.redeem(&code(number).digest, family(number), NOW).await;
            assert_eq!(redeemed, Ok(RedeemOutcome::Redeemed));
        }
        // The tokens go, whatever the batch; codes and families stay to the last day.
        assert_eq!(store.sweep(at(999_999), 777).await, Ok(100));
        let counts = "SELECT (SELECT count(*) FROM access), (SELECT count(*) FROM codes), \
             (SELECT count(*) FROM families)";
        assert_eq!(place.sql(counts), "0|100|100");
        assert_eq!(store.sweep(at(1_000_000), 3).await, Ok(3));
        assert_eq!(store.sweep(at(1_000_000), 10_000).await, Ok(197));
        assert_eq!(place.sql(counts), "0|0|0");
    });
}
