//! A store that tells how many rows each sweep removed, and whose sweeps can be held.

use std::sync::{Arc, Mutex};

use authorization_server::store::StoreError;
use authorization_server::{Config, MemoryStore, Store, delegate_store};
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin};
use oauth_types::UnixTime;
use tokio::sync::RwLock;

use crate::server::*;

pub(crate) struct Watched {
    inner: Arc<MemoryStore>,
    /// Who holds it keeps sweeps from coming to an end.
    pub(crate) sweepers: RwLock<()>,
    swept: Mutex<Vec<usize>>,
}

impl Watched {
    pub(crate) fn server(config: Config, clock: Clock) -> (Server, Arc<Self>) {
        let inner = Arc::new(MemoryStore::default());
        let watched = Arc::new(Self {
            inner: Arc::clone(&inner),
            sweepers: RwLock::default(),
            swept: Mutex::default(),
        });
        let router = AuthorizationServer::new(config, Arc::clone(&watched), DemoLogin)
            .with_clock(clock)
            .router();
        (Server { router, store: inner }, watched)
    }

    /// How many rows each call of a sweep removed.
    pub(crate) fn swept(&self) -> Vec<usize> {
        self.swept.lock().unwrap().clone()
    }
}

impl Store for Watched {
    delegate_store!(|store| store.inner, except sweep);

    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        let _turn = self.sweepers.read().await;
        let removed = self.inner.sweep(now, max).await?;
        self.swept.lock().unwrap().push(removed);
        Ok(removed)
    }
}
