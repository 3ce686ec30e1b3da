//! Authorization codes: each is redeemed at most once, for one family (RFC 6749 §4.1.2).

use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{CodeRecord, FamilyId, NewFamily, RedeemOutcome};
use oauth_types::{ClientId, SecretDigest, UnixTime};

use crate::failure::Failure;
use crate::families;
use crate::row::{
    read, read_body, read_digest, read_optional_family, read_subject, read_text, read_time, time,
};
use crate::session::Session;

pub(crate) async fn insert(session: &mut Session, code: &CodeRecord) -> Result<(), Failure> {
    let statement = "INSERT INTO codes (digest, client_id, subject, expires_at, redeemed, \
         needed_until, body) VALUES ($1, $2, $3, $4, $5, $4, $6) ON CONFLICT (digest) DO NOTHING";
    session
        .change(
            statement,
            &[
                &code.digest.as_bytes().as_slice(),
                &code.client_id.as_str(),
                &code.subject.as_str().as_bytes(),
                &time(code.expires_at),
                &code.redeemed.as_ref().map(|family| family.as_bytes().as_slice()),
                &code.body()?.as_str(),
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn read_one(
    session: &mut Session,
    digest: &SecretDigest,
) -> Result<Option<CodeRecord>, Failure> {
    let query = "SELECT digest, client_id, subject, expires_at, redeemed, body \
         FROM codes WHERE digest = $1";
    let Some(row) = session.find(query, &[&digest.as_bytes().as_slice()]).await? else {
        return Ok(None);
    };
    let index = CodeIndex {
        digest: read_digest(&row, 0)?,
        client_id: read_text(&row, 1, ClientId::parse)?,
        subject: read_subject(&row, 2)?,
        expires_at: read_time(&row, 3)?,
        redeemed: read_optional_family(&row, 4)?,
    };
    Ok(Some(CodeRecord::from_row(index, &read_body(&row, 5)?)?))
}

/// Redeems a code in one statement.
///
/// The second of two redemptions sees the code as the first left it, because PostgreSQL reads a row again after it
/// waited for its lock. The counter is locked only for a client's first token. After that token, the client's row is
/// written at most once a day.
const REDEEM: &str = "\
    WITH code AS MATERIALIZED (
        SELECT digest, redeemed, expires_at <= $2 AS is_over FROM codes WHERE digest = $1
        FOR NO KEY UPDATE
    ), good AS (
        SELECT digest FROM code WHERE redeemed IS NULL AND NOT is_over
    ), family AS (
        INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until,
            generation, rotated_at, revoked, needed_until, body)
        SELECT $3::bytea, $4::text, $5::bytea, $6::text, $7::bigint, $8::bigint,
            0, $2, false, $9::bigint, $10::text FROM good
    ), token AS (
        INSERT INTO access (digest, family, expires_at, body)
        SELECT $11::bytea, $3, $12::bigint, $13::text FROM good
        ON CONFLICT (digest) DO NOTHING
    ), counter AS MATERIALIZED (
        SELECT name FROM counters WHERE name = 'clients'
            AND EXISTS (SELECT FROM good, clients WHERE client_id = $4 AND unused)
        FOR NO KEY UPDATE
    ), client AS (
        UPDATE clients SET unused = false, unused_until = greatest(unused_until, $14) FROM good
        WHERE client_id = $4 AND unused_until IS NOT NULL AND CASE
            WHEN unused THEN EXISTS (SELECT FROM counter)
            ELSE $14 - unused_until >= 86400 END
    ), used AS (
        UPDATE codes SET redeemed = $3, needed_until = $9 FROM good
        WHERE codes.digest = good.digest
    )
    SELECT redeemed, is_over FROM code";

pub(crate) async fn redeem(
    session: &mut Session,
    digest: &SecretDigest,
    family: &NewFamily,
    now: UnixTime,
) -> Result<RedeemOutcome, Failure> {
    // A-TOKEN-1, A-TOKEN-2
    let found = session
        .change(
            REDEEM,
            &[
                &digest.as_bytes().as_slice(),
                &time(now),
                &family.id.as_bytes().as_slice(),
                &family.client_id.as_str(),
                &family.subject.as_str().as_bytes(),
                &family.resource.as_str(),
                &time(family.expires_at),
                &time(family.idle_until),
                &time(family.needed_until()),
                &family.body()?.as_str(),
                &family.access.digest.as_bytes().as_slice(),
                &time(family.access.expires_at),
                &family.access.body()?.as_str(),
                &time(family.client_needed_until()),
            ],
        )
        .await?;
    let Some(code) = found else { return Ok(RedeemOutcome::Missing) };
    let redeemed: Option<FamilyId> = read_optional_family(&code, 0)?;
    if let Some(redeemed) = redeemed {
        session.nothing_changed();
        // A separate statement, because the one above does not see a family that was stored while it waited.
        families::revoke(session, &redeemed).await?;
        return Ok(RedeemOutcome::AlreadyUsed(redeemed));
    }
    let is_over: bool = read(&code, 1)?;
    Ok(if is_over { RedeemOutcome::Expired } else { RedeemOutcome::Redeemed })
}
