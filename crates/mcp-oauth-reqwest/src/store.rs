//! Where credentials are kept between requests, and between runs.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use client_flow::{Record, RecordKey};
use futures::future::BoxFuture;

/// The store could not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StoreFailed;

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credential store failed")
    }
}

impl core::error::Error for StoreFailed {}

/// Keeps what a client is and holds at each server, by issuer and resource.
///
/// A record holds secrets: whoever implements this protects them.
pub trait CredentialStore: Send + Sync + 'static {
    /// What is kept under this key.
    fn load<'a>(&'a self, key: &'a RecordKey)
    -> BoxFuture<'a, Result<Option<Record>, StoreFailed>>;

    /// Keeps a record under [its key](client_flow::Account::key), durably, before it returns. It is not
    /// used before that (C-TOKEN-6).
    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreFailed>>;
}

/// Keeps credentials as long as the program runs.
#[derive(Debug, Default)]
pub struct MemoryCredentials(Mutex<BTreeMap<RecordKey, Record>>);

impl CredentialStore for MemoryCredentials {
    fn load<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreFailed>> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = records.get(key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreFailed>> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.insert(record.account.key(), record.clone());
        Box::pin(async { Ok(()) })
    }
}
