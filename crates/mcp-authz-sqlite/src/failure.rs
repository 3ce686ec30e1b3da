//! Why an operation failed, in SQLite's words and in ours.

use authorization_server::store::StoreError;
use rusqlite::{Error, ErrorCode};
use tracing::warn;

/// Why an operation came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite says so.
    Sqlite(Error),
    /// A row holds what nobody put there.
    Damaged,
    /// The library says so of a body.
    Body(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt => Self::Damaged,
            _ => Self::Body(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    /// What the caller is told, before anything was committed.
    pub(crate) fn told(&self) -> StoreError {
        match self {
            Self::Damaged => {
                warn!("a row of the database cannot be read");
                StoreError::Corrupt
            }
            Self::Body(error) => {
                warn!("a record is of a later release, or too long");
                *error
            }
            Self::Sqlite(error) => told(error),
        }
    }
}

/// The same for SQLite's own.
pub(crate) fn told(error: &Error) -> StoreError {
    match error {
        // The second kind is of a statement, which names a column that a later schema has not.
        Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => {
            // The number alone: messages may quote what was stored.
            warn!(code = failure.extended_code, "the database refused");
            match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt,
                _ => StoreError::Unavailable,
            }
        }
        // A column of another type, length or encoding than was ever written.
        _ => {
            warn!("a row of the database cannot be read");
            StoreError::Corrupt
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn sec_203_only_damage_is_told_as_damage() {
        let of = |code| told(&Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_CONSTRAINT,
        ] {
            assert_eq!(of(code), StoreError::Unavailable, "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert_eq!(of(code), StoreError::Corrupt, "{code}");
        }
    }
}
