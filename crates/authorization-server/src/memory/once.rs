//! Replay keys of the in-memory store: each is fresh once.

use std::collections::{BTreeMap, HashMap};

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use super::expiries::Expiries;
use crate::store::OnceKind;

/// Replay keys with their kinds and expiry times.
#[derive(Debug, Default)]
pub(super) struct Once {
    keys: HashMap<SecretDigest, (OnceKind, UnixTime)>,
    expiries: BTreeMap<OnceKind, Expiries<SecretDigest>>,
    /// Latest expiry among the removed keys of each kind; [`OnceKind::Answer`] is never in here.
    forgotten: BTreeMap<OnceKind, UnixTime>,
}

impl Once {
    pub(super) fn put(
        &mut self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Replay {
        if self.forgotten.get(&kind).is_some_and(|forgotten| until <= *forgotten) {
            return Replay::Seen;
        }
        let end = self.keys.get(key).map(|(_, end)| *end);
        if end.is_some_and(|end| now < end) {
            return Replay::Seen;
        }
        let end = end.map_or(until, |end| end.max(until));
        self.keys.insert(*key, (kind, end));
        self.expiries.entry(kind).or_default().insert(end, *key);
        Replay::Fresh
    }

    /// Removes at most `left` expired keys, by the clock of their kind, and counts them down.
    pub(super) fn sweep(&mut self, now: UnixTime, settled: UnixTime, left: &mut usize) {
        for (kind, expiries) in &mut self.expiries {
            let clock = if *kind == OnceKind::ResourceRequest { now } else { settled };
            while *left > 0
                && let Some(key) = expiries.pop(clock)
            {
                let Some((_, until)) =
                    self.keys.get(&key).copied().filter(|it| it.0 == *kind && it.1 <= clock)
                else {
                    continue;
                };
                self.keys.remove(&key);
                *left -= 1;
                if *kind != OnceKind::Answer {
                    let latest = self.forgotten.entry(*kind).or_insert(until);
                    *latest = (*latest).max(until);
                }
            }
        }
    }
}
