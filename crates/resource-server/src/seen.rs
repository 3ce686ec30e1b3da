//! Replay memory for DPoP proofs, in one process (RFC 9449 §11.1).

use std::collections::{BTreeMap, BTreeSet};

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::denial::Denial;
use crate::dpop::CheckReplay;
use crate::principal::Account;

/// Bounded memory of used DPoP proofs that have not expired.
///
/// When the memory is full, a request with a new proof is denied, because forgetting an old proof would permit its
/// replay. One user occupies at most a tenth of the places, through all clients together.
#[derive(Clone, Debug)]
pub struct SeenProofs {
    /// By the minute of expiry; there are as many entries as a proof can live minutes.
    minutes: BTreeMap<u64, Minute>,
    forgotten: Forgotten,
    capacity: usize,
}

/// Minutes whose proofs were forgotten, as sorted ranges that are disjoint and not adjacent.
///
/// After a clock was set back, proofs that expire in these minutes count as used. Other proofs are not affected, so a
/// clock that ran ahead for a day does not block new proofs for a day.
#[derive(Clone, Default, Debug)]
struct Forgotten(Vec<(u64, u64)>);

impl Forgotten {
    /// Maximum number of ranges; minutes without requests separate ranges.
    const MAX: usize = 64;

    fn insert(&mut self, minute: u64) {
        let is_near = |range: &(u64, u64)| {
            range.0 <= minute.saturating_add(1) && minute <= range.1.saturating_add(1)
        };
        let near = self.0.extract_if(.., |range| is_near(range));
        let whole =
            near.fold((minute, minute), |(from, to), near| (from.min(near.0), to.max(near.1)));
        let at = self.0.partition_point(|range| range.0 < whole.0);
        self.0.insert(at, whole);
        if self.0.len() > Self::MAX {
            self.join_nearest();
        }
    }

    /// Joins the two ranges with the smallest gap.
    fn join_nearest(&mut self) {
        let gaps = self
            .0
            .iter()
            .zip(self.0.iter().skip(1))
            .map(|(one, next)| next.0.saturating_sub(one.1));
        let nearest = gaps.enumerate().min_by_key(|(_, gap)| *gap).map(|(at, _)| at);
        if let Some(at) = nearest {
            let (_, to) = self.0.remove(at + 1);
            if let Some(range) = self.0.get_mut(at) {
                range.1 = to;
            }
        }
    }

    fn contains(&self, minute: u64) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&minute))
    }
}

#[derive(Clone, Default, Debug)]
struct Minute {
    seen: BTreeSet<SecretDigest>,
    /// Number of proofs by account.
    counts: BTreeMap<Account, usize>,
}

impl SeenProofs {
    /// Creates a memory for at most `capacity` proofs, of about 50 bytes each.
    ///
    /// A proof is stored until it expires: five to six minutes, and up to eleven if the client's clock is ahead.
    /// [`Resource::with_dpop_window`](crate::Resource::with_dpop_window) shortens this time.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { minutes: BTreeMap::new(), forgotten: Forgotten(Vec::new()), capacity }
    }

    /// Stores a proof, and returns whether it was stored before.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 503 if the memory is full, or if the user occupies a tenth of it.
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
            self.forgotten.insert(*oldest.key());
            oldest.remove();
        }
        // The clock may have run ahead and been corrected since.
        if self.forgotten.contains(minute(until)) {
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
    use oauth_types::{Issuer, Subject};

    use super::*;

    fn account(subject: &str) -> Account {
        let issuer = Issuer::parse("https://as.example").unwrap();
        Account::new(&issuer, &Subject::parse(subject).unwrap())
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
        // A proof remains used after the server's clock was set back.
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
        // A proof that expires after all forgotten minutes is judged normally.
        assert_eq!(put(&mut own, "b", 1400, "a", 1280), Some(Replay::Fresh));
        assert_eq!(put(&mut own, "b", 1400, "a", 1280), Some(Replay::Seen));
    }

    #[test]
    fn a_clock_that_ran_ahead_for_long_leaves_out_nobody_for_long() {
        for ahead in [3600, 86_400, 400_000_000] {
            let mut own = SeenProofs::new(1000);
            for now in (1000..2000).step_by(10) {
                assert_eq!(
                    put(&mut own, &format!("a{now}"), now + 600, "a", now),
                    Some(Replay::Fresh)
                );
            }
            // One hour of requests while the clock is wrong.
            for now in (2000 + ahead..5600 + ahead).step_by(60) {
                put(&mut own, &format!("b{now}"), now + 600, "a", now);
            }
            // After the correction, used proofs remain used, and new ones are fresh if they expire later.
            for now in (1000..2000).step_by(10) {
                assert_eq!(
                    put(&mut own, &format!("a{now}"), now + 600, "a", 2000),
                    Some(Replay::Seen)
                );
            }
            assert_eq!(put(&mut own, "c", 2700, "b", 2100), Some(Replay::Fresh), "{ahead}");
            assert_eq!(put(&mut own, "c", 2700, "b", 2100), Some(Replay::Seen));
        }
    }

    #[test]
    fn a_client_whose_clock_is_ahead_leaves_out_no_other() {
        let mut own = SeenProofs::new(1000);
        for now in (1000..5000).step_by(30) {
            let [fast, other] = ["fast", "other"].map(|user| format!("{user}{now}"));
            assert_eq!(put(&mut own, &fast, now + 660, "fast", now), Some(Replay::Fresh));
            assert_eq!(put(&mut own, &other, now + 60, "other", now), Some(Replay::Fresh));
        }
    }

    #[test]
    fn the_minutes_that_were_forgotten_are_few_ranges() {
        let mut own = Forgotten::default();
        for minute in [5, 7, 6, 5, 1_000_000, 9] {
            own.insert(minute);
        }
        assert_eq!(own.0, [(5, 7), (9, 9), (1_000_000, 1_000_000)]);
        for minute in (10..10_000).step_by(5) {
            own.insert(minute);
        }
        assert_eq!(own.0.len(), Forgotten::MAX);
        assert!(own.0.is_sorted() && !own.contains(20_000) && own.contains(9_995));
        own.insert(u64::MAX);
        own.insert(0);
        assert!(own.contains(u64::MAX) && own.contains(1_000_000));
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
        // A stored proof remains used while the memory is full.
        assert_eq!(put(&mut own, "alice0", 1120, "alice", 1000), Some(Replay::Seen));
        assert_eq!(put(&mut own, "new", 1300, "bob", 1180), Some(Replay::Fresh));
    }
}
