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

#[cfg(unix)]
#[test]
fn sec_224_a_file_of_another_user_or_behind_a_link_is_refused() {
    use std::os::unix::fs::{chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let [file, link, nowhere] =
        ["refresh.keys", "link", "nowhere"].map(|name| folder.path().join(name));
    read_or_make(&file, false).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    symlink(&file, &link).unwrap();
    symlink(folder.path().join("not-there"), &nowhere).unwrap();
    for link in [link, nowhere] {
        assert!(matches!(read_or_make(&link, false), Err(KeyFileError::Link)));
        let refused = rotate_refresh_key(&link).unwrap_err();
        assert!(refused.to_string().contains("the file itself"), "{refused}");
    }
    // Only the superuser can give a file away.
    if rustix::process::geteuid().is_root() {
        chown(&file, Some(65534), None).unwrap();
        let refused = read_or_make(&file, false).map(drop).unwrap_err();
        assert!(matches!(refused, KeyFileError::OtherOwner { owner: 65534, process: 0 }));
        assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
        assert!(matches!(rotate_refresh_key(&file), Err(KeyFileError::OtherOwner { .. })));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
