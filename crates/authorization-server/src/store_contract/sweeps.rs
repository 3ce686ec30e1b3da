//! Contract tests for sweeps: the rows that one removes, and those that it must keep.

use client_auth::Replay;

use super::samples::{
    DAY, MINUTE, ONCE, access, after, client, client_id, code, consent, digest, family, family_id,
    operators, rotation,
};
use super::{Broken, MAX_CLIENTS, fits, same};
use crate::store::{CreateOutcome, OnceKind, RedeemOutcome, RotateOutcome, Store};
use oauth_types::UnixTime;

/// Sweeps until nothing is removed; returns the number of removed rows.
async fn sweep<S: Store>(store: &S, now: UnixTime) -> Result<usize, Broken> {
    let mut removed = 0;
    loop {
        let more = store.sweep(now, 3).await?;
        fits(&more, "at most three", |more| *more <= 3)?;
        removed += more;
        if more == 0 {
            return Ok(removed);
        }
    }
}

/// Sweeps until all rows are removed that had ended at this time.
///
/// Clients and replay keys need later sweeps, when the time is settled.
async fn sweep_all<S: Store>(store: &S, now: UnixTime) -> Result<usize, Broken> {
    let mut removed = 0;
    for steps in 0..3 {
        removed += sweep(store, now.saturating_add(OnceKind::KEPT_AFTER_END * steps)).await?;
    }
    Ok(removed)
}

/// Stores one row of each kind.
async fn stock<S: Store>(store: &S) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    store.insert_family(family(2)?, after(0)).await?;
    store.put_consent(consent(1)?).await?;
    store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(0)).await?;
    Ok(())
}

/// Checks that a sweep removes at most `max` rows and returns their number.
pub async fn a_sweep_removes_no_more_than_it_is_asked_to<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for number in 0..7 {
        store.put_consent(consent(number)?).await?;
    }
    let mut left = 7;
    for max in [0, 1, 2, 0, 3, 5, 5] {
        let removed = store.sweep(after(DAY), max).await?;
        fits(&removed, "no more than was asked for", |removed| *removed <= max)?;
        left -= removed;
        let mut found = 0;
        for number in 0..7 {
            found += usize::from(store.read_consent(&consent(number)?.key).await?.is_some());
        }
        same(found, left)?;
    }
    same(sweep(store, after(DAY)).await?, left)
}

/// Checks that sweeps remove expired rows of all kinds.
pub async fn sweeps_remove_all_that_has_expired<S: Store>(store: &S) -> Result<(), Broken> {
    stock(store).await?;
    let removed = sweep_all(store, after(30 * DAY)).await?;
    fits(&removed, "four rows and more", |removed| *removed >= 4)?;
    same(store.read_client(&client_id(1)).await?, None)?;
    same(store.read_code(&code(1)?.digest).await?, None)?;
    same(store.read_family(&family_id(2)).await?, None)?;
    same(store.read_consent(&consent(1)?.key).await?, None)?;
    let missing = store.redeem(&code(1)?.digest, family(3)?, after(0)).await?;
    same(missing, RedeemOutcome::Missing)?;
    same(store.rotate(rotation(2, 0, 9)?, after(0)).await?, RotateOutcome::Missing)?;
    same(sweep(store, after(0)).await?, 0)
}

/// Checks that a sweep a second before the expiry removes nothing.
pub async fn a_sweep_is_not_a_second_early<S: Store>(store: &S) -> Result<(), Broken> {
    stock(store).await?;
    same(sweep(store, after(MINUTE - 1)).await?, 0)?;
    same(store.read_code(&code(1)?.digest).await?, Some(code(1)?))?;
    let seen = store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(MINUTE - 1)).await?;
    same(seen, Replay::Seen)?;
    sweep(store, after(10 * MINUTE - 1)).await?;
    let known = store.access(&access(2)?.digest, after(10 * MINUTE - 1)).await?;
    fits(&known, "a token that lives", Option::is_some)?;
    sweep(store, after(DAY - 1)).await?;
    same(store.read_client(&client_id(1)).await?, Some(client(1)?))?;
    same(store.read_consent(&consent(1)?.key).await?, Some(consent(1)?))?;
    sweep(store, after(30 * DAY - 1)).await?;
    let family = store.read_family(&family_id(2)).await?;
    fits(&family, "the family", Option::is_some)
}

/// Checks that a used code is kept as long as its family, to detect reuse.
pub async fn a_sweep_leaves_what_recognizes_a_code_that_is_used_again<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    let mut refresh = rotation(1, 0, 2)?;
    refresh.idle_until = after(30 * DAY);
    store.rotate(refresh, after(9 * DAY)).await?;
    let last = after(30 * DAY - 1);
    sweep(store, last).await?;
    let again = store.redeem(&code(1)?.digest, family(3)?, last).await?;
    same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
    same(store.rotate(rotation(1, 1, 4)?, last).await?, RotateOutcome::Revoked)
}

/// Checks that reuse of earlier generations is detected until the family expires.
pub async fn a_sweep_leaves_what_recognizes_older_generations<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for generation in 0..3 {
        let mut refresh = rotation(1, generation, 2 + generation)?;
        refresh.idle_until = after(30 * DAY);
        store.rotate(refresh, after(1)).await?;
    }
    let last = after(30 * DAY - 1);
    sweep(store, last).await?;
    same(store.rotate(rotation(1, 1, 9)?, last).await?, RotateOutcome::Reused)?;
    same(store.rotate(rotation(1, 3, 9)?, last).await?, RotateOutcome::Revoked)
}

/// Checks that a revoked family stays revoked after a sweep.
pub async fn a_sweep_leaves_what_was_revoked_revoked<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    store.revoke_family(&family_id(1), after(1)).await?;
    sweep(store, after(9 * DAY)).await?;
    same(store.access(&access(1)?.digest, after(1)).await?, None)?;
    same(store.rotate(rotation(1, 0, 2)?, after(9 * DAY)).await?, RotateOutcome::Revoked)
}

/// Checks that an expired family is kept while an access token of it is valid.
pub async fn a_sweep_leaves_the_family_of_a_token_that_lives<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for number in [1, 2] {
        let mut old = family(number)?;
        (old.expires_at, old.idle_until) = (after(MINUTE), after(MINUTE));
        old.access.expires_at = after(number * MINUTE);
        store.insert_family(old, after(0)).await?;
    }
    same(store.rotate(rotation(1, 0, 3)?, after(MINUTE - 1)).await?, RotateOutcome::Rotated)?;
    for (number, second) in [(2, 2 * MINUTE - 1), (3, 10 * MINUTE - 1)] {
        sweep(store, after(second)).await?;
        let known = store.access(&access(number)?.digest, after(second)).await?;
        fits(&known, "a token that lives", Option::is_some)?;
    }
    sweep(store, after(10 * MINUTE)).await?;
    same(store.read_family(&family_id(1)).await?, None)?;
    same(store.read_family(&family_id(2)).await?, None)
}

/// Checks that sweeps remove only forgotten clients.
///
/// Clients that got a token stay until a month after their family, the operator's for good.
pub async fn a_sweep_removes_forgotten_clients_alone<S: Store>(store: &S) -> Result<(), Broken> {
    let operators = operators(1)?;
    store.create_client(operators.clone(), after(0)).await?;
    for number in [2, 3, 4] {
        store.create_client(client(number)?, after(0)).await?;
    }
    // A clock that just jumped removes no client.
    for now in [0, 365 * DAY, 0] {
        store.sweep(after(now), 100).await?;
    }
    same(store.read_client(&client_id(3)).await?, Some(client(3)?))?;
    store.insert_family(family(2)?, after(0)).await?;
    sweep_all(store, after(59 * DAY)).await?;
    same(store.read_client(&client_id(1)).await?, Some(operators.clone()))?;
    let kept = store.read_client(&client_id(2)).await?;
    fits(&kept, "the client that got a token", Option::is_some)?;
    for number in [3, 4] {
        same(store.read_client(&client_id(number)).await?, None)?;
    }
    sweep_all(store, after(60 * DAY)).await?;
    same(store.read_client(&client_id(1)).await?, Some(operators))?;
    same(store.read_client(&client_id(2)).await?, None)?;
    // The room of the removed clients is free.
    for number in 10..9 + MAX_CLIENTS as u64 {
        let outcome = store.create_client(self::operators(number)?, after(365 * DAY)).await?;
        same(outcome, CreateOutcome::Created)?;
    }
    let outcome = store.create_client(client(99)?, after(0)).await?;
    same(outcome, CreateOutcome::QuotaReached)
}
