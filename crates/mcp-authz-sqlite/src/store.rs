//! SQLite implementation of [`Store`]: each operation is queued for a thread that holds a connection.

use std::path::Path;

use authorization_server::store::{
    AccessRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord, NewFamily,
    OnceKind, RedeemOutcome, RotateOutcome, Rotation, StoreError,
};
use authorization_server::{ClientRecord, ServerKeys, Store};
use client_auth::Replay;
use futures::lock::Mutex;
use mcp_authz_keys::{KeyFileError, MissingFile};
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};
use rusqlite::Connection;

use crate::failure::Failure;
use crate::file::OpenError;
use crate::queue::Threads;
use crate::settings::Settings;
use crate::{clients, codes, consents, families, file, once, sweep};

/// Store in one SQLite database, for the one or few processes of one machine.
///
/// Dropping it finishes the operations that have begun and closes the file, which blocks for as long as that takes.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped in this order: the writer closes last, and writes the log back into the database.
    readers: Threads,
    writer: Threads,
    sweeps: Mutex<()>,
    max_clients: usize,
    had_families: bool,
}

impl SqliteStore {
    /// Opens the database, and creates it if it does not exist.
    ///
    /// Blocks the thread: call it before you serve.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the file is not a database of this release or an earlier one, is open to other users, or cannot
    /// be kept safe. A file that is refused stays as it is.
    pub fn open(path: impl AsRef<Path>, settings: &Settings) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let writer = file::open_writer(path, settings)?;
        let had_families =
            writer.query_row("SELECT EXISTS (SELECT 1 FROM families)", [], |row| row.get(0))?;
        let readers: Result<_, _> =
            (0..settings.readers.max(1)).map(|_| file::open_reader(path, settings)).collect();
        Ok(Self {
            readers: Threads::readers(readers?)?,
            writer: Threads::writer(writer)?,
            sweeps: Mutex::default(),
            max_clients: settings.max_clients,
            had_families,
        })
    }

    /// Reads the secret keys of the server from a file that only its owner may read.
    ///
    /// The database never contains the keys, so a stolen database alone is useless.
    ///
    /// The file is created if it does not exist and the database held no families when it was opened, because new keys
    /// log out the users of all families.
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
        if self.writer.is_damaged() || self.readers.is_damaged() {
            return Err(StoreError::Corrupt);
        }
        self.write(|connection| {
            // As large as the rows of a grant, so that a full disk is noticed.
            for statement in ["INSERT INTO checks VALUES (zeroblob(16384))", "DELETE FROM checks"] {
                connection.prepare_cached(statement)?.execute([])?;
            }
            Ok(())
        })
        .await?;
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT 1 FROM checks")?;
            Ok(query.exists([]).map(drop)?)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(work).await
    }
}

impl Store for SqliteStore {
    async fn read_client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        let client_id = client_id.clone();
        self.read(move |connection| clients::read(connection, &client_id)).await
    }

    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        let max = self.max_clients;
        self.write(move |connection| clients::create(connection, &client, max, now)).await
    }

    async fn delete_client(&self, client_id: &ClientId, _: UnixTime) -> Result<(), StoreError> {
        let client_id = client_id.clone();
        self.write(move |connection| clients::delete(connection, &client_id)).await
    }

    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        self.write(move |connection| codes::insert(connection, &code)).await
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        let digest = *digest;
        self.read(move |connection| codes::read(connection, &digest)).await
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let digest = *digest;
        self.write(move |connection| codes::redeem(connection, &digest, &family, now)).await
    }

    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        self.write(move |connection| families::insert_new(connection, &family, now)).await
    }

    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        let family = *family;
        self.read(move |connection| families::read(connection, &family)).await
    }

    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        self.write(move |connection| families::rotate(connection, &rotation, now)).await
    }

    async fn revoke_family(&self, family: &FamilyId, _: UnixTime) -> Result<(), StoreError> {
        let family = *family;
        self.write(move |connection| families::revoke(connection, &family)).await
    }

    async fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        _: UnixTime,
    ) -> Result<(), StoreError> {
        let (subject, client_id) = (subject.clone(), client_id.cloned());
        self.write(move |connection| {
            clients::revoke_subject(connection, &subject, client_id.as_ref())
        })
        .await
    }

    async fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        let digest = *digest;
        self.read(move |connection| families::access(connection, &digest, now)).await
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        let key = *key;
        self.read(move |connection| consents::read(connection, &key)).await
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.write(move |connection| consents::put(connection, &consent)).await
    }

    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        let key = *key;
        self.write(move |connection| once::put(connection, kind, &key, until, now)).await
    }

    /// Removes rows in batches, between which other operations have their turn.
    ///
    /// Concurrent sweeps take turns, so at most one batch waits at a time.
    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        let _turn = self.sweeps.lock().await;
        let mut removed = 0;
        while removed < max {
            let left = max - removed;
            let more = self.write(move |connection| sweep::batch(connection, now, left)).await?;
            if more == 0 {
                break;
            }
            removed += more;
        }
        Ok(removed)
    }
}
