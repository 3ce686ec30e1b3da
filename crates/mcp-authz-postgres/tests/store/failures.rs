//! A server that is gone, silent or slow, and connections that are cut: nobody waits for ever, and every answer is true.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use authorization_server::Store as _;
use authorization_server::store::{
    CreateOutcome, OnceKind, RedeemOutcome, RotateOutcome, StoreError,
};
use cluster::Cluster;
use futures::future::join_all;
use mcp_authz_postgres::{OpenError, PostgresStore, Settings};

use crate::samples::*;

const UNKNOWN: StoreError = StoreError::UnknownOutcome;

/// Less patient than a host, on a machine that may be busy.
fn impatient() -> Settings {
    Settings::default().with_connections(4).with_timeout(Duration::from_secs(2))
}

/// A store in which code 1 and family 2 are, stored with more patience.
async fn open(url: &str) -> Arc<PostgresStore> {
    let patient = PostgresStore::open(url, &settings()).await.unwrap();
    patient.insert_code(code(1)).await.unwrap();
    patient.insert_family(family(2), NOW).await.unwrap();
    loop {
        match PostgresStore::open(url, &impatient()).await {
            Ok(store) => return Arc::new(store),
            Err(error) => assert!(matches!(error, OpenError::Late), "{error}"),
        }
    }
}

/// What comes of something that may have to be tried again, on a machine that may be busy.
async fn in_the_end<T>(attempt: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let begin = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(_) => assert!(begin.elapsed() < Duration::from_secs(30)),
        }
    }
}

/// What each kind of operation comes to, in bounded time.
async fn all_fail(store: &PostgresStore, change: &[StoreError]) {
    let begin = Instant::now();
    assert_eq!(store.read_code(&code(1).digest).await, Err(UNAVAILABLE));
    assert_eq!(store.access(&access(1, 0).digest, NOW).await, Err(UNAVAILABLE));
    let fails = |error: StoreError| assert!(change.contains(&error), "{error:?}");
    fails(store.insert_code(code(9)).await.unwrap_err());
    fails(store.redeem(&code(1).digest, family(1), NOW).await.unwrap_err());
    fails(store.rotate(rotation(2, 0), NOW).await.unwrap_err());
    fails(store.put_once(OnceKind::Answer, &access(1, 0).digest, at(1), NOW).await.unwrap_err());
    fails(store.sweep(NOW, 10).await.unwrap_err());
    assert_eq!(store.check().await, Err(UNAVAILABLE));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

/// SEC-202
#[test]
#[ignore = "needs PostgreSQL"]
fn a_lost_server_is_reported_at_once_and_used_when_it_is_back() {
    run(async {
        let cluster = Cluster::start().unwrap();
        let store = open(&cluster.url()).await;
        for stop in [Cluster::shut_down_at_once, Cluster::shut_down] {
            stop(&cluster).unwrap();
            all_fail(&store, &[UNAVAILABLE]).await;
            cluster.start_again().unwrap();
            in_the_end(async || store.check().await).await;
            let found = in_the_end(async || store.read_code(&code(1).digest).await).await;
            assert_eq!(found.and_then(|code| code.redeemed), None);
        }
        let redeemed =
            in_the_end(async || store.redeem(&code(1).digest, family(1), NOW).await).await;
        assert_eq!(redeemed, RedeemOutcome::Redeemed);
    });
}

/// SEC-202: what it did all the same is met again.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_silent_server_keeps_nobody_waiting() {
    run(async {
        let cluster = Cluster::start().unwrap();
        let store = open(&cluster.url()).await;
        // Statements are prepared and connections are open, so that what is sent now is a change.
        let redeem = async |number| store.redeem(&code(number).digest, family(number), NOW).await;
        for _ in 0..4 {
            join_all((100..104).map(redeem)).await;
        }
        cluster.freeze().unwrap();
        let begin = Instant::now();
        let crowd = join_all((0..4).map(|_| redeem(1))).await;
        let longest = begin.elapsed();
        assert!(longest < Duration::from_secs(8), "{longest:?}");
        assert!(crowd.contains(&Err(UNKNOWN)), "{crowd:?}");
        for outcome in crowd {
            assert!([Err(UNKNOWN), Err(UNAVAILABLE)].contains(&outcome), "{outcome:?}");
        }
        all_fail(&store, &[UNAVAILABLE, UNKNOWN]).await;
        cluster.thaw().unwrap();
        // Whoever asks again learns what became of it: nothing, or what it asked for.
        let again = in_the_end(async || store.redeem(&code(1).digest, family(1), NOW).await).await;
        let expected = [RedeemOutcome::Redeemed, RedeemOutcome::AlreadyUsed(family_id(1))];
        assert!(expected.contains(&again), "{again:?}");
        assert_eq!(
            cluster
                .sql(
                    "postgres",
                    "SELECT count(*) FROM mcp_oauth.families
            WHERE id = decode('00000000000000000000000000000001', 'hex')"
                )
                .unwrap()
                .trim(),
            "1"
        );
    });
}

/// SEC-202
#[test]
#[ignore = "needs PostgreSQL"]
fn connections_that_are_cut_lose_nothing_and_double_nothing() {
    run(async {
        let place = Place::new();
        let store = Arc::new(place.open().await);
        let (mut unknown, mut unavailable) = (0, 0);
        for round in 0..10 {
            let first = 1 + round * 1000;
            let insert = (first..first + 256).map(|number| store.insert_code(code(number)));
            join_all(insert).await.into_iter().collect::<Result<(), _>>().unwrap();
            // Each has enough to do until the cut comes.
            let tasks: Vec<_> = (first..first + 256)
                .step_by(16)
                .map(|first| {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move {
                        let mut outcomes = Vec::new();
                        for number in first..first + 16 {
                            let digest = code(number).digest;
                            outcomes
                                .push((number, store.redeem(&digest, family(number), NOW).await));
                        }
                        outcomes
                    })
                })
                .collect();
            place.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE application_name = 'mcp-authz' AND datname = current_database()",
            );
            for (number, outcome) in join_all(tasks).await.into_iter().flat_map(Result::unwrap) {
                let used = loop {
                    match store.read_code(&code(number).digest).await {
                        Ok(found) => break found.unwrap().redeemed,
                        Err(error) => assert_eq!(error, UNAVAILABLE),
                    }
                };
                let stored = store.read_family(&family_id(number)).await.unwrap();
                assert_eq!(used.is_some(), stored.is_some(), "half a redemption");
                match outcome {
                    Ok(outcome) => {
                        assert_eq!(outcome, RedeemOutcome::Redeemed);
                        assert_eq!(used, Some(family_id(number)), "a redemption is lost");
                    }
                    Err(UNKNOWN) => unknown += 1,
                    Err(error) => {
                        assert_eq!(
                            (error, used),
                            (UNAVAILABLE, None),
                            "it was said that it is not done"
                        );
                        unavailable += 1;
                    }
                }
            }
        }
        assert!(unknown + unavailable > 0, "nothing was cut");
    });
}

/// SEC-202
#[test]
#[ignore = "needs PostgreSQL"]
fn a_lock_timeout_is_reported_as_nothing_changed() {
    run(async {
        let place = Place::new();
        let store = open(&place.url).await;
        let (other, connection) =
            tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        other.batch_execute("BEGIN; LOCK TABLE mcp_oauth.access").await.unwrap();
        let begin = Instant::now();
        assert_eq!(store.rotate(rotation(2, 0), NOW).await, Err(UNAVAILABLE));
        assert_eq!(store.access(&access(2, 0).digest, NOW).await, Err(UNAVAILABLE));
        assert!(begin.elapsed() < Duration::from_secs(8));
        // Who stops waiting takes the connection along, and nobody waits behind it.
        for _ in 0..8 {
            let rotating = store.rotate(rotation(2, 0), NOW);
            let lost = tokio::time::timeout(Duration::from_millis(50), rotating).await;
            assert!(!matches!(lost, Ok(Ok(_))), "{lost:?}");
        }
        let family = in_the_end(async || store.read_family(&family_id(2)).await).await.unwrap();
        assert_eq!(family.generation.get(), 0);
        other.batch_execute("ROLLBACK").await.unwrap();
        let outcome = in_the_end(async || store.rotate(rotation(2, 0), NOW).await).await;
        assert!([RotateOutcome::Rotated, RotateOutcome::GraceReplay].contains(&outcome));
        let family = in_the_end(async || store.read_family(&family_id(2)).await).await.unwrap();
        assert_eq!(family.generation.get(), 1);
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn changes_that_wait_in_a_circle_are_made_in_the_end() {
    run(async {
        let place = Place::new();
        let store = Arc::new(place.open().await);
        // Two of them lock a client and its code in different orders, and it is ours that finds out.
        let client = client(1, at(60));
        let mut code = code(1);
        code.client_id = client.client_id.clone();
        store.create_client(client.clone(), NOW).await.unwrap();
        let digest = code.digest;
        store.insert_code(code).await.unwrap();
        let (mut other, connection) =
            tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        other.batch_execute("SET deadlock_timeout = '15s'").await.unwrap();
        let transaction = other.transaction().await.unwrap();
        let lock = "SELECT FROM mcp_oauth.clients WHERE client_id = $1 FOR UPDATE";
        transaction.execute(lock, &[&client.client_id.as_str()]).await.unwrap();
        let redeeming = Arc::clone(&store);
        let redeemed = tokio::spawn(async move {
            let mut family = family(1);
            family.client_id = client.client_id;
            redeeming.redeem(&digest, family, NOW).await
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let lock = "SELECT FROM mcp_oauth.codes WHERE digest = $1 FOR UPDATE";
        transaction.execute(lock, &[&digest.as_bytes().as_slice()]).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(redeemed.await.unwrap(), Ok(RedeemOutcome::Redeemed));
    });
}

/// Somebody who holds the one row, and then wants the other too; it is ours that finds out.
async fn circle(place: &Place, held: &str, wanted: &str, ours: impl Future<Output = ()>) {
    let (mut other, connection) =
        tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    other.batch_execute("SET deadlock_timeout = '15s'; SET search_path = mcp_oauth").await.unwrap();
    let transaction = other.transaction().await.unwrap();
    assert_eq!(transaction.execute(held, &[]).await.unwrap(), 1);
    let theirs = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(transaction.execute(wanted, &[]).await.unwrap(), 1);
        transaction.commit().await.unwrap();
    };
    futures::future::join(ours, theirs).await;
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_client_or_a_user_is_cut_off_by_whoever_waits_in_a_circle() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        let held = "SELECT FROM families FOR UPDATE";
        let wanted = "SELECT FROM codes FOR UPDATE";
        for round in 0..2 {
            store.insert_code(code(1)).await.unwrap();
            store.insert_family(family(1), NOW).await.unwrap();
            circle(&place, held, wanted, async {
                let done = match round {
                    0 => store.delete_client(&code(1).client_id, NOW).await,
                    _ => store.revoke_subject(&code(1).subject, None, NOW).await,
                };
                assert_eq!(done, Ok(()));
            })
            .await;
            let left = "SELECT (SELECT count(*) FROM codes), \
                 (SELECT count(*) FROM families WHERE NOT revoked)";
            assert_eq!(place.sql(left), "0|0");
            place.sql("DELETE FROM families");
        }
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_client_of_many_users_is_deleted_while_others_register() {
    run(async {
        let place = Place::new();
        let patient = place.open().await;
        let popular = client(1, at(60));
        patient.create_client(popular.clone(), NOW).await.unwrap();
        patient.insert_family(family(1), NOW).await.unwrap();
        place.sql(
            "INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until,
                 generation, rotated_at, revoked, needed_until, body)
             SELECT sha256(i::text::bytea), 'client 1', i::text::bytea, resource, expires_at,
                 idle_until, 0, 0, false, needed_until, body
             FROM families, generate_series(1, 200000) AS i",
        );
        let hasty = Settings::default().with_connections(4).with_timeout(Duration::from_secs(1));
        let store = loop {
            match PostgresStore::open(&place.url, &hasty).await {
                Ok(store) => break store,
                Err(error) => assert!(matches!(error, OpenError::Late), "{error}"),
            }
        };
        // Somebody holds one of them for longer than an operation may take.
        let (mut other, connection) =
            tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let transaction = other.transaction().await.unwrap();
        let lock = "SELECT FROM mcp_oauth.families WHERE subject = '1' FOR UPDATE";
        assert_eq!(transaction.execute(lock, &[]).await.unwrap(), 1);
        let meanwhile = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let other = client(2, at(60));
            assert_eq!(patient.create_client(other, NOW).await, Ok(CreateOutcome::Created));
            let revoked = "SELECT count(*) FROM families WHERE revoked";
            assert_eq!(place.sql(revoked), "0");
            transaction.commit().await.unwrap();
        };
        let deleting = store.delete_client(&popular.client_id, NOW);
        let (deleted, ()) = futures::future::join(deleting, meanwhile).await;
        assert_eq!(deleted, Ok(()));
        assert_eq!(place.sql("SELECT count(*) FROM families WHERE revoked"), "200000");
        assert_eq!(place.sql("SELECT client_id, value FROM clients, counters"), "client 2|1");
    });
}
