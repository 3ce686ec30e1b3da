//! Store of both processes, as one of them accesses it.

use std::sync::Arc;

use client_flow::{CredentialKey, StoredCredentials};
use futures::future::BoxFuture;
use oauth_types::ResourceUri;

use super::service::number;
use super::world::{Busy, World};
use crate::store::{CredentialStore, MemoryCredentials, StoreError, StoreLock};

pub(super) struct Store {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) stored: Arc<MemoryCredentials>,
}

/// Returns the number of the tokens in a record.
pub(super) fn held(record: &StoredCredentials) -> Option<usize> {
    record.tokens.as_ref().map(|tokens| number(tokens.access_token.expose()))
}

impl Store {
    async fn reads(&self, what: &str) -> Result<(), StoreError> {
        let _busy = Busy::new(&self.world);
        self.world.lock().note(self.process, what);
        self.world.delay().await;
        let mut own = self.world.lock();
        let fails = own.settings.loads_fail && own.random.once_in(8);
        if fails { Err(StoreError) } else { Ok(()) }
    }

    /// Waits, and records a write that takes place or fails.
    async fn writes(&self, record: Option<&StoredCredentials>) -> Result<(), StoreError> {
        let _busy = Busy::new(&self.world);
        self.world.delay().await;
        let mut own = self.world.lock();
        let number = record.and_then(held);
        if own.settings.saves_fail && own.random.once_in(2) {
            own.save_failed(self.process, number);
            return Err(StoreError);
        }
        own.saved(self.process, number);
        Ok(())
    }
}

impl CredentialStore for Store {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        Box::pin(async {
            self.reads("loads").await?;
            self.stored.load(key).await
        })
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        Box::pin(async {
            self.reads("finds").await?;
            self.stored.find(server).await
        })
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        Box::pin(async {
            self.reads("lists").await?;
            self.stored.records(server).await
        })
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            self.writes(None).await?;
            self.stored.remove(key).await
        })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            self.writes(Some(record)).await?;
            self.stored.save(record).await
        })
    }

    fn lock<'a>(&'a self, origin: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async {
            let busy = Busy::new(&self.world);
            self.world.lock().note(self.process, "waits for its turn");
            let lock = self.stored.lock(origin).await?;
            Ok(StoreLock::holding((lock, busy)))
        })
    }
}
