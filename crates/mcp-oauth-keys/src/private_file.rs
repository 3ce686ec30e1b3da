//! Files that only their owner may read.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// How to open a file so that, where it is made, it is its owner's alone.
#[cfg(unix)]
#[must_use]
pub fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Whether anybody but its owner may do anything with a file.
///
/// # Errors
///
/// The file system's.
#[cfg(unix)]
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Flushes the folder of a file: a new file is in it when that is done.
///
/// # Errors
///
/// The file system's.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    OpenOptions::new().read(true).open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// How to open a file: here it has the rights of its folder.
#[cfg(not(unix))]
#[must_use]
pub fn options() -> OpenOptions {
    OpenOptions::new()
}

/// Whether anybody but its owner may do anything with a file: not known here.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn is_open_to_others(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Flushes the folder of a file: not needed here.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
