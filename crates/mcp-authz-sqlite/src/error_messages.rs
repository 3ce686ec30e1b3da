//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use std::io;

use error_table::table;
use rusqlite::ffi;

use crate::*;

#[test]
fn every_error_says_what_to_do() {
    let busy = ffi::Error::new(ffi::SQLITE_BUSY);
    let busy = rusqlite::Error::SqliteFailure(busy, Some("database is locked".to_owned()));
    let text = [
        table!(OpenError {
            OpenError::NewerSchema { .. } = OpenError::NewerSchema { found: 9, known: 8 } => "operator", "run the later release";
            OpenError::NotAStore = OpenError::NotAStore => "operator", "give another path";
            OpenError::OpenToOthers = OpenError::OpenToOthers => "operator", "change the modes to 0600";
            OpenError::OtherOwner { .. } = OpenError::OtherOwner { owner: 1000, process: 999 } => "operator", "change the owner, or the user of the server";
            OpenError::Link = OpenError::Link => "operator", "give the path of the file";
            OpenError::Unfit = OpenError::Unfit => "operator", "put the database on a local disk";
            OpenError::Io(_) = OpenError::Io(io::Error::other("disk quota exceeded")) => "operator", "check path, folder and disk";
            OpenError::Sqlite(_) = OpenError::Sqlite(busy) => "operator", "check the database, the disk and other programs";
        }),
        table!(InvalidSynchronous {
            InvalidSynchronous::Unsafe = InvalidSynchronous::Unsafe => "operator", "set FULL or EXTRA";
            InvalidSynchronous::Unknown = InvalidSynchronous::Unknown => "operator", "set FULL or EXTRA";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
