//! What lies on the disk, and who may read it.

use authorization_server::Store as _;
use futures::executor::block_on;
use mcp_authz_sqlite::{InvalidSynchronous, OpenError, SqliteStore, Synchronous};
use oauth_types::{ClientId, ScopeSet, Secret};

use crate::samples::*;

/// SEC-201: the error has the reason.
#[test]
fn a_setting_that_a_power_cut_could_undo_is_refused() {
    for text in ["NORMAL", "normal", "1", "OFF", "0"] {
        let refused = text.parse::<Synchronous>().unwrap_err();
        assert_eq!(refused, InvalidSynchronous::Unsafe);
        assert!(refused.to_string().contains("power cut"));
    }
    assert_eq!("".parse::<Synchronous>(), Err(InvalidSynchronous::Unknown));
    for (text, safe) in [("Full", Synchronous::Full), ("3", Synchronous::Extra)] {
        let place = Place::new();
        assert_eq!(text.parse(), Ok(safe));
        let store = place.open_with(&settings().with_synchronous(safe));
        assert_eq!(block_on(store.check()), Ok(()));
        let mode: String =
            place.raw().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}

/// SEC-208
#[cfg(unix)]
#[test]
fn nobody_but_the_owner_reads_any_of_the_files() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let store = place.open();
    store.server_keys(place.path("server.keys")).unwrap();
    block_on(store.insert_code(code(1))).unwrap();
    let names = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(place.folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        names
    };
    assert_eq!(names(), ["oauth.db", "oauth.db-shm", "oauth.db-wal", "server.keys"]);
    drop(store);
    // A database that was closed is one file.
    assert_eq!(names(), ["oauth.db", "server.keys"]);
    fs::set_permissions(place.database(), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read(place.database()).unwrap();
    let refused = SqliteStore::open(place.database(), &settings());
    assert!(matches!(refused, Err(OpenError::OpenToOthers)));
    assert_eq!(fs::read(place.database()).unwrap(), before);
}

/// SEC-224
#[cfg(unix)]
#[test]
fn a_database_of_another_user_or_behind_a_link_is_refused() {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    let place = Place::new();
    drop(place.open());
    let link = place.path("link.db");
    symlink(place.database(), &link).unwrap();
    let refused = SqliteStore::open(&link, &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::Link), "{refused}");
    // Only the superuser can give a file away. What SQLite would find beside the database counts too.
    let own = fs::metadata(place.database()).unwrap().uid();
    if own == 0 {
        for name in ["oauth.db", "oauth.db-wal"] {
            let file = place.path(name);
            drop(fs::OpenOptions::new().append(true).create(true).open(&file).unwrap());
            chown(&file, Some(65534), None).unwrap();
            let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
            let OpenError::OtherOwner { owner: 65534, process: 0 } = refused else {
                panic!("{refused}")
            };
            assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
            chown(&file, Some(0), None).unwrap();
        }
        fs::remove_file(place.path("oauth.db-wal")).unwrap();
    }
    let beside = place.path("oauth.db-wal");
    symlink(place.path("elsewhere"), &beside).unwrap();
    let refused = SqliteStore::open(place.database(), &settings()).unwrap_err();
    assert!(matches!(refused, OpenError::Link), "{refused}");
    fs::remove_file(beside).unwrap();
    drop(place.open());
}

/// SEC-208
#[test]
fn a_stolen_database_holds_no_code_token_secret_or_key() {
    use authorization_server::ClientRecord;
    use client_auth::ClientAuthRecord;
    use oauth_types::AuthMethod;

    let place = Place::new();
    let keys = place.path("server.keys");
    let (code, access) = ("canary-code-7f3a", "canary-access-91bc");
    let secret = Secret::new("canary-secret-55de");
    {
        let store = place.open();
        store.server_keys(&keys).unwrap();
        block_on(async {
            let mut record = crate::samples::code(1);
            record.digest = Secret::new(code).digest();
            let mut new = family(1);
            new.access.digest = Secret::new(access).digest();
            store.insert_code(record.clone()).await.unwrap();
            store.redeem(&record.digest, new, NOW).await.unwrap();
            let registered =
                ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
            let scopes = ScopeSet::parse("files:read").unwrap();
            let id = ClientId::parse("canary-client").unwrap();
            let client = ClientRecord::client_credentials(id, registered, scopes, NOW);
            store.create_client(client, NOW).await.unwrap();
            store.check().await.unwrap();
        });
        // The log counts too, while the server runs.
        look(&place, &keys, &[code, access, secret.expose()]);
    }
    look(&place, &keys, &[code, access, secret.expose()]);
}

/// Looks for what must not be in any file of the database.
fn look(place: &Place, keys: &std::path::Path, secrets: &[&str]) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let keys = std::fs::read_to_string(keys).unwrap();
    let key = keys.trim().split_once(' ').unwrap().1;
    let mut needles: Vec<Vec<u8>> = secrets.iter().map(|text| text.as_bytes().to_vec()).collect();
    needles.push(key.as_bytes().to_vec());
    needles.push(URL_SAFE_NO_PAD.decode(key).unwrap());
    let mut is_sure = false;
    for name in ["oauth.db", "oauth.db-wal", "oauth.db-shm"] {
        let Ok(bytes) = std::fs::read(place.path(name)) else { continue };
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for needle in &needles {
            assert!(!has(needle), "{name} holds {}", String::from_utf8_lossy(needle));
        }
        // What may be there is found.
        is_sure |= has(b"canary-client");
    }
    assert!(is_sure);
}
