//! Contract tests for token families: all tokens of one grant, revoked together.

use super::samples::{
    access, after, client_id, family, family_id, right, rotation, stored, thumbprint,
};
use super::{Broken, fits, same};
use crate::store::{RotateOutcome, Store};
use oauth_types::Issuer;

/// Checks that a family is read back with all its values, at generation 0.
pub async fn a_family_is_read_back_as_it_was_stored<S: Store>(store: &S) -> Result<(), Broken> {
    let mut bound = family(2)?;
    bound.jkt = Some(thumbprint(7));
    for family in [family(1)?, bound] {
        store.insert_family(family.clone(), after(3)).await?;
        same(store.read_family(&family.id).await?, Some(stored(family, after(3))))?;
    }
    Ok(())
}

/// Checks that an unknown family is read as `None`, beside a stored one.
pub async fn an_unknown_family_is_none<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    same(store.read_family(&family_id(2)).await?, None)
}

/// Checks that storing a family again changes nothing, so a retry is safe.
pub async fn a_family_that_is_stored_again_stays_as_it_is<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for _ in 0..2 {
        store.insert_family(family(1)?, after(0)).await?;
    }
    store.rotate(rotation(1, 0, 2)?, after(1)).await?;
    let before = store.read_family(&family_id(1)).await?;
    store.insert_family(family(1)?, after(2)).await?;
    same(store.read_family(&family_id(1)).await?, before)?;
    store.revoke_family(&family_id(1), after(3)).await?;
    store.insert_family(family(1)?, after(4)).await?;
    same(store.access(&access(1)?.digest, after(4)).await?, None)?;
    same(store.rotate(rotation(1, 1, 3)?, after(4)).await?, RotateOutcome::Revoked)
}

/// Checks that revocation ends all access tokens of a family, and of no other.
pub async fn a_revoked_family_ends_with_all_its_tokens<S: Store>(store: &S) -> Result<(), Broken> {
    let mut other = family(10)?;
    other.client_id = client_id(1);
    other.subject = family(1)?.subject;
    store.insert_family(family(1)?, after(0)).await?;
    store.insert_family(other, after(0)).await?;
    for generation in 0..3 {
        store.rotate(rotation(1, generation, 2 + generation)?, after(1)).await?;
    }
    let live = store.read_family(&family_id(1)).await?;
    let issuer = right(Issuer::parse("https://as.example"))?;
    // Token facts that a store caches for resource requests end too.
    for number in 1..5 {
        let facts = store.access_token_info(&access(number)?.digest, &issuer, after(2)).await?;
        fits(&facts, "a token that lives", Option::is_some)?;
    }
    store.revoke_family(&family_id(1), after(2)).await?;
    for number in 1..5 {
        let token = access(number)?.digest;
        same(store.access(&token, after(2)).await?, None)?;
        same(store.access_token_info(&token, &issuer, after(2)).await?, None)?;
    }
    let expected = live.map(|mut family| {
        family.revoked = true;
        family
    });
    same(store.read_family(&family_id(1)).await?, expected)?;
    let untouched = store.access(&access(10)?.digest, after(2)).await?;
    fits(&untouched, "a token that lives", Option::is_some)
}

/// Checks that revoking a missing or revoked family succeeds.
pub async fn revoking_what_is_not_there_or_over_is_no_error<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    store.revoke_family(&family_id(1), after(0)).await?;
    same(store.read_family(&family_id(1)).await?, None)?;
    store.insert_family(family(1)?, after(0)).await?;
    for _ in 0..2 {
        store.revoke_family(&family_id(1), after(1)).await?;
    }
    let family = store.read_family(&family_id(1)).await?;
    fits(&family, "a revoked family", |it| it.as_ref().is_some_and(|it| it.revoked))
}
