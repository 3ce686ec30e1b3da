//! Files of this process's user that nobody else may read or write.
//!
//! | check, of the open file and not of its path | refused with |
//! |---|---|
//! | the last part of the path is no symbolic link | [`NotPrivate::Link`] |
//! | the file belongs to the user as whom the process runs | [`NotPrivate::OtherOwner`] |
//! | its mode allows nothing to group and others | [`NotPrivate::OpenToOthers`] |
//!
//! A file that belongs to another user is that user's to change, whatever its mode is. On systems other than Unix a file
//! has the rights of its folder, and nothing is checked.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Why a file is not taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotPrivate {
    /// Its mode lets others read or write it.
    OpenToOthers,
    /// It belongs to another user.
    OtherOwner {
        /// The number of that user.
        owner: u32,
        /// The number of the user as whom this process runs.
        process: u32,
    },
    /// Its path ends in a symbolic link.
    Link,
    /// The file system's error.
    Io(io::Error),
}

impl fmt::Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenToOthers => f.write_str("others may read or write the file: make it 0600"),
            Self::OtherOwner { owner, process } => write!(
                f,
                "the file belongs to user {owner}, and this process runs as user {process}: give it to user \
                 {process}, or run as its owner"
            ),
            Self::Link => f.write_str(
                "the path ends in a symbolic link: give the path of the file that it leads to",
            ),
            Self::Io(error) => error.fmt(f),
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

/// Opens a file by these options of [`options`], if it is private.
///
/// # Errors
///
/// [`NotPrivate`]
pub fn open(options: &OpenOptions, path: &Path) -> Result<File, NotPrivate> {
    let file = options.open(path).map_err(|error| {
        if system::is_link(&error) { NotPrivate::Link } else { NotPrivate::Io(error) }
    })?;
    system::check(&file.metadata()?)?;
    Ok(file)
}

/// Looks at a file without opening it, by the same rules: to close a file again takes from a process the locks that it
/// holds on it otherwise (POSIX `fcntl`), as SQLite does.
///
/// # Errors
///
/// [`NotPrivate`]
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

    /// Returns options that follow no symbolic link and, where they make the file, make it its owner's alone.
    #[must_use]
    pub fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options
    }

    /// Flushes the folder of a file: a new file is in it when that is done.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn sync_folder(path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        OpenOptions::new().read(true).open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Waits for the lock of an open file; returns `false` if another file is in its place by then. A file system without
    /// locks keeps no turns.
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

    /// Judges a file by its owner and mode, for a process of this user.
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

    /// Returns options that open a file: here it has the rights of its folder.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Flushes the folder of a file: not needed here.
    ///
    /// # Errors
    ///
    /// None.
    pub fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Takes no lock: others could not read a file that is locked here.
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

    #[test]
    fn sec_224_a_file_is_its_owners_alone_and_its_owner_is_the_process() {
        assert!(judge(0, 0o100_600, 0).is_ok() && judge(1000, 0o100_400, 1000).is_ok());
        for mode in [0o640, 0o604, 0o660, 0o602, 0o610] {
            assert!(matches!(judge(7, 0o100_000 | mode, 7), Err(NotPrivate::OpenToOthers)));
        }
        // Another's file is refused whatever its mode is, by the superuser too.
        for (owner, process) in [(1000, 0), (0, 1000), (65534, 0)] {
            let refused = judge(owner, 0o100_600, process).unwrap_err();
            assert!(matches!(refused, NotPrivate::OtherOwner { .. }));
            let text = refused.to_string();
            assert!(text.contains(&format!("user {owner}")), "{text}");
        }
    }
}
