//! Contract tests with clocks that jump ahead, back by an hour, and back to 1970: used values stay used.

use client_auth::Replay;
use oauth_types::UnixTime;

use super::once::KINDS;
use super::samples::{
    DAY, HOUR, MINUTE, NOW, access, after, code, digest, family, family_id, rotation,
};
use super::{Broken, fits, same};
use crate::store::{OnceKind, RedeemOutcome, RotateOutcome, Store};

const AHEAD: u64 = 10 * 365 * DAY;

/// Times that a jumping clock may show next.
fn jumps() -> [UnixTime; 6] {
    let back = UnixTime::from_secs(NOW - 60 * MINUTE);
    let (first, last) = (UnixTime::from_secs(0), UnixTime::from_secs(u64::MAX));
    [after(1), after(AHEAD), last, back, first, after(1)]
}

/// Checks that a used code is refused at any time of the clock.
pub async fn whatever_the_clock_says_a_used_code_is_used<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    let redeemed = store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    same(redeemed, RedeemOutcome::Redeemed)?;
    for now in jumps() {
        let again = store.redeem(&code(1)?.digest, family(2)?, now).await?;
        same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
        same(store.access(&access(1)?.digest, now).await?, None)?;
        same(store.read_family(&family_id(2)).await?, None)?;
    }
    Ok(())
}

/// Checks that a revoked family, or one ended by reuse, stays revoked at any time.
pub async fn whatever_the_clock_says_a_revoked_family_is_over<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for number in [1, 2] {
        store.insert_family(family(number)?, after(0)).await?;
    }
    store.revoke_family(&family_id(1), after(0)).await?;
    for generation in [0, 1] {
        store.rotate(rotation(2, generation, 10 + generation)?, after(0)).await?;
    }
    same(store.rotate(rotation(2, 0, 20)?, after(0)).await?, RotateOutcome::Reused)?;
    for now in jumps() {
        for (number, generation) in [(1, 0), (2, 2)] {
            let outcome = store.rotate(rotation(number, generation, 30)?, now).await?;
            same(outcome, RotateOutcome::Revoked)?;
            same(store.access(&access(number)?.digest, now).await?, None)?;
        }
        same(store.access(&access(30)?.digest, now).await?, None)?;
    }
    Ok(())
}

/// Checks that a forgotten replay key does not become fresh when the clock goes back.
///
/// Neither does another key that would have been forgotten with it.
pub async fn what_a_clock_that_ran_ahead_forgot_is_seen<S: Store>(store: &S) -> Result<(), Broken> {
    let put = async |number: u64, until: u64, now: u64| {
        let kind = OnceKind::ResourceRequest;
        store.put_once(kind, &digest("key", number), after(until), after(now)).await
    };
    for (number, until) in [(1, 5 * MINUTE), (2, 2 * MINUTE), (3, 9 * MINUTE)] {
        same(put(number, until, 0).await?, Replay::Fresh)?;
    }
    // No sweep has run yet: a key that is presented again with another end is kept to the later one.
    same(put(1, MINUTE, 6 * MINUTE).await?, Replay::Fresh)?;
    same(put(1, 5 * MINUTE, 4 * MINUTE).await?, Replay::Seen)?;
    // Sweeps one key at a time, in any order.
    while store.sweep(after(6 * MINUTE), 1).await? > 0 {}
    for number in [1, 2, 4] {
        for until in [2 * MINUTE, 5 * MINUTE] {
            same(put(number, until, 0).await?, Replay::Seen)?;
        }
    }
    same(put(3, 9 * MINUTE, 0).await?, Replay::Seen)?;
    same(put(5, 5 * MINUTE + 1, 0).await?, Replay::Fresh)?;
    same(put(5, 5 * MINUTE + 1, 1).await?, Replay::Seen)
}

/// Checks that an hour with a wrong clock blocks no new keys and forgets no used ones (SEC-230).
pub async fn a_clock_that_ran_ahead_for_an_hour_stops_nobody<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let kinds = [OnceKind::Answer, OnceKind::TokenRequest];
    for (round, ahead) in (0..).zip([HOUR, 3 * HOUR, DAY, AHEAD]) {
        let (begin, first) = (round * DAY, round * 100);
        let put = async |kind, number: u64, until: u64, now: u64| {
            let (until, now) = (after(begin + until), after(begin + now));
            store.put_once(kind, &digest("key", number), until, now).await
        };
        while store.sweep(after(begin), 100).await? > 0 {}
        for (kind, number) in kinds.into_iter().zip(first..) {
            same(put(kind, number, 10 * MINUTE, 0).await?, Replay::Fresh)?;
        }
        // Logins and sweeps continue during that hour.
        for minute in (0..=60).step_by(10) {
            let now = ahead + minute * MINUTE;
            for (kind, number) in kinds.into_iter().zip(first + 10 + minute..) {
                same(put(kind, number, now + 10 * MINUTE, now).await?, Replay::Fresh)?;
            }
            while store.sweep(after(begin + now), 100).await? > 0 {}
        }
        // The clock is right again, at once or after the hour.
        for (kind, number) in kinds.into_iter().zip(first..) {
            same(put(kind, number, 10 * MINUTE, 1).await?, Replay::Seen)?;
            same(put(kind, number + 80, 11 * MINUTE, 1).await?, Replay::Fresh)?;
            same(put(kind, number + 90, HOUR + 10 * MINUTE, HOUR).await?, Replay::Fresh)?;
            for minute in (0..=60).step_by(10) {
                let (number, end) = (number + 10 + minute, ahead + (minute + 10) * MINUTE);
                for now in [HOUR, end - 1] {
                    same(put(kind, number, end, now).await?, Replay::Seen)?;
                }
            }
        }
        while store.sweep(after(begin + HOUR), 100).await? > 0 {}
    }
    Ok(())
}

/// Checks that keys of resource requests are forgotten at their end, and other kinds are not.
pub async fn each_kind_of_key_is_forgotten_for_itself<S: Store>(store: &S) -> Result<(), Broken> {
    for (kind, number) in KINDS.into_iter().zip(1..) {
        let key = digest("key", number);
        same(store.put_once(kind, &key, after(AHEAD), after(0)).await?, Replay::Fresh)?;
    }
    while store.sweep(after(AHEAD), 1).await? > 0 {}
    for (kind, number) in KINDS.into_iter().zip(1..) {
        let outcome = store.put_once(kind, &digest("key", number), after(AHEAD), after(1)).await?;
        same(outcome, Replay::Seen)?;
        let is_stopped = kind == OnceKind::ResourceRequest;
        let expected = if is_stopped { Replay::Seen } else { Replay::Fresh };
        let new = digest("new", number);
        same(store.put_once(kind, &new, after(MINUTE), after(1)).await?, expected)?;
    }
    Ok(())
}

/// Checks that old keys are forgotten, and token requests as old as those are refused.
///
/// A clock that was ahead for that long could have accepted such a request before.
pub async fn a_key_that_is_long_over_is_forgotten<S: Store>(store: &S) -> Result<(), Broken> {
    let kinds = [OnceKind::Answer, OnceKind::TokenRequest];
    for (kind, number) in kinds.into_iter().zip(1..) {
        let key = digest("key", number);
        same(store.put_once(kind, &key, after(MINUTE), after(0)).await?, Replay::Fresh)?;
    }
    let mut removed = 0;
    for hour in 0..=6 {
        removed += store.sweep(after(hour * HOUR), 100).await?;
        fits(&(hour, removed), "two hours at least", |(hour, removed)| {
            *removed == 0 || *hour >= 2
        })?;
    }
    same(removed, 2)?;
    for (kind, expected) in kinds.into_iter().zip([Replay::Fresh, Replay::Seen]) {
        let key = digest("new", u64::from(kind.number()));
        same(store.put_once(kind, &key, after(MINUTE), after(0)).await?, expected)?;
    }
    Ok(())
}

/// Checks that swept codes, families and tokens stay gone when the clock goes back.
pub async fn what_a_sweep_took_does_not_come_back_with_the_clock<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for number in [1, 2] {
        store.insert_code(code(number)?).await?;
    }
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    fits(&store.sweep(after(AHEAD), 100).await?, "four rows and more", |removed| *removed >= 4)?;
    for now in jumps() {
        for number in [1, 2] {
            let redeemed = store.redeem(&code(number)?.digest, family(3)?, now).await?;
            same(redeemed, RedeemOutcome::Missing)?;
        }
        same(store.access(&access(1)?.digest, now).await?, None)?;
        same(store.rotate(rotation(1, 0, 4)?, now).await?, RotateOutcome::Missing)?;
    }
    Ok(())
}

/// Checks that a rotation at the latest time succeeds, without an overflow.
pub async fn a_family_that_rotates_at_the_end_of_time_rotates<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let last = UnixTime::from_secs(u64::MAX);
    let mut endless = family(1)?;
    (endless.expires_at, endless.idle_until, endless.access.expires_at) = (last, last, last);
    store.insert_family(endless, after(0)).await?;
    let end = UnixTime::from_secs(u64::MAX / 4);
    for (generation, now) in [(0, end), (1, UnixTime::from_secs(0)), (2, after(1))] {
        let mut next = rotation(1, generation, 2 + generation)?;
        (next.idle_until, next.access.expires_at) = (last, last);
        same(store.rotate(next.clone(), now).await?, RotateOutcome::Rotated)?;
        same(store.rotate(next, now).await?, RotateOutcome::GraceReplay)?;
    }
    let known = store.access(&access(4)?.digest, end).await?;
    fits(&known, "a token that lives", Option::is_some)
}
