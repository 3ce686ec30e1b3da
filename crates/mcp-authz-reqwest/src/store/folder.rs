//! Credential folder: ownership, atomic replacement of files, leftovers.
//!
//! | check of the open folder | refused with |
//! |---|---|
//! | its path does not end in a symbolic link | `PermissionDenied` |
//! | it belongs to the user of the process, because another user could replace its records | `PermissionDenied` |
//! | its mode is 0700 | `PermissionDenied` |
//!
//! A record is written beside the old one and renamed. Its writer holds a lock on the new file until then, so an
//! unlocked one was left by a program that was killed. It holds tokens, and is removed when a program opens the folder.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

/// Prefix of the names of files that are still being written.
const NEW: &str = ".tmp";

/// Maximum number of tries of a rename.
///
/// On Windows another program, such as a virus scanner, may block a rename for a while; the tries last one second in
/// all.
const RENAMES: usize = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// Replaces a file atomically: a reader finds the old or the new content.
pub(super) fn replace(folder: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = new_file(folder)?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    rename(new, file)?;
    sync_folder(folder)
}

/// Creates a locked file, which no other program takes for a leftover.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
        // Errors are ignored, because a file system without locks keeps leftovers as well.
        let _ = new.as_file().lock();
        // Another program may have removed it before it was locked.
        if new.path().exists() {
            return Ok(new);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "on a thread that may block, and on Windows alone")]
fn rename(mut new: NamedTempFile, file: &Path) -> io::Result<()> {
    for _ in 1..RENAMES {
        match new.persist(file) {
            Ok(_) => return Ok(()),
            Err(refused) if is_passing(&refused.error) => new = refused.file,
            Err(refused) => return Err(refused.error),
        }
        std::thread::sleep(PAUSE);
    }
    new.persist(file).map(drop).map_err(|refused| refused.error)
}

/// Returns `true` if a rename failed because another program has the file open.
///
/// Only Windows refuses such a rename.
fn is_passing(error: &io::Error) -> bool {
    cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied
}

/// Removes files that killed programs left half written.
///
/// A file that cannot be removed is left for the next time.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(NEW) {
            continue;
        }
        let Ok(file) = private().read(true).write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(unix)]
pub(super) use unix::{make_private, private, sync_folder};

#[cfg(unix)]
mod unix {
    use std::fs::{DirBuilder, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
    use std::path::{Path, PathBuf};

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    /// Returns options that refuse symbolic links and create private files.
    pub(in super::super) fn private() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options
    }

    /// Creates the folder if it does not exist, and refuses one that others may use.
    pub(in super::super) fn make_private(folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // The path loses a slash at its end, because that would follow a link.
        let path: PathBuf = folder.components().collect();
        let open = private().read(true).open(path).map_err(|error| {
            if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
                return refused("is a symbolic link: give the path of the folder that it leads to");
            }
            error
        })?;
        let found = open.metadata()?;
        judge(found.uid(), found.mode(), rustix::process::geteuid().as_raw())
    }

    /// Flushes the folder, which records renames and removals.
    pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
        OpenOptions::new().read(true).open(folder)?.sync_all()
    }

    /// Checks the owner and mode of a folder, for a process of the user `process`.
    fn judge(owner: u32, mode: u32, process: u32) -> io::Result<()> {
        if owner != process {
            return Err(refused(&format!(
                "belongs to user {owner}, and this program runs as user {process}: use a folder of user {process}"
            )));
        }
        if mode & 0o077 != 0 {
            return Err(refused("may be entered by others: make it 0700"));
        }
        Ok(())
    }

    fn refused(why: &str) -> io::Error {
        let why = format!("the credential folder {why}");
        io::Error::new(io::ErrorKind::PermissionDenied, why)
    }

    #[cfg(test)]
    mod tests {
        use super::judge;

        /// SEC-224
        #[test]
        fn a_folder_is_its_owners_alone_and_its_owner_is_the_process() {
            assert!(judge(0, 0o040_700, 0).is_ok() && judge(1000, 0o040_700, 1000).is_ok());
            for mode in [0o750, 0o705, 0o770, 0o702] {
                let refused = judge(7, 0o040_000 | mode, 7).unwrap_err();
                assert!(refused.to_string().contains("0700"), "{refused}");
            }
            for (owner, process) in [(1000, 0), (0, 1000), (65534, 0)] {
                let refused = judge(owner, 0o040_700, process).unwrap_err();
                assert!(refused.to_string().contains(&format!("user {owner},")), "{refused}");
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) fn private() -> fs::OpenOptions {
    fs::OpenOptions::new()
}

/// Creates the folder; access follows from the user's folder above it.
#[cfg(not(unix))]
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use crate::store::FileCredentials;

    /// SEC-251: what is being written stays.
    #[test]
    fn only_what_a_killed_program_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("credentials");
        FileCredentials::open(&home).unwrap();
        for name in [".tmpAbCdEf", ".tmp", "record.json", "server.lock"] {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).open(home.join(name)).unwrap();
            file.write_all(b"token").unwrap();
        }
        let being_written = super::new_file(&home).unwrap();
        FileCredentials::open(&home).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let [new, others @ ..] = &left[..] else { panic!("the new file stays") };
        assert_eq!(new, being_written.path());
        assert_eq!(others, [home.join("record.json"), home.join("server.lock")]);
        super::rename(being_written, &home.join("record.json")).unwrap();
        assert_eq!(fs::metadata(home.join("record.json")).unwrap().len(), 0);
    }

    /// SEC-224
    #[cfg(unix)]
    #[test]
    fn a_folder_of_another_user_or_behind_a_link_is_refused() {
        use std::os::unix::fs::{chown, symlink};
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("credentials");
        FileCredentials::open(&home).unwrap();
        let link = folder.path().join("link");
        symlink(&home, &link).unwrap();
        for path in [link.clone(), link.join("")] {
            let refused = FileCredentials::open(path).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
            assert!(refused.to_string().contains("symbolic link"), "{refused}");
        }
        // Only the superuser can give a folder away.
        if rustix::process::geteuid().is_root() {
            chown(&home, Some(65534), None).unwrap();
            let refused = FileCredentials::open(&home).unwrap_err();
            assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
        }
    }
}
