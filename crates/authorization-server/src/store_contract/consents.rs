//! Contract tests for remembered consents.

use super::samples::{DAY, after, client_id, consent, digest, right};
use super::{Broken, same};
use crate::store::Store;
use oauth_types::ScopeSet;

/// Checks that a consent is read under its key, and under no other.
pub async fn a_consent_is_read_back_as_it_was_stored<S: Store>(store: &S) -> Result<(), Broken> {
    for number in [1, 2] {
        store.put_consent(consent(number)?).await?;
    }
    for number in [1, 2] {
        same(store.read_consent(&consent(number)?.key).await?, Some(consent(number)?))?;
    }
    same(store.read_consent(&digest("consent", 3)).await?, None)
}

/// Checks that a consent replaces the earlier one under its key as a whole.
pub async fn a_consent_replaces_what_stands_under_its_key<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, scopes) in [(1, "a b c"), (2, "a"), (3, "")] {
        let mut newer = consent(number)?;
        newer.key = digest("consent", 1);
        newer.client_id = client_id(number);
        newer.scopes = right(ScopeSet::parse(scopes))?;
        newer.until = after(DAY / number);
        store.put_consent(newer.clone()).await?;
        same(store.read_consent(&newer.key).await?, Some(newer))?;
    }
    Ok(())
}

/// Checks that an expired consent is still read, because the caller judges it.
pub async fn a_consent_that_is_over_is_still_read<S: Store>(store: &S) -> Result<(), Broken> {
    let mut over = consent(1)?;
    over.until = after(0);
    store.put_consent(over.clone()).await?;
    same(store.read_consent(&over.key).await?, Some(over))
}
