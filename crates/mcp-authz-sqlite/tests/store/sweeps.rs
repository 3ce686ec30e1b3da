//! Much that has expired at once.

use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use authorization_server::Store as _;
use futures::executor::block_on;

use crate::samples::*;

const ROWS: u32 = 2_000;
/// Rows of one batch, at most.
const BATCH: u32 = 20;

/// Tokens that have expired, and that are nobody's.
fn fill(place: &Place) {
    place
        .raw()
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
             INSERT INTO access SELECT randomblob(32), randomblob(16), i, '{{}}' FROM n"
        ))
        .unwrap();
}

fn expired(place: &Place) -> u32 {
    let count = "SELECT count(*) FROM access WHERE expires_at <= 1000000";
    place.raw().query_row(count, [], |row| row.get(0)).unwrap()
}

/// SEC-209
#[test]
fn no_transaction_holds_more_than_one_batch_of_all_sweeps() {
    let place = Place::new();
    let store = place.open_with(&settings().with_busy_timeout(Duration::from_secs(5)));
    fill(&place);
    let mut context = Context::from_waker(Waker::noop());
    // Many may sweep at once: hosts with several tasks for it, or impatient ones.
    let mut sweeps: Vec<_> = (0..8).map(|_| Box::pin(store.sweep(NOW, usize::MAX))).collect();
    let mut left = ROWS;
    let mut requests = 0;
    while left > 0 {
        let mut request = pin!(store.insert_family(family(requests), NOW));
        {
            // All that they can put before the request is there when the writer begins.
            let other = place.raw();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            for sweep in &mut sweeps {
                assert!(sweep.as_mut().poll(&mut context).is_pending());
            }
            assert!(request.as_mut().poll(&mut context).is_pending());
            for sweep in &mut sweeps {
                assert!(sweep.as_mut().poll(&mut context).is_pending());
            }
        }
        block_on(request).unwrap();
        let now_left = expired(&place);
        assert!(now_left < left, "a sweep goes on beside requests");
        assert!(left - now_left <= BATCH, "{left} {now_left}");
        left = now_left;
        requests += 1;
    }
    let swept: usize = sweeps.into_iter().map(|sweep| block_on(sweep).unwrap()).sum();
    assert_eq!(swept, ROWS as usize);
    for number in 0..requests {
        assert!(block_on(store.access(&access(number, 0).digest, NOW)).unwrap().is_some());
    }
}

/// SEC-209
#[test]
fn the_log_is_put_back_in_small_pieces() {
    let place = Place::new();
    let store = place.open();
    for number in 0..400 {
        // Ten pages and more.
        let mut family = family(number);
        family.subject = "s".repeat(40_000).try_into().unwrap();
        block_on(store.insert_family(family, NOW)).unwrap();
    }
    // Whoever makes the log longer than 700 pages waits until they are in the database.
    let log = std::fs::metadata(place.path("oauth.db-wal")).unwrap().len();
    assert!(log < 3_200_000, "{log}");
}

#[test]
fn sweeps_keep_only_what_recognizes_reuse() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        for number in 0..500 {
            store.insert_code(code(number)).await.unwrap();
            store.redeem(&code(number).digest, family(number), NOW).await.unwrap();
        }
        // The tokens go, whatever the batch; codes and families stay to the last day.
        assert_eq!(store.sweep(at(999_999), 777).await, Ok(500));
        let count = |table: &str| -> u32 {
            let count = format!("SELECT count(*) FROM {table}");
            place.raw().query_row(&count, [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("access"), count("codes"), count("families")), (0, 500, 500));
        assert_eq!(store.sweep(at(1_000_000), 3).await, Ok(3));
        assert_eq!(store.sweep(at(1_000_000), 10_000).await, Ok(997));
        assert_eq!((count("access"), count("codes"), count("families")), (0, 0, 0));
    });
}
