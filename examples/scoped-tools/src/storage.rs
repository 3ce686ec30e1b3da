//! Where the authorization server keeps what it gave out.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use authorization_server::RefreshKeys;
use mcp_oauth_sqlite::{Settings, SqliteStore};

/// Which store, by its name on the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StoreKind {
    /// One that forgets everything at the end.
    Memory,
    /// A database in this file.
    Sqlite(PathBuf),
}

impl FromStr for StoreKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err("a store is `memory` or `sqlite:PATH`"),
        }
    }
}

/// Opens the database, and beside it the file of keys. Elsewhere the two are not kept in one place.
pub(crate) fn open(path: &Path) -> anyhow::Result<(Arc<SqliteStore>, RefreshKeys)> {
    let store = SqliteStore::open(path, &Settings::default());
    let store = store.with_context(|| format!("cannot open {}", path.display()))?;
    let mut keys = path.as_os_str().to_owned();
    keys.push(".keys");
    let keys = store.refresh_keys(&keys)?;
    Ok((Arc::new(store), keys))
}

#[cfg(test)]
mod tests {
    use authorization_server::Lifetimes;

    use super::*;
    use crate::run::client;
    use crate::servers::Servers;
    use crate::user::ScriptedUser;

    #[test]
    fn a_store_has_a_name() {
        assert_eq!("memory".parse(), Ok(StoreKind::Memory));
        assert_eq!("sqlite:a:b.db".parse(), Ok(StoreKind::Sqlite("a:b.db".into())));
        for bad in ["", "sqlite", "sqlite:", "redis:x", "memory:x"] {
            assert!(bad.parse::<StoreKind>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_story_holds_on_a_database_that_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (store, keys) = open(&folder.path().join("oauth.db")).unwrap();
            let servers = Servers::start_on(store, keys, 0, 0, Lifetimes::default(), None).await;
            let servers = servers.unwrap();
            client(&servers.mcp_url, ScriptedUser::new().unwrap()).await.unwrap();
            servers.stop().await;
        }
    }
}
