//! Databases of other releases, and of others.

use std::fs;

use authorization_server::Store as _;
use authorization_server::store::{OnceKind, RedeemOutcome, RotateOutcome};
use client_auth::Replay;
use futures::executor::block_on;
use mcp_authz_sqlite::{OpenError, SqliteStore};
use oauth_types::{AuthMethod, ClientId, SecretDigest, Thumbprint, UnixTime};
use rusqlite::{Connection, params};

use crate::samples::*;

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.path(name)).unwrap_or_default()
}

/// SEC-210
#[test]
fn a_newer_schema_is_refused_and_the_file_untouched() {
    let place = Place::new();
    block_on(place.open().insert_code(code(1))).unwrap();
    place.raw().pragma_update(None, "user_version", 7).unwrap();
    let before = bytes(&place, "oauth.db");
    for _ in 0..2 {
        let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
        assert!(matches!(refused, OpenError::NewerSchema { found: 7, known: 6 }), "{refused}");
        assert_eq!(bytes(&place, "oauth.db"), before);
    }
}

/// SEC-210
#[test]
fn a_newer_schema_is_seen_in_the_log_too() {
    let place = Place::new();
    block_on(place.open().insert_code(code(1))).unwrap();
    // A server of the later release was killed: what it did is in the log alone.
    let raw = place.raw();
    raw.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    raw.pragma_update(None, "user_version", 7).unwrap();
    let (database, log) = (bytes(&place, "oauth.db"), bytes(&place, "oauth.db-wal"));
    assert!(!log.is_empty());
    let copy = Place::new();
    for (name, bytes) in [("oauth.db", &database), ("oauth.db-wal", &log)] {
        fs::write(copy.path(name), bytes).unwrap();
        make_private(&copy, name);
    }
    let refused = SqliteStore::open(copy.database(), &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { found: 7, known: 6 }), "{refused}");
    assert_eq!(bytes(&copy, "oauth.db"), database);
    assert_eq!(bytes(&copy, "oauth.db-wal"), log);
}

#[cfg(unix)]
fn make_private(place: &Place, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn make_private(_: &Place, _: &str) {}

/// SEC-210
#[test]
fn what_is_not_ours_is_refused_and_untouched() {
    let place = Place::new();
    let other = Connection::open(place.database()).unwrap();
    other.execute_batch("CREATE TABLE clients (id); INSERT INTO clients VALUES (1)").unwrap();
    drop(other);
    make_private(&place, "oauth.db");
    let before = bytes(&place, "oauth.db");
    let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore), "{refused}");
    assert_eq!(bytes(&place, "oauth.db"), before);

    let labelled = Connection::open(place.database()).unwrap();
    labelled.pragma_update(None, "application_id", 7).unwrap();
    drop(labelled);
    let before = bytes(&place, "oauth.db");
    let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore), "{refused}");
    assert_eq!(bytes(&place, "oauth.db"), before);

    for text in ["x", "SQLite format 3\0", &"not a database ".repeat(100)] {
        fs::write(place.database(), text).unwrap();
        let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
        assert!(matches!(refused, OpenError::NotAStore), "{refused}");
        assert_eq!(bytes(&place, "oauth.db"), text.as_bytes());
    }
}

/// SEC-210
#[test]
fn a_migration_that_was_cut_off_is_done_from_the_start() {
    let place = Place::new();
    // As a process leaves it that was killed before its first commit.
    let raw = Connection::open(place.database()).unwrap();
    raw.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); DROP TABLE t").unwrap();
    drop(raw);
    make_private(&place, "oauth.db");
    let store = place.open();
    block_on(store.insert_code(code(1))).unwrap();
    drop(store);
    // And a second start finds it done.
    let store = place.open();
    assert!(block_on(store.read_code(&code(1).digest)).unwrap().is_some());
    let label = |name| place.raw().pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    assert_eq!(label("user_version"), Ok(6));
    assert_eq!(label("application_id"), Ok(0x4D4F_4153));
}

/// What an older server left: codes, of which 1 and 3 are used, their families and tokens, and a key that was seen. The
/// third family was revoked.
fn fill_old(old: &Connection, key: &SecretDigest) {
    for number in 1..=3 {
        let (code, access, id) = (code(number), access(number, 3), family_id(number));
        let is_used = number != 2;
        let columns = "(digest, client_id, redirect_uri, challenge, resource, scopes, subject, \
                       expires_at, redeemed, needed_until)";
        if is_used {
            old.execute(
                "INSERT INTO families VALUES (?1, 'client-1', ?2, 'https://rs.example/mcp', \
                 'files:read', 2000000, 1500000, 3, 999999, NULL, ?3, 2000000)",
                params![id.as_bytes(), code.subject.as_str(), number == 3],
            )
            .unwrap();
            old.execute(
                "INSERT INTO access VALUES (?1, ?2, 'files:read', 1000600, NULL)",
                params![access.digest.as_bytes(), id.as_bytes()],
            )
            .unwrap();
        }
        old.execute(
            &format!(
                "INSERT INTO codes {columns} VALUES (?1, 'client-1', 'https://app.example/cb', ?2, \
                 'https://rs.example/mcp', 'files:read', ?3, 1000060, ?4, ?5)"
            ),
            params![
                code.digest.as_bytes(),
                code.challenge.as_str(),
                code.subject.as_str(),
                is_used.then_some(id.as_bytes()),
                if is_used { 2_000_000 } else { 1_000_060 },
            ],
        )
        .unwrap();
    }
    let insert = "INSERT INTO once (key, until) VALUES (?1, ?2)";
    old.execute(insert, (key.as_bytes(), 1_000_060)).unwrap();
}

/// SEC-210
#[test]
fn an_older_schema_is_brought_forward_with_all_that_is_in_it() {
    let place = Place::new();
    let old = Connection::open(place.database()).unwrap();
    old.execute_batch(include_str!("../../src/schema/1.sql")).unwrap();
    old.execute_batch("PRAGMA application_id = 0x4D4F4153; PRAGMA user_version = 1").unwrap();
    let key = SecretDigest::of("key");
    fill_old(&old, &key);
    drop(old);
    make_private(&place, "oauth.db");
    // Cut off before its end, it is at the beginning.
    let full = "CREATE TABLE forgotten (x)";
    place.raw().execute_batch(full).unwrap();
    let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::Sqlite(_)), "{refused}");
    let version = || place.raw().pragma_query_value(None, "user_version", |row| row.get(0));
    assert_eq!(version(), Ok(1));
    place.raw().execute_batch("DROP TABLE forgotten").unwrap();
    for _ in 0..2 {
        let store = place.open();
        assert_eq!(block_on(store.put_once(OnceKind::Answer, &key, at(60), NOW)), Ok(Replay::Seen));
        assert_eq!(version(), Ok(6));
    }
    block_on(async {
        let store = place.open();
        for number in 1..=3 {
            let is_known = store.access(&access(number, 3).digest, NOW).await.unwrap().is_some();
            assert_eq!(is_known, number == 1, "{number}");
            let redeemed = (number != 2).then(|| family_id(number));
            let known = store.read_code(&code(number).digest).await.unwrap();
            let mut expected = code(number);
            expected.redeemed = redeemed;
            assert_eq!(known, Some(expected));
        }
        assert_eq!(store.rotate(rotation(1, 3), NOW).await, Ok(RotateOutcome::Rotated));
        assert_eq!(store.rotate(rotation(3, 3), NOW).await, Ok(RotateOutcome::Revoked));
        let redeem = async |code_number, family_number| {
            store.redeem(&code(code_number).digest, family(family_number), NOW).await
        };
        assert_eq!(redeem(2, 2).await, Ok(RedeemOutcome::Redeemed));
        assert_eq!(redeem(1, 4).await, Ok(RedeemOutcome::AlreadyUsed(family_id(1))));
        assert!(store.access(&access(1, 4).digest, NOW).await.unwrap().is_none());
        // A used code stays as long as its family, and all goes in the end.
        assert_eq!(store.sweep(at(60), 10).await, Ok(0));
        assert_eq!(
            store.put_once(OnceKind::TokenRequest, &key, at(60), NOW).await,
            Ok(Replay::Seen)
        );
        assert_eq!(store.sweep(at(1_000_000), 100).await, Ok(11));
        assert_eq!(store.sweep(at(9_000_000), 100).await, Ok(0));
    });
}

/// SEC-217
///
/// Clients as releases before schema 4 left them: those that had a token have no end, as the operator's (SEC-217).
#[test]
fn a_self_registered_client_of_an_old_database_is_no_operators() {
    let place = Place::new();
    let old = Connection::open(place.database()).unwrap();
    old.execute_batch(include_str!("../../src/schema/1.sql")).unwrap();
    old.execute_batch("PRAGMA application_id = 0x4D4F4153; PRAGMA user_version = 1").unwrap();
    let uri = r#"["https://app.example/cb"]"#;
    let clients = [
        ("AAAAAAAAAAAAAAAAAAAB-Q", uri, None::<u32>, false),
        ("_AAAAAAAAAAAAAAAAAAB-g", uri, Some(1_086_400), false),
        ("dashboard", uri, None, true),
        ("AAAAAAAAAAAAAAAAAAAB-x", uri, None, true),
        ("AAAAAAAAAAA.AAAAAAAB-Q", uri, None, true),
        ("AAAAAAAAAAAAAAAAAAAC-Q", "[]", None, true),
        ("waiting", uri, Some(1_086_400), false),
    ];
    for (id, redirect_uris, unused_until, _) in clients {
        old.execute(
            "INSERT INTO clients VALUES (?1, '{\"method\":\"none\"}', ?2, \
             '{\"scope\":\"files:read\"}', 1000000, ?3)",
            params![id, redirect_uris, unused_until],
        )
        .unwrap();
    }
    drop(old);
    make_private(&place, "oauth.db");
    let store = place.open();
    for (id, _, unused_until, of_operator) in clients {
        let found = block_on(store.read_client(&ClientId::parse(id).unwrap())).unwrap().unwrap();
        assert_eq!(found.of_operator, of_operator, "{id}");
        // Nobody's client is taken from them by that.
        assert_eq!(found.unused_until.map(UnixTime::as_secs), unused_until.map(u64::from), "{id}");
    }
    // Another process of the older release still runs: what it would add is refused.
    let insert = "INSERT INTO clients (client_id, authentication, redirect_uris, metadata, registered_at) \
                  VALUES ('new', '{\"method\":\"none\"}', '[]', '{}', 1000000)";
    assert!(place.raw().execute_batch(insert).is_err());
    // What says nothing of the operator is not the operator's.
    let insert = r#"INSERT INTO clients (client_id, body) VALUES ('new', '{"v":1,"authentication":
        {"method":"none"},"redirect_uris":[],"metadata":{},"registered_at":1000000}')"#;
    place.raw().execute_batch(insert).unwrap();
    let found = block_on(store.read_client(&ClientId::parse("new").unwrap())).unwrap().unwrap();
    assert!(!found.of_operator);
}

/// All texts that make one version of the schema of the one before it, but the last.
const OLDER: [&str; 5] = [
    include_str!("../../src/schema/1.sql"),
    include_str!("../../src/schema/2.sql"),
    include_str!("../../src/schema/3.sql"),
    include_str!("../../src/schema/4.sql"),
    include_str!("../../src/schema/5.sql"),
];

/// A client as it stood in columns: with a name that JSON has to escape, and a secret.
const OLD_CLIENT: &str = r#"INSERT INTO clients
    (client_id, authentication, redirect_uris, metadata, registered_at, unused_until)
    VALUES ('old', '{"method":"client_secret_basic","secret":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,
    16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31],"secret_expires_at":1500000}',
    '["https://app.example/cb","com.example.app:/cb"]',
    '{"client_name":"\u0000\"''\\","scope":"files:read","x":{"y":[1.5,null]}}', 999999, 1500000)"#;

/// SEC-210
#[test]
fn facts_of_each_older_schema_are_read_from_their_body() {
    for from in 1..=OLDER.len() {
        let place = Place::new();
        let old = Connection::open(place.database()).unwrap();
        old.execute_batch(OLDER[0]).unwrap();
        let key = SecretDigest::of("key");
        fill_old(&old, &key);
        old.execute_batch(OLD_CLIENT).unwrap();
        let (jkt, agreed) = (Thumbprint::from_bytes([0xaf; 32]), SecretDigest::of("agreed"));
        for table in ["families", "codes", "access"] {
            old.execute(&format!("UPDATE {table} SET jkt = ?1"), [jkt.as_bytes()]).unwrap();
        }
        old.execute(
            "INSERT INTO consents VALUES (?1, 'user 1', 'old', 'files:read', ?2, 2000000)",
            params![key.as_bytes(), agreed.as_bytes()],
        )
        .unwrap();
        for step in &OLDER[1..from] {
            old.execute_batch(step).unwrap();
        }
        old.execute_batch("PRAGMA application_id = 0x4D4F4153").unwrap();
        old.pragma_update(None, "user_version", i64::try_from(from).unwrap()).unwrap();
        drop(old);
        make_private(&place, "oauth.db");
        let store = place.open();
        block_on(async {
            let client = store.read_client(&ClientId::parse("old").unwrap()).await;
            let client = client.unwrap().unwrap();
            assert_eq!(client.metadata.client_name.as_deref(), Some("\0\"'\\"));
            assert_eq!(client.metadata.scope, Some(code(1).scopes), "{from}");
            assert_eq!(client.metadata.extra.0["x"], serde_json::json!({"y": [1.5, null]}));
            assert_eq!(client.redirect_uris.len(), 2);
            assert_eq!(client.authentication.method, AuthMethod::ClientSecretBasic);
            assert!(client.authentication.secret.is_some());
            assert_eq!(client.authentication.secret_expires_at, Some(at(500_000)));
            assert_eq!(client.registered_at.as_secs(), 999_999);
            let mut expected = code(1);
            (expected.jkt, expected.redeemed) = (Some(jkt), Some(family_id(1)));
            assert_eq!(store.read_code(&code(1).digest).await, Ok(Some(expected)));
            let family = store.read_family(&family_id(1)).await.unwrap().unwrap();
            assert_eq!((family.jkt, family.scopes), (Some(jkt), code(1).scopes));
            assert_eq!((family.generation.get(), family.rotated_at.as_secs()), (3, 999_999));
            let known = store.access(&access(1, 3).digest, NOW).await.unwrap().unwrap();
            assert_eq!((known.jkt, known.scopes), (Some(jkt), code(1).scopes));
            let consent = store.read_consent(&key).await.unwrap().unwrap();
            assert_eq!((consent.metadata, consent.scopes), (agreed, code(1).scopes));
            assert_eq!(store.sweep(at(1_000_000), 100).await, Ok(8));
        });
        let damage = "SELECT count(*) FROM pragma_foreign_key_check";
        assert_eq!(place.raw().query_row(damage, [], |row| row.get(0)), Ok(0));
        assert_eq!(columns(&place), columns(&new()), "{from}");
    }
}

/// SEC-210: the family of a code was removed by hand.
#[test]
fn a_full_or_damaged_old_database_is_migrated() {
    let place = Place::new();
    let old = Connection::open(place.database()).unwrap();
    old.execute_batch(OLDER[0]).unwrap();
    fill_old(&old, &SecretDigest::of("key"));
    for step in &OLDER[1..] {
        old.execute_batch(step).unwrap();
    }
    old.execute_batch("PRAGMA application_id = 0x4D4F4153; PRAGMA user_version = 5").unwrap();
    old.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM families").unwrap();
    drop(old);
    make_private(&place, "oauth.db");
    let full = fs::metadata(place.database()).unwrap().len();
    let store = place.open_with(&settings().with_max_bytes(full));
    // The code was refused as damaged before; it must not count as one that nobody redeemed.
    assert_eq!(block_on(store.read_code(&code(1).digest)), Ok(None));
}

fn new() -> Place {
    let place = Place::new();
    drop(place.open());
    place
}

/// The columns, indexes and triggers of all tables.
fn columns(place: &Place) -> Vec<String> {
    let all = "SELECT type || ' ' || s.name || ' ' || coalesce((SELECT group_concat(c.name) \
               FROM (SELECT name FROM pragma_table_info(s.name) ORDER BY name) AS c), '') \
               FROM sqlite_schema AS s WHERE s.name NOT LIKE 'sqlite_%' ORDER BY 1";
    let raw = place.raw();
    let mut query = raw.prepare(all).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_a_newer_release_wrote_into_a_body_stays() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        store.insert_code(code(1)).await.unwrap();
        let newer = "UPDATE codes SET body = json_set(body, '$.acr', 'high')";
        place.raw().execute_batch(newer).unwrap();
        let redeemed = store.redeem(&code(1).digest, family(1), NOW).await;
        assert_eq!(redeemed, Ok(RedeemOutcome::Redeemed));
        place.raw().execute_batch(&newer.replace("codes", "families")).unwrap();
        assert_eq!(store.rotate(rotation(1, 0), NOW).await, Ok(RotateOutcome::Rotated));
        assert!(store.access(&access(1, 1).digest, NOW).await.unwrap().is_some());
        store.revoke_family(&family_id(1), NOW).await.unwrap();
        assert!(store.read_family(&family_id(1)).await.unwrap().unwrap().revoked);
    });
    for table in ["codes", "families"] {
        let kept = format!("SELECT count(*) FROM {table} WHERE body LIKE '%\"acr\":\"high\"%'");
        assert_eq!(place.raw().query_row(&kept, [], |row| row.get(0)), Ok(1), "{table}");
    }
}
