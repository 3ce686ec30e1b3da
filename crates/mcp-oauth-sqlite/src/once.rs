//! What counts once.

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::{first, read_time, time};

pub(crate) fn put(
    connection: &Connection,
    key: &SecretDigest,
    until: UnixTime,
    now: UnixTime,
) -> Result<Replay, Failure> {
    let mut query = connection.prepare_cached("SELECT until FROM once WHERE key = ?1")?;
    let end = first(query.query([key.as_bytes()])?, |row| read_time(row, 0))?;
    if end.is_some_and(|end| now < end) {
        return Ok(Replay::Seen);
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO once (key, until) VALUES (?1, ?2)")?
        .execute(params![key.as_bytes(), time(until)])?;
    Ok(Replay::Fresh)
}
