//! Errors of an operation: SQLite's, and the [`StoreError`] that the caller gets for each.

use authorization_server::store::StoreError;
use rusqlite::{Error, ErrorCode};
use tracing::warn;

/// Reason for which an operation failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Error of SQLite.
    Sqlite(Error),
    /// A row holds a value that this crate never writes.
    Damaged,
    /// Error of the library about the body of a record.
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
    /// Logs the failure and returns the caller's error, provided that nothing was committed.
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

/// Logs an error of SQLite and returns the caller's error, provided that nothing was committed.
pub(crate) fn told(error: &Error) -> StoreError {
    match error {
        // `SqlInputError` is about a statement that names a column which a later schema does not have.
        Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => {
            // Only the number is logged, because messages may quote stored data.
            warn!(code = failure.extended_code, "the database refused");
            match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt,
                _ => StoreError::Unavailable,
            }
        }
        // A column has a type, length or encoding that this crate never writes.
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

    /// SEC-203
    #[test]
    fn only_damage_is_told_as_damage() {
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
