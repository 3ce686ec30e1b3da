//! Contract tests for clients: creation, the quota, expiry, and the operator's clients.

use super::samples::{
    DAY, HOUR, MINUTE, after, client, client_id, code, family, operators, rotation,
};
use super::{Broken, MAX_CLIENTS, fits, same};
use crate::store::{ClientRecord, CreateOutcome, RedeemOutcome, RotateOutcome, Store};

/// Stores a client that registered itself and got a token.
async fn use_client<S: Store>(store: &S, number: u64) -> Result<(), Broken> {
    same(store.create_client(client(number)?, after(0)).await?, CreateOutcome::Created)?;
    store.insert_family(family(number)?, after(1)).await?;
    Ok(())
}

/// Fills the store with clients that got a token, up to one below the quota.
async fn fill<S: Store>(store: &S) -> Result<(), Broken> {
    for number in 1..MAX_CLIENTS as u64 {
        use_client(store, number).await?;
    }
    Ok(())
}

/// Checks that the clients of [`fill`] are stored, until a month after their families end.
async fn are_kept<S: Store>(store: &S) -> Result<(), Broken> {
    for number in 1..MAX_CLIENTS as u64 {
        let kept = ClientRecord { unused_until: Some(after(60 * DAY)), ..client(number)? };
        same(store.read_client(&client_id(number)).await?, Some(kept))?;
    }
    Ok(())
}

/// Checks that a client is read back with all its values.
pub async fn a_client_is_read_back_as_it_was_stored<S: Store>(store: &S) -> Result<(), Broken> {
    let mut operators = operators(2)?;
    operators.authentication = client_auth::ClientAuthRecord::public();
    let mut hashed = client(3)?;
    hashed.authentication =
        hashed.authentication.with_secret_hash("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA");
    for client in [client(1)?, operators, hashed] {
        same(store.create_client(client.clone(), after(0)).await?, CreateOutcome::Created)?;
        same(store.read_client(&client.client_id).await?, Some(client))?;
    }
    Ok(())
}

/// Checks that an unknown client is read as `None`, beside a stored one.
pub async fn an_unknown_client_is_nobody<S: Store>(store: &S) -> Result<(), Broken> {
    same(store.read_client(&client_id(1)).await?, None)?;
    store.create_client(client(1)?, after(0)).await?;
    same(store.read_client(&client_id(2)).await?, None)
}

/// Checks that an identifier is created once, and its client is not replaced.
pub async fn a_taken_identifier_is_refused_and_its_client_stays_as_it_was<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    let mut other = client(2)?;
    other.client_id = client_id(1);
    same(store.create_client(other, after(1)).await?, CreateOutcome::Duplicate)?;
    same(store.read_client(&client_id(1)).await?, Some(client(1)?))
}

/// Checks that a forgotten client is still read: the caller or a sweep decides.
pub async fn a_forgotten_client_is_still_read<S: Store>(store: &S) -> Result<(), Broken> {
    let mut forgotten = client(1)?;
    forgotten.unused_until = Some(after(0));
    store.create_client(forgotten.clone(), after(0)).await?;
    same(store.read_client(&client_id(1)).await?, Some(forgotten))
}

/// Checks that a full store evicts neither clients that got a token nor the operator's.
pub async fn a_full_store_refuses_clients_and_keeps_those_it_has<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    fill(store).await?;
    let last = operators(MAX_CLIENTS as u64)?;
    let now = after(60 * DAY - 1);
    same(store.create_client(last.clone(), now).await?, CreateOutcome::Created)?;
    for refused in [client(100)?, operators(100)?] {
        same(store.create_client(refused, now).await?, CreateOutcome::QuotaReached)?;
        same(store.read_client(&client_id(100)).await?, None)?;
    }
    are_kept(store).await?;
    same(store.read_client(&last.client_id).await?, Some(last))
}

/// Checks that a registration evicts the client that waited longest for a token (SEC-227).
pub async fn clients_without_a_token_make_room_for_each_other<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    use_client(store, 1).await?;
    same(store.create_client(operators(2)?, after(0)).await?, CreateOutcome::Created)?;
    let half = ClientRecord::max_unused(MAX_CLIENTS) as u64;
    let registered = 100..100 + 3 * half;
    for number in registered.clone() {
        same(store.create_client(waiting(number)?, after(number)).await?, CreateOutcome::Created)?;
        for earlier in registered.start..=number {
            let stored = store.read_client(&client_id(earlier)).await?;
            let expected = (earlier + half > number).then(|| waiting(earlier)).transpose()?;
            same(stored, expected)?;
        }
    }
    // Two of them get a token each, and cannot be evicted any more.
    let last = registered.end - 1;
    for number in [last - 1, last] {
        store.insert_family(family(number)?, after(number)).await?;
    }
    for number in 200..200 + 3 * half {
        same(store.create_client(waiting(number)?, after(number)).await?, CreateOutcome::Created)?;
    }
    // In a full store, unused clients are evicted for the operator's clients too.
    for number in [300, 301, 302, 303] {
        same(store.create_client(operators(number)?, after(0)).await?, CreateOutcome::Created)?;
    }
    same(store.create_client(operators(304)?, after(0)).await?, CreateOutcome::QuotaReached)?;
    for number in [1, 2, last - 1, last, 300, 301, 302, 303] {
        let kept = store.read_client(&client_id(number)).await?;
        fits(&kept, "a client with a token, or the operator's", Option::is_some)?;
    }
    Ok(())
}

/// Returns a client that registers at this second.
fn waiting(second: u64) -> Result<ClientRecord, Broken> {
    let (registered_at, unused_until) = (after(second), Some(after(second + DAY)));
    Ok(ClientRecord { registered_at, unused_until, ..client(second)? })
}

/// Checks that a forgotten client frees its room once the time is settled, swept or not (SEC-228).
pub async fn a_forgotten_client_takes_no_room<S: Store>(store: &S) -> Result<(), Broken> {
    fill(store).await?;
    same(store.create_client(client(100)?, after(0)).await?, CreateOutcome::Created)?;
    let mut short = family(100)?;
    (short.expires_at, short.idle_until) = (after(DAY), after(DAY));
    store.insert_family(short, after(0)).await?;
    let create = async |client: ClientRecord, now| store.create_client(client, after(now)).await;
    // One second too early; then, at the last step, the time is settled.
    for hours in [0, 2, 4] {
        let early = create(client(101)?, 31 * DAY - 1 + hours * HOUR).await?;
        let expected = if hours < 4 { CreateOutcome::QuotaReached } else { CreateOutcome::Created };
        same(early, expected)?;
    }
    same(store.read_client(&client_id(100)).await?, None)?;
    // The new client got no token, so it can be evicted itself.
    same(create(operators(102)?, 31 * DAY + 4 * HOUR).await?, CreateOutcome::Created)?;
    same(create(client(103)?, 31 * DAY + 4 * HOUR).await?, CreateOutcome::QuotaReached)?;
    are_kept(store).await?;
    // A month after their families end, all clients are forgotten.
    for hours in [0, 2, 4] {
        create(client(104)?, 60 * DAY - 1 + hours * HOUR).await?;
    }
    for number in 105..104 + MAX_CLIENTS as u64 {
        same(create(operators(number)?, 60 * DAY + 4 * HOUR).await?, CreateOutcome::Created)?;
    }
    Ok(())
}

/// Checks that a clock that just jumped evicts no client of a full store (SEC-228, SEC-230).
pub async fn a_full_store_with_a_clock_that_jumps_keeps_its_clients<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    fill(store).await?;
    let last = operators(MAX_CLIENTS as u64)?;
    same(store.create_client(last, after(0)).await?, CreateOutcome::Created)?;
    for ahead in [HOUR, DAY, 365 * DAY, 3650 * DAY] {
        for now in [ahead, ahead + HOUR, 1] {
            for refused in [client(100)?, operators(100)?] {
                let outcome = store.create_client(refused, after(now)).await?;
                same(outcome, CreateOutcome::QuotaReached)?;
            }
        }
    }
    are_kept(store).await
}

/// Checks that a client is the operator's only if it was stored so, with or without an end.
pub async fn a_client_is_the_operators_only_if_it_was_stored_so<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let ends = [None, Some(after(DAY))];
    let kinds = ends.into_iter().flat_map(|end| [(end, false), (end, true)]);
    for ((unused_until, of_operator), number) in kinds.zip(1..) {
        let stored = ClientRecord { unused_until, of_operator, ..client(number)? };
        let created = store.create_client(stored.clone(), after(0)).await?;
        same(created, CreateOutcome::Created)?;
        same(store.read_client(&client_id(number)).await?, Some(stored.clone()))?;
        store.insert_family(family(number)?, after(1)).await?;
        let unused_until = unused_until.map(|_| after(60 * DAY));
        let kept = store.read_client(&client_id(number)).await?;
        same(kept, Some(ClientRecord { unused_until, ..stored }))?;
    }
    Ok(())
}

/// Checks that redeeming a code keeps a client until a month after its family.
pub async fn a_client_that_redeemed_a_code_is_kept_beyond_its_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    let outcome = store.redeem(&code(1)?.digest, family(1)?, after(1)).await?;
    same(outcome, RedeemOutcome::Redeemed)?;
    is_kept(store).await
}

/// Checks that a client credentials token keeps a client until a month after its family.
pub async fn a_client_that_acts_for_itself_is_kept_beyond_its_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    store.insert_family(family(1)?, after(1)).await?;
    is_kept(store).await
}

/// Checks that client 1 is kept for two months, and longer with another family.
async fn is_kept<S: Store>(store: &S) -> Result<(), Broken> {
    let kept = |days| {
        Ok::<_, Broken>(ClientRecord { unused_until: Some(after(days * DAY)), ..client(1)? })
    };
    same(store.read_client(&client_id(1)).await?, Some(kept(60)?))?;
    for (number, end, until) in [(2, 20, 60), (3, 50, 80), (4, 30, 80)] {
        let mut other = family(number)?;
        (other.client_id, other.expires_at) = (client_id(1), after(end * DAY));
        store.insert_family(other, after(1)).await?;
        same(store.read_client(&client_id(1)).await?, Some(kept(until)?))?;
    }
    // A rotation does not change the family's expiry.
    same(store.rotate(rotation(3, 0, 9)?, after(2)).await?, RotateOutcome::Rotated)?;
    same(store.read_client(&client_id(1)).await?, Some(kept(80)?))
}

/// Checks that a token does not change a client of the operator.
pub async fn a_client_of_the_operators_is_kept_for_good<S: Store>(store: &S) -> Result<(), Broken> {
    store.create_client(operators(1)?, after(0)).await?;
    store.insert_family(family(1)?, after(1)).await?;
    store.sweep(after(999 * DAY), 100).await?;
    same(store.read_client(&client_id(1)).await?, Some(operators(1)?))
}

/// Checks that a refused redemption does not extend the life of a client.
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
