//! Databases of other releases and of others, and servers that nothing may be entrusted to.

use authorization_server::Store as _;
use authorization_server::store::OnceKind;
use cluster::Cluster;
use futures::future::join_all;
use mcp_authz_postgres::{InvalidSynchronous, OpenError, PostgresStore, Synchronous};
use oauth_types::{ClientId, SecretDigest, Thumbprint, UnixTime};

use crate::samples::*;

/// What a database holds.
fn dump(place: &Place) -> String {
    Cluster::shared().dump(place.url.rsplit('/').next().unwrap()).unwrap()
}

async fn refused(url: &str) -> OpenError {
    PostgresStore::open(url, &settings()).await.unwrap_err()
}

/// SEC-210
#[test]
#[ignore = "needs PostgreSQL"]
fn a_newer_schema_is_refused_and_the_database_untouched() {
    run(async {
        let place = Place::new();
        place.open().await.insert_code(code(1)).await.unwrap();
        place.sql("UPDATE label SET version = 5");
        let before = dump(&place);
        for _ in 0..2 {
            let refused = refused(&place.url).await;
            assert!(matches!(refused, OpenError::NewerSchema { found: 5, known: 4 }), "{refused}");
        }
        assert!(dump(&place) == before);
    });
}

/// SEC-210
#[test]
#[ignore = "needs PostgreSQL"]
fn what_is_not_ours_is_refused_and_untouched() {
    for tables in [
        "CREATE TABLE mcp_oauth.clients (id int)",
        "CREATE TABLE mcp_oauth.label (id int)",
        "CREATE TABLE mcp_oauth.label (application int, version int)",
        "CREATE TABLE mcp_oauth.label (application text, version text)",
        "CREATE TABLE mcp_oauth.label (application text, version int)",
        "CREATE VIEW mcp_oauth.label AS SELECT text 'another' AS application, 1 AS version",
    ] {
        run(async {
            let place = Place::new();
            place.sql(&format!("CREATE SCHEMA mcp_oauth; {tables}"));
            let before = dump(&place);
            let refused = refused(&place.url).await;
            assert!(matches!(refused, OpenError::NotAStore), "{tables}: {refused}");
            assert!(dump(&place) == before);
        });
    }
}

/// SEC-210
#[test]
#[ignore = "needs PostgreSQL"]
fn of_processes_that_start_at_once_one_makes_the_tables() {
    run(async {
        let place = Place::new();
        // What else is in the database is nobody's business.
        place.sql("CREATE TABLE public.clients (id int)");
        let stores = join_all((0..8).map(|_| place.open())).await;
        stores[0].insert_code(code(1)).await.unwrap();
        for store in &stores {
            assert!(store.read_code(&code(1).digest).await.unwrap().is_some());
        }
        assert_eq!(place.sql("SELECT count(*), max(version) FROM label"), "1|4");
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_role_that_owns_its_schema_and_nothing_else_is_enough() {
    run(async {
        let place = Place::new();
        place
            .sql("CREATE ROLE app LOGIN PASSWORD 'app'; CREATE SCHEMA mcp_oauth AUTHORIZATION app");
        let url = place.url.replace("postgres:cluster-password@", "app:app@");
        for _ in 0..2 {
            let store = PostgresStore::open(&url, &settings()).await.unwrap();
            store.insert_code(code(1)).await.unwrap();
            assert_eq!(store.check().await, Ok(()));
        }
    });
}

/// SEC-201, SEC-205
#[test]
fn a_setting_that_a_crash_could_undo_is_refused_with_a_reason() {
    for text in ["off", "local", "REMOTE_WRITE"] {
        let refused = text.parse::<Synchronous>().unwrap_err();
        assert_eq!(refused, InvalidSynchronous::Unsafe);
        assert!(refused.to_string().contains("fail-over"));
    }
    assert_eq!("".parse::<Synchronous>(), Err(InvalidSynchronous::Unknown));
    assert_eq!("Remote_Apply".parse(), Ok(Synchronous::RemoteApply));
}

/// SEC-205
#[test]
#[ignore = "needs PostgreSQL"]
fn settings_of_role_database_or_url_make_no_answer_less_safe() {
    run(async {
        let place = Place::new();
        drop(place.open().await);
        let database = place.url.rsplit('/').next().unwrap().to_owned();
        place.sql(&format!(
            "CREATE TABLE seen (setting text, value text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO mcp_oauth.seen SELECT name, current_setting(name) FROM unnest(ARRAY[
                     'synchronous_commit', 'transaction_isolation', 'search_path']) AS name;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER note AFTER INSERT ON once EXECUTE FUNCTION note();
             CREATE ROLE hasty LOGIN SUPERUSER PASSWORD 'app';
             ALTER ROLE hasty SET synchronous_commit = off;
             ALTER ROLE hasty IN DATABASE {database} SET synchronous_commit = local;
             ALTER DATABASE {database} SET synchronous_commit = off;
             ALTER DATABASE {database} SET default_transaction_isolation = 'serializable';
             ALTER DATABASE {database} SET search_path = public"
        ));
        let url = place.url.replace("postgres:cluster-password@", "hasty:app@");
        for (synchronous, name) in
            [(Synchronous::On, "on"), (Synchronous::RemoteApply, "remote_apply")]
        {
            for options in ["", "?options=-c%20synchronous_commit%3Doff"] {
                let settings = settings().with_synchronous(synchronous);
                let store =
                    PostgresStore::open(&format!("{url}{options}"), &settings).await.unwrap();
                store.put_once(OnceKind::Answer, &access(1, 0).digest, at(1), at(1)).await.unwrap();
                let seen =
                    place.sql("SELECT setting, value FROM seen ORDER BY 1; DELETE FROM seen");
                let expected = format!(
                    "search_path|mcp_oauth\nsynchronous_commit|{name}\ntransaction_isolation|read committed"
                );
                assert_eq!(seen, expected);
            }
        }
    });
}

/// SEC-201, SEC-205: it answers before it has written, or takes no changes; the error has the reason.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_is_unsafe_or_read_only_is_refused() {
    run(async {
        let cluster = Cluster::start().unwrap();
        let set = |setting: &str, value: &str| {
            // Each by itself: no transaction takes the first.
            cluster.sql("postgres", &format!("ALTER SYSTEM SET {setting} = {value}")).unwrap();
            cluster.shut_down().unwrap();
            cluster.start_again().unwrap();
        };
        let store = PostgresStore::open(&cluster.url(), &settings()).await.unwrap();
        for setting in ["fsync", "full_page_writes"] {
            set(setting, "off");
            let refused = refused(&cluster.url()).await;
            assert!(matches!(refused, OpenError::Unsafe(name) if name == setting), "{refused}");
            assert!(refused.to_string().contains(&format!("{setting}=on")));
            // Nor is it used by whoever had it open.
            assert_eq!(store.insert_code(code(1)).await, Err(UNAVAILABLE));
            assert_eq!(store.check().await, Err(UNAVAILABLE));
            set(setting, "on");
            assert_eq!(store.check().await, Ok(()));
        }
        set("default_transaction_read_only", "on");
        assert!(matches!(refused(&cluster.url()).await, OpenError::ReadOnly));
        assert_eq!(store.insert_code(code(1)).await, Err(UNAVAILABLE));
        cluster.shut_down().unwrap();
        std::fs::write(cluster.data().join("standby.signal"), "").unwrap();
        cluster.start_again().unwrap();
        let refused = refused(&cluster.url()).await;
        assert!(matches!(refused, OpenError::ReadOnly), "{refused}");
        assert!(refused.to_string().contains("standby"));
        assert_eq!(store.check().await, Err(UNAVAILABLE));
    });
}

/// SEC-217
///
/// Clients as releases before schema 2 left them: those that had a token have no end, as the operator's (SEC-217).
#[test]
#[ignore = "needs PostgreSQL"]
fn a_self_registered_client_of_an_old_database_is_no_operators() {
    run(async {
        let place = Place::new();
        place.sql(&format!(
            "CREATE SCHEMA mcp_oauth; {}; INSERT INTO label VALUES ('mcp-oauth authorization server', 1)",
            include_str!("../../src/schema/1.sql")
        ));
        let uri = r#"["https://app.example/cb"]"#;
        let clients = [
            ("AAAAAAAAAAAAAAAAAAAB-Q", uri, None, false),
            ("_AAAAAAAAAAAAAAAAAAB-g", uri, Some(1_086_400), false),
            ("dashboard", uri, None, true),
            ("AAAAAAAAAAAAAAAAAAAB-x", uri, None, true),
            ("AAAAAAAAAAA.AAAAAAAB-Q", uri, None, true),
            ("AAAAAAAAAAAAAAAAAAAC-Q", "[]", None, true),
            ("waiting", uri, Some(1_086_400), false),
        ];
        for (id, redirect_uris, unused_until, _) in clients {
            let until =
                unused_until.map_or_else(|| "NULL".to_owned(), |until: u64| until.to_string());
            place.sql(&format!(
                r#"INSERT INTO clients VALUES ('{id}', '{{"method":"none"}}', '{redirect_uris}',
                   '{{"scope":"files:read"}}', 1000000, {until})"#
            ));
        }
        let store = place.open().await;
        for (id, _, unused_until, of_operator) in clients {
            let id = ClientId::parse(id).unwrap();
            let found = store.read_client(&id).await.unwrap().unwrap();
            assert_eq!(found.of_operator, of_operator, "{id:?}");
            // Nobody's client is taken from them by that.
            assert_eq!(found.unused_until.map(UnixTime::as_secs), unused_until, "{id:?}");
        }
        // What says nothing of the operator is not the operator's.
        place.sql(
            r#"INSERT INTO clients (client_id, body) VALUES ('new', '{"v":1,"authentication":
               {"method":"none"},"redirect_uris":[],"metadata":{},"registered_at":1000000}')"#,
        );
        let id = ClientId::parse("new").unwrap();
        assert!(!store.read_client(&id).await.unwrap().unwrap().of_operator);
        assert_eq!(place.sql("SELECT version FROM label"), "4");
    });
}

/// All texts that make one version of the schema of the one before it, but the last.
const OLDER: [&str; 3] = [
    include_str!("../../src/schema/1.sql"),
    include_str!("../../src/schema/2.sql"),
    include_str!("../../src/schema/3.sql"),
];

/// SEC-210
#[test]
#[ignore = "needs PostgreSQL"]
#[expect(clippy::too_many_lines, reason = "a row of each older schema")]
fn facts_of_each_older_schema_are_read_from_their_body() {
    for from in 1..=OLDER.len() {
        run(async {
            let place = Place::new();
            place.sql(&format!(
                "CREATE SCHEMA mcp_oauth; {}; INSERT INTO label VALUES ('mcp-oauth authorization server', {from})",
                OLDER[0]
            ));
            let (code, access) = (code(1), access(1, 3));
            let hex = |bytes: &[u8]| -> String {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("'\\x{digits}'")
            };
            let (jkt, agreed) = (Thumbprint::from_bytes([0xaf; 32]), SecretDigest::of("agreed"));
            let (key, bound) = (SecretDigest::of("key"), hex(jkt.as_bytes()));
            let (id, subject) =
                (hex(family_id(1).as_bytes()), hex(code.subject.as_str().as_bytes()));
            // A client with a name that JSON has to escape, and a secret.
            let client = r#"INSERT INTO clients VALUES ('old', '{"method":"client_secret_basic","secret":[0,1,2,3,
                4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31],
                "secret_expires_at":1500000}', '["https://app.example/cb","com.example.app:/cb"]',
                '{"client_name":"\u0000\"''\\","scope":"files:read","x":{"y":[1.5,null]}}', 999999, 1500000)"#;
            // One that looks as if it had registered itself, of which the migration warns.
            let unmarked = client
                .replace("'old'", "'AAAAAAAAAAAAAAAAAAAB-Q'")
                .replace(", 1500000)", ", NULL)");
            place.sql(&format!(
                "{client}; {unmarked};
                 INSERT INTO families VALUES ({id}, 'client-1', {subject}, 'https://rs.example/mcp', 'files:read',
                     2000000, 1500000, 3, 999999, {bound}, false, 2000000);
                 INSERT INTO access VALUES ({}, {id}, 'files:read', 1000600, {bound});
                 INSERT INTO codes VALUES ({}, '{}', '{}', '{}', '{}', 'files:read', {subject}, 1000060, {bound}, {id},
                     2000000);
                 INSERT INTO consents VALUES ({}, {subject}, 'old', 'files:read', {}, 2000000)",
                hex(access.digest.as_bytes()),
                hex(code.digest.as_bytes()),
                code.client_id.as_str(),
                code.redirect_uri.as_str(),
                code.challenge.as_str(),
                code.resource.as_str(),
                hex(key.as_bytes()),
                hex(agreed.as_bytes()),
            ));
            for step in &OLDER[1..from] {
                place.sql(step);
            }
            let store = place.open().await;
            let client = store.read_client(&ClientId::parse("old").unwrap()).await;
            let client = client.unwrap().unwrap();
            assert_eq!(client.metadata.client_name.as_deref(), Some("\0\"'\\"), "{from}");
            assert_eq!(client.metadata.scope, Some(code.scopes.clone()));
            assert_eq!(client.metadata.extra.0["x"], serde_json::json!({"y": [1.5, null]}));
            assert_eq!(client.redirect_uris.len(), 2);
            assert!(client.authentication.secret.is_some());
            assert_eq!(client.authentication.secret_expires_at, Some(at(500_000)));
            assert_eq!(client.registered_at.as_secs(), 999_999);
            let mut expected = code.clone();
            (expected.jkt, expected.redeemed) = (Some(jkt), Some(family_id(1)));
            assert_eq!(store.read_code(&code.digest).await, Ok(Some(expected)));
            let family = store.read_family(&family_id(1)).await.unwrap().unwrap();
            assert_eq!((family.jkt, family.scopes), (Some(jkt), code.scopes.clone()));
            assert_eq!((family.generation.get(), family.rotated_at.as_secs()), (3, 999_999));
            let known = store.access(&access.digest, NOW).await.unwrap().unwrap();
            assert_eq!((known.jkt, known.scopes), (Some(jkt), code.scopes.clone()));
            let consent = store.read_consent(&key).await.unwrap().unwrap();
            assert_eq!((consent.metadata, consent.scopes), (agreed, code.scopes.clone()));
            assert_eq!(store.sweep(at(1_000_000), 100).await, Ok(4));
            let new = Place::new();
            drop(new.open().await);
            let columns = "SELECT string_agg(table_name || '.' || column_name, ' ' ORDER BY table_name, column_name) \
                 FROM information_schema.columns WHERE table_schema = 'mcp_oauth'";
            assert_eq!(place.sql(columns), new.sql(columns));
        });
    }
}
