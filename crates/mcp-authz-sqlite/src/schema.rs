//! Database schema: its version label, and the migrations from earlier releases.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tracing::warn;

use crate::file::OpenError;

/// Application ID in the file header that marks databases of this crate ("MOAS").
pub(crate) const APPLICATION_ID: u32 = 0x4D4F_4153;

/// Migrations, each from the version before it; the first starts from an empty database.
///
/// A released migration is never changed: a later version gets a migration of its own.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

/// Schema version that this release writes.
#[expect(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

/// First schema version that marks the clients of the operator (`of_operator`).
const OF_OPERATOR: u32 = 5;

/// Label of a database: the program that it belongs to, and its schema version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    pub(crate) application_id: u32,
    pub(crate) version: u32,
}

impl Label {
    /// Label of an empty database.
    const NEW: Self = Self { application_id: 0, version: 0 };

    /// Fails unless this release may write to the database.
    pub(crate) fn check(self) -> Result<(), OpenError> {
        match self {
            Self::NEW => Ok(()),
            Self { application_id: APPLICATION_ID, version } if version > VERSION => {
                Err(OpenError::NewerSchema { found: version, known: VERSION })
            }
            Self { application_id: APPLICATION_ID, .. } => Ok(()),
            _ => Err(OpenError::NotAStore),
        }
    }

    /// Reads the label through SQLite, which includes changes that are still in the write-ahead log.
    pub(crate) fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
        Ok(Self { application_id: number("application_id")?, version: number("user_version")? })
    }
}

/// Returns `true` if a database without a label holds tables, which belong to another program.
pub(crate) fn is_foreign(connection: &Connection) -> Result<bool, OpenError> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(Label::read(connection)? == Label::NEW && tables > 0)
}

/// Migrates the schema to this release's version, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let label = Label::read(&transaction)?;
    // Another process may have migrated it in the meantime, to the version of another release.
    label.check()?;
    for (_, migration) in (0..).zip(MIGRATIONS).skip_while(|(step, _)| *step < label.version) {
        transaction.execute_batch(migration)?;
    }
    if (1..OF_OPERATOR).contains(&label.version) {
        let unmarked = "SELECT count(*) FROM clients WHERE unused_until IS NULL AND of_operator = 0 \
             AND instr(body, '\"scope\":\"') > 0";
        let clients: i64 = transaction.query_row(unmarked, [], |row| row.get(0))?;
        if clients > 0 {
            warn!(
                clients,
                "clients look as if they had registered themselves, and their registered scope bounds no grant any \
                 more: if the operator put one of them into the store, set its of_operator as the README says"
            );
        }
    }
    set(&transaction, "application_id", APPLICATION_ID)?;
    set(&transaction, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

fn set(transaction: &Transaction<'_>, pragma: &str, value: u32) -> Result<(), OpenError> {
    Ok(transaction.pragma_update(None, pragma, value)?)
}
