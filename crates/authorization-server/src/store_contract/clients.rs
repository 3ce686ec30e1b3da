//! Clients: stored once, as many as there is room for, forgotten in time or kept for good.

use super::samples::{DAY, MINUTE, after, client, client_id, code, family};
use super::{Broken, MAX_CLIENTS, fits, same};
use crate::{CreateOutcome, RedeemOutcome, Store};

/// Fills the store with self-registered clients, but for one.
async fn fill<S: Store>(store: &S) -> Result<(), Broken> {
    for number in 1..MAX_CLIENTS as u64 {
        let outcome = store.create_client(client(number)?, after(0)).await?;
        same(outcome, CreateOutcome::Created)?;
    }
    Ok(())
}

/// Everything that is on record comes back.
pub async fn a_client_is_read_back_as_it_was_stored<S: Store>(store: &S) -> Result<(), Broken> {
    let mut operators = client(2)?;
    operators.unused_until = None;
    operators.authentication = client_auth::Registered::public();
    for client in [client(1)?, operators] {
        same(store.create_client(client.clone(), after(0)).await?, CreateOutcome::Created)?;
        same(store.read_client(&client.client_id).await?, Some(client))?;
    }
    Ok(())
}

/// A client that is not stored is none, whoever else is.
pub async fn an_unknown_client_is_nobody<S: Store>(store: &S) -> Result<(), Broken> {
    same(store.read_client(&client_id(1)).await?, None)?;
    store.create_client(client(1)?, after(0)).await?;
    same(store.read_client(&client_id(2)).await?, None)
}

/// An identifier is given once.
pub async fn a_taken_identifier_is_refused_and_its_client_stays_as_it_was<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    let mut other = client(2)?;
    other.client_id = client_id(1);
    same(store.create_client(other, after(1)).await?, CreateOutcome::Duplicate)?;
    same(store.read_client(&client_id(1)).await?, Some(client(1)?))
}

/// To forget is the caller's decision, or a sweep's.
pub async fn a_forgotten_client_is_still_read<S: Store>(store: &S) -> Result<(), Broken> {
    let mut forgotten = client(1)?;
    forgotten.unused_until = Some(after(0));
    store.create_client(forgotten.clone(), after(0)).await?;
    same(store.read_client(&client_id(1)).await?, Some(forgotten))
}

/// No client makes room but those that are forgotten.
pub async fn a_full_store_refuses_clients_and_keeps_those_it_has<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    fill(store).await?;
    let last = MAX_CLIENTS as u64;
    let now = after(DAY - 1);
    same(store.create_client(client(last)?, now).await?, CreateOutcome::Created)?;
    for _ in 0..2 {
        let refused = store.create_client(client(last + 1)?, now).await?;
        same(refused, CreateOutcome::QuotaReached)?;
    }
    same(store.read_client(&client_id(last + 1)).await?, None)?;
    for number in 1..=last {
        same(store.read_client(&client_id(number)).await?, Some(client(number)?))?;
    }
    Ok(())
}

/// A client takes no room from the second on at which it is forgotten, swept or not.
pub async fn a_forgotten_client_takes_no_room<S: Store>(store: &S) -> Result<(), Broken> {
    fill(store).await?;
    let mut short = client(100)?;
    short.unused_until = Some(after(MINUTE));
    same(store.create_client(short, after(0)).await?, CreateOutcome::Created)?;
    let early = store.create_client(client(101)?, after(MINUTE - 1)).await?;
    same(early, CreateOutcome::QuotaReached)?;
    let in_time = store.create_client(client(101)?, after(MINUTE)).await?;
    same(in_time, CreateOutcome::Created)?;
    let full = store.create_client(client(102)?, after(MINUTE)).await?;
    same(full, CreateOutcome::QuotaReached)?;
    for number in 1..MAX_CLIENTS as u64 {
        same(store.read_client(&client_id(number)).await?, Some(client(number)?))?;
    }
    Ok(())
}

/// One token keeps a client: in its record, and in its place.
pub async fn a_client_that_redeemed_a_code_is_kept_for_good<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    fill(store).await?;
    store.insert_code(code(1)?).await?;
    let outcome = store.redeem(&code(1)?.digest, family(1)?, after(1)).await?;
    same(outcome, RedeemOutcome::Redeemed)?;
    is_kept(store).await
}

/// So does a token that no code stands for.
pub async fn a_client_that_acts_for_itself_is_kept_for_good<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    fill(store).await?;
    store.insert_family(family(1)?, after(1)).await?;
    is_kept(store).await
}

/// Client 1 is kept, all others are forgotten after a day.
async fn is_kept<S: Store>(store: &S) -> Result<(), Broken> {
    let mut kept = client(1)?;
    kept.unused_until = None;
    same(store.read_client(&client_id(1)).await?, Some(kept.clone()))?;
    same(store.read_client(&client_id(2)).await?, Some(client(2)?))?;
    // The others make room, it does not.
    for number in 0..MAX_CLIENTS as u64 - 1 {
        let outcome = store.create_client(more(number)?, after(DAY)).await?;
        same(outcome, CreateOutcome::Created)?;
    }
    let full = store.create_client(more(99)?, after(DAY)).await?;
    same(full, CreateOutcome::QuotaReached)?;
    same(store.read_client(&client_id(1)).await?, Some(kept))
}

/// A client that registers after the first day.
fn more(number: u64) -> Result<crate::ClientRecord, Broken> {
    let mut more = client(100 + number)?;
    more.unused_until = Some(after(2 * DAY));
    Ok(more)
}

/// A client that got nothing is forgotten in its time.
pub async fn a_client_whose_code_is_refused_is_not_kept<S: Store>(store: &S) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    let late = store.redeem(&code(1)?.digest, family(1)?, after(MINUTE)).await?;
    same(late, RedeemOutcome::Expired)?;
    let kept = store.read_client(&client_id(1)).await?;
    fits(&kept, "a client that is forgotten in its time", |client| {
        client.as_ref().is_some_and(|client| client.unused_until == Some(after(DAY)))
    })
}
