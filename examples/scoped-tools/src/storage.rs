//! Store of the authorization server: in memory, SQLite or PostgreSQL.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use authorization_server::{DynStore, MemoryStore, ServerKeys};
use mcp_authz_postgres::PostgresStore;
use mcp_authz_sqlite::{Settings, SqliteStore};

use crate::servers::new_keys;

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

impl StoreKind {
    /// Opens the store and the file of server keys, which all processes of an issuer share.
    ///
    /// Keys of a store in memory are new. For SQLite the default is a file beside the database; in production keep the
    /// two apart.
    pub(crate) async fn open(&self, keys: Option<&Path>) -> anyhow::Result<(DynStore, ServerKeys)> {
        Ok(match self {
            Self::Memory => (DynStore::new(MemoryStore::default()), new_keys()?),
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path, &Settings::default());
                let store = store.with_context(|| format!("cannot open {}", path.display()))?;
                let mut beside = path.as_os_str().to_owned();
                beside.push(".keys");
                let keys = store.server_keys(keys.unwrap_or(beside.as_ref()))?;
                (DynStore::new(store), keys)
            }
            Self::Postgres(url) => {
                let keys =
                    keys.context("--server-keys is missing: a file that all processes have")?;
                let store =
                    PostgresStore::open(url, &mcp_authz_postgres::Settings::default()).await;
                let store = store.context("cannot open the PostgreSQL database")?;
                let keys = store.server_keys(keys)?;
                (DynStore::new(store), keys)
            }
        })
    }
}

#[cfg(test)]
mod tests {
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

    /// Plays the story with the store that `name` opens.
    async fn story(name: &str) {
        let (store, keys) = name.parse::<StoreKind>().unwrap().open(None).await.unwrap();
        let (places, lifetimes) = (Places::default(), Lifetimes::default());
        let servers = Servers::start_on(store, keys, places, lifetimes, None).await.unwrap();
        client(&servers.mcp_url, ScriptedUser::new().unwrap()).await.unwrap();
        servers.stop().await;
    }

    #[tokio::test]
    async fn the_story_holds_on_a_database_that_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("sqlite:{}", folder.path().join("oauth.db").display());
        for _ in 0..2 {
            story(&name).await;
        }
        assert!(folder.path().join("oauth.db.keys").exists());
    }

    #[tokio::test]
    async fn the_story_holds_in_memory() {
        story("memory").await;
    }

    #[tokio::test]
    async fn a_shared_database_needs_shared_keys() {
        let store = StoreKind::Postgres("postgres://127.0.0.1:1/none".to_owned());
        let error = format!("{:#}", store.open(None).await.unwrap_err());
        assert!(error.contains("--server-keys"), "{error}");
    }
}
