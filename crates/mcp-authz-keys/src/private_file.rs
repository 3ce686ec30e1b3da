//! Private files, which no user but the owner of this process may read or write.
//!
//! | check, of the open file and not of its path | refused with |
//! |---|---|
//! | the last part of the path is not a symbolic link | [`NotPrivate::Link`] |
//! | the file belongs to the user that the process runs as | [`NotPrivate::OtherOwner`] |
//! | its mode grants nothing to group and others | [`NotPrivate::OpenToOthers`] |
//!
//! A file of another user is refused whatever its mode is, because its owner may change it. On systems other than
//! Unix a file has the rights of its folder, and nothing is checked.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Reason why a file is refused as not private.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotPrivate {
    /// The file's mode lets other users access it.
    OpenToOthers,
    /// The file belongs to another user.
    OtherOwner {
        /// Number (UID) of that user.
        owner: u32,
        /// Number (UID) of the user that this process runs as.
        process: u32,
    },
    /// The path ends in a symbolic link.
    Link,
    /// The file system returned an error.
    Io(io::Error),
}

impl fmt::Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenToOthers => {
                f.write_str("other users may read or write the file: make it 0600")
            }
            Self::OtherOwner { owner, process } => write!(
                f,
                "the file belongs to user {owner}, and this process runs as user {process}: give it to user \
                 {process}, or run as its owner"
            ),
            Self::Link => f.write_str(
                "the path ends in a symbolic link: give the path of the file that it leads to",
            ),
            Self::Io(_) => {
                f.write_str("the file cannot be opened: check its path, its folder and the disk")
            }
        }
    }
}

impl core::error::Error for NotPrivate {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for NotPrivate {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a file with options derived from [`options`] and checks that it is private.
///
/// # Errors
///
/// [`NotPrivate`] when a check fails or the file cannot be opened.
pub fn open(options: &OpenOptions, path: &Path) -> Result<File, NotPrivate> {
    let file = options.open(path).map_err(|error| {
        if system::is_link(&error) { NotPrivate::Link } else { NotPrivate::Io(error) }
    })?;
    system::check(&file.metadata()?)?;
    Ok(file)
}

/// Checks that a file is private without opening it.
///
/// Closing a file would release the POSIX `fcntl` locks that the process holds on it elsewhere, such as those of
/// SQLite.
///
/// # Errors
///
/// [`NotPrivate`] when a check fails or the file cannot be inspected.
pub fn look(path: &Path) -> Result<(), NotPrivate> {
    let found = path.symlink_metadata()?;
    if found.is_symlink() { Err(NotPrivate::Link) } else { system::check(&found) }
}

pub(crate) use system::lock;
pub use system::{options, sync_folder};

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    use super::NotPrivate;

    /// Returns options that follow no symbolic link and create files for their owner alone (0600).
    #[must_use]
    pub fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options
    }

    /// Flushes the folder of a file to disk, so that a new file in it persists.
    ///
    /// # Errors
    ///
    /// An I/O error when the folder cannot be opened or flushed.
    pub fn sync_folder(path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        OpenOptions::new().read(true).open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Waits for the lock of an open file; returns `false` if another file has replaced it by then.
    ///
    /// On a file system without locks concurrent processes do not wait for each other.
    pub(crate) fn lock(file: &File, path: &Path) -> io::Result<bool> {
        let _ = file.lock();
        let (own, found) = (file.metadata()?, path.symlink_metadata());
        Ok(found.is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino())))
    }

    pub(super) fn is_link(error: &io::Error) -> bool {
        error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
    }

    pub(super) fn check(file: &Metadata) -> Result<(), NotPrivate> {
        judge(file.uid(), file.mode(), rustix::process::geteuid().as_raw())
    }

    /// Checks a file's owner and mode for a process of this user.
    pub(super) const fn judge(owner: u32, mode: u32, process: u32) -> Result<(), NotPrivate> {
        if owner != process {
            return Err(NotPrivate::OtherOwner { owner, process });
        }
        if mode & 0o077 != 0 { Err(NotPrivate::OpenToOthers) } else { Ok(()) }
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::NotPrivate;

    /// Returns options that open a file; on this system it has the rights of its folder.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Does nothing, because flushing a folder is not needed on this system.
    ///
    /// # Errors
    ///
    /// Never returns an error.
    pub fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Takes no lock, because other processes could not read a locked file on this system.
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) const fn lock(_: &File, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) const fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(super) const fn check(_: &Metadata) -> Result<(), NotPrivate> {
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::NotPrivate;
    use super::system::judge;

    /// SEC-224
    #[test]
    fn a_file_is_its_owners_alone_and_its_owner_is_the_process() {
        assert!(judge(0, 0o100_600, 0).is_ok() && judge(1000, 0o100_400, 1000).is_ok());
        for mode in [0o640, 0o604, 0o660, 0o602, 0o610] {
            assert!(matches!(judge(7, 0o100_000 | mode, 7), Err(NotPrivate::OpenToOthers)));
        }
        // A file of another user is refused whatever its mode is, by the superuser too.
        for (owner, process) in [(1000, 0), (0, 1000), (65534, 0)] {
            let refused = judge(owner, 0o100_600, process).unwrap_err();
            assert!(matches!(refused, NotPrivate::OtherOwner { .. }));
            let text = refused.to_string();
            assert!(text.contains(&format!("user {owner}")), "{text}");
        }
    }
}
