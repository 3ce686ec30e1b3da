//! What counts once.

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::time;

/// Takes nothing that ends before what was forgotten, nor what is there and has not ended.
const PUT: &str = "INSERT INTO once (key, until) SELECT ?1, ?2 FROM forgotten WHERE until < ?2 \
                   ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until) WHERE until <= ?3";

pub(crate) fn put(
    connection: &Connection,
    key: &SecretDigest,
    until: UnixTime,
    now: UnixTime,
) -> Result<Replay, Failure> {
    let mut put = connection.prepare_cached(PUT)?;
    let fresh = put.execute(params![key.as_bytes(), time(until), time(now)])?;
    Ok(if fresh == 0 { Replay::Seen } else { Replay::Fresh })
}
