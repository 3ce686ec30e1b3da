//! What is known of an authorization server that is not ours, and when it is asked again.

use core::time::Duration;
use std::sync::Arc;

use oauth_types::UnixTime;

/// Something that is fetched when it is needed, used until it is old, and used on for a while when it cannot be fetched
/// again.
#[derive(Clone, Debug)]
pub struct Kept<T> {
    fresh: Duration,
    longest: Duration,
    known: Option<(Arc<T>, UnixTime)>,
    tried: Option<UnixTime>,
    is_doubted: bool,
}

impl<T> Kept<T> {
    /// How long nobody is asked again, whatever came of the last time.
    pub const PAUSE: Duration = Duration::from_secs(30);
    /// The same while nothing is known.
    pub const RETRY: Duration = Duration::from_secs(5);

    /// Nothing yet. What is fetched is asked for again after `fresh`, and forgotten after `longest` without an answer.
    #[must_use]
    pub const fn new(fresh: Duration, longest: Duration) -> Self {
        Self { fresh, longest, known: None, tried: None, is_doubted: false }
    }

    /// What is known, fresh or not.
    #[must_use]
    pub fn value(&self, now: UnixTime) -> Option<&Arc<T>> {
        let known = self.known.as_ref().filter(|(_, at)| now.since(*at) < self.longest);
        known.map(|(value, _)| value)
    }

    /// Whether what is known is old, or nothing is.
    #[must_use]
    pub fn is_stale(&self, now: UnixTime) -> bool {
        let is_old = |(_, at): &(_, UnixTime)| has_passed(self.fresh, *at, now);
        self.is_doubted || self.known.as_ref().is_none_or(is_old)
    }

    /// Whether it may be fetched now.
    #[must_use]
    pub fn may_fetch(&self, now: UnixTime) -> bool {
        let pause = if self.value(now).is_some() { Self::PAUSE } else { Self::RETRY };
        self.tried.is_none_or(|at| has_passed(pause, at, now))
    }

    /// Whether the last attempt brought nothing.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.tried.is_some_and(|tried| self.known.as_ref().is_none_or(|(_, at)| tried != *at))
    }

    /// Takes what is known for old, because it led nowhere. When it may be fetched again does not change.
    pub const fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// Forgets what is known, because it is of no use or was taken back. It may be fetched again after
    /// [`RETRY`](Self::RETRY).
    pub fn clear(&mut self) {
        self.known = None;
    }

    /// Notes what an attempt brought that began now; `None` when it failed.
    pub fn fetched(&mut self, value: Option<T>, now: UnixTime) {
        self.tried = Some(now);
        if let Some(value) = value {
            self.known = Some((Arc::new(value), now));
            self.is_doubted = false;
        }
    }
}

/// Whether so much time is over. A request may be a little older than what another one brought; a clock that was set
/// back by more than a minute makes nobody wait for it.
fn has_passed(time: Duration, at: UnixTime, now: UnixTime) -> bool {
    now.since(at) >= time || at.since(now) > Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_value_is_used_on_while_it_cannot_be_fetched_but_not_for_ever() {
        let mut kept = Kept::new(Duration::from_secs(300), HOUR);
        assert!(kept.may_fetch(at(1000)) && kept.is_stale(at(1000)) && !kept.has_failed());
        kept.fetched(Some('a'), at(1000));
        assert!(!kept.is_stale(at(1299)) && !kept.has_failed());
        assert!(kept.is_stale(at(1300)) && kept.may_fetch(at(1300)));
        kept.fetched(None, at(1300));
        assert!(kept.has_failed());
        assert_eq!(kept.value(at(4599)).map(|value| **value), Some('a'));
        assert_eq!(kept.value(at(4600)), None);
    }

    #[test]
    fn what_is_doubted_is_fetched_again_soon_and_used_until_then() {
        let mut kept = Kept::new(Duration::from_secs(300), HOUR);
        kept.fetched(Some('a'), at(1000));
        kept.doubt();
        assert!(kept.is_stale(at(1000)) && !kept.may_fetch(at(1029)) && kept.may_fetch(at(1030)));
        assert_eq!(kept.value(at(1030)).map(|value| **value), Some('a'));
        kept.fetched(None, at(1030));
        assert!(kept.is_stale(at(1060)));
        kept.fetched(Some('b'), at(1060));
        assert!(!kept.is_stale(at(1061)));
    }

    #[test]
    fn what_is_of_no_use_is_fetched_again_soon_and_not_used_until_then() {
        let mut kept = Kept::new(Duration::from_secs(300), HOUR);
        kept.fetched(Some('a'), at(1000));
        kept.clear();
        assert_eq!(kept.value(at(1000)), None);
        assert!(kept.is_stale(at(1000)) && !kept.may_fetch(at(1004)) && kept.may_fetch(at(1005)));
    }

    #[test]
    fn attempts_keep_their_distance() {
        let mut kept = Kept::new(Duration::from_secs(300), HOUR);
        kept.fetched(None, at(1000));
        assert!(!kept.may_fetch(at(1004)) && kept.may_fetch(at(1005)));
        kept.fetched(Some('a'), at(1005));
        assert!(!kept.may_fetch(at(1034)) && kept.may_fetch(at(1035)));
        kept.fetched(None, at(1035));
        assert!(!kept.may_fetch(at(1064)) && kept.may_fetch(at(1065)));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let mut kept = Kept::new(Duration::from_secs(300), HOUR);
        kept.fetched(Some('a'), at(9000));
        assert!(kept.is_stale(at(5000)) && kept.may_fetch(at(5000)));
        assert!(kept.value(at(5000)).is_some());
        // A request that waited for its turn is no such clock.
        assert!(!kept.is_stale(at(8940)) && !kept.may_fetch(at(8940)));
    }
}
