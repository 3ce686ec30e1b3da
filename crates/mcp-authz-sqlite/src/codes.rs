//! Codes, each good for one family.

use authorization_server::{CodeRecord, FamilyId, NewFamily, RedeemOutcome};
use oauth_types::{
    ClientId, CodeChallenge, RedirectUri, ResourceUri, ScopeSet, SecretDigest, UnixTime,
};
use rusqlite::{Connection, Row, params};

use crate::failure::Failure;
use crate::row::{first, read_digest, read_jkt, read_text, read_time, time};
use crate::{clients, families};

pub(crate) fn insert(connection: &Connection, code: &CodeRecord) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO codes (digest, client_id, redirect_uri, challenge, resource, scopes, \
             subject, expires_at, jkt, redeemed) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             (SELECT number FROM families WHERE id = ?10)) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            code.digest.as_bytes(),
            code.client_id.as_str(),
            code.redirect_uri.as_str(),
            code.challenge.as_str(),
            code.resource.as_str(),
            code.scopes.as_str(),
            code.subject,
            time(code.expires_at),
            code.jkt.as_ref().map(|jkt| jkt.as_bytes()),
            code.redeemed.as_ref().map(FamilyId::as_bytes),
        ])?;
    Ok(())
}

pub(crate) fn read(
    connection: &Connection,
    digest: &SecretDigest,
) -> Result<Option<CodeRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT digest, client_id, redirect_uri, challenge, resource, scopes, subject, expires_at, \
         jkt, redeemed, (SELECT id FROM families WHERE number = redeemed) \
         FROM codes WHERE digest = ?1",
    )?;
    first(query.query([digest.as_bytes()])?, |row| {
        Ok(CodeRecord {
            digest: read_digest(row, 0)?,
            client_id: read_text(row, 1, ClientId::parse)?,
            redirect_uri: read_text(row, 2, RedirectUri::parse_any_scheme)?,
            challenge: read_text(row, 3, CodeChallenge::parse)?,
            resource: read_text(row, 4, ResourceUri::parse)?,
            scopes: read_text(row, 5, ScopeSet::parse)?,
            subject: row.get(6)?,
            expires_at: read_time(row, 7)?,
            jkt: read_jkt(row, 8)?,
            redeemed: read_family(row, 9)?,
        })
    })
}

/// The family that a code was used for: its number in this column, its identifier in the next. A used code without its
/// family is damage, and is not good again.
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
