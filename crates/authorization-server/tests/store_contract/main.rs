//! What every store owes, on the one that forgets everything; and that one which owes more is found out.

#![cfg(test)]

mod dyn_store;
mod failover;

use authorization_server::MemoryStore;
use authorization_server::store_contract::MAX_CLIENTS;
use futures::executor::block_on;

async fn fresh() -> (MemoryStore, ()) {
    (MemoryStore::with_max_clients(MAX_CLIENTS), ())
}

/// It outlives nothing, but whoever opens it again in the same process finds it.
async fn reopen(store: MemoryStore, (): &()) -> MemoryStore {
    store
}

authorization_server::store_contract!(block_on, fresh, reopen);

/// A shared pointer to a store: each of its methods is the store's own.
mod shared {
    use std::sync::Arc;

    use super::*;

    async fn fresh() -> (Arc<MemoryStore>, ()) {
        (Arc::new(super::fresh().await.0), ())
    }

    authorization_server::store_contract!(block_on, fresh);
}
