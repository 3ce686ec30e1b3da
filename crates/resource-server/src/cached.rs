//! Cache for data of an external issuer, such as keys and metadata, with its refresh times.

use core::time::Duration;
use std::sync::Arc;

use oauth_types::UnixTime;

/// Cached value that is refreshed when stale, and remains in use for a time if that fails.
#[derive(Clone, Debug)]
pub struct Cached<T> {
    fresh: Duration,
    longest: Duration,
    known: Option<(Arc<T>, UnixTime)>,
    tried: Option<UnixTime>,
    is_doubted: bool,
}

impl<T> Cached<T> {
    /// Minimum time between two fetches while a value is cached.
    pub const PAUSE: Duration = Duration::from_secs(30);
    /// Minimum time between two fetches while no value is cached.
    pub const RETRY: Duration = Duration::from_secs(5);

    /// Creates an empty cache; values become stale after `fresh` and are dropped after `longest`.
    ///
    /// Both times count from the fetch of the value.
    #[must_use]
    pub const fn new(fresh: Duration, longest: Duration) -> Self {
        Self { fresh, longest, known: None, tried: None, is_doubted: false }
    }

    /// Returns the cached value, fresh or stale.
    #[must_use]
    pub fn value(&self, now: UnixTime) -> Option<&Arc<T>> {
        let known =
            self.known.as_ref().filter(|(_, at)| now.saturating_duration_since(*at) < self.longest);
        known.map(|(value, _)| value)
    }

    /// Returns `true` if the cached value is stale or if there is none.
    #[must_use]
    pub fn is_stale(&self, now: UnixTime) -> bool {
        let is_old = |(_, at): &(_, UnixTime)| has_passed(self.fresh, *at, now);
        self.is_doubted || self.known.as_ref().is_none_or(is_old)
    }

    /// Returns `true` if the value may be fetched now.
    #[must_use]
    pub fn may_fetch(&self, now: UnixTime) -> bool {
        let pause = if self.value(now).is_some() { Self::PAUSE } else { Self::RETRY };
        self.tried.is_none_or(|at| has_passed(pause, at, now))
    }

    /// Returns `true` if the last fetch failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.tried.is_some_and(|tried| self.known.as_ref().is_none_or(|(_, at)| tried != *at))
    }

    /// Marks the cached value as stale, because it led to an error.
    ///
    /// The next permitted fetch is not advanced.
    pub const fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// Removes the cached value, because it is unusable or was withdrawn.
    ///
    /// The next fetch is permitted [`RETRY`](Self::RETRY) after the last one.
    pub fn clear(&mut self) {
        self.known = None;
    }

    /// Stores the result of a fetch that started at `now`; `None` if it failed.
    pub fn fetched(&mut self, value: Option<T>, now: UnixTime) {
        self.tried = Some(now);
        if let Some(value) = value {
            self.known = Some((Arc::new(value), now));
            self.is_doubted = false;
        }
    }
}

/// Returns `true` if `time` has passed since `at`.
///
/// A `now` up to a minute before `at` belongs to a request that waited. An earlier one means that the clock was set
/// back; the time then counts as passed, so that no request waits for the clock.
fn has_passed(time: Duration, at: UnixTime, now: UnixTime) -> bool {
    now.saturating_duration_since(at) >= time
        || at.saturating_duration_since(now) > Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_stale_value_is_used_for_a_while_if_it_cannot_be_fetched() {
        let mut kept = Cached::new(Duration::from_secs(300), HOUR);
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
        let mut kept = Cached::new(Duration::from_secs(300), HOUR);
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
    fn a_useless_value_is_fetched_again_soon_and_not_used() {
        let mut kept = Cached::new(Duration::from_secs(300), HOUR);
        kept.fetched(Some('a'), at(1000));
        kept.clear();
        assert_eq!(kept.value(at(1000)), None);
        assert!(kept.is_stale(at(1000)) && !kept.may_fetch(at(1004)) && kept.may_fetch(at(1005)));
    }

    #[test]
    fn attempts_keep_their_distance() {
        let mut kept = Cached::new(Duration::from_secs(300), HOUR);
        kept.fetched(None, at(1000));
        assert!(!kept.may_fetch(at(1004)) && kept.may_fetch(at(1005)));
        kept.fetched(Some('a'), at(1005));
        assert!(!kept.may_fetch(at(1034)) && kept.may_fetch(at(1035)));
        kept.fetched(None, at(1035));
        assert!(!kept.may_fetch(at(1064)) && kept.may_fetch(at(1065)));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let mut kept = Cached::new(Duration::from_secs(300), HOUR);
        kept.fetched(Some('a'), at(9000));
        assert!(kept.is_stale(at(5000)) && kept.may_fetch(at(5000)));
        assert!(kept.value(at(5000)).is_some());
        // A request that waited for its turn does not indicate a clock that was set back.
        assert!(!kept.is_stale(at(8940)) && !kept.may_fetch(at(8940)));
    }
}
