//! What has expired and is not needed any more.

use core::time::Duration;
use std::time::Instant;

use authorization_server::store::OnceKind;
use oauth_types::UnixTime;
use rusqlite::{Connection, params};

use crate::clients;
use crate::failure::Failure;
use crate::row::{saturating, time};

/// Most rows that are removed in one go, with about five pages each: what is in the same transaction waits for them.
const BATCH: usize = 20;
/// So many are removed before anybody looks at the time again.
const STEP: usize = 5;
/// How long one go may take: a row may be anywhere on a slow disk.
const TIME: Duration = Duration::from_millis(2);

/// In this order: a used code goes before its family, and a family after its last token.
const STATEMENTS: [&str; 6] = [
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE kind = 2 AND until <= ?1 LIMIT ?2)",
    "DELETE FROM consents WHERE key IN (SELECT key FROM consents WHERE until <= ?1 LIMIT ?2)",
    "DELETE FROM access WHERE rowid IN \
     (SELECT rowid FROM access WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM codes WHERE rowid IN \
     (SELECT rowid FROM codes WHERE redeemed IS NULL AND expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM codes WHERE redeemed IN \
     (SELECT number FROM families WHERE needed_until <= ?1 ORDER BY needed_until LIMIT ?2)",
    "DELETE FROM families WHERE number IN \
     (SELECT number FROM families WHERE needed_until <= ?1 ORDER BY needed_until LIMIT ?2)",
];

/// What goes by the time that is settled.
const SETTLED: [&str; 3] = [
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE kind = 0 AND until <= ?1 LIMIT ?2)",
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE kind = 1 AND until <= ?1 LIMIT ?2)",
    clients::FORGET,
];

/// Notes the time, as [`OnceKind`] has it: where less than the two hours have passed, nothing changes.
const CLOCK: &str = "UPDATE sweep_clock SET \
     settled = CASE WHEN ?1 - latest >= ?2 THEN latest ELSE min(settled, ?1) END, \
     latest = CASE WHEN ?1 - latest >= ?2 THEN ?1 ELSE min(latest, ?1) END \
     WHERE ?1 - latest >= ?2 OR ?1 < latest OR ?1 < settled";

/// Removes some rows, at most `max`, in a moment; how many, and 0 only when none is left.
#[expect(clippy::disallowed_methods, reason = "it decides when to go on, and nothing else")]
pub(crate) fn batch(connection: &Connection, now: UnixTime, max: usize) -> Result<usize, Failure> {
    let (begin, most) = (Instant::now(), max.min(BATCH));
    let mut removed = 0;
    let settled = settle(connection, now)?;
    while removed < most {
        let step = STEP.min(most - removed);
        let more = sweep(connection, now, settled, step)?;
        removed += more;
        if more < step || begin.elapsed() > TIME {
            break;
        }
    }
    Ok(removed)
}

/// Notes this time, and returns the one that is settled.
pub(crate) fn settle(connection: &Connection, now: UnixTime) -> Result<i64, Failure> {
    let kept = saturating(OnceKind::KEPT_AFTER_END.as_secs());
    connection.prepare_cached(CLOCK)?.execute(params![time(now), kept])?;
    let mut query = connection.prepare_cached("SELECT settled FROM sweep_clock")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Removes at most `max` rows; how many.
fn sweep(
    connection: &Connection,
    now: UnixTime,
    settled: i64,
    max: usize,
) -> Result<usize, Failure> {
    let mut left = max;
    let statements = STATEMENTS.into_iter().map(|statement| (statement, time(now)));
    for (statement, end) in statements.chain(SETTLED.into_iter().map(|it| (it, settled))) {
        if left == 0 {
            return Ok(max);
        }
        let limit = saturating(left);
        let removed = connection.prepare_cached(statement)?.execute(params![end, limit])?;
        left = left.saturating_sub(removed);
    }
    Ok(max - left)
}
