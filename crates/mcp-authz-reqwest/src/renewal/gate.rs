//! Waiting times between renewals: one gate for each kind, asked by every request.
//!
//! | event | gate is closed | opened early by |
//! |---|---|---|
//! | first refusal of a login in a row | not at all: the next login may register anew | |
//! | failed renewal | `Retry-After` up to 1 h; else 1 s, doubled up to 5 min | a login that the user asks for |
//! | failed renewal, no server answered | the same, doubled up to 15 s | the same |
//! | budget of windows spent | until the next window | the same |
//! | user declined or did not return | as a failed renewal, at least 30 s | the same |
//! | new tokens: unproven, or about to expire | 1 s, doubled up to 5 min | the first accepted token that lasts |
//!
//! The clock is monotonic, so that a wall clock that is set back prolongs no wait.

use core::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// Earliest time of the next renewal of one kind.
#[derive(Default)]
pub(super) struct Gate {
    until: Option<Instant>,
    delay: Duration,
    /// Failure that closed the gate; `None` after a success that is not proven yet.
    failure: Option<Error>,
}

impl Gate {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(5 * 60);
    /// Longest wait where no server answered.
    ///
    /// It is short, because the network may be back at any moment.
    const LONGEST_UNREACHABLE: Duration = Duration::from_secs(15);
    /// Longest wait that a server may request with `Retry-After`.
    const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Returns the error for a renewal that comes too early.
    pub(super) fn refusal(&self, now: Instant) -> Option<Error> {
        (!self.is_open(now)).then(|| self.failure.clone().unwrap_or(Error::Unauthorized))
    }

    /// Returns the failure that keeps the gate closed.
    pub(super) fn failure(&self, now: Instant) -> Option<&Error> {
        self.failure.as_ref().filter(|_| !self.is_open(now))
    }

    /// Closes the gate after a failure.
    ///
    /// The wait is the longer one of the requested wait and twice the previous delay.
    pub(super) fn fail(&mut self, error: Error, asked: Option<Duration>, now: Instant) {
        let asked = asked.unwrap_or_default().min(Self::LONGEST_ASKED);
        self.close(asked, now);
        self.failure = Some(error);
    }

    /// Records a failure that the next attempt may mend.
    ///
    /// The first one in a row leaves the gate open; later ones close it.
    pub(super) fn fail_leniently(&mut self, error: Error, now: Instant) {
        if self.delay.is_zero() {
            self.delay = Self::SHORTEST / 2;
        } else {
            self.fail(error, None, now);
        }
    }

    /// Closes the gate for a known time, without doubling the delay.
    pub(super) fn hold(&mut self, error: Error, wait: Duration, now: Instant) {
        self.until = now.checked_add(wait.min(Self::LONGEST_ASKED));
        self.failure = Some(error);
    }

    /// Shortens the wait to [`LONGEST_UNREACHABLE`](Self::LONGEST_UNREACHABLE).
    pub(super) fn shorten(&mut self) {
        if self.delay > Self::LONGEST_UNREACHABLE {
            let excess = self.delay.saturating_sub(Self::LONGEST_UNREACHABLE);
            self.until = self.until.and_then(|until| until.checked_sub(excess));
            self.delay = Self::LONGEST_UNREACHABLE;
        }
    }

    /// Closes the gate after a success, until the server has accepted the tokens.
    pub(super) fn rest(&mut self, now: Instant) {
        self.close(Duration::ZERO, now);
        self.failure = None;
    }

    fn close(&mut self, at_least: Duration, now: Instant) {
        self.delay = self.delay.saturating_mul(2).clamp(Self::SHORTEST, Self::LONGEST);
        self.until = now.checked_add(self.delay.max(at_least));
    }

    /// Opens the gate and resets its delay.
    pub(super) fn open(&mut self) {
        *self = Self::default();
    }

    /// Opens the gate without resetting its delay, unless a failure has closed it.
    pub(super) fn wake(&mut self) {
        if self.failure.is_none() {
            self.until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

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
    fn without_an_answer_the_wait_grows_to_a_quarter_of_a_minute() {
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

    /// SEC-244: it counts nothing meanwhile.
    #[test]
    fn a_spent_budget_closes_the_gate_until_the_next_window() {
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
