//! The file of server keys; `mcp-authz-keys` and `mcp-authz-sqlite` test what is in it.

use std::fs;
use std::sync::Arc;

use authorization_server::Store as _;
use mcp_authz_postgres::{KeyFileError, rotate_server_key};

use crate::samples::*;

/// SEC-204
#[test]
#[ignore = "needs PostgreSQL"]
fn processes_that_start_at_once_have_the_same_keys() {
    run(async {
        let place = Place::new();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        let store = Arc::new(place.open().await);
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let (store, file) = (Arc::clone(&store), file.clone());
                tokio::task::spawn_blocking(move || {
                    store.server_keys(&file).unwrap();
                    fs::read_to_string(&file).unwrap()
                })
            })
            .collect();
        let mut texts = Vec::new();
        for start in starts {
            texts.push(start.await.unwrap());
        }
        assert!(texts.iter().all(|text| *text == texts[0] && text.lines().count() == 1));
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn keys_that_are_missed_are_not_made_anew() {
    run(async {
        let place = Place::new();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        place.open().await.insert_family(family(1), NOW).await.unwrap();
        let refused = place.open().await.server_keys(&file);
        assert!(matches!(refused, Err(KeyFileError::Missing)));
        assert!(!file.exists());
        // The operator who means it says so.
        rotate_server_key(&file).unwrap();
        place.open().await.server_keys(&file).unwrap();
    });
}
