//! Contract tests for refresh token rotation: one live generation, and detection of all earlier ones.

use core::time::Duration;

use super::samples::{DAY, access, after, family, family_id, rotation, stored};
use super::{Broken, fits, same};
use crate::store::{FamilyRecord, Generation, RotateOutcome, Store};

/// Reads family 1.
async fn record<S: Store>(store: &S) -> Result<Option<FamilyRecord>, Broken> {
    Ok(store.read_family(&family_id(1)).await?)
}

/// Checks that family 1 is revoked, and its access tokens with these numbers are invalid.
async fn is_over<S: Store>(store: &S, numbers: &[u64]) -> Result<(), Broken> {
    fits(&record(store).await?, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))?;
    for number in numbers {
        same(store.access(&access(*number)?.digest, after(1)).await?, None)?;
    }
    Ok(())
}

/// Checks that a rotation changes only generation, `rotated_at` and `idle_until`.
pub async fn a_rotation_moves_its_family_on_by_one<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    let mut refresh = rotation(1, 0, 2)?;
    refresh.idle_until = after(11 * DAY);
    same(store.rotate(refresh, after(DAY)).await?, RotateOutcome::Rotated)?;
    let moved = FamilyRecord {
        generation: Generation::new(1),
        rotated_at: after(DAY),
        idle_until: after(11 * DAY),
        ..stored(family(1)?, after(0))
    };
    same(record(store).await?, Some(moved))?;
    let known = store.access(&access(2)?.digest, after(1)).await?;
    same(known.map(|known| known.family), Some(family_id(1)))
}

/// Checks that 20 rotations with the live generation succeed in turn.
pub async fn generations_follow_each_other<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for generation in 0..20 {
        let outcome = store.rotate(rotation(1, generation, 2 + generation)?, after(1)).await?;
        same(outcome, RotateOutcome::Rotated)?;
        let now = record(store).await?.map(|family| family.generation.get());
        same(now, Some(generation + 1))?;
    }
    Ok(())
}

/// Checks that a replay within the grace window yields an access token and leaves the family as is.
pub async fn a_predecessor_within_the_grace_window_gets_the_successor_again<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    store.rotate(rotation(1, 0, 2)?, after(1)).await?;
    let before = record(store).await?;
    let mut again = rotation(1, 0, 3)?;
    again.idle_until = after(20 * DAY);
    same(store.rotate(again, after(5)).await?, RotateOutcome::GraceReplay)?;
    same(record(store).await?, before)?;
    for number in [1, 2, 3] {
        let known = store.access(&access(number)?.digest, after(5)).await?;
        fits(&known, "a token that lives", Option::is_some)?;
    }
    // The successor still rotates.
    same(store.rotate(rotation(1, 1, 4)?, after(6)).await?, RotateOutcome::Rotated)
}

/// Checks that a repeated rotation is a grace replay, so a retry is safe.
pub async fn a_rotation_that_is_repeated_is_a_replay<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    same(store.rotate(rotation(1, 0, 2)?, after(1)).await?, RotateOutcome::Rotated)?;
    for _ in 0..2 {
        same(store.rotate(rotation(1, 0, 2)?, after(1)).await?, RotateOutcome::GraceReplay)?;
    }
    same(record(store).await?.map(|family| family.generation.get()), Some(1))?;
    let known = store.access(&access(2)?.digest, after(1)).await?;
    fits(&known, "a token that lives", Option::is_some)
}

/// Checks that the grace window is counted from the rotation, not from a replay.
pub async fn replays_do_not_prolong_the_grace_window<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    store.rotate(rotation(1, 0, 2)?, after(0)).await?;
    for second in [0, 4, 9] {
        let replay = store.rotate(rotation(1, 0, 3 + second)?, after(second)).await?;
        same(replay, RotateOutcome::GraceReplay)?;
    }
    same(store.rotate(rotation(1, 0, 20)?, after(10)).await?, RotateOutcome::Reused)
}

/// Checks that the grace window is open while `now - rotated_at < grace`.
pub async fn the_grace_window_ends_at_its_second<S: Store>(store: &S) -> Result<(), Broken> {
    for (number, second, outcome) in
        [(1, 9, RotateOutcome::GraceReplay), (2, 10, RotateOutcome::Reused)]
    {
        store.insert_family(family(number)?, after(0)).await?;
        store.rotate(rotation(number, 0, number + 10)?, after(100)).await?;
        let again = rotation(number, 0, number + 20)?;
        same(store.rotate(again, after(100 + second)).await?, outcome)?;
    }
    Ok(())
}

/// Checks that a grace of zero is no window, even in the second of the rotation.
pub async fn without_a_grace_window_a_predecessor_ends_the_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for outcome in [RotateOutcome::Rotated, RotateOutcome::Reused, RotateOutcome::Revoked] {
        let mut refresh = rotation(1, 0, 2)?;
        refresh.grace = Duration::ZERO;
        same(store.rotate(refresh, after(1)).await?, outcome)?;
    }
    is_over(store, &[1, 2]).await
}

/// Checks that the grace window covers the direct predecessor only.
pub async fn an_older_generation_ends_the_family_within_the_grace_window_too<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for generation in [0, 1] {
        store.rotate(rotation(1, generation, 2 + generation)?, after(1)).await?;
    }
    same(store.rotate(rotation(1, 0, 9)?, after(1)).await?, RotateOutcome::Reused)?;
    is_over(store, &[1, 2, 3, 9]).await
}

/// Checks that reuse ends all tokens of the family, the attacker's and the client's.
pub async fn reuse_ends_every_token_of_the_family<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    store.insert_family(family(50)?, after(0)).await?;
    for generation in 0..5 {
        store.rotate(rotation(1, generation, 2 + generation)?, after(1)).await?;
    }
    same(store.rotate(rotation(1, 2, 9)?, after(2)).await?, RotateOutcome::Reused)?;
    is_over(store, &[1, 2, 3, 4, 5, 6, 9]).await?;
    for generation in [2, 4, 5] {
        let refused = store.rotate(rotation(1, generation, 9)?, after(2)).await?;
        same(refused, RotateOutcome::Revoked)?;
    }
    same(store.rotate(rotation(50, 0, 51)?, after(2)).await?, RotateOutcome::Rotated)
}

/// Checks that a generation ahead of the store ends the family.
///
/// Such a token was issued before the store was restored from an older copy. Changes after that copy are unknown, so
/// the grant ends.
pub async fn a_generation_that_never_was_ends_the_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, generation) in
        [(1, 1), (2, 7), (3, u64::MAX >> 1), (4, u64::MAX - 1), (5, u64::MAX)]
    {
        store.insert_family(family(number)?, after(0)).await?;
        let outcome = store.rotate(rotation(number, generation, 10 + number)?, after(1)).await?;
        same(outcome, RotateOutcome::Reused)?;
        same(store.access(&access(number)?.digest, after(1)).await?, None)?;
    }
    Ok(())
}

/// Checks that a revoked family does not rotate with any generation.
pub async fn a_revoked_family_does_not_rotate<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    store.rotate(rotation(1, 0, 2)?, after(0)).await?;
    store.revoke_family(&family_id(1), after(0)).await?;
    for generation in [0, 1] {
        let refused = store.rotate(rotation(1, generation, 3)?, after(1)).await?;
        same(refused, RotateOutcome::Revoked)?;
    }
    same(record(store).await?.map(|family| family.generation.get()), Some(1))?;
    is_over(store, &[1, 2, 3]).await
}

/// Checks that a family expires at the `idle_until` of its last rotation.
pub async fn a_family_that_is_not_used_expires_at_its_second<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, late, outcome) in [(1, 0, RotateOutcome::Expired), (2, 1, RotateOutcome::Rotated)]
    {
        store.insert_family(family(number)?, after(0)).await?;
        let mut refresh = rotation(number, 0, number + 10)?;
        refresh.idle_until = after(12 * DAY);
        same(store.rotate(refresh, after(10 * DAY - 1)).await?, RotateOutcome::Rotated)?;
        let refresh = rotation(number, 1, number + 20)?;
        same(store.rotate(refresh, after(12 * DAY - late)).await?, outcome)?;
    }
    Ok(())
}

/// Checks that rotations do not extend a family beyond its expiry.
pub async fn a_family_expires_at_its_last_second_however_often_it_is_used<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for (generation, second, outcome) in [
        (0, 9 * DAY, RotateOutcome::Rotated),
        (1, 30 * DAY - 1, RotateOutcome::Rotated),
        (2, 30 * DAY, RotateOutcome::Expired),
    ] {
        let mut refresh = rotation(1, generation, 2 + generation)?;
        refresh.idle_until = after(60 * DAY);
        same(store.rotate(refresh, after(second)).await?, outcome)?;
    }
    same(record(store).await?.map(|family| family.generation.get()), Some(2))
}

/// Checks that a missing family does not rotate and is not created.
pub async fn a_missing_family_does_not_rotate<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(2)?, after(0)).await?;
    same(store.rotate(rotation(1, 0, 9)?, after(0)).await?, RotateOutcome::Missing)?;
    same(record(store).await?, None)
}

/// Checks that a missing, expired, revoked or reused family gets no access token.
pub async fn a_refused_rotation_stores_no_token<S: Store>(store: &S) -> Result<(), Broken> {
    for number in [2, 3, 4] {
        store.insert_family(family(number)?, after(0)).await?;
    }
    store.revoke_family(&family_id(3), after(0)).await?;
    for (number, generation, second, outcome) in [
        (1, 0, 0, RotateOutcome::Missing),
        (2, 0, 10 * DAY, RotateOutcome::Expired),
        (3, 0, 0, RotateOutcome::Revoked),
        (4, 1, 0, RotateOutcome::Reused),
    ] {
        let mut refresh = rotation(number, generation, 10 + number)?;
        refresh.access.expires_at = after(60 * DAY);
        same(store.rotate(refresh, after(second)).await?, outcome)?;
        same(store.access(&access(10 + number)?.digest, after(second)).await?, None)?;
    }
    // A family created later does not own such a token.
    store.insert_family(family(1)?, after(0)).await?;
    same(store.access(&access(11)?.digest, after(0)).await?, None)
}

/// Checks that a replay dated before the rotation counts as within the grace window.
pub async fn a_clock_that_is_set_back_takes_no_one_for_a_thief<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(500)).await?;
    same(store.rotate(rotation(1, 0, 2)?, after(500)).await?, RotateOutcome::Rotated)?;
    same(store.rotate(rotation(1, 0, 3)?, after(100)).await?, RotateOutcome::GraceReplay)?;
    same(store.rotate(rotation(1, 1, 4)?, after(100)).await?, RotateOutcome::Rotated)?;
    same(store.rotate(rotation(1, 1, 5)?, after(105)).await?, RotateOutcome::GraceReplay)?;
    same(store.rotate(rotation(1, 1, 6)?, after(110)).await?, RotateOutcome::Reused)
}
