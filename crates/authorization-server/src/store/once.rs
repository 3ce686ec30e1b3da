//! Replay detection by kind: retention of used values, and clocks that run ahead.

use core::time::Duration;

use oauth_types::UnixTime;

/// Kinds of values that are accepted at most once ([`Store::put_once`](crate::Store::put_once)).
///
/// Each kind is forgotten by its own rule:
///
/// | kind | forgotten | after some of the kind were forgotten |
/// |---|---|---|
/// | answers | two to four hours after its end | other answers are unaffected |
/// | token requests | two to four hours after its end | one that ends no later than the latest of them counts as seen |
/// | resource requests | at its end | one that ends no later than the latest of them counts as seen |
///
/// The hours are measured by the clock that sweeps see. A clock that is ahead for less than that, by any amount, makes
/// a store forget no answer and no token request, and blocks no request once it is right again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each kind is forgotten by its own rule; a store must know it"
)]
pub enum OnceKind {
    /// Answer to a consent page, which ends within minutes and is bound to a browser.
    Answer,
    /// Assertion or DPoP proof at the token endpoint (RFC 7523 §3, RFC 9449 §11.1).
    TokenRequest,
    /// DPoP proof at a resource server, one for each request.
    ResourceRequest,
}

impl OnceKind {
    /// Least time that sweeps see pass before they remove what has ended: 2 hours.
    ///
    /// This holds for answers and token requests, and is longer than either can be valid.
    pub const KEPT_AFTER_END: Duration = Duration::from_secs(2 * 60 * 60);

    /// Returns the number that stands for the kind in a table.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Answer => 0,
            Self::TokenRequest => 1,
            Self::ResourceRequest => 2,
        }
    }
}

/// Times that sweeps and full stores have noted.
///
/// `settled` was noted [`OnceKind::KEPT_AFTER_END`] or longer before a later time, so that it precedes a jump of the
/// clock that has just happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SweepClock {
    settled: UnixTime,
    latest: UnixTime,
}

impl Default for SweepClock {
    fn default() -> Self {
        let first = UnixTime::from_secs(0);
        Self { settled: first, latest: first }
    }
}

impl SweepClock {
    /// Notes the time and returns the one up to which answers, token requests and clients may be removed.
    pub(crate) fn advance(&mut self, now: UnixTime) -> UnixTime {
        self.settled = self.settled.min(now);
        if now < self.latest {
            self.latest = now;
        } else if now.saturating_duration_since(self.latest) >= OnceKind::KEPT_AFTER_END {
            self.settled = self.latest;
            self.latest = now;
        }
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    const fn at(hours: u64) -> UnixTime {
        UnixTime::from_secs(500_000 * HOUR + hours * HOUR)
    }

    #[test]
    fn a_clock_that_jumps_ahead_settles_nothing_that_it_shows() {
        let mut clock = SweepClock::default();
        clock.advance(at(0));
        assert_eq!(clock.advance(at(1)), UnixTime::from_secs(0));
        assert_eq!(clock.advance(at(2)), at(0));
        for ahead in [at(50_000), at(50_001), at(50_003).min(at(50_001))] {
            assert_eq!(clock.advance(ahead), at(2));
        }
        // A clock that stays ahead is taken for the right time.
        assert_eq!(clock.advance(at(50_002)), at(50_000));
    }

    #[test]
    fn a_clock_that_is_set_back_settles_no_later_time() {
        let mut clock = SweepClock::default();
        for hours in [0, 2, 1000, 1001] {
            clock.advance(at(hours));
        }
        assert_eq!(clock.advance(at(3)), at(2));
        assert_eq!(clock.advance(at(1)), at(1));
        assert_eq!(clock.advance(at(3)), at(1));
        let last = UnixTime::from_secs(u64::MAX);
        assert_eq!(clock.advance(last), at(3));
        assert_eq!(clock.advance(at(4)), at(3));
    }
}
