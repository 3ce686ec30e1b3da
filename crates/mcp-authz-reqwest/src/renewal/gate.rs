//! Waiting times between renewals: one gate for each kind, asked by every request.
//!
//! | what closes the gate | until | what opens it |
//! |---|---|---|
//! | a login that its server refused, the first in a row | not at all: the next one may register anew | |
//! | a renewal that failed | `Retry-After`, at most an hour, else 1 s, doubled to 5 min, or to 15 s where no server answered | the time; a login that the user asks for |
//! | the budget of windows is spent | the next window | the same |
//! | the user is away or said no | at least 30 s, as above | the same |
//! | a renewal whose tokens are not accepted yet, or need a refresh at once | 1 s, doubled to 5 min | the first answer that accepts tokens which last |
//!
//! The clock is monotonic: a wall clock that is set back prolongs no wait.

use core::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// Earliest time of the next renewal of one kind.
#[derive(Default)]
pub(super) struct Gate {
    until: Option<Instant>,
    delay: Duration,
    /// The failure that closed it; `None` after a renewal that has to prove its worth first.
    failure: Option<Error>,
}

impl Gate {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(5 * 60);
    /// Longest wait where no server answered: the network may be back at any moment.
    const LONGEST_UNREACHABLE: Duration = Duration::from_secs(15);
    /// Longest wait that a server may ask for.
    const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Returns the error of a renewal that comes too early.
    pub(super) fn refusal(&self, now: Instant) -> Option<Error> {
        (!self.is_open(now)).then(|| self.failure.clone().unwrap_or(Error::Unauthorized))
    }

    /// Returns the failure that holds it closed.
    pub(super) fn failure(&self, now: Instant) -> Option<&Error> {
        self.failure.as_ref().filter(|_| !self.is_open(now))
    }

    /// Closes it after a failure, for as long as was asked for and no shorter than the last time.
    pub(super) fn fail(&mut self, error: Error, asked: Option<Duration>, now: Instant) {
        let asked = asked.unwrap_or_default().min(Self::LONGEST_ASKED);
        self.close(asked, now);
        self.failure = Some(error);
    }

    /// Lets one more through after a failure, the first in a row, that the next attempt may mend; closes it after others.
    pub(super) fn fail_leniently(&mut self, error: Error, now: Instant) {
        if self.delay.is_zero() {
            self.delay = Self::SHORTEST / 2;
        } else {
            self.fail(error, None, now);
        }
    }

    /// Closes it until a time that is known, and counts nothing.
    pub(super) fn hold(&mut self, error: Error, wait: Duration, now: Instant) {
        self.until = now.checked_add(wait.min(Self::LONGEST_ASKED));
        self.failure = Some(error);
    }

    /// Shortens the wait where no server answered.
    pub(super) fn shorten(&mut self) {
        if self.delay > Self::LONGEST_UNREACHABLE {
            let excess = self.delay.saturating_sub(Self::LONGEST_UNREACHABLE);
            self.until = self.until.and_then(|until| until.checked_sub(excess));
            self.delay = Self::LONGEST_UNREACHABLE;
        }
    }

    /// Closes it after a success, until the tokens have proved their worth.
    pub(super) fn rest(&mut self, now: Instant) {
        self.close(Duration::ZERO, now);
        self.failure = None;
    }

    fn close(&mut self, at_least: Duration, now: Instant) {
        self.delay = self.delay.saturating_mul(2).clamp(Self::SHORTEST, Self::LONGEST);
        self.until = now.checked_add(self.delay.max(at_least));
    }

    /// Opens it, and forgets how often it was closed.
    pub(super) fn open(&mut self) {
        *self = Self::default();
    }

    /// Opens it once, unless a failure has closed it.
    pub(super) fn wake(&mut self) {
        if self.failure.is_none() {
            self.until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::monotonic;

    const SECOND: Duration = Duration::from_secs(1);

    /// SEC-243
    #[test]
    fn a_gate_closes_for_twice_as_long_each_time_up_to_five_minutes() {
        let (mut gate, mut now) = (Gate::default(), monotonic());
        assert!(gate.is_open(now));
        let mut waits = Vec::new();
        for _ in 0..12 {
            gate.fail(Error::Unauthorized, None, now);
            let until = gate.until.unwrap();
            assert!(gate.refusal(until - SECOND / 2).is_some() && gate.refusal(until).is_none());
            waits.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        gate.open();
        gate.fail(Error::Unauthorized, None, now);
        assert_eq!(gate.until, Some(now + SECOND));
    }

    /// SEC-243
    #[test]
    fn where_no_server_answers_the_wait_grows_to_a_quarter_of_a_minute() {
        let (mut gate, mut now) = (Gate::default(), monotonic());
        let mut waits = Vec::new();
        for _ in 0..7 {
            gate.fail(Error::Unauthorized, None, now);
            gate.shorten();
            let until = gate.until.unwrap();
            waits.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    }

    /// SEC-244
    #[test]
    fn a_spent_budget_holds_the_gate_until_the_next_window_and_counts_nothing() {
        let (mut gate, now) = (Gate::default(), monotonic());
        for _ in 0..9 {
            gate.hold(Error::Unauthorized, 40 * SECOND, now);
        }
        assert_eq!(gate.until, Some(now + 40 * SECOND));
        gate.fail(Error::Unauthorized, None, now);
        assert_eq!(gate.until, Some(now + SECOND));
    }

    /// SEC-243
    #[test]
    fn one_refused_login_leads_to_the_next_and_two_to_a_wait() {
        let (mut gate, now) = (Gate::default(), monotonic());
        gate.fail_leniently(Error::Unauthorized, now);
        assert!(gate.is_open(now));
        gate.fail_leniently(Error::Unauthorized, now);
        assert_eq!(gate.until, Some(now + SECOND));
    }

    /// SEC-243
    #[test]
    fn what_the_server_asks_for_is_waited_for_within_bounds() {
        for (asked, waits) in [(0, 1), (30, 30), (600, 600), (u64::MAX, 3600)] {
            let (mut gate, now) = (Gate::default(), monotonic());
            gate.fail(Error::Unauthorized, Some(Duration::from_secs(asked)), now);
            assert_eq!(gate.until, Some(now + Duration::from_secs(waits)));
        }
    }

    /// SEC-243
    #[test]
    fn a_rest_is_ended_by_a_refusal_and_a_failure_is_not() {
        let (mut gate, now) = (Gate::default(), monotonic());
        gate.rest(now);
        assert!(!gate.is_open(now));
        gate.wake();
        assert!(gate.is_open(now));
        gate.rest(now);
        assert_eq!(gate.until, Some(now + 2 * SECOND), "it is counted all the same");
        gate.fail(Error::Unauthorized, None, now);
        gate.wake();
        assert!(!gate.is_open(now));
    }
}
