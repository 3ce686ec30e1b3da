//! Credential stores: records of registrations and tokens, kept between runs.

mod file;
mod folder;
#[cfg(feature = "keyring")]
mod keyring;
mod memory;

use core::fmt;
use std::any::Any;
use std::sync::Arc;

use client_flow::{CredentialKey, StoredCredentials};
use futures::future::BoxFuture;
use oauth_types::ResourceUri;

pub use file::FileCredentials;
pub use memory::MemoryCredentials;

/// Error of a credential store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the reason stays in the store")]
pub struct StoreError;

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credential store failed: check that this program can read and write it")
    }
}

impl core::error::Error for StoreError {}

/// Lock on a credential store, released when it is dropped.
#[derive(Default)]
#[must_use = "it is released when dropped"]
pub struct StoreLock(Option<Box<dyn Any + Send>>);

impl StoreLock {
    /// Creates a lock that holds `guard` until it is dropped.
    pub fn holding(guard: impl Any + Send) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StoreLock(held)" } else { "StoreLock" })
    }
}

/// Store of registrations and tokens, keyed by issuer and resource.
///
/// Records hold secrets, which the implementation protects. A store belongs to one user, because records do not name
/// theirs: a host of several users gives each of them a store of their own.
///
/// # Examples
///
/// A store of one client that counts its saves. One that several clients share implements [`lock`](Self::lock) as well.
///
/// ```
/// use futures::future::BoxFuture;
/// use mcp_authz_reqwest::client_flow::{StoredCredentials, CredentialKey};
/// use mcp_authz_reqwest::{CredentialStore, MemoryCredentials, StoreError};
///
/// #[derive(Default)]
/// struct Counted {
///     inner: MemoryCredentials,
///     saves: std::sync::atomic::AtomicUsize,
/// }
///
/// impl CredentialStore for Counted {
///     fn load<'a>(
///         &'a self,
///         key: &'a CredentialKey,
///     ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
///         self.inner.load(key)
///     }
///
///     fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
///         self.saves.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.inner.save(record)
///     }
/// }
/// ```
pub trait CredentialStore: Send + Sync + 'static {
    /// Returns the record under this key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the record cannot be read.
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>>;

    /// Returns the latest record with tokens for the MCP server at this address.
    ///
    /// The address of a record is its [`Account::target`](client_flow::Account::target). A client starts with this
    /// record after a restart.
    ///
    /// `None` by default: the client then finds the key of its record by three further requests to the server.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the records cannot be read.
    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let _ = server;
        Box::pin(async { Ok(None) })
    }

    /// Returns all records for the MCP server at this address, with or without tokens.
    ///
    /// By default, the record that [`find`](Self::find) returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the records cannot be read.
    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        Box::pin(async move { Ok(self.find(server).await?.into_iter().collect()) })
    }

    /// Removes the record under this key, with its registration, durably.
    ///
    /// By default, it is replaced by a record that has neither tokens nor a client to log in with.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the removal failed or may not last.
    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match self.load(key).await? {
                Some(record) => self.save(&record.forgotten()).await,
                None => Ok(()),
            }
        })
    }

    /// Saves a record durably, before it returns (C-TOKEN-6).
    ///
    /// The key of the record is its [`Account::key`](client_flow::Account::key).
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the record may not last. The client then saves once more at once, uses the record from
    /// memory, and saves it later: with the next renewals, and on [`flush`](crate::AuthorizedClient::flush) or
    /// [`log_out`](crate::AuthorizedClient::log_out).
    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Locks exchanges and saves of tokens for MCP servers of this origin.
    ///
    /// The lock excludes all clients that share the store. It is taken around each exchange, and released while a
    /// browser is open.
    ///
    /// By default it locks nothing, which is right for a store that only one client uses.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the lock cannot be taken.
    fn lock<'a>(&'a self, origin: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        let _ = origin;
        Box::pin(async { Ok(StoreLock::default()) })
    }
}

/// Store that several clients share.
impl<S: CredentialStore + ?Sized> CredentialStore for Arc<S> {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        (**self).load(key)
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        (**self).find(server)
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        (**self).records(server)
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).remove(key)
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).save(record)
    }

    fn lock<'a>(&'a self, server: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        (**self).lock(server)
    }
}

/// Returns the last of these records that has tokens for this server.
///
/// The records come in the order in which they were saved.
fn latest_for(
    server: &ResourceUri,
    records: impl Iterator<Item = StoredCredentials>,
) -> Option<StoredCredentials> {
    all_for(server, records).filter(|record| record.tokens.is_some()).last()
}

/// Selects the records for this server.
fn all_for(
    server: &ResourceUri,
    records: impl Iterator<Item = StoredCredentials>,
) -> impl Iterator<Item = StoredCredentials> {
    records.filter(move |record| record.account.target.as_ref() == Some(server))
}
