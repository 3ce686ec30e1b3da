//! Reasons for which a database is not opened.

use core::fmt;

/// Reason for which a database was not opened. None of these changes it.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is not that of a database, or is not supported.
    ///
    /// The error does not repeat it, because it may contain a password.
    Url,
    /// The connection has to be encrypted, because the server is on another machine or the URL says so.
    ///
    /// An attacker on the network could read and change everything. The URL needs `sslmode=require`, with the feature
    /// `rustls`, or `sslmode=disable` where the network is trusted.
    NeedsTls,
    /// The root certificates cannot be read, or this machine trusts none.
    Certificates,
    /// A later release wrote the schema. Go back to that release.
    NewerSchema {
        /// Schema version of the database.
        found: i32,
        /// Latest schema version that this release knows.
        known: i32,
    },
    /// The schema `mcp_oauth` exists and was not written by this crate.
    NotAStore,
    /// The server would answer before a change is safe: this setting has to be on.
    Unsafe(&'static str),
    /// The server takes no changes: it is a standby, or `default_transaction_read_only` is on.
    ReadOnly,
    /// The server lacks something that is needed, for this reason.
    Unfit(&'static str),
    /// The server did not answer in time.
    ///
    /// It took longer than an operation may take, or others used the tables for more than a minute while the schema had
    /// to be migrated.
    Late,
    /// Error of PostgreSQL or of the connection to it.
    Postgres(tokio_postgres::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => {
                "the URL of the database is malformed, names no host, or mixes sockets with TCP hosts: write it as \
                 `postgres://user@host/database`"
            }
            Self::NeedsTls => {
                "the connection has to be encrypted, and this program was built without TLS: build with the feature \
                 `rustls`, or set `sslmode=disable` where the network is trusted"
            }
            Self::Certificates => {
                "the root certificates cannot be read, or this machine trusts none: pass certificates in PEM to \
                 `with_root_certificates`, or install those of the system"
            }
            Self::NewerSchema { found, known } => {
                return write!(
                    f,
                    "the database has schema {found}, and this release knows schemas up to {known}: run the release \
                     that wrote it, or a later one"
                );
            }
            Self::NotAStore => {
                "the schema `mcp_oauth` was not written by this crate: give another database, or rename that schema"
            }
            Self::Unsafe(setting) => {
                return write!(
                    f,
                    "`{setting}` is off, so that a crash can undo a change that was answered, and make a used code or \
                     refresh token valid again: set {setting}=on"
                );
            }
            Self::ReadOnly => {
                "the database takes no changes, because it is a standby or `default_transaction_read_only` is on: \
                 connect to the primary, or turn the setting off"
            }
            Self::Unfit(reason) => reason,
            Self::Late => {
                "the database did not answer in time: check that it is up and reachable, and that no other program \
                 locks its tables"
            }
            Self::Postgres(_) => {
                "PostgreSQL, or the connection to it, failed: check the URL, the server, and the rights of the role"
            }
        })
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Postgres(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}
