//! Authorization codes: each is redeemed at most once, for one family (RFC 6749 §4.1.2).

use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{CodeRecord, FamilyId, NewFamily, RedeemOutcome};
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};
use rusqlite::{Connection, Row, params};

use crate::failure::Failure;
use crate::row::{first, read_body, read_digest, read_text, read_time, time};
use crate::{clients, families};

pub(crate) fn insert(connection: &Connection, code: &CodeRecord) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO codes (digest, client_id, subject, expires_at, redeemed, body) \
             VALUES (?1, ?2, ?3, ?4, (SELECT number FROM families WHERE id = ?5), ?6) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            code.digest.as_bytes(),
            code.client_id.as_str(),
            code.subject.as_str(),
            time(code.expires_at),
            code.redeemed.as_ref().map(FamilyId::as_bytes),
            code.body()?.as_str(),
        ])?;
    Ok(())
}

pub(crate) fn read(
    connection: &Connection,
    digest: &SecretDigest,
) -> Result<Option<CodeRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT digest, client_id, subject, expires_at, redeemed, \
         (SELECT id FROM families WHERE number = redeemed), body FROM codes WHERE digest = ?1",
    )?;
    first(query.query([digest.as_bytes()])?, |row| {
        let index = CodeIndex {
            digest: read_digest(row, 0)?,
            client_id: read_text(row, 1, ClientId::parse)?,
            subject: read_text(row, 2, Subject::parse)?,
            expires_at: read_time(row, 3)?,
            redeemed: read_family(row, 4)?,
        };
        Ok(CodeRecord::from_row(index, &read_body(row, 6)?)?)
    })
}

/// Reads the family that a code was redeemed for.
///
/// This column holds the number of the family, and the next one its identifier.
///
/// A redeemed code without its family is damage, so that the code cannot be redeemed again.
fn read_family(row: &Row<'_>, column: usize) -> Result<Option<FamilyId>, Failure> {
    match (row.get::<_, Option<i64>>(column)?, row.get::<_, Option<[u8; 16]>>(column + 1)?) {
        (None, _) => Ok(None),
        (Some(_), Some(id)) => Ok(Some(FamilyId::from_bytes(id))),
        (Some(_), None) => Err(Failure::Damaged),
    }
}

pub(crate) fn redeem(
    connection: &Connection,
    digest: &SecretDigest,
    family: &NewFamily,
    now: UnixTime,
) -> Result<RedeemOutcome, Failure> {
    // A-TOKEN-1, A-TOKEN-2
    let mut query = connection.prepare_cached(
        "SELECT expires_at, redeemed, (SELECT id FROM families WHERE number = redeemed) \
         FROM codes WHERE digest = ?1",
    )?;
    let code = first(query.query([digest.as_bytes()])?, |row| {
        Ok((read_time(row, 0)?, read_family(row, 1)?))
    })?;
    let Some((expires_at, redeemed)) = code else { return Ok(RedeemOutcome::Missing) };
    if let Some(redeemed) = redeemed {
        families::revoke(connection, &redeemed)?;
        return Ok(RedeemOutcome::AlreadyUsed(redeemed));
    }
    if now >= expires_at {
        return Ok(RedeemOutcome::Expired);
    }
    let number = families::insert(connection, family, now)?;
    connection
        .prepare_cached("UPDATE codes SET redeemed = ?2 WHERE digest = ?1")?
        .execute(params![digest.as_bytes(), number])?;
    clients::keep(connection, family)?;
    Ok(RedeemOutcome::Redeemed)
}
