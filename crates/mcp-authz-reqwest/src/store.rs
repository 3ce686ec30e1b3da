//! Where credentials are kept between requests, and between runs.

mod file;
mod folder;
#[cfg(feature = "keyring")]
mod keyring;
mod memory;

use core::fmt;
use std::any::Any;
use std::sync::Arc;

use client_flow::{Record, RecordKey};
use futures::future::BoxFuture;
use oauth_types::ResourceUri;

pub use file::FileCredentials;
pub use memory::MemoryCredentials;

/// The store could not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the reason stays in the store")]
pub struct StoreError;

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credential store failed: check that this program can read and write it")
    }
}

impl core::error::Error for StoreError {}

/// Keeps others off until it is dropped.
#[derive(Default)]
#[must_use = "it is released when dropped"]
pub struct StoreLock(Option<Box<dyn Any + Send>>);

impl StoreLock {
    /// A lock that lasts as long as this value.
    pub fn holding(guard: impl Any + Send) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StoreLock(held)" } else { "StoreLock" })
    }
}

/// Keeps what a client is and holds at each server, by issuer and resource.
///
/// A record holds secrets: whoever implements this protects them. A store is one user's: records do not say whose they
/// are, so a host of several users gives each a store of their own.
pub trait CredentialStore: Send + Sync + 'static {
    /// What is kept under this key.
    fn load<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<Option<Record>, StoreError>>;

    /// The record that was saved last among those whose login was for the MCP server at this very address
    /// ([`Account::target`](client_flow::Account::target)). A client begins with it after a restart.
    ///
    /// By default none: the client then learns from the server which record it is, by three requests more.
    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let _ = server;
        Box::pin(async { Ok(None) })
    }

    /// Every record whose login was for the MCP server at this address, with or without tokens. By default the one that
    /// [`find`](Self::find) finds.
    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        Box::pin(async move { Ok(self.find(server).await?.into_iter().collect()) })
    }

    /// Removes the record under this key, with its registration, durably.
    ///
    /// By default a record that has neither tokens nor a client to log in with takes its place.
    fn remove<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match self.load(key).await? {
                Some(record) => self.save(&record.forgotten()).await,
                None => Ok(()),
            }
        })
    }

    /// Keeps a record under [its key](client_flow::Account::key), durably, before it returns (C-TOKEN-6).
    ///
    /// Where it fails, the client saves once more at once, uses the record from memory, and saves it later: with the
    /// next renewals, and when it is told to [flush](crate::AuthorizedClient::flush) or
    /// [log out](crate::AuthorizedClient::log_out).
    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Waits until nobody else who shares the store exchanges or saves tokens for MCP servers of this origin. It is
    /// asked for around each exchange, and never while a browser is open.
    ///
    /// By default nothing is waited for, which is right for a store that only one client uses.
    fn lock<'a>(&'a self, origin: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        let _ = origin;
        Box::pin(async { Ok(StoreLock::default()) })
    }
}

/// A store that several clients share.
impl<S: CredentialStore + ?Sized> CredentialStore for Arc<S> {
    fn load<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        (**self).load(key)
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        (**self).find(server)
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        (**self).records(server)
    }

    fn remove<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).remove(key)
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).save(record)
    }

    fn lock<'a>(&'a self, server: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        (**self).lock(server)
    }
}

/// The last of these records that has tokens for this server; they come in the order they were saved.
fn latest_for(server: &ResourceUri, records: impl Iterator<Item = Record>) -> Option<Record> {
    all_for(server, records).filter(|record| record.tokens.is_some()).last()
}

/// Those of these records that are for this server.
fn all_for(
    server: &ResourceUri,
    records: impl Iterator<Item = Record>,
) -> impl Iterator<Item = Record> {
    records.filter(move |record| record.account.target.as_ref() == Some(server))
}
