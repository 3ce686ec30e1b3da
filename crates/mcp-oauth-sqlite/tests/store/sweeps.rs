//! Much that has expired at once.

use std::time::{Duration, Instant};

use authorization_server::Store as _;
use futures::executor::block_on;
use futures::future::join;

use crate::samples::*;

const ROWS: usize = 50_000;

#[test]
fn no_request_waits_for_a_sweep_of_all_that_has_expired() {
    // SEC-209, with fewer rows
    let place = Place::new();
    let store = place.open();
    place
        .raw()
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
             INSERT INTO access SELECT randomblob(32), randomblob(16), 'files:read', i, NULL FROM n"
        ))
        .unwrap();
    store.insert_family(family(1), NOW).await_now();
    let mut waits = Vec::new();
    let requests = async {
        let mut generation = 0;
        let mut number = 2;
        while waits.len() < 200 {
            let begin = Instant::now();
            store.rotate(rotation(1, generation), NOW).await.unwrap();
            store.insert_family(family(number), NOW).await.unwrap();
            waits.push(begin.elapsed() / 2);
            (generation, number) = (generation + 1, number + 1);
        }
    };
    let (swept, ()) = block_on(join(store.sweep(NOW, 1_000_000), requests));
    assert_eq!(swept, Ok(ROWS));
    waits.sort();
    // Half of them, so that a busy machine does not fail it.
    assert!(waits[100] < Duration::from_millis(50), "{:?}", waits[100]);
    assert!(block_on(store.access(&access(1, 0).digest, NOW)).unwrap().is_some());
}

trait AwaitNow {
    fn await_now(self);
}

impl<F: Future<Output = Result<(), authorization_server::StoreError>>> AwaitNow for F {
    fn await_now(self) {
        block_on(self).unwrap();
    }
}

#[test]
fn sweeps_keep_what_recognizes_reuse_and_remove_all_else_in_the_end() {
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
