//! What counts once: assertions and proofs, by their keys.

use client_auth::Replay;

use super::samples::{MINUTE, after, digest};
use super::{Broken, same};
use crate::Store;

/// As long as what it stands for could be shown again.
pub async fn a_key_is_fresh_once_and_seen_to_its_last_second<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let key = digest("key", 1);
    same(store.put_once(&key, after(MINUTE), after(0)).await?, Replay::Fresh)?;
    for second in [0, 1, MINUTE / 2, MINUTE - 1] {
        let again = store.put_once(&key, after(MINUTE), after(second)).await?;
        same(again, Replay::Seen)?;
    }
    // Whoever shows it with a shorter life does not shorten it.
    same(store.put_once(&key, after(1), after(0)).await?, Replay::Seen)?;
    same(store.put_once(&key, after(MINUTE), after(MINUTE - 1)).await?, Replay::Seen)
}

/// Many keys, none of which is another's.
pub async fn keys_are_remembered_each_for_itself<S: Store>(store: &S) -> Result<(), Broken> {
    for outcome in [Replay::Fresh, Replay::Seen] {
        for number in 0..100 {
            let until = after(MINUTE + number);
            same(store.put_once(&digest("key", number), until, after(0)).await?, outcome)?;
        }
    }
    Ok(())
}

/// What was seen in the future was seen.
pub async fn a_clock_that_is_set_back_forgets_no_key<S: Store>(store: &S) -> Result<(), Broken> {
    let key = digest("key", 1);
    same(store.put_once(&key, after(9 * MINUTE), after(8 * MINUTE)).await?, Replay::Fresh)?;
    same(store.put_once(&key, after(MINUTE), after(0)).await?, Replay::Seen)?;
    same(store.put_once(&key, after(9 * MINUTE), after(8 * MINUTE)).await?, Replay::Seen)
}
