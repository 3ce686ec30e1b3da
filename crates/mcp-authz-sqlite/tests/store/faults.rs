//! A disk that is full, a file that is locked or damaged: nothing is issued, and what can be looked up is.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};

use authorization_server::Store as _;
use authorization_server::store::{OnceKind, RedeemOutcome, RotateOutcome, StoreError};
use client_auth::{ClientAuthRecord, Replay};
use futures::executor::block_on;
use futures::future::join_all;
use oauth_types::{ClientId, ScopeSet, SecretDigest, Subject};

use crate::samples::*;

fn client() -> authorization_server::ClientRecord {
    let scopes = ScopeSet::parse("files:read").unwrap();
    let id = ClientId::parse(CLIENT).unwrap();
    authorization_server::ClientRecord::client_credentials(
        id,
        ClientAuthRecord::public(),
        scopes,
        NOW,
    )
}

/// SEC-203: another process holds it.
#[test]
fn a_locked_file_issues_nothing_and_tokens_stay_known() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        store.insert_family(family(1), NOW).await.unwrap();
        let other = place.raw();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(store.insert_family(family(2), NOW).await, Err(UNAVAILABLE));
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Err(UNAVAILABLE));
        assert_eq!(store.check().await, Err(UNAVAILABLE));
        assert!(store.access(&access(1, 0).digest, NOW).await.unwrap().is_some());
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(store.check().await, Ok(()));
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Ok(RotateOutcome::Rotated));
    });
}

/// SEC-203
#[test]
fn a_full_database_issues_nothing_and_knows_what_it_has() {
    block_on(async {
        let place = Place::new();
        let store = place.open_with(&settings().with_max_bytes(400_000));
        assert_eq!(store.check().await, Ok(()));
        let mut stored = 0;
        let refused = loop {
            match store.insert_family(family(stored), NOW).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, UNAVAILABLE);
        assert!(stored > 100, "{stored}");
        // It stays so, and every answer was true.
        for _ in 0..3 {
            let outcome = store.insert_family(family(stored), NOW).await;
            assert_eq!(outcome, Err(UNAVAILABLE));
        }
        assert_eq!(store.check().await, Err(UNAVAILABLE));
        assert!(store.read_family(&family_id(stored)).await.unwrap().is_none());
        for number in 0..stored {
            assert!(store.access(&access(number, 0).digest, NOW).await.unwrap().is_some());
        }
        // A crowd that does not fit leaves nothing half done.
        let crowd = (stored..stored + 64).map(|number| store.insert_family(family(number), NOW));
        for (number, outcome) in (stored..).zip(join_all(crowd).await) {
            let is_stored = store.read_family(&family_id(number)).await.unwrap().is_some();
            let is_known = store.access(&access(number, 0).digest, NOW).await.unwrap().is_some();
            assert_eq!((is_stored, is_known), (outcome.is_ok(), outcome.is_ok()));
        }
        // What ends things needs no room, and what has expired makes some.
        store.revoke_family(&family_id(0), NOW).await.unwrap();
        assert!(store.sweep(at(2_000_000), 1000).await.unwrap() > 0);
        assert_eq!(store.insert_family(family(stored), NOW).await, Ok(()));
        assert_eq!(store.check().await, Ok(()));
    });
}

/// SEC-203
#[test]
fn a_damaged_page_is_told_and_the_others_are_read() {
    block_on(async {
        let place = Place::new();
        {
            let store = place.open();
            store.create_client(client(), NOW).await.unwrap();
            for number in 0..300 {
                store.insert_family(family(number), NOW).await.unwrap();
            }
        }
        let root: u64 = {
            let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'families'";
            place.raw().query_row(root, [], |row| row.get::<_, u32>(0)).unwrap().into()
        };
        let mut file = OpenOptions::new().write(true).open(place.database()).unwrap();
        file.seek(SeekFrom::Start((root - 1) * 4096)).unwrap();
        file.write_all(&[0xA5; 4096]).unwrap();
        drop(file);

        let store = place.open();
        assert_eq!(store.check().await, Ok(()));
        assert_eq!(store.read_family(&family_id(1)).await, Err(StoreError::Corrupt));
        assert_eq!(store.access(&access(1, 0).digest, NOW).await, Err(StoreError::Corrupt));
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Err(StoreError::Corrupt));
        assert_eq!(store.check().await, Err(StoreError::Corrupt));
        assert_eq!(store.read_client(&client().client_id).await, Ok(Some(client())));
        assert_eq!(
            store.put_once(OnceKind::Answer, &access(1, 0).digest, at(1), NOW).await,
            Ok(Replay::Fresh)
        );
    });
}

/// SEC-203
#[test]
fn damage_while_the_store_is_open_turns_the_health_check_red() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        store.create_client(client(), NOW).await.unwrap();
        store.insert_code(code(1)).await.unwrap();
        store.insert_family(family(1), NOW).await.unwrap();
        assert_eq!(store.check().await, Ok(()));
        place.raw().execute("UPDATE families SET generation = -1", []).unwrap();
        assert_eq!(store.read_family(&family_id(1)).await, Err(StoreError::Corrupt));
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Err(StoreError::Corrupt));
        assert_eq!(store.check().await, Err(StoreError::Corrupt));
        let known = store.read_client(&client().client_id).await.unwrap();
        assert_eq!(known, Some(client()));
        let redeemed = store.redeem(&code(1).digest, family(2), NOW).await;
        assert_eq!(redeemed, Ok(RedeemOutcome::Redeemed));
    });
}

/// SEC-203
#[test]
fn a_used_code_with_a_lost_family_is_corrupt_and_not_reusable() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        store.insert_code(code(1)).await.unwrap();
        let redeemed = store.redeem(&code(1).digest, family(1), NOW).await;
        assert_eq!(redeemed, Ok(RedeemOutcome::Redeemed));
        let lose = "PRAGMA foreign_keys = OFF; DELETE FROM families";
        place.raw().execute_batch(lose).unwrap();
        let redeemed = store.redeem(&code(1).digest, family(2), NOW).await;
        assert_eq!(redeemed, Err(StoreError::Corrupt));
        assert_eq!(store.read_code(&code(1).digest).await, Err(StoreError::Corrupt));
    });
}

#[test]
fn a_record_of_a_later_release_is_no_damage() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        store.insert_family(family(1), NOW).await.unwrap();
        place.raw().execute_batch("UPDATE access SET body = json_set(body, '$.v', 2)").unwrap();
        let found = store.access(&access(1, 0).digest, NOW).await;
        assert_eq!(found, Err(StoreError::Unavailable));
        assert_eq!(store.check().await, Ok(()), "the database is sound");
    });
}

/// SEC-206
#[test]
fn what_is_no_text_is_told_as_damage() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        for (number, damage) in (1..).zip([
            "UPDATE access SET body = CAST(x'FF' AS TEXT)",
            "UPDATE access SET body = '\"'",
            "UPDATE access SET body = json_set(body, '$.scopes', '\"')",
            "UPDATE access SET body = json_set(body, '$.jkt', '00')",
            "UPDATE access SET body = json_set(body, '$.v', 0)",
            "UPDATE families SET body = json_set(body, '$.v', 0)",
            "UPDATE families SET subject = CAST(x'C0AF' AS TEXT)",
            "UPDATE families SET client_id = ''",
            "UPDATE families SET client_id = char(10)",
            "UPDATE families SET resource = 'nowhere'",
            "UPDATE access SET expires_at = -1",
        ]) {
            store.insert_family(family(number), NOW).await.unwrap();
            let digest = access(number, 0).digest;
            assert!(store.access(&digest, NOW).await.unwrap().is_some());
            place.raw().execute_batch(damage).unwrap();
            assert_eq!(store.access(&digest, NOW).await, Err(StoreError::Corrupt), "{damage}");
            place.raw().execute_batch("DELETE FROM access; DELETE FROM families").unwrap();
        }
    });
}

/// SEC-206
#[test]
fn no_text_is_taken_for_sql() {
    block_on(async {
        let place = Place::new();
        let store = place.open();
        let tables = "SELECT group_concat(sql) FROM sqlite_schema";
        let before: String = place.raw().query_row(tables, [], |row| row.get(0)).unwrap();
        for (number, name) in (1..).zip([
            "'; DROP TABLE families; --",
            "' OR '1'='1",
            "\"; DELETE FROM codes; --",
            "?1",
            ":subject",
            "\0'; DROP TABLE codes; --",
            "\u{2bc}; DROP TABLE once; --",
        ]) {
            let mut own = family(number);
            own.subject = Subject::parse(name).unwrap();
            let subject = own.subject.clone();
            store.insert_family(own, NOW).await.unwrap();
            store
                .revoke_subject(&subject, Some(&ClientId::parse("';--").unwrap()), NOW)
                .await
                .unwrap();
            let known = store.access(&access(number, 0).digest, NOW).await.unwrap().unwrap();
            assert_eq!(known.subject, subject);
        }
        let after: String = place.raw().query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(before, after);
    });
}

#[test]
fn an_operation_that_fails_fails_alone() {
    block_on(async {
        let place = Place::new();
        let store = place.open_with(&settings().with_busy_timeout(Duration::from_secs(5)));
        for number in 0..64 {
            store.insert_code(code(number)).await.unwrap();
        }
        // All of them wait for one transaction; every third fails after its family was stored.
        let other = place.raw();
        other
            .execute_batch(
                "CREATE TRIGGER refused BEFORE INSERT ON access WHEN NEW.body LIKE '%refused%' \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
            )
            .unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            other.execute_batch("ROLLBACK").unwrap();
        });
        let redeem = |number: u64| {
            let mut family = family(number);
            if number.is_multiple_of(3) {
                family.access.scopes = ScopeSet::parse("refused").unwrap();
            }
            let (store, digest) = (&store, code(number).digest);
            async move { store.redeem(&digest, family, NOW).await }
        };
        let outcomes = join_all((0..64).map(redeem)).await;
        ends.join().unwrap();
        for (number, outcome) in (0..).zip(outcomes) {
            let used = store.read_code(&code(number).digest).await.unwrap().unwrap().redeemed;
            let family = store.read_family(&family_id(number)).await.unwrap();
            let known = store.access(&access(number, 0).digest, NOW).await.unwrap();
            if number.is_multiple_of(3) {
                assert_eq!((outcome, used, family), (Err(UNAVAILABLE), None, None));
                assert_eq!(known, None);
            } else {
                assert_eq!(outcome, Ok(RedeemOutcome::Redeemed));
                assert_eq!(used, Some(family_id(number)));
                assert!(family.is_some() && known.is_some());
            }
        }
    });
}

#[test]
fn who_stops_waiting_before_the_turn_has_changed_nothing() {
    let place = Place::new();
    let store = place.open_with(&settings().with_busy_timeout(Duration::from_secs(5)));
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.insert_code(code(1)));
    assert!(first.as_mut().poll(&mut context).is_pending());
    std::thread::sleep(Duration::from_millis(100));
    {
        let mut second = pin!(store.insert_code(code(2)));
        assert!(second.as_mut().poll(&mut context).is_pending());
    }
    let third = store.insert_code(code(3));
    other.execute_batch("ROLLBACK").unwrap();
    block_on(async {
        first.await.unwrap();
        third.await.unwrap();
        assert!(store.read_code(&code(1).digest).await.unwrap().is_some());
        assert!(store.read_code(&code(2).digest).await.unwrap().is_none());
    });
}

#[test]
fn a_queue_that_is_too_long_takes_no_more() {
    let place = Place::new();
    let store = place.open_with(&settings().with_busy_timeout(Duration::from_secs(5)));
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let keys: Vec<_> = (0..5000).map(|number| SecretDigest::of(&number.to_string())).collect();
    let mut waiting = Vec::new();
    let mut refused = 0;
    for key in &keys {
        let mut put = Box::pin(store.put_once(OnceKind::Answer, key, at(60), NOW));
        match put.as_mut().poll(&mut context) {
            Poll::Pending => waiting.push(put),
            Poll::Ready(outcome) => {
                assert_eq!(outcome, Err(UNAVAILABLE));
                refused += 1;
            }
        }
    }
    assert!((500..1000).contains(&refused), "{refused}");
    other.execute_batch("ROLLBACK").unwrap();
    let answered = block_on(join_all(waiting));
    assert!(answered.into_iter().all(|outcome| outcome == Ok(Replay::Fresh)));
}
