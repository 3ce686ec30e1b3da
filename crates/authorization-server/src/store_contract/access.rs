//! Contract tests for access tokens, which are read with the data of their family.

use super::samples::{
    DAY, MINUTE, access, after, digest, family, family_id, right, rotation, thumbprint,
};
use super::{Broken, fits, same};
use crate::store::{AccessRecord, Store};
use oauth_types::{Issuer, ScopeSet, SecretDigest};

/// Checks that an access token is read with its client, subject, resource and scopes.
pub async fn a_token_is_known_with_its_family<S: Store>(store: &S) -> Result<(), Broken> {
    let mut narrow = family(1)?;
    narrow.access.scopes = right(ScopeSet::parse("files:read"))?;
    store.insert_family(narrow.clone(), after(0)).await?;
    let known = AccessRecord {
        family: narrow.id,
        client_id: narrow.client_id,
        subject: narrow.subject,
        resource: narrow.resource,
        scopes: narrow.access.scopes,
        expires_at: narrow.access.expires_at,
        jkt: None,
    };
    let token = access(1)?.digest;
    same(store.access(&token, after(1)).await?, Some(known.clone()))?;
    for issuer in ["https://as.example", "https://other.example"] {
        let issuer = right(Issuer::parse(issuer))?;
        for _ in 0..2 {
            let facts = store.access_token_info(&token, &issuer, after(1)).await?;
            same(facts.as_deref(), Some(&known.clone().into_facts(issuer.clone())))?;
        }
    }
    same(store.access(&digest("access", 2), after(1)).await?, None)
}

/// Checks that an access token is bound to its own key, or to none.
pub async fn a_token_is_bound_as_it_was_given_and_not_as_its_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, of_family, of_token) in
        [(1, Some(1), None), (2, None, Some(2)), (3, Some(3), Some(4))]
    {
        let mut bound = family(number)?;
        bound.jkt = of_family.map(thumbprint);
        bound.access.jkt = of_token.map(thumbprint);
        store.insert_family(bound, after(0)).await?;
        let known = store.access(&access(number)?.digest, after(1)).await?;
        same(known.map(|known| known.jkt), Some(of_token.map(thumbprint)))?;
        let mut refresh = rotation(number, 0, 10 + number)?;
        refresh.access.jkt = Some(thumbprint(9));
        store.rotate(refresh, after(1)).await?;
        let known = store.access(&access(10 + number)?.digest, after(1)).await?;
        same(known.map(|known| known.jkt), Some(Some(thumbprint(9))))?;
    }
    Ok(())
}

/// Checks that an access token is valid while `now < expires_at`.
pub async fn a_token_expires_at_its_second<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    let token = access(1)?.digest;
    let live = store.access(&token, after(10 * MINUTE - 1)).await?;
    fits(&live, "a token that lives", Option::is_some)?;
    same(store.access(&token, after(10 * MINUTE)).await?, None)?;
    let issuer = right(Issuer::parse("https://as.example"))?;
    fits(
        &store.access_token_info(&token, &issuer, after(1)).await?,
        "a token that lives",
        Option::is_some,
    )?;
    same(store.access_token_info(&token, &issuer, after(10 * MINUTE)).await?, None)?;
    same(store.access(&token, after(DAY)).await?, None)
}

/// Checks that an access token stays valid to its own expiry, although its family has expired.
pub async fn a_token_outlives_the_last_day_of_its_family<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let mut old = family(1)?;
    (old.expires_at, old.idle_until) = (after(MINUTE), after(MINUTE));
    store.insert_family(old, after(0)).await?;
    let live = store.access(&access(1)?.digest, after(2 * MINUTE)).await?;
    fits(&live, "a token that lives", Option::is_some)
}

/// Checks that a refresh leaves earlier access tokens valid.
pub async fn older_tokens_of_a_family_live_on<S: Store>(store: &S) -> Result<(), Broken> {
    store.insert_family(family(1)?, after(0)).await?;
    for generation in 0..3 {
        store.rotate(rotation(1, generation, 2 + generation)?, after(1)).await?;
    }
    for number in 1..5 {
        let known = store.access(&access(number)?.digest, after(2)).await?;
        same(known.map(|known| known.family), Some(family_id(1)))?;
    }
    Ok(())
}

/// Checks that all bits of a digest are compared.
pub async fn digests_that_differ_in_one_bit_are_different<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, byte) in [(1, 0), (2, 0xFF), (3, b'\'')] {
        let mut new = family(number)?;
        new.access.digest = SecretDigest::from_bytes([byte; 32]);
        store.insert_family(new, after(0)).await?;
        let known = store.access(&SecretDigest::from_bytes([byte; 32]), after(1)).await?;
        same(known.map(|known| known.family), Some(family_id(number)))?;
        for bit in [0, 7, 128, 255] {
            let mut near = [byte; 32];
            if let Some(byte) = near.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            same(store.access(&SecretDigest::from_bytes(near), after(1)).await?, None)?;
        }
    }
    Ok(())
}
