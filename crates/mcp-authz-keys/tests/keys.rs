//! Files of keys, made and changed; what else may be in one is tested where the stores read it.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests look into the file")]

use std::fs;
use std::sync::Barrier;

use mcp_authz_keys::{KeyFileError, MissingFile, read_or_make, rotate_server_key};

#[test]
fn of_many_who_start_at_once_one_makes_the_keys() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        let start = Barrier::new(8);
        let texts: Vec<String> = std::thread::scope(|scope| {
            let begin = || {
                start.wait();
                read_or_make(&file, MissingFile::Make).unwrap();
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

#[cfg(unix)]
#[test]
fn of_many_who_rotate_at_once_each_adds_a_key() {
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (start, file) = (&start, &file);
                scope.spawn(move || {
                    start.wait();
                    // In every second round one of them is a server that starts.
                    if number == 0 && round % 2 == 0 {
                        read_or_make(file, MissingFile::Make).map(drop).unwrap();
                    } else {
                        rotate_server_key(file).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        let ids: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let all = ["8", "7", "6", "5", "4", "3", "2", "1"];
        // A server that starts makes a key if it is the first.
        assert!(ids == all || round % 2 == 0 && ids == all[1..], "{ids:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn keys_that_are_missed_are_not_made_but_by_who_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.keys");
    assert!(matches!(read_or_make(&file, MissingFile::Refuse), Err(KeyFileError::Missing)));
    assert!(!file.exists());
    rotate_server_key(&file).unwrap();
    rotate_server_key(&file).unwrap();
    read_or_make(&file, MissingFile::Refuse).unwrap();
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
    let file = folder.path().join("server.keys");
    let ids = || -> Vec<u8> {
        let text = fs::read_to_string(&file).unwrap();
        text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    rotate_server_key(&file).unwrap();
    rotate_server_key(&file).unwrap();
    // The new key behind the old one, as machines are given it first.
    let text = fs::read_to_string(&file).unwrap();
    let (new, old) = text.trim().split_once('\n').unwrap();
    fs::write(&file, format!("{old}\n{new}\n")).unwrap();
    rotate_server_key(&file).unwrap();
    assert_eq!(ids(), [3, 1, 2]);
    // And behind the last number there is the first.
    fs::write(&file, fs::read_to_string(&file).unwrap().replacen('3', "250", 1)).unwrap();
    for _ in 0..12 {
        rotate_server_key(&file).unwrap();
        read_or_make(&file, MissingFile::Refuse).unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{}", text.lines().next().unwrap())).unwrap();
    assert!(matches!(read_or_make(&file, MissingFile::Refuse), Err(KeyFileError::Malformed)));
    assert!(matches!(rotate_server_key(&file), Err(KeyFileError::Malformed)));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 9);
}

/// SEC-224
#[cfg(unix)]
#[test]
fn a_file_of_another_user_or_behind_a_link_is_refused() {
    use std::os::unix::fs::{chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let [file, link, nowhere] =
        ["server.keys", "link", "nowhere"].map(|name| folder.path().join(name));
    read_or_make(&file, MissingFile::Make).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    symlink(&file, &link).unwrap();
    symlink(folder.path().join("not-there"), &nowhere).unwrap();
    for link in [link, nowhere] {
        assert!(matches!(read_or_make(&link, MissingFile::Make), Err(KeyFileError::Link)));
        let refused = rotate_server_key(&link).unwrap_err();
        assert!(refused.to_string().contains("the file itself"), "{refused}");
    }
    // Only the superuser can give a file away.
    if rustix::process::geteuid().is_root() {
        chown(&file, Some(65534), None).unwrap();
        let refused = read_or_make(&file, MissingFile::Make).map(drop).unwrap_err();
        assert!(matches!(refused, KeyFileError::OtherOwner { owner: 65534, process: 0 }));
        assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
        assert!(matches!(rotate_server_key(&file), Err(KeyFileError::OtherOwner { .. })));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// SEC-251
///
/// A process that is killed while it writes leaves keys in a file that nobody looks for (SEC-251).
#[test]
fn the_next_start_removes_only_what_a_killed_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.keys");
    rotate_server_key(&file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        make_private(&path);
        path
    };
    // Of other programs, a folder, one that is being written, and one that somebody else may read.
    let mut others = vec![
        put(".tmp-refresh-keys-Text", "another's"),
        put(".tmp-refresh-keys-Empty", ""),
        put("copy.keys", &text),
    ];
    others.push(folder.path().join(".tmp-refresh-keys-Folder"));
    fs::create_dir(&others[3]).unwrap();
    let written = put(".tmp-refresh-keys-Written", &text);
    let lock = fs::File::open(&written).unwrap();
    lock.lock().unwrap();
    others.push(written.clone());
    #[cfg(unix)]
    {
        let open = folder.path().join(".tmp-refresh-keys-Open");
        fs::write(&open, &text).unwrap();
        others.push(open);
        let link = folder.path().join(".tmp-refresh-keys-Link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        others.push(link);
    }
    for start in 0..2 {
        let left = put(".tmp-refresh-keys-AbCdEf", &text);
        if start == 0 {
            read_or_make(&file, MissingFile::Refuse).unwrap();
        } else {
            rotate_server_key(&file).unwrap();
        }
        assert!(!left.exists());
        for other in &others {
            assert!(other.symlink_metadata().is_ok(), "{}", other.display());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), others.len() + 1);
    }
    // Its writer ends.
    drop(lock);
    read_or_make(&file, MissingFile::Refuse).unwrap();
    assert!(!written.exists());
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
}

#[test]
fn a_key_file_whose_name_is_that_of_a_new_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".tmp-refresh-keys-of-mine");
    rotate_server_key(&file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    read_or_make(&file, MissingFile::Refuse).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

fn make_private(path: &std::path::Path) {
    let _ = path;
    #[cfg(unix)]
    set_mode(path, 0o600);
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
mod mounted {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};
    use std::path::PathBuf;

    use mcp_authz_keys::{KeyFileError, MissingFile, MountRule, read_mounted_keys, read_or_make};
    use tempfile::TempDir;

    use super::set_mode;

    /// A secret as Kubernetes mounts it, but for the owner, who is the user that runs the tests.
    struct Mount {
        _folder: TempDir,
        folder: PathBuf,
        file: PathBuf,
    }

    impl Mount {
        fn new() -> Self {
            let temporary = tempfile::tempdir().unwrap();
            let folder = temporary.path().join("mount");
            fs::create_dir_all(folder.join("..2026_11_30_12_00_00.1")).unwrap();
            let file = folder.join("..2026_11_30_12_00_00.1/server.keys");
            // As a shell makes it.
            fs::write(&file, format!("1 {}\n", "A".repeat(43))).unwrap();
            symlink("..2026_11_30_12_00_00.1", folder.join("..data")).unwrap();
            symlink("..data/server.keys", folder.join("server.keys")).unwrap();
            set_mode(&file, 0o440);
            set_mode(&folder, 0o755);
            Self { _folder: temporary, folder, file }
        }

        fn read(&self) -> Result<(), KeyFileError> {
            read_mounted_keys(self.folder.join("server.keys")).map(drop)
        }

        /// The rule that is broken, and by which part of the path.
        fn broken(&self) -> (String, MountRule) {
            match self.read().unwrap_err() {
                KeyFileError::Mount { path, rule } => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    (name.into_owned(), rule)
                }
                other => panic!("{other}"),
            }
        }
    }

    /// SEC-224
    #[test]
    fn mounted_keys_are_read_through_links_safe_from_others() {
        let mount = Mount::new();
        let link = mount.folder.join("server.keys");
        assert!(matches!(read_or_make(&link, MissingFile::Make), Err(KeyFileError::Link)));
        for mode in [0o440, 0o400, 0o640, 0o600] {
            set_mode(&mount.file, mode);
            mount.read().unwrap();
        }
        // The secret changes: another folder, and another link to it.
        let new = mount.folder.join("..2026_12_01_12_00_00.2");
        fs::rename(mount.file.parent().unwrap(), &new).unwrap();
        assert!(matches!(mount.read(), Err(KeyFileError::Missing)));
        fs::remove_file(mount.folder.join("..data")).unwrap();
        symlink(&new, mount.folder.join("..data")).unwrap();
        mount.read().unwrap();
        // By a way back, and by no link at all.
        symlink("../mount/./..data/../..data/server.keys", mount.folder.join("around")).unwrap();
        for path in [mount.folder.join("around"), new.join("server.keys")] {
            read_mounted_keys(path).unwrap();
        }
        fs::write(new.join("malformed"), "keys").unwrap();
        set_mode(&new.join("malformed"), 0o440);
        let refused = read_mounted_keys(new.join("malformed")).map(drop).unwrap_err();
        assert!(matches!(refused, KeyFileError::Malformed), "{refused}");
    }

    /// SEC-224: the error names the step of the path and the rule.
    #[test]
    fn keys_that_others_may_replace_or_read_are_refused() {
        let mount = Mount::new();
        for mode in [0o444, 0o644, 0o460, 0o442] {
            set_mode(&mount.file, mode);
            assert_eq!(mount.broken(), ("server.keys".to_owned(), MountRule::Mode), "{mode:o}");
        }
        set_mode(&mount.file, 0o440);
        // Others may put a link there, sticky or not.
        for mode in [0o1777, 0o1775] {
            set_mode(&mount.folder, mode);
            assert_eq!(mount.broken(), ("server.keys".to_owned(), MountRule::Link), "{mode:o}");
            // What is there without a link is its owner's.
            read_mounted_keys(&mount.file).unwrap();
        }
        for mode in [0o777, 0o775] {
            set_mode(&mount.folder, mode);
            assert_eq!(mount.broken(), ("mount".to_owned(), MountRule::Folder), "{mode:o}");
        }
        set_mode(&mount.folder, 0o755);
        let version = mount.file.parent().unwrap();
        set_mode(version, 0o770);
        assert_eq!(mount.broken().1, MountRule::Folder);
        set_mode(version, 0o755);
        mount.read().unwrap();

        let circle = mount.folder.join("circle");
        symlink("circle", &circle).unwrap();
        for (path, rule) in [(&circle, MountRule::Links), (&mount.folder, MountRule::Kind)] {
            let refused = read_mounted_keys(path).map(drop).unwrap_err();
            assert!(
                matches!(refused, KeyFileError::Mount { rule: found, .. } if found == rule),
                "{refused}"
            );
            assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        }
        // Only the superuser can give away.
        if rustix::process::geteuid().is_root() {
            let (owner, process) = (65534, 0);
            let steps =
                ["server.keys", "..data", "..data/server.keys", "..2026_11_30_12_00_00.1", ""];
            for step in steps.map(|step| mount.folder.join(step)) {
                lchown(&step, Some(owner), None).unwrap();
                assert_eq!(
                    mount.broken().1,
                    MountRule::Owner { owner, process },
                    "{}",
                    step.display()
                );
                lchown(&step, Some(0), None).unwrap();
            }
            mount.read().unwrap();
        }
    }
}
