//! Contract tests for the revocation of a user's grants, at all clients or at one.

use super::samples::{access, after, client, client_id, code, consent, family, rotation, subject};
use super::{Broken, fits, same};
use crate::store::{RotateOutcome, Store};

/// Stores a code, a family and a consent of a user at a client under this number.
async fn stock<S: Store>(store: &S, number: u64, user: &str, client: u64) -> Result<(), Broken> {
    let (mut code, mut family, mut consent) = (code(number)?, family(number)?, consent(number)?);
    code.client_id = client_id(client);
    family.client_id = client_id(client);
    consent.client_id = client_id(client);
    code.subject = subject(user)?;
    family.subject = subject(user)?;
    consent.subject = subject(user)?;
    store.insert_code(code).await?;
    store.insert_family(family, after(0)).await?;
    store.put_consent(consent).await?;
    Ok(())
}

/// Checks that code, consent, token and family of this number all work, or that none does.
async fn lives<S: Store>(store: &S, number: u64, expected: bool) -> Result<(), Broken> {
    let code = store.read_code(&code(number)?.digest).await?;
    let consent = store.read_consent(&consent(number)?.key).await?;
    let known = store.access(&access(number)?.digest, after(1)).await?;
    let what = if expected { "something that lives" } else { "nothing that lives" };
    fits(&code, what, |it| it.is_some() == expected)?;
    fits(&consent, what, |it| it.is_some() == expected)?;
    fits(&known, what, |it| it.is_some() == expected)?;
    let outcome = if expected { RotateOutcome::Rotated } else { RotateOutcome::Revoked };
    same(store.rotate(rotation(number, 0, number + 50)?, after(1)).await?, outcome)
}

/// Checks that revoking a user ends the user's grants at all clients, and nothing else.
pub async fn a_user_who_is_disabled_has_nothing_left<S: Store>(store: &S) -> Result<(), Broken> {
    store.create_client(client(1)?, after(0)).await?;
    for (number, user, client) in [(1, "alice", 1), (2, "alice", 2), (3, "bob", 1)] {
        stock(store, number, user, client).await?;
    }
    store.revoke_subject(&subject("alice")?, None, after(1)).await?;
    for (number, expected) in [(1, false), (2, false), (3, true)] {
        lives(store, number, expected).await?;
    }
    let client = store.read_client(&client_id(1)).await?;
    fits(&client, "the client", Option::is_some)
}

/// Checks that revoking a user at one client leaves the user's other grants.
pub async fn a_client_that_one_user_does_not_trust_keeps_the_others<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (number, user, client) in [(1, "alice", 1), (2, "alice", 2), (3, "bob", 1)] {
        stock(store, number, user, client).await?;
    }
    store.revoke_subject(&subject("alice")?, Some(&client_id(1)), after(1)).await?;
    for (number, expected) in [(1, false), (2, true), (3, true)] {
        lives(store, number, expected).await?;
    }
    Ok(())
}

/// Checks that subjects are compared exactly, and never as patterns.
pub async fn a_user_is_meant_exactly<S: Store>(store: &S) -> Result<(), Broken> {
    let others = ["Alice", "alice ", " alice", "alic", "alice2", "%", "_____", "al\u{ed}ce", "\0"];
    for (number, user) in (1..).zip(others) {
        stock(store, number, user, 1).await?;
    }
    stock(store, 30, "alice", 1).await?;
    store.revoke_subject(&subject("alice")?, None, after(1)).await?;
    lives(store, 30, false).await?;
    store.revoke_subject(&subject("%")?, None, after(1)).await?;
    store.revoke_subject(&subject("' OR 1=1 --")?, None, after(1)).await?;
    store.revoke_subject(&subject("\0")?, Some(&client_id(2)), after(1)).await?;
    for (number, user) in (1..).zip(others) {
        lives(store, number, user != "%").await?;
    }
    Ok(())
}

/// Checks that revoking a user without grants succeeds and changes nothing.
pub async fn revoking_nobody_changes_nothing<S: Store>(store: &S) -> Result<(), Broken> {
    stock(store, 1, "alice", 1).await?;
    store.revoke_subject(&subject("bob")?, None, after(1)).await?;
    store.revoke_subject(&subject("alice")?, Some(&client_id(2)), after(1)).await?;
    lives(store, 1, true).await
}
