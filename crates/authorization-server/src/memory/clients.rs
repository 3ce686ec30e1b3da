//! Clients of the in-memory store, and the eviction of unused ones when it is full.

use std::collections::{BTreeSet, HashMap};

use oauth_types::{ClientId, UnixTime};

use super::expiries::Expiries;
use crate::store::{ClientRecord, CreateOutcome, NewFamily};

/// Clients by their identifiers.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: HashMap<ClientId, ClientRecord>,
    /// Clients that registered themselves and never got a token, the one that is forgotten first in front.
    unused: BTreeSet<(Option<UnixTime>, UnixTime, ClientId)>,
    /// Ends of the other clients that registered themselves; strangers cannot add to it, because it takes a token.
    expiries: Expiries<ClientId>,
}

/// Returns the place of a client among the unused ones.
fn place(record: &ClientRecord) -> (Option<UnixTime>, UnixTime, ClientId) {
    (record.unused_until, record.registered_at, record.client_id.clone())
}

impl Clients {
    pub(super) fn get(&self, client_id: &ClientId) -> Option<&ClientRecord> {
        self.by_id.get(client_id)
    }

    pub(super) fn remove(&mut self, client_id: &ClientId) {
        if let Some(record) = self.by_id.remove(client_id) {
            self.unused.remove(&place(&record));
        }
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
        if self.by_id.contains_key(&record.client_id) {
            return CreateOutcome::Duplicate;
        }
        if !self.has_room(&record, max_clients) {
            let mut all = usize::MAX;
            self.sweep(settle(), &mut all);
        }
        if !self.has_room(&record, max_clients) && !self.remove_oldest_unused() {
            return CreateOutcome::QuotaReached;
        }
        if record.unused_until.is_some() {
            self.unused.insert(place(&record));
        }
        self.by_id.insert(record.client_id.clone(), record);
        CreateOutcome::Created
    }

    fn has_room(&self, record: &ClientRecord, max_clients: usize) -> bool {
        self.by_id.len() < max_clients
            && (record.unused_until.is_none()
                || self.unused.len() < ClientRecord::max_unused(max_clients))
    }

    fn remove_oldest_unused(&mut self) -> bool {
        let Some((_, _, client_id)) = self.unused.pop_first() else { return false };
        self.by_id.remove(&client_id);
        true
    }

    /// Extends the life of a client to cover its new family; the operator's clients have no end.
    pub(super) fn keep(&mut self, family: &NewFamily) {
        let Some(record) = self.by_id.get_mut(&family.client_id) else { return };
        let Some(until) = record.unused_until else { return };
        let was_unused = self.unused.remove(&place(record));
        let until = until.max(family.client_needed_until());
        record.unused_until = Some(until);
        if was_unused {
            self.expiries.insert(until, record.client_id.clone());
        }
    }

    /// Removes at most `left` forgotten clients, and counts them down.
    pub(super) fn sweep(&mut self, settled: UnixTime, left: &mut usize) {
        let has_ended = |unused: &(Option<UnixTime>, _, _)| unused.0 <= Some(settled);
        while *left > 0 && self.unused.first().is_some_and(has_ended) && self.remove_oldest_unused()
        {
            *left -= 1;
        }
        while *left > 0
            && let Some(client_id) = self.expiries.pop(settled)
        {
            match self.get(&client_id).and_then(|record| record.unused_until) {
                // The client got tokens since, which postponed its end.
                Some(until) if settled < until => self.expiries.insert(until, client_id),
                Some(_) => {
                    self.remove(&client_id);
                    *left -= 1;
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use client_auth::ClientAuthRecord;
    use oauth_types::ScopeSet;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn registered(number: u64) -> ClientRecord {
        let client_id = ClientId::parse(&format!("client-{number}")).unwrap();
        let authentication = ClientAuthRecord::public();
        let scopes = ScopeSet::default();
        let mut record = ClientRecord::client_credentials(client_id, authentication, scopes, NOW);
        record.unused_until = Some(UnixTime::from_secs(NOW.as_secs() + 1 + number));
        record
    }

    #[test]
    fn strangers_that_register_leave_no_trace_of_evicted_clients() {
        let mut clients = Clients::default();
        for number in 0..1000 {
            let created = clients.create(registered(number), 10, || NOW);
            assert_eq!(created, CreateOutcome::Created);
        }
        assert_eq!((clients.by_id.len(), clients.unused.len()), (5, 5));
        assert!(clients.expiries.pop(UnixTime::from_secs(u64::MAX)).is_none());
    }
}
