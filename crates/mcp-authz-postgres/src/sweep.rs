//! Sweeps: removal of expired rows that nothing needs any more.

use authorization_server::store::OnceKind;
use oauth_types::UnixTime;

use crate::clients;
use crate::failure::Failure;
use crate::row::{read, saturating, time};
use crate::session::Session;

/// Most rows of one statement.
pub(crate) const BATCH: usize = 1000;

/// Removes ended keys of one kind from `once`, and notes the latest end among them in `forgotten`.
macro_rules! sweep_once {
    ($kind:literal) => {
        concat!(
            "WITH removed AS (DELETE FROM once WHERE key = ANY (ARRAY(
                 SELECT key FROM once WHERE kind = ",
            $kind,
            " AND until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
             )) RETURNING until), latest AS (SELECT max(until) AS until FROM removed), noted AS (
                 UPDATE forgotten SET until = latest.until FROM latest
                 WHERE kind = ",
            $kind,
            " AND forgotten.until < latest.until
             ) SELECT count(*) FROM removed"
        )
    };
}

/// Notes the time `$1` by the rule of [`OnceKind`].
///
/// The row is written only if `$2` seconds have passed, or if the clock was set back.
const CLOCK: &str = "\
    UPDATE sweep_clock SET
        settled = CASE WHEN $1 - latest >= $2 THEN latest ELSE least(settled, $1) END,
        latest = CASE WHEN $1 - latest >= $2 THEN $1 ELSE least(latest, $1) END
    WHERE $1 - latest >= $2 OR $1 < latest OR $1 < settled";

/// Deletions of what ends by `$1`, the current time.
///
/// The order matters: a redeemed code goes before its family, except while another operation prolongs that family, and
/// a family after its last token. Rows that another operation has locked are left for the next sweep, so that no
/// operation waits; each statement locks what it removes.
const STATEMENTS: [&str; 6] = [
    sweep_once!("2"),
    "WITH removed AS (DELETE FROM consents WHERE key = ANY (ARRAY(
         SELECT key FROM consents WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
     )) RETURNING key) SELECT count(*) FROM removed",
    "WITH removed AS (DELETE FROM access WHERE digest = ANY (ARRAY(
         SELECT digest FROM access WHERE expires_at <= $1
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
     )) RETURNING digest) SELECT count(*) FROM removed",
    "WITH removed AS (DELETE FROM codes WHERE digest = ANY (ARRAY(
         SELECT digest FROM codes WHERE needed_until <= $1 AND redeemed IS NULL
         ORDER BY needed_until LIMIT $2 FOR UPDATE SKIP LOCKED
     )) RETURNING digest) SELECT count(*) FROM removed",
    "WITH removed AS (DELETE FROM codes WHERE digest = ANY (ARRAY(
         SELECT digest FROM codes JOIN families ON families.id = codes.redeemed
         WHERE codes.needed_until <= $1 AND families.needed_until <= $1
         ORDER BY codes.needed_until LIMIT $2 FOR UPDATE SKIP LOCKED
     )) RETURNING digest) SELECT count(*) FROM removed",
    "WITH removed AS (DELETE FROM families WHERE id = ANY (ARRAY(
         SELECT id FROM families WHERE needed_until <= $1
             AND NOT EXISTS (SELECT FROM codes WHERE redeemed = families.id)
         ORDER BY needed_until LIMIT $2 FOR UPDATE SKIP LOCKED
     )) RETURNING id) SELECT count(*) FROM removed",
];

/// Deletions of what ends by `$1`, the settled time ([`settle`]).
const SETTLED: [&str; 3] = [sweep_once!("0"), sweep_once!("1"), clients::FORGET];

/// Notes the current time and returns the settled time, which sweeps noted two hours ago or earlier.
pub(crate) async fn settle(session: &mut Session, now: UnixTime) -> Result<i64, Failure> {
    let kept = saturating(OnceKind::KEPT_AFTER_END.as_secs());
    session.change(CLOCK, &[&time(now), &kept]).await?;
    let settled = session.find("SELECT settled FROM sweep_clock", &[]).await?;
    read(&settled.ok_or(Failure::Damaged)?, 0)
}

/// Removes at most `max` rows and returns their number.
pub(crate) async fn sweep(
    session: &mut Session,
    now: UnixTime,
    max: usize,
) -> Result<usize, Failure> {
    let settled = settle(session, now).await?;
    let statements = STATEMENTS.into_iter().map(|statement| (statement, time(now)));
    let mut left = max;
    for (statement, end) in statements.chain(SETTLED.into_iter().map(|it| (it, settled))) {
        if left == 0 {
            return Ok(max);
        }
        let limit = saturating(left);
        let row = session.change(statement, &[&end, &limit]).await?;
        let removed: i64 = read(&row.ok_or(Failure::Damaged)?, 0)?;
        left = left.saturating_sub(usize::try_from(removed).map_err(|_| Failure::Damaged)?);
    }
    Ok(max - left)
}
