//! Consents: the scopes that users granted to clients, remembered until a time.

use authorization_server::store::ConsentRecord;
use authorization_server::store::rows::ConsentIndex;
use oauth_types::{ClientId, SecretDigest, Subject};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::{first, read_body, read_digest, read_text, read_time, time};

pub(crate) fn read(
    connection: &Connection,
    key: &SecretDigest,
) -> Result<Option<ConsentRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT key, subject, client_id, until, body FROM consents WHERE key = ?1",
    )?;
    first(query.query([key.as_bytes()])?, |row| {
        let index = ConsentIndex {
            key: read_digest(row, 0)?,
            subject: read_text(row, 1, Subject::parse)?,
            client_id: read_text(row, 2, ClientId::parse)?,
            until: read_time(row, 3)?,
        };
        Ok(ConsentRecord::from_row(index, &read_body(row, 4)?)?)
    })
}

pub(crate) fn put(connection: &Connection, consent: &ConsentRecord) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO consents (key, subject, client_id, until, body) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            consent.key.as_bytes(),
            consent.subject.as_str(),
            consent.client_id.as_str(),
            time(consent.until),
            consent.body()?.as_str(),
        ])?;
    Ok(())
}
