//! What counts once.

use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};

use crate::failure::Failure;
use crate::row::time;
use crate::session::Session;

/// Takes nothing that ends before what was forgotten, nor what is there and has not ended. Whoever comes second waits for
/// the first, and finds the row as it is then.
const PUT: &str = "\
    INSERT INTO once (key, until) SELECT $1, $2 FROM forgotten WHERE until < $2
    ON CONFLICT (key) DO UPDATE SET until = greatest(once.until, EXCLUDED.until)
        WHERE once.until <= $3
    RETURNING until";

pub(crate) async fn put(
    session: &mut Session,
    key: &SecretDigest,
    until: UnixTime,
    now: UnixTime,
) -> Result<Replay, Failure> {
    let key = key.as_bytes().as_slice();
    if session.change(PUT, &[&key, &time(until), &time(now)]).await?.is_none() {
        return Ok(Replay::Seen);
    }
    // By a statement of its own: a sweep may have forgotten the key since the one above began.
    let query = "SELECT until FROM forgotten WHERE until >= $1";
    let forgotten = session.find(query, &[&time(until)]).await?;
    Ok(if forgotten.is_some() { Replay::Seen } else { Replay::Fresh })
}
