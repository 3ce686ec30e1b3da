//! Clients of the in-memory store, and the eviction of unused ones when it is full.

use std::collections::BTreeMap;

use oauth_types::{ClientId, UnixTime};

use crate::store::{ClientRecord, CreateOutcome, NewFamily};

/// Clients by their identifiers.
#[derive(Debug, Default)]
pub(super) struct Clients(BTreeMap<ClientId, Client>);

#[derive(Debug)]
struct Client {
    record: ClientRecord,
    /// Is `true` for a client that registered itself and never got a token.
    is_unused: bool,
}

impl Clients {
    pub(super) fn get(&self, client_id: &ClientId) -> Option<&ClientRecord> {
        self.0.get(client_id).map(|client| &client.record)
    }

    pub(super) fn remove(&mut self, client_id: &ClientId) {
        self.0.remove(client_id);
    }

    /// Stores a client, if there is room or an unused client can be evicted.
    ///
    /// A full store advances the sweep clock, as a sweep does.
    pub(super) fn create(
        &mut self,
        record: ClientRecord,
        max_clients: usize,
        settle: impl FnOnce() -> UnixTime,
    ) -> CreateOutcome {
        if self.0.contains_key(&record.client_id) {
            return CreateOutcome::Duplicate;
        }
        let is_unused = record.unused_until.is_some();
        if !self.has_room(&record, max_clients) {
            let settled = settle();
            self.0.retain(|_, client| !client.record.is_forgotten(settled));
        }
        if !self.has_room(&record, max_clients) && !self.remove_oldest_unused() {
            return CreateOutcome::QuotaReached;
        }
        self.0.insert(record.client_id.clone(), Client { record, is_unused });
        CreateOutcome::Created
    }

    fn has_room(&self, record: &ClientRecord, max_clients: usize) -> bool {
        let unused = || self.0.values().filter(|client| client.is_unused).count();
        self.0.len() < max_clients
            && (record.unused_until.is_none() || unused() < ClientRecord::max_unused(max_clients))
    }

    fn remove_oldest_unused(&mut self) -> bool {
        let unused = self.0.values().filter(|client| client.is_unused).map(|client| &client.record);
        let oldest = unused.min_by_key(|record| (record.unused_until, record.registered_at));
        let oldest = oldest.map(|record| record.client_id.clone());
        oldest.is_some_and(|oldest| self.0.remove(&oldest).is_some())
    }

    /// Extends the life of a client to cover its new family; the operator's clients have no end.
    pub(super) fn keep(&mut self, family: &NewFamily) {
        let Some(client) = self.0.get_mut(&family.client_id) else { return };
        client.is_unused = false;
        let unused_until = &mut client.record.unused_until;
        *unused_until = unused_until.map(|until| until.max(family.client_needed_until()));
    }

    /// Removes forgotten clients while `take` returns `true`.
    pub(super) fn sweep(&mut self, settled: UnixTime, mut take: impl FnMut() -> bool) {
        self.0.retain(|_, client| !client.record.is_forgotten(settled) || !take());
    }
}
