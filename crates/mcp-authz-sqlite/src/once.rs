//! Replay detection: keys that are accepted at most once, by kind ([`OnceKind`]).

use authorization_server::store::OnceKind;
use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::time;

/// Stores a key, unless it was seen before.
///
/// A key was seen if it is stored and has not ended, or if it ends no later than a forgotten key of its kind.
const PUT: &str = "INSERT INTO once (key, until, kind) SELECT ?1, ?2, ?4 \
                   WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE kind = ?4 AND until >= ?2) \
                   ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until) WHERE until <= ?3";

pub(crate) fn put(
    connection: &Connection,
    kind: OnceKind,
    key: &SecretDigest,
    until: UnixTime,
    now: UnixTime,
) -> Result<Replay, Failure> {
    let mut put = connection.prepare_cached(PUT)?;
    let fresh = put.execute(params![key.as_bytes(), time(until), time(now), kind.number()])?;
    Ok(if fresh == 0 { Replay::Seen } else { Replay::Fresh })
}
