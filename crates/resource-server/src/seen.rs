//! Which proofs were used: in the memory of one process.

use std::collections::{BTreeMap, BTreeSet};

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::{Account, CheckReplay, Denial};

/// The proofs that were used and have not expired. Bounded: when it is full, nobody is let in whose proof would have to
/// be forgotten, and one user fills a tenth of it at most, through all their clients.
#[derive(Clone, Debug)]
pub struct SeenProofs {
    /// By the minute in which they expire: there are as many as a proof may live.
    minutes: BTreeMap<u64, Minute>,
    /// The latest of those that were forgotten.
    forgotten: Option<u64>,
    capacity: usize,
}

#[derive(Clone, Default, Debug)]
struct Minute {
    seen: BTreeSet<SecretDigest>,
    /// How many are whose.
    counts: BTreeMap<Account, usize>,
}

impl SeenProofs {
    /// Memory for at most this many proofs, of about 50 bytes each. A proof is kept as long as it counts: five to six
    /// minutes, and up to eleven of a client whose clock is ahead ([`Resource::with_dpop_window`](crate::Resource::with_dpop_window)
    /// makes it less).
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { minutes: BTreeMap::new(), forgotten: None, capacity }
    }

    /// Whether a proof was used before; from now on it was.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 503 when there is no room for it.
    pub fn put_once(&mut self, proof: &CheckReplay<'_>, now: UnixTime) -> Result<Replay, Denial> {
        self.put(*proof.key(), proof.until(), proof.account(), now).ok_or_else(Denial::proofs_full)
    }

    fn put(
        &mut self,
        key: SecretDigest,
        until: UnixTime,
        owner: Account,
        now: UnixTime,
    ) -> Option<Replay> {
        let minute = |time: UnixTime| time.as_secs() / 60;
        while let Some(oldest) = self.minutes.first_entry()
            && *oldest.key() < minute(now)
        {
            self.forgotten = self.forgotten.max(Some(*oldest.key()));
            oldest.remove();
        }
        // The clock may have run ahead and be set right.
        if Some(minute(until)) <= self.forgotten {
            return Some(Replay::Seen);
        }
        let minutes = self.minutes.values();
        if minutes.clone().any(|minute| minute.seen.contains(&key)) {
            return Some(Replay::Seen);
        }
        let all: usize = minutes.clone().map(|minute| minute.seen.len()).sum();
        let own: usize = minutes.filter_map(|minute| minute.counts.get(&owner)).sum();
        if all >= self.capacity || own >= self.capacity.div_ceil(10) {
            return None;
        }
        let minute = self.minutes.entry(minute(until)).or_default();
        minute.seen.insert(key);
        *minute.counts.entry(owner).or_default() += 1;
        Some(Replay::Fresh)
    }
}

#[cfg(test)]
mod tests {
    use oauth_types::Issuer;

    use super::*;

    fn account(subject: &str) -> Account {
        Account::new(&Issuer::parse("https://as.example").unwrap(), subject)
    }

    fn put(own: &mut SeenProofs, jti: &str, until: u64, subject: &str, now: u64) -> Option<Replay> {
        let [until, now] = [until, now].map(UnixTime::from_secs);
        own.put(SecretDigest::of(jti), until, account(subject), now)
    }

    #[test]
    fn a_proof_is_fresh_once_until_it_expires() {
        let mut own = SeenProofs::new(100);
        for until in [1120, 1121, 1060, 1180] {
            let jti = until.to_string();
            assert_eq!(put(&mut own, &jti, until, "a", 1000), Some(Replay::Fresh));
            for now in [1000, 1059, until - 1] {
                assert_eq!(
                    put(&mut own, &jti, until, "a", now),
                    Some(Replay::Seen),
                    "{until} {now}"
                );
            }
        }
        // The clock of a server that was set back shows nothing anew.
        assert_eq!(put(&mut own, "1180", 1180, "a", 900), Some(Replay::Seen));
    }

    #[test]
    fn what_a_clock_that_ran_ahead_forgot_is_not_fresh_again() {
        let mut own = SeenProofs::new(100);
        assert_eq!(put(&mut own, "a", 1120, "a", 1000), Some(Replay::Fresh));
        for ahead in [1180, 400_000_000] {
            let until = ahead + 120;
            assert_eq!(put(&mut own, &ahead.to_string(), until, "a", ahead), Some(Replay::Fresh));
            assert_eq!(put(&mut own, "a", 1120, "a", 1000), Some(Replay::Seen));
        }
        for back in [1000, 0] {
            assert_eq!(put(&mut own, "a", 1120, "a", back), Some(Replay::Seen));
        }
        // What ends later than all that was forgotten is judged as ever.
        assert_eq!(put(&mut own, "b", 1400, "a", 1280), Some(Replay::Fresh));
        assert_eq!(put(&mut own, "b", 1400, "a", 1280), Some(Replay::Seen));
    }

    #[test]
    fn what_has_expired_makes_room() {
        let mut own = SeenProofs::new(10);
        for at in 0..1000 {
            let now = 1000 + at * 240;
            assert_eq!(put(&mut own, &at.to_string(), now + 120, "a", now), Some(Replay::Fresh));
        }
        assert_eq!(own.minutes.len(), 1);
    }

    #[test]
    fn no_user_fills_it_for_others_and_full_is_never_fresh() {
        let mut own = SeenProofs::new(100);
        let mut fill = |subject: &str| {
            let jtis = (0..100).map(|at| format!("{subject}{at}"));
            jtis.filter(|jti| put(&mut own, jti, 1120, subject, 1000).is_some()).count()
        };
        assert_eq!((fill("mallory"), fill("alice")), (10, 10));
        let others: usize = (0..50).map(|other| fill(&other.to_string())).sum();
        assert_eq!(others, 80);
        assert_eq!(put(&mut own, "new", 1120, "bob", 1000), None);
        // What was seen still was.
        assert_eq!(put(&mut own, "alice0", 1120, "alice", 1000), Some(Replay::Seen));
        assert_eq!(put(&mut own, "new", 1300, "bob", 1180), Some(Replay::Fresh));
    }
}
