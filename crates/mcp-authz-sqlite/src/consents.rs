//! What users agreed to.

use authorization_server::ConsentRecord;
use oauth_types::{ClientId, ScopeSet, SecretDigest};
use rusqlite::{Connection, params};

use crate::failure::Failure;
use crate::row::{first, read_digest, read_text, read_time, time};

pub(crate) fn read(
    connection: &Connection,
    key: &SecretDigest,
) -> Result<Option<ConsentRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT key, subject, client_id, scopes, metadata, until FROM consents WHERE key = ?1",
    )?;
    first(query.query([key.as_bytes()])?, |row| {
        Ok(ConsentRecord {
            key: read_digest(row, 0)?,
            subject: row.get(1)?,
            client_id: read_text(row, 2, ClientId::parse)?,
            scopes: read_text(row, 3, ScopeSet::parse)?,
            metadata: read_digest(row, 4)?,
            until: read_time(row, 5)?,
        })
    })
}

pub(crate) fn put(connection: &Connection, consent: &ConsentRecord) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO consents (key, subject, client_id, scopes, metadata, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            consent.key.as_bytes(),
            consent.subject,
            consent.client_id.as_str(),
            consent.scopes.as_str(),
            consent.metadata.as_bytes(),
            time(consent.until),
        ])?;
    Ok(())
}
