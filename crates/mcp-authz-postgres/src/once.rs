//! Replay detection: keys that are accepted at most once, by kind ([`OnceKind`]).

use authorization_server::store::OnceKind;
use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::failure::Failure;
use crate::row::time;
use crate::session::Session;

/// Stores a key, unless it was seen before.
///
/// A key was seen if it is stored and has not ended, or if it ends no later than a forgotten key of its kind.
///
/// The second of two calls waits for the first, and sees the row as the first left it.
const PUT: &str = "\
    INSERT INTO once (key, until, kind) SELECT $1::bytea, $2::bigint, $4::smallint
        WHERE NOT EXISTS (SELECT FROM forgotten WHERE kind = $4 AND until >= $2)
    ON CONFLICT (key) DO UPDATE SET until = greatest(once.until, EXCLUDED.until)
        WHERE once.until <= $3
    RETURNING until";

pub(crate) async fn put(
    session: &mut Session,
    kind: OnceKind,
    key: &SecretDigest,
    until: UnixTime,
    now: UnixTime,
) -> Result<Replay, Failure> {
    let (key, kind) = (key.as_bytes().as_slice(), i16::from(kind.number()));
    if session.change(PUT, &[&key, &time(until), &time(now), &kind]).await?.is_none() {
        return Ok(Replay::Seen);
    }
    // A separate statement, because a sweep may have forgotten the key since the one above began.
    let query = "SELECT until FROM forgotten WHERE until >= $1 AND kind = $2";
    let forgotten = session.find(query, &[&time(until), &kind]).await?;
    Ok(if forgotten.is_some() { Replay::Seen } else { Replay::Fresh })
}
