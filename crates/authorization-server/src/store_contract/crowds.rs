//! Contract tests for concurrent operations: of many, exactly one succeeds.

use client_auth::Replay;
use core::time::Duration;
use futures::future::{join, join_all};

use super::samples::{
    MINUTE, ONCE, access, after, client, client_id, code, digest, family, family_id, operators,
    rotation,
};
use super::{Broken, MAX_CLIENTS, fits, same};
use crate::store::{ClientRecord, CreateOutcome, RedeemOutcome, RotateOutcome, Store, StoreError};

const CROWD: u64 = 64;
/// Number of rounds of each concurrent case.
const ROUNDS: u64 = 20;

/// Returns the numbers of one round, distinct from those of other rounds.
fn crowd(round: u64) -> core::ops::Range<u64> {
    1000 + round * CROWD..1000 + (round + 1) * CROWD
}

/// Counts the operations with this outcome.
fn count<T: PartialEq + Copy>(
    outcomes: &[Result<T, StoreError>],
    outcome: T,
) -> Result<usize, Broken> {
    let mut count = 0;
    for own in outcomes {
        count += usize::from((*own)? == outcome);
    }
    Ok(count)
}

/// Checks that of 64 concurrent redemptions one succeeds, and the others revoke its family.
pub async fn of_64_redemptions_one_wins<S: Store>(store: &S) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let code = code(round)?;
        store.insert_code(code.clone()).await?;
        let mut families = Vec::new();
        for number in crowd(round) {
            families.push(family(number)?);
        }
        let redeem = |family| store.redeem(&code.digest, family, after(0));
        let outcomes = join_all(families.into_iter().map(redeem)).await;
        same(count(&outcomes, RedeemOutcome::Redeemed)?, 1)?;
        let used = store.read_code(&code.digest).await?.and_then(|code| code.redeemed);
        let Some(winner) = used else { return same(used, Some(family_id(0))) };
        let met = count(&outcomes, RedeemOutcome::AlreadyUsed(winner))?;
        same(met, outcomes.len() - 1)?;
        for number in crowd(round) {
            let stored = store.read_family(&family_id(number)).await?;
            fits(&stored, "the winner's family alone, revoked", |stored| match stored {
                Some(stored) => family_id(number) == winner && stored.revoked,
                None => family_id(number) != winner,
            })?;
            same(store.access(&access(number)?.digest, after(0)).await?, None)?;
        }
    }
    Ok(())
}

/// Rotates family `round` with its first refresh token, many times concurrently.
async fn rotate<S: Store>(
    store: &S,
    round: u64,
    grace: u64,
) -> Result<Vec<Result<RotateOutcome, StoreError>>, Broken> {
    store.insert_family(family(round)?, after(0)).await?;
    let mut rotations = Vec::new();
    for number in crowd(round) {
        let mut rotation = rotation(round, 0, number)?;
        rotation.grace = Duration::from_secs(grace);
        rotations.push(rotation);
    }
    Ok(join_all(rotations.into_iter().map(|rotation| store.rotate(rotation, after(1)))).await)
}

/// Checks that without grace one of 64 rotations succeeds, and the next revokes the family.
pub async fn of_64_rotations_without_grace_one_wins<S: Store>(store: &S) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let outcomes = rotate(store, round, 0).await?;
        same(count(&outcomes, RotateOutcome::Rotated)?, 1)?;
        same(count(&outcomes, RotateOutcome::Reused)?, 1)?;
        same(count(&outcomes, RotateOutcome::Revoked)?, outcomes.len() - 2)?;
        let family = store.read_family(&family_id(round)).await?;
        same(family.map(|it| (it.generation.get(), it.revoked)), Some((1, true)))?;
        for number in crowd(round) {
            same(store.access(&access(number)?.digest, after(1)).await?, None)?;
        }
    }
    Ok(())
}

/// Checks that within the grace window one rotates, and all others are grace replays.
pub async fn of_64_rotations_within_the_grace_window_one_rotates<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let outcomes = rotate(store, round, 10).await?;
        same(count(&outcomes, RotateOutcome::Rotated)?, 1)?;
        same(count(&outcomes, RotateOutcome::GraceReplay)?, outcomes.len() - 1)?;
        let family = store.read_family(&family_id(round)).await?;
        same(family.map(|it| (it.generation.get(), it.revoked)), Some((1, false)))?;
        for number in crowd(round) {
            let known = store.access(&access(number)?.digest, after(1)).await?;
            fits(&known, "a token that lives", Option::is_some)?;
        }
    }
    Ok(())
}

/// Checks that of 64 concurrent uses of a replay key one is fresh.
pub async fn of_64_sights_of_a_key_one_is_fresh<S: Store>(store: &S) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let key = digest("key", round);
        let put = |_| store.put_once(ONCE, &key, after(MINUTE), after(0));
        let outcomes = join_all(crowd(round).map(put)).await;
        same(count(&outcomes, Replay::Fresh)?, 1)?;
    }
    Ok(())
}

/// Checks that of 64 clients with one identifier one is created, and that one is stored.
pub async fn of_64_clients_of_one_name_one_is_created<S: Store>(store: &S) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let mut clients = Vec::new();
        for number in crowd(round) {
            let mut own = client(number)?;
            own.client_id = client_id(round);
            clients.push(own);
        }
        let create = |own: &ClientRecord| store.create_client(own.clone(), after(0));
        let outcomes = join_all(clients.iter().map(create)).await;
        same(count(&outcomes, CreateOutcome::Created)?, 1)?;
        same(count(&outcomes, CreateOutcome::Duplicate)?, outcomes.len() - 1)?;
        let first = outcomes.iter().position(|own| *own == Ok(CreateOutcome::Created));
        let winner = first.and_then(|at| clients.get(at)).cloned();
        same(store.read_client(&client_id(round)).await?, winner)?;
        store.delete_client(&client_id(round), after(0)).await?;
    }
    Ok(())
}

/// Checks that concurrent registrations never exceed the quota.
pub async fn of_64_clients_as_many_are_created_as_there_is_room_for<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let mut clients = Vec::new();
    for number in crowd(0) {
        clients.push(operators(number)?);
    }
    let create = |own: ClientRecord| store.create_client(own, after(0));
    let outcomes = join_all(clients.into_iter().map(create)).await;
    same(count(&outcomes, CreateOutcome::Created)?, MAX_CLIENTS)?;
    same(count(&outcomes, CreateOutcome::QuotaReached)?, outcomes.len() - MAX_CLIENTS)?;
    for (number, outcome) in crowd(0).zip(outcomes) {
        let stored = store.read_client(&client_id(number)).await?;
        fits(&stored, "those that were created", |stored| {
            stored.is_some() == (outcome == Ok(CreateOutcome::Created))
        })?;
    }
    Ok(())
}

/// Checks that concurrent rotations of different families all succeed.
pub async fn of_64_families_each_rotates_for_itself<S: Store>(store: &S) -> Result<(), Broken> {
    for number in crowd(0) {
        store.insert_family(family(number)?, after(0)).await?;
    }
    for generation in 0..ROUNDS {
        let mut rotations = Vec::new();
        for number in crowd(0) {
            rotations.push(rotation(number, generation, number * 100 + generation)?);
        }
        let rotate = |rotation| store.rotate(rotation, after(1));
        let outcomes = join_all(rotations.into_iter().map(rotate)).await;
        same(count(&outcomes, RotateOutcome::Rotated)?, outcomes.len())?;
    }
    Ok(())
}

/// Checks that a family revoked during concurrent rotations has no valid token left.
pub async fn a_family_that_is_revoked_in_a_crowd_has_no_token_left<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for round in 0..ROUNDS {
        let id = family_id(round);
        store.insert_family(family(round)?, after(0)).await?;
        let mut rotations = Vec::new();
        for number in crowd(round) {
            rotations.push(rotation(round, 0, number)?);
        }
        let late = rotations.split_off(32);
        let rotate = |rotation| store.rotate(rotation, after(1));
        let (early, late) = (rotations.into_iter().map(rotate), late.into_iter().map(rotate));
        let revoke = store.revoke_family(&id, after(1));
        let (_, (revoked, _)) = join(join_all(early), join(revoke, join_all(late))).await;
        revoked?;
        let family = store.read_family(&id).await?;
        fits(&family, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))?;
        for number in crowd(round) {
            same(store.access(&access(number)?.digest, after(1)).await?, None)?;
        }
    }
    Ok(())
}
