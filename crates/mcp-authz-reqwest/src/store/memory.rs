//! Credential store in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client_flow::{CredentialKey, StoredCredentials};
use futures::future::BoxFuture;
use oauth_types::ResourceUri;

use super::{all_for, latest_for};
use crate::store::{CredentialStore, StoreError, StoreLock};

/// Credential store in memory, which ends with the program.
///
/// Clients share it in an [`Arc`].
#[derive(Debug, Default)]
pub struct MemoryCredentials(Mutex<MemoryState>);

#[derive(Debug, Default)]
struct MemoryState {
    /// Records in the order in which they were saved.
    records: Vec<StoredCredentials>,
    turns: HashMap<ResourceUri, Arc<tokio::sync::Mutex<()>>>,
}

impl MemoryCredentials {
    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialStore for MemoryCredentials {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let found =
            self.state().records.iter().find(|record| record.account.key() == *key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let found = latest_for(server, self.state().records.iter().cloned());
        Box::pin(async move { Ok(found) })
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        let found = all_for(server, self.state().records.iter().cloned()).collect();
        Box::pin(async move { Ok(found) })
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.state().records.retain(|record| record.key() != *key);
        Box::pin(async { Ok(()) })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut state = self.state();
        let key = record.account.key();
        state.records.retain(|other| other.account.key() != key);
        state.records.push(record.clone());
        Box::pin(async { Ok(()) })
    }

    fn lock<'a>(&'a self, server: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        let turn = Arc::clone(self.state().turns.entry(server.clone()).or_default());
        Box::pin(async move { Ok(StoreLock::holding(turn.lock_owned().await)) })
    }
}
