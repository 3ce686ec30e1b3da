//! Replay keys of the in-memory store: each is fresh once.

use std::collections::BTreeMap;

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::store::OnceKind;

/// Replay keys with their kinds and expiry times.
#[derive(Debug, Default)]
pub(super) struct Once {
    keys: BTreeMap<SecretDigest, (OnceKind, UnixTime)>,
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
        self.keys.insert(*key, (kind, end.map_or(until, |end| end.max(until))));
        Replay::Fresh
    }

    /// Removes expired keys, by the clock of their kind, while `take` returns `true`.
    pub(super) fn sweep(
        &mut self,
        now: UnixTime,
        settled: UnixTime,
        mut take: impl FnMut() -> bool,
    ) {
        let forgotten = &mut self.forgotten;
        self.keys.retain(|_, (kind, until)| {
            let end = if *kind == OnceKind::ResourceRequest { now } else { settled };
            if end < *until || !take() {
                return true;
            }
            if *kind != OnceKind::Answer {
                let latest = forgotten.entry(*kind).or_insert(*until);
                *latest = (*latest).max(*until);
            }
            false
        });
    }
}
