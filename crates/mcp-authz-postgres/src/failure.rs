//! Errors of an operation: PostgreSQL's, and the [`StoreError`] that the caller gets for each.

use authorization_server::store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};
use tracing::warn;

/// Reason for which an operation failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Error of PostgreSQL or of the connection to it.
    Postgres(Error),
    /// PostgreSQL did not answer before the deadline.
    Late,
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

/// Progress of the changes of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Changes {
    /// No change was sent.
    None,
    /// A change was sent, and PostgreSQL makes it unless it answers otherwise.
    Sent,
    /// A change was made.
    Done,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl Failure {
    /// Logs the failure and returns the caller's error, which depends on the progress of the changes.
    pub(crate) fn told(&self, changes: Changes) -> StoreError {
        let unless = |is_unknown| {
            if is_unknown { StoreError::UnknownOutcome } else { StoreError::Unavailable }
        };
        match self {
            Self::Damaged => {
                warn!("a row of the database cannot be read");
                StoreError::Corrupt
            }
            Self::Body(error) => {
                warn!("a record is of a later release, or too long");
                *error
            }
            Self::Late => {
                warn!("the database did not answer in time");
                unless(changes >= Changes::Sent)
            }
            Self::Postgres(error) => {
                // Only the code is logged, because messages may quote stored data.
                warn!(code = error.code().map(SqlState::code), "the database refused, or is gone");
                match refused(error) {
                    Some(code) if is_damage(code) => StoreError::Corrupt,
                    Some(_) => unless(changes == Changes::Done),
                    None => unless(changes >= Changes::Sent),
                }
            }
        }
    }

    /// Returns `true` if the operation conflicted with another one, so that a repetition may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        refused(error).is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }
}

/// Returns the code of the error if PostgreSQL refused the statement and rolled it back.
///
/// Returns `None` if the connection was lost, because the progress of the statement is unknown then.
fn refused(error: &Error) -> Option<&SqlState> {
    let error = error.as_db_error()?;
    let is_refused = error.parsed_severity() == Some(Severity::Error) && is_undone(error.code());
    is_refused.then(|| error.code())
}

/// Returns `true` if the code says that the statement was rolled back.
///
/// A lost connection (class 08), which a pooler reports as well, and an unknown completion leave it open.
fn is_undone(code: &SqlState) -> bool {
    !code.code().starts_with("08") && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}

fn is_damage(code: &SqlState) -> bool {
    *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-202
    #[test]
    fn who_lost_a_connection_does_not_know_that_nothing_was_done() {
        for code in ["08000", "08006", "08007", "08P01", "40003"] {
            assert!(!is_undone(&SqlState::from_code(code)), "{code}");
        }
        for code in ["40001", "40P01", "55P03", "57014", "53100", "25006"] {
            assert!(is_undone(&SqlState::from_code(code)), "{code}");
        }
    }
}
