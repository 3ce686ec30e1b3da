//! What every store owes, on the one that forgets everything; and that one which owes more is found out.

#![cfg(test)]

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
