//! Temporary files of new keys, and removal of those that killed processes left behind.
//!
//! A new file is written beside the old one under a lock and then renamed. A file of keys with such a name and
//! without a lock was therefore left by a process that was killed, and the next start removes it:
//!
//! | check | of |
//! |---|---|
//! | the name begins with `.tmp-refresh-keys-`, and is not that of the file itself | the entry of the folder |
//! | a file, not a link, owned by the user of the process and private to it | the open file |
//! | no process holds its lock | the open file |
//! | it holds keys in the format of this crate | the open file |
//!
//! Any other file stays, because other programs keep files in the same folder.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::keys::holds_keys;
use crate::private_file;

/// Prefix of the names of temporary files.
const NEW: &str = ".tmp-refresh-keys-";

/// Creates a temporary file that no other process removes as a leftover.
pub(crate) fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
    // An empty file is never removed, which covers the time until it is locked. A file system without locks refuses
    // both this lock and the one that removal needs.
    let _ = new.as_file().lock();
    Ok(new)
}

/// Removes the temporary files of killed processes.
///
/// A file that cannot be removed stays until the next start.
pub(crate) fn remove(folder: &Path, keys: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let has_name = entry.file_name().to_string_lossy().starts_with(NEW)
            && keys.file_name() != Some(&*entry.file_name());
        // Checked first, because opening a special file may block.
        if !has_name || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let mut options = private_file::options();
        let Ok(file) = private_file::open(options.read(true).write(true), &path) else { continue };
        if file.try_lock().is_ok() && file.try_clone().is_ok_and(holds_keys) {
            let _ = fs::remove_file(&path);
        }
    }
}
