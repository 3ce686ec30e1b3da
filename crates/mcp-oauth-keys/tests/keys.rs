//! Files of keys, made and changed; what else may be in one is tested where the stores read it.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests look into the file")]

use std::fs;
use std::sync::Barrier;

use mcp_oauth_keys::{KeyFileError, read_or_make, rotate_refresh_key};

#[test]
fn of_many_who_start_at_once_one_makes_the_keys() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("refresh.keys");
        let start = Barrier::new(8);
        let texts: Vec<String> = std::thread::scope(|scope| {
            let begin = || {
                start.wait();
                read_or_make(&file, false).unwrap();
                fs::read_to_string(&file).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(texts.iter().all(|text| *text == texts[0] && text.lines().count() == 1));
        // Nothing of the others' is left.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn keys_that_are_missed_are_not_made_but_by_who_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh.keys");
    assert!(matches!(read_or_make(&file, true), Err(KeyFileError::Missing)));
    assert!(!file.exists());
    rotate_refresh_key(&file).unwrap();
    rotate_refresh_key(&file).unwrap();
    read_or_make(&file, true).unwrap();
    let ids: Vec<String> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(ids, ["2", "1"]);
}

#[test]
fn no_number_is_given_to_two_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh.keys");
    let ids = || -> Vec<u8> {
        let text = fs::read_to_string(&file).unwrap();
        text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    rotate_refresh_key(&file).unwrap();
    rotate_refresh_key(&file).unwrap();
    // The new key behind the old one, as machines are given it first.
    let text = fs::read_to_string(&file).unwrap();
    let (new, old) = text.trim().split_once('\n').unwrap();
    fs::write(&file, format!("{old}\n{new}\n")).unwrap();
    rotate_refresh_key(&file).unwrap();
    assert_eq!(ids(), [3, 1, 2]);
    // And behind the last number there is the first.
    fs::write(&file, fs::read_to_string(&file).unwrap().replacen('3', "250", 1)).unwrap();
    for _ in 0..12 {
        rotate_refresh_key(&file).unwrap();
        read_or_make(&file, true).unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{}", text.lines().next().unwrap())).unwrap();
    assert!(matches!(read_or_make(&file, true), Err(KeyFileError::Malformed)));
    assert!(matches!(rotate_refresh_key(&file), Err(KeyFileError::Malformed)));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 9);
}
