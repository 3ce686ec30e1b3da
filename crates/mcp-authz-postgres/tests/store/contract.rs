//! The contract of every store, unchanged.

use authorization_server::store_contract::MAX_CLIENTS;
use mcp_authz_postgres::PostgresStore;

use crate::samples::{Place, run, settings};

async fn fresh() -> (PostgresStore, Place) {
    let place = Place::new();
    (open(&place).await, place)
}

async fn open(place: &Place) -> PostgresStore {
    place.open_with(&settings().with_max_clients(MAX_CLIENTS)).await
}

async fn reopen(store: PostgresStore, place: &Place) -> PostgresStore {
    drop(store);
    open(place).await
}

authorization_server::store_contract!(run, fresh, reopen, #[ignore = "needs PostgreSQL"]);
