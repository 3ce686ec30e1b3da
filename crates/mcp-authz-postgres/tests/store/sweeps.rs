//! Much that has expired at once.

use authorization_server::Store as _;
use authorization_server::store::{OnceKind, RedeemOutcome};
use futures::future::join3;
use mcp_authz_postgres::PostgresStore;

use crate::samples::*;

const ROWS: usize = 50_000;

fn expired() -> String {
    format!(
        "INSERT INTO access SELECT sha256(i::text::bytea), '\\x00', '{{}}', i
             FROM generate_series(1, {ROWS}) AS i;
         INSERT INTO once SELECT sha256(i::text::bytea), i, 2 FROM generate_series(1, {ROWS}) AS i"
    )
}

/// What requests ask for meanwhile.
async fn ask(store: &PostgresStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store.insert_family(family(number), NOW).await.unwrap();
        store.rotate(rotation(number, 0), NOW).await.unwrap();
        store.put_once(OnceKind::Answer, &access(number, 7).digest, at(60), NOW).await.unwrap();
        assert!(store.access(&access(number, 1).digest, NOW).await.unwrap().is_some());
    }
}

/// SEC-209
#[test]
#[ignore = "needs PostgreSQL"]
fn requests_and_other_sweeps_pass_a_sweep_that_does_not_end() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        place.sql(&expired());
        // A batch that is removed, and not committed until it is told to end.
        place.sql("CREATE TABLE ends ()");
        let removes = "BEGIN;
            DELETE FROM access WHERE expires_at <= 1000; DELETE FROM once WHERE until <= 1000;
            DO $$ BEGIN
                WHILE NOT EXISTS (SELECT FROM ends) LOOP PERFORM pg_sleep(0.05); END LOOP;
            END $$; ROLLBACK";
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| place.sql(removes));
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let is_held = "SELECT count(*) FROM pg_stat_activity \
                        WHERE query LIKE '%FROM ends%' AND wait_event = 'PgSleep'";
                    while place.sql(is_held) == "0" {}
                    ask(&store, 0..10).await;
                    assert_eq!(store.sweep(NOW, usize::MAX).await, Ok(2 * (ROWS - 1000)));
                });
            });
            assert!(!slow.is_finished(), "it held what it held to the end");
            place.sql("INSERT INTO ends DEFAULT VALUES");
        });
        assert_eq!(store.sweep(NOW, usize::MAX).await, Ok(2000));
    });
}

/// SEC-209
#[test]
#[ignore = "needs PostgreSQL"]
fn two_nodes_sweep_all_that_has_expired_while_others_ask() {
    run(async {
        let place = Place::new();
        let (store, other) = (place.open().await, place.open().await);
        place.sql(&expired());
        let (first, second, ()) =
            join3(store.sweep(NOW, usize::MAX), other.sweep(NOW, usize::MAX), ask(&store, 0..100))
                .await;
        // What one held, the other passed over.
        let rest = store.sweep(NOW, usize::MAX).await.unwrap();
        assert_eq!(first.unwrap() + second.unwrap() + rest, 2 * ROWS);
        assert!(store.access(&access(1, 0).digest, NOW).await.unwrap().is_some());
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn sweeps_keep_only_what_recognizes_reuse() {
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

#[test]
#[ignore = "needs PostgreSQL"]
fn a_used_code_stays_while_somebody_prolongs_its_family() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        store.insert_code(code(1)).await.unwrap();
        let redeemed = store.redeem(&code(1).digest, family(1), NOW).await;
        assert_eq!(redeemed, Ok(RedeemOutcome::Redeemed));
        let (mut other, connection) =
            tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let end = at(1_000_001);
        let rotating = other.transaction().await.unwrap();
        let prolong = "UPDATE mcp_oauth.families SET needed_until = needed_until + 600";
        rotating.batch_execute(prolong).await.unwrap();
        // The token of the redemption alone.
        assert_eq!(store.sweep(end, 10).await, Ok(1));
        rotating.commit().await.unwrap();
        assert_eq!(store.sweep(end, 10).await, Ok(0));
        let again = store.redeem(&code(1).digest, family(2), end).await;
        assert_eq!(again, Ok(RedeemOutcome::AlreadyUsed(family_id(1))));
        assert_eq!(store.sweep(at(1_000_600), 10).await, Ok(2));
    });
}
