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
pub struct MemoryCredentials(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Records in the order in which they were saved.
    records: Vec<StoredCredentials>,
    turns: HashMap<ResourceUri, Arc<tokio::sync::Mutex<()>>>,
}

impl MemoryCredentials {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialStore for MemoryCredentials {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let found = self.kept().records.iter().find(|record| record.account.key() == *key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let found = latest_for(server, self.kept().records.iter().cloned());
        Box::pin(async move { Ok(found) })
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        let found = all_for(server, self.kept().records.iter().cloned()).collect();
        Box::pin(async move { Ok(found) })
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.kept().records.retain(|record| record.key() != *key);
        Box::pin(async { Ok(()) })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut kept = self.kept();
        let key = record.account.key();
        kept.records.retain(|other| other.account.key() != key);
        kept.records.push(record.clone());
        Box::pin(async { Ok(()) })
    }

    fn lock<'a>(&'a self, server: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        let turn = Arc::clone(self.kept().turns.entry(server.clone()).or_default());
        Box::pin(async move { Ok(StoreLock::holding(turn.lock_owned().await)) })
    }
}
