//! In-memory store for tests and demos, which loses everything when the process ends.

mod clients;
mod consents;
mod expiries;
mod grants;
mod once;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client_auth::Replay;
use oauth_types::{AccessTokenInfo, ClientId, Issuer, SecretDigest, Subject, UnixTime};

use crate::store::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord,
    NewFamily, OnceKind, RedeemOutcome, RotateOutcome, Rotation, Store, StoreError, SweepClock,
};
use clients::Clients;
use consents::Consents;
use grants::Grants;
use once::Once;

/// In-memory store behind one lock, so each operation is one transaction.
///
/// It is meant for tests and demos. At the end of the process every registration, grant and token is lost: clients are
/// unknown and users log in again. A second process sees none of them. For a server in production use a durable store
/// (`mcp-authz-sqlite` on one machine, `mcp-authz-postgres` on several).
#[derive(Debug)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    max_clients: usize,
}

#[derive(Debug, Default)]
struct Tables {
    clients: Clients,
    grants: Grants,
    consents: Consents,
    once: Once,
    clock: SweepClock,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_max_clients(Self::MAX_CLIENTS)
    }
}

impl MemoryStore {
    /// Default maximum number of clients.
    pub const MAX_CLIENTS: usize = 10_000;

    /// Creates an empty store with room for this many clients.
    #[must_use]
    pub fn with_max_clients(max_clients: usize) -> Self {
        Self { tables: Mutex::default(), max_clients }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No operation leaves a table half changed, so the data behind a poisoned lock are consistent.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Ends the grants of these clients and subjects: codes, consents, and families with all their tokens.
    fn end(&mut self, is_meant: impl Fn(&ClientId, &Subject) -> bool) {
        self.consents.end(&is_meant);
        self.grants.end(&is_meant);
    }
}

impl Store for MemoryStore {
    async fn read_client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        Ok(self.tables().clients.get(client_id).cloned())
    }

    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        let Tables { clients, clock, .. } = &mut *self.tables();
        Ok(clients.create(client, self.max_clients, || clock.advance(now)))
    }

    async fn delete_client(&self, client_id: &ClientId, _: UnixTime) -> Result<(), StoreError> {
        let tables = &mut *self.tables();
        tables.clients.remove(client_id);
        tables.end(|client, _| client == client_id);
        Ok(())
    }

    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        self.tables().grants.insert_code(code);
        Ok(())
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        Ok(self.tables().grants.code(digest).cloned())
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let Tables { clients, grants, .. } = &mut *self.tables();
        Ok(grants.redeem(digest, family, now, |family| clients.keep(family)))
    }

    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        let Tables { clients, grants, .. } = &mut *self.tables();
        if grants.family(&family.id).is_none() {
            clients.keep(&family);
            grants.insert(family, None, now);
        }
        Ok(())
    }

    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        Ok(self.tables().grants.family(family).cloned())
    }

    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        Ok(self.tables().grants.rotate(rotation, now))
    }

    async fn revoke_family(&self, family: &FamilyId, _: UnixTime) -> Result<(), StoreError> {
        self.tables().grants.revoke(family);
        Ok(())
    }

    async fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        _: UnixTime,
    ) -> Result<(), StoreError> {
        self.tables().end(|client, own| own == subject && client_id.is_none_or(|id| id == client));
        Ok(())
    }

    async fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        Ok(self.tables().grants.access(digest, now))
    }

    async fn access_token_info(
        &self,
        digest: &SecretDigest,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, StoreError> {
        Ok(self.tables().grants.facts(digest, issuer, now))
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        Ok(self.tables().consents.get(key).cloned())
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.tables().consents.put(consent);
        Ok(())
    }

    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        Ok(self.tables().once.put(kind, key, until, now))
    }

    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        let Tables { clients, grants, consents, once, clock } = &mut *self.tables();
        let mut left = max;
        let settled = clock.advance(now);
        once.sweep(now, settled, &mut left);
        consents.sweep(now, &mut left);
        grants.sweep(now, &mut left);
        clients.sweep(settled, &mut left);
        Ok(max - left)
    }
}
