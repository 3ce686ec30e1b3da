//! What counts once, by kind: how long each is remembered after its end, and what a clock that ran ahead does to it.

use core::time::Duration;

use oauth_types::UnixTime;

/// Kinds of what counts once: each is forgotten by a rule of its own ([`Store::put_once`](crate::Store::put_once)).
///
/// | kind | forgotten | once some of it was forgotten |
/// |---|---|---|
/// | answers | two to four hours after its end | nothing else is affected |
/// | token requests | two to four hours after its end | what ends when the last of its kind did, or earlier, was seen |
/// | resource requests | at its end | what ends when the last of its kind did, or earlier, was seen |
///
/// The hours pass by the clock of the sweeps, which has to go on for as long: a clock that is ahead for less, by
/// whatever it is, makes a store forget no answer and no token request, and stops nobody when it is right again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each kind is forgotten by its own rule; a store must know it"
)]
pub enum OnceKind {
    /// Answers to consent pages, which end within minutes and are bound to a browser.
    Answer,
    /// Assertions and DPoP proofs at the token endpoint (RFC 7523 §3, RFC 9449 §11.1).
    TokenRequest,
    /// DPoP proofs at resource servers, one a request.
    ResourceRequest,
}

impl OnceKind {
    /// Time that sweeps see pass, at least, before they forget an answer or a token request that has ended.
    ///
    /// Longer than either may count.
    pub const KEPT_AFTER_END: Duration = Duration::from_secs(2 * 60 * 60);

    /// The number that stands for the kind in a table.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Answer => 0,
            Self::TokenRequest => 1,
            Self::ResourceRequest => 2,
        }
    }
}

/// The times that sweeps and full stores have seen.
///
/// `settled` is a time that the clock showed then, [`OnceKind::KEPT_AFTER_END`] or longer before the latest one:
/// by a clock that has just jumped ahead, it is still a time of before.
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
    /// Notes the time; returns the end up to which answers, token requests and clients may be removed.
    pub(crate) fn advance(&mut self, now: UnixTime) -> UnixTime {
        self.settled = self.settled.min(now);
        if now < self.latest {
            self.latest = now;
        } else if now.since(self.latest) >= OnceKind::KEPT_AFTER_END {
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
        // It stays so: then this is the time.
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
