//! Contract tests across restarts, for durable stores.

use client_auth::Replay;

use super::samples::{
    MINUTE, ONCE, access, after, client, client_id, code, consent, digest, family, family_id,
    rotation, stored,
};
use super::{Broken, fits, same};
use crate::store::{RedeemOutcome, RotateOutcome, Store};

/// Checks that each kind of row is read back after a restart.
pub async fn all_is_there_after_a_restart<S: Store>(
    store: S,
    reopen: impl AsyncFnOnce(S) -> S,
) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    store.insert_family(family(2)?, after(0)).await?;
    store.put_consent(consent(1)?).await?;
    let store = reopen(store).await;
    same(store.read_client(&client_id(1)).await?, Some(client(1)?))?;
    same(store.read_code(&code(1)?.digest).await?, Some(code(1)?))?;
    same(store.read_family(&family_id(2)).await?, Some(stored(family(2)?, after(0))))?;
    same(store.read_consent(&consent(1)?.key).await?, Some(consent(1)?))?;
    let known = store.access(&access(2)?.digest, after(1)).await?;
    fits(&known, "a token that lives", Option::is_some)?;
    // Operations continue on the reopened store.
    let outcome = store.redeem(&code(1)?.digest, family(1)?, after(1)).await?;
    same(outcome, RedeemOutcome::Redeemed)?;
    same(store.rotate(rotation(2, 0, 3)?, after(1)).await?, RotateOutcome::Rotated)
}

/// Checks that used codes, old generations, revocations, deletions and replay keys persist.
pub async fn what_is_over_stays_over_after_a_restart<S: Store>(
    store: S,
    reopen: impl AsyncFnOnce(S) -> S,
) -> Result<(), Broken> {
    store.create_client(client(5)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    for number in [2, 3] {
        store.insert_family(family(number)?, after(0)).await?;
    }
    for generation in [0, 1] {
        store.rotate(rotation(2, generation, 10 + generation)?, after(0)).await?;
    }
    store.revoke_family(&family_id(3), after(0)).await?;
    store.delete_client(&client_id(5), after(0)).await?;
    store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(0)).await?;
    let store = reopen(store).await;
    let again = store.redeem(&code(1)?.digest, family(4)?, after(1)).await?;
    same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
    same(store.rotate(rotation(2, 1, 20)?, after(1)).await?, RotateOutcome::GraceReplay)?;
    same(store.rotate(rotation(2, 0, 21)?, after(1)).await?, RotateOutcome::Reused)?;
    same(store.access(&access(3)?.digest, after(1)).await?, None)?;
    same(store.rotate(rotation(3, 0, 22)?, after(1)).await?, RotateOutcome::Revoked)?;
    same(store.read_client(&client_id(5)).await?, None)?;
    same(store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(1)).await?, Replay::Seen)
}

/// Checks that the last answer before a restart is durable, for each kind of change.
///
/// A store that answers before the change is durable loses it, as an asynchronous replica does.
pub async fn the_last_answer_before_a_restart_holds<S: Store>(
    store: S,
    reopen: impl AsyncFn(S) -> S,
) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    let store = reopen(store).await;
    let known = store.access(&access(1)?.digest, after(0)).await?;
    fits(&known, "a token that lives", Option::is_some)?;
    let again = store.redeem(&code(1)?.digest, family(9)?, after(0)).await?;
    same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
    let store = reopen(store).await;
    same(store.rotate(rotation(1, 0, 8)?, after(0)).await?, RotateOutcome::Revoked)?;
    store.insert_family(family(2)?, after(0)).await?;
    store.rotate(rotation(2, 0, 3)?, after(0)).await?;
    let store = reopen(store).await;
    same(store.rotate(rotation(2, 0, 4)?, after(0)).await?, RotateOutcome::GraceReplay)?;
    store.revoke_family(&family_id(2), after(0)).await?;
    let store = reopen(store).await;
    same(store.access(&access(3)?.digest, after(0)).await?, None)?;
    store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(0)).await?;
    let store = reopen(store).await;
    same(store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(0)).await?, Replay::Seen)?;
    store.sweep(after(MINUTE), 100).await?;
    let store = reopen(store).await;
    same(store.put_once(ONCE, &digest("key", 1), after(MINUTE), after(0)).await?, Replay::Seen)
}
