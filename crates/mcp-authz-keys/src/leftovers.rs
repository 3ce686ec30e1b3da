//! New files of keys until they are in their place, and what a killed process leaves of them.
//!
//! A new file is written beside the old one and renamed. Its writer holds a lock on it until then. So a file of keys that
//! has such a name and no lock was left by a process that was killed, and the next start removes it:
//!
//! | check | of |
//! |---|---|
//! | the name begins with `.tmp-refresh-keys-`, and is not that of the file itself | the entry of the folder |
//! | a file and no link, of the user as whom the process runs, that nobody else may read | the open file |
//! | no process holds its lock | the open file |
//! | it holds keys as this crate writes them | the open file |
//!
//! What does not pass is left alone: other programs keep files in the same folder.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::keys::holds_keys;
use crate::private_file;

/// Beginning of the name of a file that is not in its place yet.
const NEW: &str = ".tmp-refresh-keys-";

/// Makes a file that no other process takes for a leftover.
pub(crate) fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
    // Until it is locked it is empty, and an empty file is not removed. A file system without locks refuses this one, and
    // the lock of those who would remove it.
    let _ = new.as_file().lock();
    Ok(new)
}

/// Removes what processes left that were killed while they wrote. What cannot be removed is left for the next time.
pub(crate) fn remove(folder: &Path, keys: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let has_name = entry.file_name().to_string_lossy().starts_with(NEW)
            && keys.file_name() != Some(&*entry.file_name());
        // To open what is no file may block.
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
