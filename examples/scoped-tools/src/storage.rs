//! Where the authorization server keeps what it gave out.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use authorization_server::ServerKeys;
use mcp_authz_postgres::PostgresStore;
use mcp_authz_sqlite::{Settings, SqliteStore};

/// Which store, by its name on the command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// One that forgets everything at the end.
    Memory,
    /// A database in this file.
    Sqlite(PathBuf),
    /// A database that several processes share, at this URL, which may hold a password.
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

/// Opens the database, and its file of keys: beside it, if nothing is said. Elsewhere the two are not kept in one place.
pub(crate) fn open(path: &Path, keys: Option<&Path>) -> anyhow::Result<(SqliteStore, ServerKeys)> {
    let store = SqliteStore::open(path, &Settings::default());
    let store = store.with_context(|| format!("cannot open {}", path.display()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".keys");
    let keys = store.server_keys(keys.unwrap_or(beside.as_ref()))?;
    Ok((store, keys))
}

/// Opens the database that others may have opened, too, and the file of keys that they share.
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
