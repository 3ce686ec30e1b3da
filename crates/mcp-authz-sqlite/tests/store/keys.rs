//! The file of server keys.

use std::fs;

use authorization_server::Store as _;
use futures::executor::block_on;
use mcp_authz_sqlite::{KeyFileError, rotate_server_key};

use crate::samples::*;

#[test]
fn keys_are_made_once_and_found_again() {
    let place = Place::new();
    let file = place.path("server.keys");
    let text = |_| {
        place.open().server_keys(&file).unwrap();
        fs::read_to_string(&file).unwrap()
    };
    let texts: Vec<String> = (0..3).map(text).collect();
    assert!(texts[0].starts_with("1 ") && texts[0].lines().count() == 1);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn keys_that_are_missed_are_not_made_anew() {
    let place = Place::new();
    let file = place.path("server.keys");
    let store = place.open();
    store.server_keys(&file).unwrap();
    block_on(store.insert_family(family(1), NOW)).unwrap();
    drop(store);
    fs::remove_file(&file).unwrap();
    let refused = place.open().server_keys(&file);
    assert!(matches!(refused, Err(KeyFileError::Missing)));
    assert!(!file.exists());
    // The operator who means it says so.
    rotate_server_key(&file).unwrap();
    place.open().server_keys(&file).unwrap();
}

#[test]
fn a_new_key_stands_first_and_the_older_ones_stay() {
    let place = Place::new();
    let file = place.path("server.keys");
    place.open().server_keys(&file).unwrap();
    let first = fs::read_to_string(&file).unwrap();
    for _ in 0..20 {
        rotate_server_key(&file).unwrap();
        place.open().server_keys(&file).unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    let ids: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(ids, ["21", "20", "19", "18", "17", "16", "15", "14"]);
    assert!(!text.contains(&first));
}

#[test]
fn a_file_of_something_else_is_refused() {
    let place = Place::new();
    let file = place.path("server.keys");
    let store = place.open();
    store.server_keys(&file).unwrap();
    let good = fs::read_to_string(&file).unwrap();
    for bad in ["", "\n", "1", "1 AAAA\n", "256 ", &good[2..], &format!("{good}x"), "canary"] {
        fs::write(&file, bad).unwrap();
        let refused = store.server_keys(&file).unwrap_err();
        assert!(matches!(refused, KeyFileError::Malformed), "{bad}");
        assert!(bad.is_empty() || !refused.to_string().contains("canary"));
    }
    fs::write(&file, [0xFF; 50]).unwrap();
    assert!(store.server_keys(&file).is_err());
}

#[cfg(unix)]
#[test]
fn keys_that_others_may_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let file = place.path("server.keys");
    let store = place.open();
    store.server_keys(&file).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let refused = store.server_keys(&file);
        assert!(matches!(refused, Err(KeyFileError::OpenToOthers)), "{mode:o}");
    }
}
