//! In-memory store for tests and demos, which loses everything when the process ends.

mod clients;
mod once;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use client_auth::Replay;
use oauth_types::{AccessTokenInfo, ClientId, Issuer, SecretDigest, Subject, UnixTime};

use crate::store::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord,
    NewAccess, NewFamily, OnceKind, RedeemOutcome, RotateOutcome, Rotation, Store, StoreError,
    SweepClock,
};
use clients::Clients;
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
    codes: BTreeMap<SecretDigest, CodeRecord>,
    families: BTreeMap<FamilyId, FamilyRecord>,
    access: BTreeMap<SecretDigest, Access>,
    consents: BTreeMap<SecretDigest, ConsentRecord>,
    once: Once,
    clock: SweepClock,
}

/// Access token and its facts, made once and shared by all later requests.
#[derive(Debug)]
struct Access {
    record: AccessRecord,
    facts: OnceLock<Arc<AccessTokenInfo>>,
}

impl Access {
    fn new(id: FamilyId, family: &FamilyRecord, access: NewAccess) -> Self {
        let record = AccessRecord {
            family: id,
            client_id: family.client_id.clone(),
            subject: family.subject.clone(),
            resource: family.resource.clone(),
            scopes: access.scopes,
            expires_at: access.expires_at,
            jkt: access.jkt,
        };
        Self { record, facts: OnceLock::new() }
    }

    fn facts(&self, issuer: &Issuer) -> Arc<AccessTokenInfo> {
        let make = || Arc::new(self.record.clone().into_facts(issuer.clone()));
        let facts = self.facts.get_or_init(make);
        if facts.issuer == *issuer { Arc::clone(facts) } else { make() }
    }
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
    fn insert(&mut self, family: NewFamily, now: UnixTime) {
        self.clients.keep(&family);
        let (id, access) = (family.id, family.access.clone());
        let record = FamilyRecord::new(family, now);
        self.access.insert(access.digest, Access::new(id, &record, access));
        self.families.insert(id, record);
    }

    /// Returns the access token if it is live: not expired, and its family is not revoked.
    fn live(&self, digest: &SecretDigest, now: UnixTime) -> Option<&Access> {
        let access = self.access.get(digest)?;
        let family = self.families.get(&access.record.family)?;
        (!family.revoked && now < access.record.expires_at).then_some(access)
    }

    /// Ends the grants of these clients and subjects: codes, consents, and families with all their tokens.
    fn end(&mut self, is_meant: impl Fn(&ClientId, &Subject) -> bool) {
        self.codes.retain(|_, code| !is_meant(&code.client_id, &code.subject));
        self.consents.retain(|_, consent| !is_meant(&consent.client_id, &consent.subject));
        for family in self.families.values_mut() {
            family.revoked |= is_meant(&family.client_id, &family.subject);
        }
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
        self.tables().codes.entry(code.digest).or_insert(code);
        Ok(())
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        Ok(self.tables().codes.get(digest).cloned())
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        // A-TOKEN-1, A-TOKEN-2
        let tables = &mut *self.tables();
        let Some(code) = tables.codes.get_mut(digest) else {
            return Ok(RedeemOutcome::Missing);
        };
        if let Some(redeemed) = code.redeemed {
            if let Some(family) = tables.families.get_mut(&redeemed) {
                family.revoked = true;
            }
            return Ok(RedeemOutcome::AlreadyUsed(redeemed));
        }
        if now >= code.expires_at {
            return Ok(RedeemOutcome::Expired);
        }
        code.redeemed = Some(family.id);
        tables.insert(family, now);
        Ok(RedeemOutcome::Redeemed)
    }

    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        let tables = &mut *self.tables();
        if !tables.families.contains_key(&family.id) {
            tables.insert(family, now);
        }
        Ok(())
    }

    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        Ok(self.tables().families.get(family).cloned())
    }

    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        // A-TOKEN-4
        let tables = &mut *self.tables();
        let Some(family) = tables.families.get_mut(&rotation.family) else {
            return Ok(RotateOutcome::Missing);
        };
        if family.revoked {
            return Ok(RotateOutcome::Revoked);
        }
        if now >= family.expires_at || now >= family.idle_until {
            return Ok(RotateOutcome::Expired);
        }
        let outcome = if rotation.presented == family.generation {
            family.generation = family.generation.next();
            family.rotated_at = now;
            family.idle_until = rotation.idle_until;
            RotateOutcome::Rotated
        } else if rotation.presented.next() == family.generation
            && now.saturating_duration_since(family.rotated_at) < rotation.grace
        {
            RotateOutcome::GraceReplay
        } else {
            family.revoked = true;
            return Ok(RotateOutcome::Reused);
        };
        let digest = rotation.access.digest;
        let access = Access::new(rotation.family, family, rotation.access);
        tables.access.insert(digest, access);
        Ok(outcome)
    }

    async fn revoke_family(&self, family: &FamilyId, _: UnixTime) -> Result<(), StoreError> {
        if let Some(family) = self.tables().families.get_mut(family) {
            family.revoked = true;
        }
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
        Ok(self.tables().live(digest, now).map(|access| access.record.clone()))
    }

    async fn access_token_info(
        &self,
        digest: &SecretDigest,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, StoreError> {
        Ok(self.tables().live(digest, now).map(|access| access.facts(issuer)))
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        Ok(self.tables().consents.get(key).cloned())
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.tables().consents.insert(consent.key, consent);
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
        let tables = &mut *self.tables();
        let mut left = max;
        let settled = tables.clock.advance(now);
        tables.once.sweep(now, settled, || take(&mut left));
        tables.consents.retain(|_, consent| now < consent.until || !take(&mut left));
        tables.access.retain(|_, access| now < access.record.expires_at || !take(&mut left));
        // A family stays until its expiry, because its generations detect reuse, and as long as an access token refers
        // to it. A used code stays as long.
        let in_use: BTreeSet<FamilyId> =
            tables.access.values().map(|access| access.record.family).collect();
        let families = &mut tables.families;
        families.retain(|id, family| {
            now < family.expires_at || in_use.contains(id) || !take(&mut left)
        });
        tables.codes.retain(|_, code| {
            let is_needed = code.redeemed.is_some_and(|family| families.contains_key(&family));
            is_needed || now < code.expires_at || !take(&mut left)
        });
        tables.clients.sweep(settled, || take(&mut left));
        Ok(max - left)
    }
}

/// Decrements the number of rows left to remove; returns `true` if there was one.
const fn take(left: &mut usize) -> bool {
    match left.checked_sub(1) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}
