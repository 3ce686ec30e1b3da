//! The folder of credentials: whose it is, how files in it are replaced, and what a crash leaves there.
//!
//! | check of the open folder | refused with |
//! |---|---|
//! | its path does not end in a symbolic link | `PermissionDenied` |
//! | it belongs to the user as whom the process runs: another could replace records in it | `PermissionDenied` |
//! | its mode is 0700 | `PermissionDenied` |
//!
//! A record is written beside the old one and renamed. Its writer holds a lock on the new file until then, so what is
//! there without a lock is what a program left that was killed: it holds tokens, and whoever opens the folder removes it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

/// How the name of a file begins that is not a record yet.
const NEW: &str = ".tmp";

/// How often a rename is tried that another program is in the way of, as a virus scanner on Windows is, and the time
/// between two tries: a second in all.
const RENAMES: usize = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// Puts this content in the place of a file: whoever reads finds the old or the new one.
pub(super) fn replace(folder: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = new_file(folder)?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    rename(new, file)?;
    sync_folder(folder)
}

/// A file that no other program takes for a leftover.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
        // Where there are no locks, nothing is removed either.
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

/// Returns `true` if a rename failed because another program has the file open, which only Windows minds.
fn is_passing(error: &io::Error) -> bool {
    cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied
}

/// Removes what programs left that ended while they wrote. What cannot be removed is left for the next time.
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

    /// Options that follow no symbolic link and, where they make a file, make it its owner's alone.
    pub(in super::super) fn private() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options
    }

    /// Makes the folder if it is not there, and refuses one that is not this user's alone.
    pub(in super::super) fn make_private(folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Without a slash at its end, which would follow a link.
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

    /// Flushes the folder: a rename or a removal is itself in it.
    pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
        OpenOptions::new().read(true).open(folder)?.sync_all()
    }

    /// Judges a folder by its owner and mode, for a process of this user.
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

/// Folders below a user's own are the user's own.
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

    /// SEC-251
    #[test]
    fn what_a_killed_program_left_is_removed_and_what_is_being_written_is_not() {
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
