//! Why an operation failed, in PostgreSQL's words and in ours.

use authorization_server::store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};
use tracing::warn;

/// Why an operation came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// PostgreSQL says so, or the connection to it.
    Postgres(Error),
    /// There was no answer in time.
    Late,
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

/// How far the changes of an operation are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Changes {
    /// Nothing was sent that could change anything.
    None,
    /// A change was sent, which PostgreSQL makes unless it says otherwise.
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
    /// What the caller is told.
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
                // The code alone: messages may quote what was stored.
                warn!(code = error.code().map(SqlState::code), "the database refused, or is gone");
                match refused(error) {
                    Some(code) if is_damage(code) => StoreError::Corrupt,
                    Some(_) => unless(changes == Changes::Done),
                    None => unless(changes >= Changes::Sent),
                }
            }
        }
    }

    /// Whether another operation was in the way, so that the same may go well a moment later.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        refused(error).is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }
}

/// The reason, where a statement was refused and undone. Whoever loses the connection with it is not told how far the
/// statement came.
fn refused(error: &Error) -> Option<&SqlState> {
    let error = error.as_db_error()?;
    let is_refused = error.parsed_severity() == Some(Severity::Error) && is_undone(error.code());
    is_refused.then(|| error.code())
}

/// Whether nothing can be left of what ended so: a lost connection (class 08), which a pooler tells of too, and an unknown
/// completion do not say.
fn is_undone(code: &SqlState) -> bool {
    !code.code().starts_with("08") && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}

fn is_damage(code: &SqlState) -> bool {
    *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_202_who_lost_a_connection_does_not_know_that_nothing_was_done() {
        for code in ["08000", "08006", "08007", "08P01", "40003"] {
            assert!(!is_undone(&SqlState::from_code(code)), "{code}");
        }
        for code in ["40001", "40P01", "55P03", "57014", "53100", "25006"] {
            assert!(is_undone(&SqlState::from_code(code)), "{code}");
        }
    }
}
