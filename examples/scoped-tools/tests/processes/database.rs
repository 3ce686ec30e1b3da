//! A look past the servers, into what they stored.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::Cluster;
use oauth_types::SecretDigest;
use rusqlite::{Connection, OptionalExtension as _};
use tempfile::TempDir;

use crate::ledger::Family;

/// What must not be there, after FROM. In SQLite, a code has the number of its family instead of its identifier.
const HALVES: [(&str, &str); 5] = [
    (
        "used codes without family",
        "codes LEFT JOIN families ON id = redeemed WHERE redeemed IS NOT NULL AND id IS NULL",
    ),
    ("families without code", "families LEFT JOIN codes ON id = redeemed WHERE redeemed IS NULL"),
    (
        "codes of one family",
        "codes one JOIN codes other USING (redeemed) WHERE one.digest < other.digest",
    ),
    ("tokens without family", "access LEFT JOIN families ON id = family WHERE id IS NULL"),
    ("families without token", "families LEFT JOIN access ON family = id WHERE family IS NULL"),
];

/// A database that servers have open.
pub(crate) struct Database {
    folder: TempDir,
    /// `None` for a file of SQLite's in the folder.
    pub(crate) cluster: Option<Cluster>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), cluster: None }
    }

    /// A PostgreSQL of its own.
    pub(crate) fn postgres() -> Self {
        let cluster = Cluster::start().unwrap_or_else(|error| panic!("{error}"));
        Self { folder: tempfile::tempdir().unwrap(), cluster: Some(cluster) }
    }

    /// How servers are told to use it, with the same keys.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let keys = self.folder.path().join("server.keys");
        let store = match &self.cluster {
            None => format!("sqlite:{}", self.file().display()),
            Some(cluster) => cluster.socket_url_of("postgres"),
        };
        vec!["--store".into(), store, "--server-keys".into(), keys.display().to_string()]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("oauth.db")
    }

    pub(crate) fn look(&self) -> Look<'_> {
        match &self.cluster {
            None => Look::Sqlite(open(&self.file())),
            Some(cluster) => Look::Postgres(cluster, families(cluster)),
        }
    }
}

fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

fn query(cluster: &Cluster, sql: &str) -> String {
    cluster.sql("postgres", &format!("SET search_path = mcp_oauth; {sql}")).unwrap()
}

/// By the digests of their codes, in hexadecimal digits.
fn families(cluster: &Cluster) -> BTreeMap<String, Family> {
    let rows = query(
        cluster,
        "SELECT encode(digest, 'hex'), generation, revoked FROM codes JOIN families ON id = redeemed",
    );
    let rows = rows.lines().map(|row| {
        let columns: Vec<&str> = row.split('|').collect();
        let [digest, generation, revoked] = columns[..] else { panic!("{row}") };
        let generation = generation.parse().unwrap();
        (digest.to_owned(), Family { generation, is_revoked: revoked == "t" })
    });
    rows.collect()
}

/// What is in a database now.
pub(crate) enum Look<'a> {
    Sqlite(Connection),
    Postgres(&'a Cluster, BTreeMap<String, Family>),
}

impl Look<'_> {
    /// The family that a code was used for, if it was.
    pub(crate) fn family(&self, code: &str) -> Option<Family> {
        let digest = SecretDigest::of(code);
        match self {
            Self::Sqlite(connection) => {
                let sql = "SELECT generation, revoked FROM codes JOIN families ON number = redeemed \
                           WHERE digest = ?1";
                let mut query = connection.prepare_cached(sql).unwrap();
                let family = query.query_row([digest.as_bytes()], |row| {
                    Ok(Family { generation: row.get(0)?, is_revoked: row.get(1)? })
                });
                family.optional().unwrap()
            }
            Self::Postgres(_, families) => {
                let mut hex = String::new();
                digest.as_bytes().iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
                families.get(&hex).copied()
            }
        }
    }

    /// Nothing is half there.
    pub(crate) fn is_sound(&self) {
        if let Self::Sqlite(connection) = self {
            let state: String =
                connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(state, "ok");
        }
        for (what, from) in HALVES {
            let sql = format!("SELECT count(*) FROM {from}");
            let count: u32 = match self {
                Self::Sqlite(connection) => {
                    let sql = sql.replace("id = redeemed", "number = redeemed");
                    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
                }
                Self::Postgres(cluster, _) => query(cluster, &sql).trim().parse().unwrap(),
            };
            assert_eq!(count, 0, "{what}");
        }
    }
}
