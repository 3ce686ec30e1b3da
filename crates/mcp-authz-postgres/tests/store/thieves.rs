//! Texts that are more than letters, and whoever steals a database.

use core::error::Error;

use authorization_server::store::StoreError;
use authorization_server::{ClientRecord, Store as _};
use client_auth::ClientAuthRecord;
use cluster::Cluster;
use mcp_authz_postgres::{OpenError, PostgresStore};
use oauth_types::{AuthMethod, ClientId, ScopeSet, Secret, Subject};

use crate::samples::*;

/// SEC-206
#[test]
#[ignore = "needs PostgreSQL"]
fn no_text_is_taken_for_sql() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        let tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
             WHERE relnamespace = 'mcp_oauth'::regnamespace";
        let before = place.sql(tables);
        for (number, name) in (1..).zip([
            "'; DROP TABLE families; --",
            "' OR '1'='1",
            "\"; DELETE FROM codes; --",
            "$1",
            "$$; DROP TABLE once; $$",
            "\\'; DROP TABLE once; --",
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
        assert_eq!(place.sql(tables), before);
    });
}

/// SEC-206
#[test]
#[ignore = "needs PostgreSQL"]
fn long_incompressible_names_are_kept_whole_or_refused() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        // Noise, which PostgreSQL cannot compress to fit an index.
        let noise = |length: usize| {
            let digests =
                (0..).flat_map(|n: u64| *oauth_types::SecretDigest::of(&n.to_string()).as_bytes());
            digests
                .map(|byte| char::from(b'!' + byte % 94))
                .filter(|c| *c != '"' && *c != '\\')
                .take(length)
        };
        for (number, length) in (1..).zip([2_048, 8_192, Subject::MAX_BYTES]) {
            let mut own = family(number);
            own.subject = Subject::try_from(noise(length).collect::<String>()).unwrap();
            own.client_id = ClientId::parse(&noise(2_048).collect::<String>()).unwrap();
            store.insert_family(own.clone(), NOW).await.unwrap();
            let known = store.access(&access(number, 0).digest, NOW).await.unwrap().unwrap();
            assert_eq!(
                (known.subject.as_str().len(), known.client_id),
                (length, own.client_id.clone())
            );
            store.revoke_subject(&own.subject, Some(&own.client_id), NOW).await.unwrap();
            assert!(store.access(&access(number, 0).digest, NOW).await.unwrap().is_none());
        }
        assert_eq!(store.check().await, Ok(()));
    });
}

/// SEC-206
#[test]
#[ignore = "needs PostgreSQL"]
fn what_nobody_stored_is_told_as_damage() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        assert_eq!(store.check().await, Ok(()));
        for (number, damage) in (1..).zip([
            "UPDATE access SET body = '\"'",
            "UPDATE access SET body = replace(body, 'files:read', '\\\"')",
            "UPDATE access SET body = replace(body, '}', ',\"jkt\":\"00\"}')",
            "UPDATE access SET body = replace(body, '1', '0')",
            "UPDATE families SET body = replace(body, '1', '0')",
            "UPDATE families SET subject = '\\xC0AF'",
            "UPDATE families SET client_id = ''",
            "UPDATE families SET client_id = chr(10)",
            "UPDATE families SET resource = 'nowhere'",
            "UPDATE access SET expires_at = -1",
        ]) {
            store.insert_family(family(number), NOW).await.unwrap();
            let digest = access(number, 0).digest;
            assert!(store.access(&digest, NOW).await.unwrap().is_some());
            place.sql(damage);
            let found = store.access(&digest, NOW).await;
            assert_eq!(found, Err(StoreError::Corrupt), "{damage}");
            place.sql("DELETE FROM access; DELETE FROM families");
        }
        assert_eq!(store.check().await, Err(StoreError::Corrupt));
        // What is whole is served.
        store.insert_family(family(100), NOW).await.unwrap();
        assert!(store.access(&access(100, 0).digest, NOW).await.unwrap().is_some());
    });
}

/// SEC-208
#[test]
#[ignore = "needs PostgreSQL"]
fn a_stolen_dump_holds_no_code_token_or_secret() {
    run(async {
        let place = Place::new();
        let store = place.open().await;
        let (code_text, access_text) = ("canary-code-7f3a", "canary-access-91bc");
        let secret = Secret::new("canary-secret-55de");
        let mut record = code(1);
        record.digest = Secret::new(code_text).digest();
        let mut new = family(1);
        new.access.digest = Secret::new(access_text).digest();
        store.insert_code(record.clone()).await.unwrap();
        store.redeem(&record.digest, new, NOW).await.unwrap();
        let registered =
            ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
        let scopes = ScopeSet::parse("files:read").unwrap();
        let id = ClientId::parse("canary-client").unwrap();
        let client = ClientRecord::client_credentials(id, registered, scopes, NOW);
        store.create_client(client, NOW).await.unwrap();
        let dump = Cluster::shared().dump(place.url.rsplit('/').next().unwrap()).unwrap();
        for text in [code_text, access_text, secret.expose()] {
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(text) && !dump.contains(&hex), "{text}");
        }
        // What may be there is found.
        assert!(dump.contains("canary-client") && dump.contains("COPY mcp_oauth.families"));
    });
}

/// Returns the text of an error with those of its sources.
fn sources(error: &(dyn Error + 'static)) -> String {
    let rest = error.source().map(sources).unwrap_or_default();
    format!("{error} {rest}")
}

/// SEC-208
#[test]
#[ignore = "needs PostgreSQL"]
fn no_error_shows_the_password() {
    run(async {
        let url = Cluster::shared().url();
        let wrong = url.replace("cluster-password", "canary-password");
        for bad in [wrong.clone(), wrong.replace("/postgres", "/nowhere"), format!("{wrong}?a=b")] {
            let refused = PostgresStore::open(&bad, &settings()).await.unwrap_err();
            let text = sources(&refused);
            assert!(!format!("{text} {refused:?}").contains("canary"), "{refused:?}");
        }
        let refused = PostgresStore::open(&wrong, &settings()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Postgres(_)), "{refused}");
        assert!(sources(&refused).contains("password"), "{refused:?}");
        let place = Place::new();
        assert!(!format!("{:?}", place.open().await).contains("password"));
    });
}
