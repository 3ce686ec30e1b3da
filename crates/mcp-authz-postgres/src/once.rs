//! What counts once.

use authorization_server::store::OnceKind;
use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::failure::Failure;
use crate::row::time;
use crate::session::Session;

/// Takes nothing that ends before what was forgotten of its kind, nor what is there and has not ended. Whoever comes second waits for
/// the first, and finds the row as it is then.
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
    // By a statement of its own: a sweep may have forgotten the key since the one above began.
    let query = "SELECT until FROM forgotten WHERE until >= $1 AND kind = $2";
    let forgotten = session.find(query, &[&time(until), &kind]).await?;
    Ok(if forgotten.is_some() { Replay::Seen } else { Replay::Fresh })
}
