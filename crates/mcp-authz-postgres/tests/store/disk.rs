//! A disk that is full or may only be read, and a page that is damaged: nothing is issued, and what can be looked up is.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use authorization_server::Store as _;
use authorization_server::store::{CreateOutcome, RotateOutcome, StoreError};
use cluster::Cluster;
use mcp_authz_postgres::PostgresStore;

use crate::samples::*;

/// What every kind of change comes to, and that what was stored before is known.
async fn nothing_is_issued(store: &PostgresStore) {
    assert_eq!(store.insert_family(family(2), NOW).await, Err(UNAVAILABLE));
    assert_eq!(store.redeem(&code(1).digest, family(2), NOW).await, Err(UNAVAILABLE));
    assert_eq!(store.rotate(rotation(1, 0), NOW).await, Err(UNAVAILABLE));
    assert_eq!(store.create_client(client(1, at(1)), NOW).await, Err(UNAVAILABLE));
    assert_eq!(store.check().await, Err(UNAVAILABLE));
    assert!(store.access(&access(1, 0).digest, NOW).await.unwrap().is_some());
    assert_eq!(store.read_code(&code(1).digest).await.unwrap().unwrap().redeemed, None);
}

/// Everything goes on, and nothing was done by halves.
async fn all_is_well(store: &PostgresStore) {
    assert_eq!(store.check().await, Ok(()));
    assert!(store.read_family(&family_id(2)).await.unwrap().is_none());
    assert!(store.access(&access(2, 0).digest, NOW).await.unwrap().is_none());
    assert_eq!(store.rotate(rotation(1, 0), NOW).await, Ok(RotateOutcome::Rotated));
    assert_eq!(store.insert_family(family(2), NOW).await, Ok(()));
}

async fn filled(place: &Place) -> PostgresStore {
    let store = place.open().await;
    store.insert_code(code(1)).await.unwrap();
    store.insert_family(family(1), NOW).await.unwrap();
    store
}

/// SEC-203: Every table refuses to grow, with the code of a disk that is full.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_full_disk_issues_nothing_and_knows_what_it_has() {
    run(async {
        let place = Place::new();
        let store = filled(&place).await;
        let tables = ["access", "checks", "clients", "codes", "families"];
        let full = tables.map(|table| {
            format!(
                "CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk();"
            )
        });
        place.sql(&format!(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = 'disk_full'; END $$; {}",
            full.concat()
        ));
        nothing_is_issued(&store).await;
        // What ends things needs no room.
        store.revoke_family(&family_id(7), NOW).await.unwrap();
        place.sql("DROP FUNCTION full_disk CASCADE");
        all_is_well(&store).await;
    });
}

/// SEC-203
#[test]
#[ignore = "needs PostgreSQL"]
fn a_read_only_server_issues_nothing_and_still_knows_tokens() {
    run(async {
        let cluster = Cluster::start().unwrap();
        let place = Place { url: cluster.url() };
        let store = filled(&place).await;
        let set = |value: &str| {
            let change = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
            cluster.sql("postgres", &change).unwrap();
            cluster.sql("postgres", "SELECT pg_reload_conf()").unwrap();
        };
        set("on");
        // A connection hears of it with its next statement, or the one after.
        while store.check().await.is_ok() {}
        nothing_is_issued(&store).await;
        set("off");
        while store.check().await.is_err() {}
        all_is_well(&store).await;
    });
}

/// SEC-203
#[test]
#[ignore = "needs PostgreSQL"]
fn a_damaged_page_is_told_and_the_others_are_read() {
    run(async {
        let cluster = Cluster::start().unwrap();
        let place = Place { url: cluster.url() };
        let store = filled(&place).await;
        let path = "SELECT pg_relation_filepath('mcp_oauth.families')";
        let path = cluster.data().join(cluster.sql("postgres", path).unwrap().trim());
        cluster.shut_down().unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&[0xA5; 8192], 0).unwrap();
        drop(file);
        cluster.start_again().unwrap();

        assert_eq!(store.check().await, Ok(()));
        assert_eq!(store.read_family(&family_id(1)).await, Err(StoreError::Corrupt));
        assert_eq!(store.access(&access(1, 0).digest, NOW).await, Err(StoreError::Corrupt));
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Err(StoreError::Corrupt));
        assert_eq!(store.check().await, Err(StoreError::Corrupt));
        assert!(store.read_code(&code(1).digest).await.unwrap().is_some());
        assert_eq!(store.create_client(client(1, at(1)), NOW).await, Ok(CreateOutcome::Created));
    });
}
