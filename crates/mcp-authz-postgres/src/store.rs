//! PostgreSQL implementation of [`Store`]: each operation uses a connection of its own.

use core::fmt;
use core::time::Duration;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use authorization_server::store::{
    AccessRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord, NewFamily,
    OnceKind, RedeemOutcome, RotateOutcome, Rotation, StoreError,
};
use authorization_server::{ClientRecord, ServerKeys, Store};
use client_auth::Replay;
use deadpool_postgres::Pool;
use mcp_authz_keys::{KeyFileError, MissingFile};
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::open_error::OpenError;
use crate::server::Opened;
use crate::session::Session;
use crate::settings::Settings;
use crate::{clients, codes, consents, families, once, server, sweep};

/// Store in one PostgreSQL database, for all processes that serve one issuer.
///
/// The operations need a tokio runtime with timers and I/O. Connections live on the runtime that first asks for them.
pub struct PostgresStore {
    pool: Pool,
    timeout: Duration,
    max_clients: usize,
    had_families: bool,
    is_damaged: AtomicBool,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the database at this URL, and creates or migrates its tables in the schema `mcp_oauth`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the URL cannot be read, the server cannot be reached or is unsafe, or the schema is not one of
    /// this release or an earlier one. The database stays as it was.
    pub async fn open(url: &str, settings: &Settings) -> Result<Self, OpenError> {
        let Opened { pool, has_families } = server::open(url, settings).await?;
        Ok(Self {
            pool,
            had_families: has_families,
            timeout: settings.timeout(),
            max_clients: settings.max_clients,
            is_damaged: AtomicBool::new(false),
        })
    }

    /// Reads the secret keys of the server from a file that only its owner may read.
    ///
    /// The database never contains the keys, so a stolen database alone is useless.
    ///
    /// The file is created if it does not exist and the database held no families when it was opened, because new keys
    /// log out the users of all families. All machines need the same file: create it on one of them, with
    /// [`rotate_server_key`](crate::rotate_server_key), and give the others a copy before their first start. Blocks the
    /// thread: call it before you serve.
    ///
    /// For a file that the system mounts, such as a Kubernetes secret, use
    /// [`read_mounted_keys`](crate::read_mounted_keys).
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if the file is open to other users, damaged, unreadable, or missing while families need its
    /// keys.
    pub fn server_keys(&self, file: impl AsRef<Path>) -> Result<ServerKeys, KeyFileError> {
        let missing = if self.had_families { MissingFile::Refuse } else { MissingFile::Make };
        mcp_authz_keys::read_or_make(file, missing)
    }

    /// Checks that the store can write and read: the health check of a host.
    ///
    /// # Errors
    ///
    /// The error that an operation would fail with now; [`StoreError::Corrupt`] ever since data was found that cannot
    /// be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Corrupt);
        }
        let mut session = self.session().await?;
        let outcome = server::check(&mut session).await;
        self.end(session, outcome)
    }

    async fn session(&self) -> Result<Session, StoreError> {
        let deadline = Instant::now() + self.timeout;
        Session::begin(&self.pool, deadline).await
    }

    fn end<T>(&self, session: Session, outcome: Result<T, Failure>) -> Result<T, StoreError> {
        let outcome = session.end(outcome);
        if outcome.as_ref().err() == Some(&StoreError::Corrupt) {
            self.is_damaged.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Store for PostgresStore {
    async fn read_client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        let mut session = self.session().await?;
        let outcome = clients::read_one(&mut session, client_id).await;
        self.end(session, outcome)
    }

    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        let mut session = self.session().await?;
        let outcome = clients::create(&mut session, &client, self.max_clients, now).await;
        self.end(session, outcome)
    }

    async fn delete_client(&self, client_id: &ClientId, _: UnixTime) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = clients::delete(&mut session, client_id).await;
        self.end(session, outcome)
    }

    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = codes::insert(&mut session, &code).await;
        self.end(session, outcome)
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        let mut session = self.session().await?;
        let outcome = codes::read_one(&mut session, digest).await;
        self.end(session, outcome)
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let mut session = self.session().await?;
        let outcome = codes::redeem(&mut session, digest, &family, now).await;
        self.end(session, outcome)
    }

    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = families::insert(&mut session, &family, now).await;
        self.end(session, outcome)
    }

    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        let mut session = self.session().await?;
        let outcome = families::read_one(&mut session, family).await;
        self.end(session, outcome)
    }

    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        let mut session = self.session().await?;
        let outcome = families::rotate(&mut session, &rotation, now).await;
        self.end(session, outcome)
    }

    async fn revoke_family(&self, family: &FamilyId, _: UnixTime) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = families::revoke(&mut session, family).await;
        self.end(session, outcome)
    }

    async fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        _: UnixTime,
    ) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = clients::revoke_subject(&mut session, subject, client_id).await;
        self.end(session, outcome)
    }

    async fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        let mut session = self.session().await?;
        let outcome = families::access(&mut session, digest, now).await;
        self.end(session, outcome)
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        let mut session = self.session().await?;
        let outcome = consents::read(&mut session, key).await;
        self.end(session, outcome)
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = consents::put(&mut session, &consent).await;
        self.end(session, outcome)
    }

    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        let mut session = self.session().await?;
        let outcome = once::put(&mut session, kind, key, until, now).await;
        self.end(session, outcome)
    }

    /// Removes rows in batches, for which no request waits.
    ///
    /// Several processes may sweep at once, because each skips the rows that another is removing.
    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        while removed < max {
            let batch = sweep::BATCH.min(max - removed);
            let mut session = self.session().await?;
            let outcome = sweep::sweep(&mut session, now, batch).await;
            let more = self.end(session, outcome)?;
            removed += more;
            if more < batch {
                break;
            }
        }
        Ok(removed)
    }
}
