//! What has expired and is not needed any more.

use oauth_types::UnixTime;
use rusqlite::{Connection, params};

use crate::clients;
use crate::failure::Failure;
use crate::row::time;

/// Most rows that are removed in one go: what waits meanwhile waits for milliseconds.
pub(crate) const BATCH: usize = 100;

/// In this order: a used code goes before its family, and a family after its last token.
const STATEMENTS: [&str; 5] = [
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE until <= ?1 LIMIT ?2)",
    "DELETE FROM consents WHERE key IN (SELECT key FROM consents WHERE until <= ?1 LIMIT ?2)",
    "DELETE FROM access WHERE digest IN \
     (SELECT digest FROM access WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM codes WHERE digest IN \
     (SELECT digest FROM codes WHERE needed_until <= ?1 LIMIT ?2)",
    "DELETE FROM families WHERE id IN \
     (SELECT id FROM families WHERE needed_until <= ?1 LIMIT ?2)",
];

/// Removes at most `max` rows; how many.
pub(crate) fn sweep(connection: &Connection, now: UnixTime, max: usize) -> Result<usize, Failure> {
    let mut left = max;
    for statement in STATEMENTS {
        if left == 0 {
            return Ok(max);
        }
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        let removed = connection.prepare_cached(statement)?.execute(params![time(now), limit])?;
        left = left.saturating_sub(removed);
    }
    let limit = i64::try_from(left).unwrap_or(i64::MAX);
    left = left.saturating_sub(clients::forget(connection, now, limit)?);
    Ok(max - left)
}
