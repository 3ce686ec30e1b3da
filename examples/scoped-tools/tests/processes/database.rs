//! A look past the server, into what it stored.

use std::path::PathBuf;
use std::time::Duration;

use oauth_types::SecretDigest;
use rusqlite::{Connection, OptionalExtension as _};

use crate::ledger::Family;

/// A database file that a server may have open.
pub(crate) struct Database(PathBuf);

impl Database {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What the command line calls it.
    pub(crate) fn store(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }

    pub(crate) fn look(&self) -> Look {
        let connection = Connection::open(&self.0).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        Look(connection)
    }
}

pub(crate) struct Look(Connection);

impl Look {
    /// The family that a code was used for, if it was.
    pub(crate) fn family(&self, code: &str) -> Option<Family> {
        let digest = SecretDigest::of(code);
        let mut query = self
            .0
            .prepare_cached(
                "SELECT generation, revoked FROM codes JOIN families ON id = redeemed \
                 WHERE digest = ?1",
            )
            .unwrap();
        let family = query.query_row([digest.as_bytes()], |row| {
            Ok(Family { generation: row.get::<_, u32>(0)?.into(), is_revoked: row.get(1)? })
        });
        family.optional().unwrap()
    }

    /// Nothing is half there.
    pub(crate) fn is_sound(&self) {
        let state: String =
            self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(state, "ok");
        for (what, sql) in [
            (
                "used codes without family",
                "codes LEFT JOIN families ON id = redeemed WHERE redeemed IS NOT NULL AND id IS NULL",
            ),
            (
                "families without code",
                "families LEFT JOIN codes ON redeemed = id WHERE redeemed IS NULL",
            ),
            (
                "codes of one family",
                "codes one JOIN codes other USING (redeemed) WHERE one.digest < other.digest",
            ),
            ("tokens without family", "access LEFT JOIN families ON id = family WHERE id IS NULL"),
            (
                "families without token",
                "families LEFT JOIN access ON family = id WHERE family IS NULL",
            ),
        ] {
            let sql = format!("SELECT count(*) FROM {sql}");
            let count: u32 = self.0.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{what}");
        }
    }
}
