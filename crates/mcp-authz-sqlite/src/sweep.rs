//! Sweeps: removal of expired rows that nothing needs any more.

use core::time::Duration;
use std::time::Instant;

use authorization_server::store::OnceKind;
use oauth_types::UnixTime;
use rusqlite::{Connection, params};

use crate::clients;
use crate::failure::Failure;
use crate::row::{saturating, time};

/// Most rows of one batch, with about five pages each.
///
/// Operations in the same transaction wait for all of them.
const BATCH: usize = 20;
/// Rows that are removed before the clock is read again.
const STEP: usize = 5;
/// Time after which a batch ends, because on a slow disk any row may take long to find.
const TIME: Duration = Duration::from_millis(2);

/// Deletions of what ends by `?1`, the current time.
///
/// The order matters: a redeemed code goes before its family, and a family after its last token.
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

/// Deletions of what ends by `?1`, the settled time ([`settle`]).
const SETTLED: [&str; 3] = [
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE kind = 0 AND until <= ?1 LIMIT ?2)",
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE kind = 1 AND until <= ?1 LIMIT ?2)",
    clients::FORGET,
];

/// Notes the time `?1` by the rule of [`OnceKind`].
///
/// The row is written only if `?2` seconds have passed, or if the clock was set back.
const CLOCK: &str = "UPDATE sweep_clock SET \
     settled = CASE WHEN ?1 - latest >= ?2 THEN latest ELSE min(settled, ?1) END, \
     latest = CASE WHEN ?1 - latest >= ?2 THEN ?1 ELSE min(latest, ?1) END \
     WHERE ?1 - latest >= ?2 OR ?1 < latest OR ?1 < settled";

/// Removes at most `max` rows in a few milliseconds and returns their number, 0 only if none is left.
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

/// Notes the current time and returns the settled time, which sweeps noted two hours ago or earlier.
pub(crate) fn settle(connection: &Connection, now: UnixTime) -> Result<i64, Failure> {
    let kept = saturating(OnceKind::KEPT_AFTER_END.as_secs());
    connection.prepare_cached(CLOCK)?.execute(params![time(now), kept])?;
    let mut query = connection.prepare_cached("SELECT settled FROM sweep_clock")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Removes at most `max` rows and returns their number.
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
