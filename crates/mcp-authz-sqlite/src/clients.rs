//! Client rows: reading, creating and deleting them, and revoking what users granted.

use authorization_server::ClientRecord;
use authorization_server::store::rows::ClientIndex;
use authorization_server::store::{CreateOutcome, NewFamily};
use oauth_types::{ClientId, Subject, UnixTime};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::{first, read_body, read_optional_time, read_text, time};
use crate::sweep;

/// Most forgotten clients that are removed at once to make room for a new one.
const FORGOTTEN: i64 = 100;

pub(crate) fn read(
    connection: &Connection,
    client_id: &ClientId,
) -> Result<Option<ClientRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT client_id, unused_until, of_operator, body FROM clients WHERE client_id = ?1",
    )?;
    first(query.query([client_id.as_str()])?, |row| {
        let index = ClientIndex {
            client_id: read_text(row, 0, ClientId::parse)?,
            unused_until: read_optional_time(row, 1)?,
            of_operator: row.get(2)?,
        };
        Ok(ClientRecord::from_row(index, &read_body(row, 3)?)?)
    })
}

pub(crate) fn create(
    connection: &Connection,
    client: &ClientRecord,
    max_clients: usize,
    now: UnixTime,
) -> Result<CreateOutcome, Failure> {
    let mut query = connection.prepare_cached("SELECT 1 FROM clients WHERE client_id = ?1")?;
    if query.exists([client.client_id.as_str()])? {
        return Ok(CreateOutcome::Duplicate);
    }
    let (is_unused, body) = (client.unused_until.is_some(), client.body()?);
    if !has_room(connection, client, max_clients)? {
        let settled = sweep::settle(connection, now)?;
        connection.prepare_cached(FORGET)?.execute(params![settled, FORGOTTEN])?;
    }
    if !has_room(connection, client, max_clients)? && !remove_oldest_unused(connection)? {
        return Ok(CreateOutcome::QuotaReached);
    }
    connection
        .prepare_cached(
            "INSERT INTO clients (client_id, unused_until, unused, of_operator, body) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            client.client_id.as_str(),
            client.unused_until.map(time),
            is_unused,
            client.of_operator,
            body.as_str(),
        ])?;
    Ok(CreateOutcome::Created)
}

/// Returns `true` if one more client fits.
///
/// Clients without a token may fill only a part of the room ([`ClientRecord::max_unused`]).
fn has_room(
    connection: &Connection,
    client: &ClientRecord,
    max_clients: usize,
) -> Result<bool, Failure> {
    let max_unused = ClientRecord::max_unused(max_clients);
    Ok(count(connection, "clients")? < max_clients
        && (client.unused_until.is_none() || count(connection, "unused")? < max_unused))
}

fn count(connection: &Connection, name: &str) -> Result<usize, Failure> {
    let mut query = connection.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    let count: i64 = query.query_row([name], |row| row.get(0))?;
    usize::try_from(count).map_err(|_| Failure::Damaged)
}

/// Removes the client without a token that would be forgotten first.
///
/// Returns `false` if every client has a token.
fn remove_oldest_unused(connection: &Connection) -> Result<bool, Failure> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM clients WHERE client_id IN \
         (SELECT client_id FROM clients WHERE unused = 1 ORDER BY unused_until LIMIT 1)",
    )?;
    Ok(delete.execute([])? > 0)
}

/// Removes at most `?2` clients that are forgotten at the time `?1`.
pub(crate) const FORGET: &str = "DELETE FROM clients WHERE client_id IN \
     (SELECT client_id FROM clients WHERE unused_until <= ?1 LIMIT ?2)";

/// Keeps a client for as long as its new family may need it.
///
/// After the client's first token, its row is written at most once a day.
pub(crate) fn keep(connection: &Connection, family: &NewFamily) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE clients SET unused = 0, unused_until = max(unused_until, ?2) \
             WHERE client_id = ?1 AND unused_until IS NOT NULL \
             AND (unused = 1 OR ?2 - unused_until >= 86400)",
        )?
        .execute(params![family.client_id.as_str(), time(family.client_needed_until())])?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, client_id: &ClientId) -> Result<(), Failure> {
    for statement in [
        "DELETE FROM clients WHERE client_id = ?1",
        "DELETE FROM codes WHERE client_id = ?1",
        "DELETE FROM consents WHERE client_id = ?1",
        "UPDATE families SET revoked = 1 WHERE client_id = ?1 AND revoked = 0",
    ] {
        connection.prepare_cached(statement)?.execute([client_id.as_str()])?;
    }
    Ok(())
}

pub(crate) fn revoke_subject(
    connection: &Connection,
    subject: &Subject,
    client_id: Option<&ClientId>,
) -> Result<(), Failure> {
    for statement in [
        "DELETE FROM codes WHERE subject = ?1 AND (?2 IS NULL OR client_id = ?2)",
        "DELETE FROM consents WHERE subject = ?1 AND (?2 IS NULL OR client_id = ?2)",
        "UPDATE families SET revoked = 1 \
         WHERE subject = ?1 AND (?2 IS NULL OR client_id = ?2) AND revoked = 0",
    ] {
        connection
            .prepare_cached(statement)?
            .execute(params![subject.as_str(), client_id.map(ClientId::as_str)])?;
    }
    Ok(())
}
