//! Contract tests for authorization codes: each yields one family, before its expiry.

use super::samples::{
    DAY, MINUTE, access, after, client_id, code, digest, family, family_id, rotation, stored,
    thumbprint,
};
use super::{Broken, fits, same};
use crate::store::{RedeemOutcome, RotateOutcome, Store};

/// Checks that a code is read back with all its values, with and without a key.
pub async fn a_code_is_read_back_as_it_was_stored<S: Store>(store: &S) -> Result<(), Broken> {
    let mut bound = code(2)?;
    bound.jkt = Some(thumbprint(7));
    for code in [code(1)?, bound] {
        store.insert_code(code.clone()).await?;
        same(store.read_code(&code.digest).await?, Some(code))?;
    }
    Ok(())
}

/// Checks that an unknown code is missing, beside a stored one.
pub async fn an_unknown_code_is_none<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    same(store.read_code(&digest("code", 2)).await?, None)?;
    let missing = store.redeem(&digest("code", 2), family(1)?, after(0)).await?;
    same(missing, RedeemOutcome::Missing)
}

/// Checks that one redemption marks the code used, and stores its family and access token.
pub async fn a_redeemed_code_is_used_and_has_its_family_and_token<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    let outcome = store.redeem(&code(1)?.digest, family(1)?, after(5)).await?;
    same(outcome, RedeemOutcome::Redeemed)?;
    let mut used = code(1)?;
    used.redeemed = Some(family_id(1));
    same(store.read_code(&used.digest).await?, Some(used))?;
    same(store.read_family(&family_id(1)).await?, Some(stored(family(1)?, after(5))))?;
    let known = store.access(&access(1)?.digest, after(5)).await?;
    same(known.map(|known| known.family), Some(family_id(1)))
}

/// Checks that a second use revokes the first family and creates none (RFC 6749 §4.1.2).
pub async fn a_code_that_is_used_again_ends_its_family<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    for number in [2, 3] {
        let again = store.redeem(&code(1)?.digest, family(number)?, after(1)).await?;
        same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
        same(store.read_family(&family_id(number)).await?, None)?;
        same(store.access(&access(number)?.digest, after(1)).await?, None)?;
    }
    same(store.access(&access(1)?.digest, after(1)).await?, None)?;
    let first = store.read_family(&family_id(1)).await?;
    fits(&first, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))?;
    same(store.rotate(rotation(1, 0, 9)?, after(1)).await?, RotateOutcome::Revoked)
}

/// Checks that reuse of a code is detected after its expiry too.
pub async fn a_used_code_is_recognized_after_it_has_expired<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    let again = store.redeem(&code(1)?.digest, family(2)?, after(20 * DAY)).await?;
    same(again, RedeemOutcome::AlreadyUsed(family_id(1)))?;
    let first = store.read_family(&family_id(1)).await?;
    fits(&first, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))
}

/// Checks that a code is valid while `now < expires_at`.
pub async fn a_code_expires_at_its_second<S: Store>(store: &S) -> Result<(), Broken> {
    for (number, second, outcome) in [
        (1, MINUTE - 1, RedeemOutcome::Redeemed),
        (2, MINUTE, RedeemOutcome::Expired),
        (3, MINUTE + 1, RedeemOutcome::Expired),
    ] {
        store.insert_code(code(number)?).await?;
        let found = store.redeem(&code(number)?.digest, family(number)?, after(second)).await?;
        same(found, outcome)?;
    }
    Ok(())
}

/// Checks that a refused redemption stores nothing and leaves an unused code unused.
pub async fn a_refused_redemption_leaves_nothing_behind<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    for (digest, outcome) in
        [(code(1)?.digest, RedeemOutcome::Expired), (code(2)?.digest, RedeemOutcome::Missing)]
    {
        same(store.redeem(&digest, family(1)?, after(MINUTE)).await?, outcome)?;
        same(store.read_family(&family_id(1)).await?, None)?;
        same(store.access(&access(1)?.digest, after(MINUTE)).await?, None)?;
    }
    same(store.read_code(&code(1)?.digest).await?, Some(code(1)?))
}

/// Checks that a client known by a document, without a row, redeems its code.
pub async fn a_client_without_a_row_redeems_its_code<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_code(code(1)?).await?;
    same(store.read_client(&client_id(1)).await?, None)?;
    let outcome = store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    same(outcome, RedeemOutcome::Redeemed)?;
    same(store.read_client(&client_id(1)).await?, None)
}

/// Checks that storing a code again does not reset its use, so a retry is safe.
pub async fn a_code_that_is_stored_again_stays_used<S: Store>(store: &S) -> Result<(), Broken> {
    for _ in 0..2 {
        store.insert_code(code(1)?).await?;
    }
    store.redeem(&code(1)?.digest, family(1)?, after(0)).await?;
    store.insert_code(code(1)?).await?;
    let again = store.redeem(&code(1)?.digest, family(2)?, after(0)).await?;
    same(again, RedeemOutcome::AlreadyUsed(family_id(1)))
}

/// Checks that redeeming one code does not affect another.
pub async fn two_codes_are_two<S: Store>(store: &S) -> Result<(), Broken> {
    for number in [1, 2] {
        store.insert_code(code(number)?).await?;
    }
    for number in [1, 2] {
        let outcome = store.redeem(&code(number)?.digest, family(number)?, after(0)).await?;
        same(outcome, RedeemOutcome::Redeemed)?;
        let live = store.access(&access(1)?.digest, after(0)).await?;
        fits(&live, "a token that lives", Option::is_some)?;
    }
    Ok(())
}
