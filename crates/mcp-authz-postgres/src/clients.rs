//! Client rows: reading, creating and deleting them, and revoking what users granted.

use authorization_server::ClientRecord;
use authorization_server::store::CreateOutcome;
use authorization_server::store::rows::ClientIndex;
use oauth_types::{ClientId, Subject, UnixTime};

use crate::failure::Failure;
use crate::row::{read, read_body, read_optional_time, read_text, saturating, time};
use crate::session::Session;
use crate::sweep;

/// Most forgotten clients that are removed at once to make room for a new one.
const FORGOTTEN: i64 = 100;

/// Locks the counter, which every statement locks before it adds or removes clients.
const LOCK: &str = "SELECT value FROM counters WHERE name = 'clients' FOR NO KEY UPDATE";

pub(crate) async fn read_one(
    session: &mut Session,
    client_id: &ClientId,
) -> Result<Option<ClientRecord>, Failure> {
    let query =
        "SELECT client_id, unused_until, of_operator, body FROM clients WHERE client_id = $1";
    let Some(row) = session.find(query, &[&client_id.as_str()]).await? else { return Ok(None) };
    let index = ClientIndex {
        client_id: read_text(&row, 0, ClientId::parse)?,
        unused_until: read_optional_time(&row, 1)?,
        of_operator: read(&row, 2)?,
    };
    Ok(Some(ClientRecord::from_row(index, &read_body(&row, 3)?)?))
}

pub(crate) async fn create(
    session: &mut Session,
    client: &ClientRecord,
    max_clients: usize,
    now: UnixTime,
) -> Result<CreateOutcome, Failure> {
    let outcome = add(session, client, max_clients).await?;
    if outcome != CreateOutcome::QuotaReached {
        return Ok(outcome);
    }
    // Outside the transaction below and before it locks the counter, because sweeps note the time in the same row.
    let settled = sweep::settle(session, now).await?;
    session.nothing_changed();
    // Under the lock of the counter, because another process may have made room or stored the client since.
    session.begin_transaction().await?;
    session.change(LOCK, &[]).await?;
    let query = "SELECT client_id FROM clients WHERE client_id = $1";
    let outcome = if session.find(query, &[&client.client_id.as_str()]).await?.is_some() {
        CreateOutcome::Duplicate
    } else {
        session.change(FORGET, &[&settled, &FORGOTTEN]).await?;
        let outcome = add(session, client, max_clients).await?;
        if outcome == CreateOutcome::QuotaReached {
            remove_oldest_unused(session).await?;
            add(session, client, max_clients).await?
        } else {
            outcome
        }
    };
    session.commit().await?;
    Ok(outcome)
}

/// Removes the client without a token that would be forgotten first, if there is one.
///
/// The caller holds the lock of the counter.
async fn remove_oldest_unused(session: &mut Session) -> Result<(), Failure> {
    let statement = "DELETE FROM clients WHERE client_id = \
         (SELECT client_id FROM clients WHERE unused ORDER BY unused_until LIMIT 1)";
    session.change(statement, &[]).await?;
    Ok(())
}

/// Stores a client if there is room without removing another one.
///
/// Clients without a token may fill only a part of the room ([`ClientRecord::max_unused`]).
async fn add(
    session: &mut Session,
    client: &ClientRecord,
    max_clients: usize,
) -> Result<CreateOutcome, Failure> {
    let statement = "\
        WITH counter AS MATERIALIZED (
            SELECT value < $5 AND ($2::bigint IS NULL OR unused < $6) AS has_room
            FROM counters WHERE name = 'clients' FOR NO KEY UPDATE
        ), added AS (
            INSERT INTO clients (client_id, unused_until, unused, of_operator, body)
            SELECT $1::text, $2::bigint, $2::bigint IS NOT NULL, $3::boolean, $4::text FROM counter
            WHERE has_room ON CONFLICT (client_id) DO NOTHING RETURNING client_id
        )
        SELECT has_room, EXISTS (SELECT FROM added) FROM counter";
    let row = session
        .change(
            statement,
            &[
                &client.client_id.as_str(),
                &client.unused_until.map(time),
                &client.of_operator,
                &client.body()?.as_str(),
                &saturating(max_clients),
                &saturating(ClientRecord::max_unused(max_clients)),
            ],
        )
        .await?
        .ok_or(Failure::Damaged)?;
    Ok(match (read(&row, 0)?, read(&row, 1)?) {
        (_, true) => CreateOutcome::Created,
        (true, false) => CreateOutcome::Duplicate,
        (false, false) => CreateOutcome::QuotaReached,
    })
}

/// Removes at most `$2` clients that are forgotten at the time `$1`, and returns their number.
pub(crate) const FORGET: &str = "\
    WITH counter AS MATERIALIZED (
        SELECT name FROM counters WHERE name = 'clients' FOR NO KEY UPDATE
    ), removed AS (
        DELETE FROM clients WHERE client_id = ANY (ARRAY(
            SELECT client_id FROM counter, clients WHERE unused_until <= $1
            ORDER BY unused_until LIMIT $2 FOR UPDATE OF clients
        )) RETURNING client_id
    )
    SELECT count(*) FROM removed";

pub(crate) async fn delete(session: &mut Session, client_id: &ClientId) -> Result<(), Failure> {
    // Codes before families, each by its own statement: a redemption of a code has ended when the code is removed, so
    // that the next statement sees its family. A redemption takes its locks in the same order. The counter is locked
    // only at the end, so that other clients can register meanwhile.
    let statements = [
        "DELETE FROM codes WHERE client_id = $1",
        "DELETE FROM consents WHERE client_id = $1",
        "UPDATE families SET revoked = true WHERE client_id = $1 AND NOT revoked",
        "WITH counter AS MATERIALIZED (
             SELECT name FROM counters WHERE name = 'clients' FOR NO KEY UPDATE
         )
         DELETE FROM clients WHERE client_id = (SELECT $1::text FROM counter)",
    ];
    session.change_all(&statements, &[&client_id.as_str()]).await
}

pub(crate) async fn revoke_subject(
    session: &mut Session,
    subject: &Subject,
    client_id: Option<&ClientId>,
) -> Result<(), Failure> {
    // In the order of `delete`, for the same reason.
    let statements = [
        "DELETE FROM codes WHERE subject = $1 AND ($2::text IS NULL OR client_id = $2)",
        "DELETE FROM consents WHERE subject = $1 AND ($2::text IS NULL OR client_id = $2)",
        "UPDATE families SET revoked = true \
         WHERE subject = $1 AND ($2::text IS NULL OR client_id = $2) AND NOT revoked",
    ];
    let client_id = client_id.map(ClientId::as_str);
    session.change_all(&statements, &[&subject.as_str().as_bytes(), &client_id]).await
}
