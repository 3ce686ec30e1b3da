//! The contract of every store, unchanged.

use authorization_server::store_contract::MAX_CLIENTS;
use futures::executor::block_on;
use mcp_authz_sqlite::{Settings, SqliteStore};
use tempfile::TempDir;

fn open(folder: &TempDir) -> SqliteStore {
    let settings = Settings::default().with_max_clients(MAX_CLIENTS);
    SqliteStore::open(folder.path().join("oauth.db"), &settings).unwrap()
}

async fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder), folder)
}

async fn reopen(store: SqliteStore, folder: &TempDir) -> SqliteStore {
    drop(store);
    open(folder)
}

authorization_server::store_contract!(block_on, fresh, reopen);
