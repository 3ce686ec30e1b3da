//! Consents of the in-memory store.

use std::collections::HashMap;

use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};

use super::expiries::Expiries;
use crate::store::ConsentRecord;

/// Consents by their keys.
#[derive(Debug, Default)]
pub(super) struct Consents {
    by_key: HashMap<SecretDigest, ConsentRecord>,
    expiries: Expiries<SecretDigest>,
}

impl Consents {
    pub(super) fn get(&self, key: &SecretDigest) -> Option<&ConsentRecord> {
        self.by_key.get(key)
    }

    pub(super) fn put(&mut self, consent: ConsentRecord) {
        let (key, until) = (consent.key, consent.until);
        let before = self.by_key.insert(key, consent);
        // A prolonged consent is put back into the order when its earlier end comes.
        if before.is_none_or(|before| until < before.until) {
            self.expiries.insert(until, key);
        }
    }

    /// Removes the consents of these clients and subjects.
    pub(super) fn end(&mut self, is_meant: impl Fn(&ClientId, &Subject) -> bool) {
        self.by_key.retain(|_, consent| !is_meant(&consent.client_id, &consent.subject));
    }

    /// Removes at most `left` consents that have ended, and counts them down.
    pub(super) fn sweep(&mut self, now: UnixTime, left: &mut usize) {
        while *left > 0
            && let Some(key) = self.expiries.pop(now)
        {
            match self.by_key.get(&key).map(|consent| consent.until) {
                Some(until) if now < until => self.expiries.insert(until, key),
                Some(_) => {
                    self.by_key.remove(&key);
                    *left -= 1;
                }
                None => {}
            }
        }
    }
}
