//! Contract tests for replay keys of assertions and proofs.

use client_auth::Replay;

use super::samples::{MINUTE, after, digest};
use super::{Broken, same};
use crate::store::{OnceKind, Store};

/// All kinds of replay keys.
pub(super) const KINDS: [OnceKind; 3] =
    [OnceKind::Answer, OnceKind::TokenRequest, OnceKind::ResourceRequest];

/// Checks that a replay key is fresh once, and seen while `now < until`.
pub async fn a_key_is_fresh_once_and_seen_to_its_last_second<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    for (kind, number) in KINDS.into_iter().zip(1..) {
        let key = digest("key", number);
        let put =
            async |until: u64, now: u64| store.put_once(kind, &key, after(until), after(now)).await;
        same(put(MINUTE, 0).await?, Replay::Fresh)?;
        for second in [0, 1, MINUTE / 2, MINUTE - 1] {
            same(put(MINUTE, second).await?, Replay::Seen)?;
        }
        // A later use with an earlier end does not shorten the life of the key.
        same(put(1, 0).await?, Replay::Seen)?;
        same(put(MINUTE, MINUTE - 1).await?, Replay::Seen)?;
    }
    Ok(())
}

/// Checks that different replay keys do not affect each other.
pub async fn keys_are_remembered_each_for_itself<S: Store>(store: &S) -> Result<(), Broken> {
    for outcome in [Replay::Fresh, Replay::Seen] {
        for number in 0..100 {
            let until = after(MINUTE + number);
            let (kind, key) = (OnceKind::TokenRequest, digest("key", number));
            same(store.put_once(kind, &key, until, after(0)).await?, outcome)?;
        }
    }
    Ok(())
}

/// Checks that a key seen at a later time stays seen when the clock goes back.
pub async fn a_clock_that_is_set_back_forgets_no_key<S: Store>(store: &S) -> Result<(), Broken> {
    for (kind, number) in KINDS.into_iter().zip(1..) {
        let key = digest("key", number);
        for (until, now, outcome) in
            [(9, 8, Replay::Fresh), (1, 0, Replay::Seen), (9, 8, Replay::Seen)]
        {
            let (until, now) = (after(until * MINUTE), after(now * MINUTE));
            same(store.put_once(kind, &key, until, now).await?, outcome)?;
        }
    }
    Ok(())
}
