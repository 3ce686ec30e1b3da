//! Contract tests for the deletion of a client and its grants.

use super::samples::{
    MINUTE, access, after, client, client_id, code, consent, family, family_id, operators, rotation,
};
use super::{Broken, MAX_CLIENTS, fits, same};
use crate::store::{CreateOutcome, RedeemOutcome, RotateOutcome, Store};

/// Stores a client with a code, a family with an access token, and a consent under this number.
async fn stock<S: Store>(store: &S, number: u64) -> Result<(), Broken> {
    store.create_client(client(number)?, after(0)).await?;
    stock_without_row(store, number).await
}

async fn stock_without_row<S: Store>(store: &S, number: u64) -> Result<(), Broken> {
    store.insert_code(code(number)?).await?;
    store.insert_family(family(number)?, after(0)).await?;
    store.put_consent(consent(number)?).await?;
    Ok(())
}

/// Checks that the code, consent, family and token of this number have ended.
async fn is_over<S: Store>(store: &S, number: u64) -> Result<(), Broken> {
    same(store.read_code(&code(number)?.digest).await?, None)?;
    let redeemed = store.redeem(&code(number)?.digest, family(number + 50)?, after(1)).await?;
    same(redeemed, RedeemOutcome::Missing)?;
    same(store.read_consent(&consent(number)?.key).await?, None)?;
    same(store.access(&access(number)?.digest, after(1)).await?, None)?;
    let family = store.read_family(&family_id(number)).await?;
    fits(&family, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))?;
    let rotated = store.rotate(rotation(number, 0, number + 50)?, after(1)).await?;
    same(rotated, RotateOutcome::Revoked)
}

/// Checks that the code, consent, family and token of this number work.
async fn is_alive<S: Store>(store: &S, number: u64) -> Result<(), Broken> {
    same(store.read_code(&code(number)?.digest).await?, Some(code(number)?))?;
    same(store.read_consent(&consent(number)?.key).await?, Some(consent(number)?))?;
    let known = store.access(&access(number)?.digest, after(1)).await?;
    fits(&known, "a token that lives", Option::is_some)?;
    let rotated = store.rotate(rotation(number, 0, number + 50)?, after(1)).await?;
    same(rotated, RotateOutcome::Rotated)
}

/// Checks that deletion ends the client's row, codes, consents and all families.
pub async fn a_deleted_client_is_gone_with_all_that_it_had<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    stock(store, 1).await?;
    let mut second = family(2)?;
    second.client_id = client_id(1);
    store.insert_family(second, after(0)).await?;
    store.delete_client(&client_id(1), after(1)).await?;
    same(store.read_client(&client_id(1)).await?, None)?;
    is_over(store, 1).await?;
    same(store.access(&access(2)?.digest, after(1)).await?, None)
}

/// Checks that deletion leaves other clients unchanged.
pub async fn a_deleted_client_takes_nothing_of_others_with_it<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    stock(store, 1).await?;
    stock(store, 2).await?;
    store.delete_client(&client_id(1), after(1)).await?;
    let other = store.read_client(&client_id(2)).await?;
    fits(&other, "the other client", Option::is_some)?;
    is_alive(store, 2).await
}

/// Checks that deletion ends the grants of a client known by a document, without a row.
pub async fn what_a_client_without_a_row_has_ends_too<S: Store>(store: &S) -> Result<(), Broken> {
    stock_without_row(store, 1).await?;
    store.delete_client(&client_id(1), after(1)).await?;
    is_over(store, 1).await
}

/// Checks that deleting an unknown client succeeds and changes nothing.
pub async fn deleting_nobody_changes_nothing<S: Store>(store: &S) -> Result<(), Broken> {
    stock(store, 1).await?;
    store.delete_client(&client_id(2), after(1)).await?;
    is_alive(store, 1).await
}

/// Checks that a deleted client frees its room, once.
pub async fn a_deleted_client_makes_room<S: Store>(store: &S) -> Result<(), Broken> {
    for number in 0..MAX_CLIENTS as u64 {
        store.create_client(operators(number)?, after(0)).await?;
    }
    for _ in 0..2 {
        store.delete_client(&client_id(0), after(1)).await?;
    }
    for (number, outcome) in [(100, CreateOutcome::Created), (101, CreateOutcome::QuotaReached)] {
        same(store.create_client(operators(number)?, after(MINUTE)).await?, outcome)?;
    }
    Ok(())
}

/// Checks that a new client with the identifier of a deleted one has none of its grants.
pub async fn a_client_that_comes_back_has_nothing_of_before<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    stock(store, 1).await?;
    store.delete_client(&client_id(1), after(1)).await?;
    same(store.create_client(client(1)?, after(1)).await?, CreateOutcome::Created)?;
    is_over(store, 1).await
}
