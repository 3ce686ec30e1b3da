//! Store of the authorization server: in memory, SQLite or PostgreSQL.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use authorization_server::ServerKeys;
use mcp_authz_postgres::PostgresStore;
use mcp_authz_sqlite::{Settings, SqliteStore};

/// Store, as named on the command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// Store in memory; its content is lost at the end.
    Memory,
    /// SQLite database in this file.
    Sqlite(PathBuf),
    /// PostgreSQL database at this URL, which may contain a password.
    Postgres(String),
}

impl FromStr for StoreKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err("a store is `memory`, `sqlite:PATH` or `postgres://...`"),
        }
    }
}

/// Opens the SQLite database and its file of keys.
///
/// The default is a file beside the database. In production keep the two apart.
pub(crate) fn open(path: &Path, keys: Option<&Path>) -> anyhow::Result<(SqliteStore, ServerKeys)> {
    let store = SqliteStore::open(path, &Settings::default());
    let store = store.with_context(|| format!("cannot open {}", path.display()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".keys");
    let keys = store.server_keys(keys.unwrap_or(beside.as_ref()))?;
    Ok((store, keys))
}

/// Opens the PostgreSQL database and the file of keys, both shared by all processes.
pub(crate) async fn connect(url: &str, keys: &Path) -> anyhow::Result<(PostgresStore, ServerKeys)> {
    let store = PostgresStore::open(url, &mcp_authz_postgres::Settings::default()).await;
    let store = store.context("cannot open the PostgreSQL database")?;
    let keys = store.server_keys(keys)?;
    Ok((store, keys))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use authorization_server::Lifetimes;

    use super::*;
    use crate::run::client;
    use crate::servers::{Places, Servers};
    use crate::user::ScriptedUser;

    #[test]
    fn a_store_has_a_name() {
        assert!("memory".parse() == Ok(StoreKind::Memory));
        assert!("sqlite:a:b.db".parse() == Ok(StoreKind::Sqlite("a:b.db".into())));
        for url in ["postgres://user@host/name", "postgresql:///name?host=/run"] {
            assert!(url.parse() == Ok(StoreKind::Postgres(url.to_owned())));
        }
        for bad in ["", "sqlite", "sqlite:", "redis:x", "memory:x", "postgres:", "postgres:x"] {
            assert!(bad.parse::<StoreKind>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_story_holds_on_a_database_that_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (store, keys) = open(&folder.path().join("oauth.db"), None).unwrap();
            let (places, lifetimes) = (Places::default(), Lifetimes::default());
            let servers = Servers::start_on(Arc::new(store), keys, places, lifetimes, None).await;
            let servers = servers.unwrap();
            client(&servers.mcp_url, ScriptedUser::new().unwrap()).await.unwrap();
            servers.stop().await;
        }
    }
}
