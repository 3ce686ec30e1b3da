//! Families: grants with their refresh tokens (OAuth 2.1 §4.3.1) and access tokens.

use authorization_server::store::rows::{AccessIndex, FamilyIndex};
use authorization_server::store::{
    AccessRecord, FamilyId, FamilyRecord, Generation, NewFamily, RotateOutcome, Rotation,
};
use oauth_types::{ClientId, ResourceUri, SecretDigest, UnixTime};

use crate::failure::Failure;
use crate::row::{
    read, read_body, read_family, read_subject, read_text, read_time, saturating, time,
};
use crate::session::Session;

/// Stores a family that was issued without a code, unless it is stored already.
pub(crate) async fn insert(
    session: &mut Session,
    family: &NewFamily,
    now: UnixTime,
) -> Result<(), Failure> {
    let statement = "\
        WITH family AS (
            INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until,
                generation, rotated_at, revoked, needed_until, body)
            VALUES ($1, $2, $3, $4, $5, $6, 0, $7, false, $8, $9)
            ON CONFLICT (id) DO NOTHING RETURNING id
        ), token AS (
            INSERT INTO access (digest, family, expires_at, body)
            SELECT $10::bytea, id, $11::bigint, $12::text FROM family
            ON CONFLICT (digest) DO NOTHING
        ), counter AS MATERIALIZED (
            SELECT name FROM counters WHERE name = 'clients'
                AND EXISTS (SELECT FROM family, clients WHERE client_id = $2 AND unused)
            FOR NO KEY UPDATE
        )
        UPDATE clients SET unused = false, unused_until = greatest(unused_until, $13) FROM family
        WHERE client_id = $2 AND unused_until IS NOT NULL AND CASE
            WHEN unused THEN EXISTS (SELECT FROM counter)
            ELSE $13 - unused_until >= 86400 END";
    session
        .change(
            statement,
            &[
                &family.id.as_bytes().as_slice(),
                &family.client_id.as_str(),
                &family.subject.as_str().as_bytes(),
                &family.resource.as_str(),
                &time(family.expires_at),
                &time(family.idle_until),
                &time(now),
                &time(family.needed_until()),
                &family.body()?.as_str(),
                &family.access.digest.as_bytes().as_slice(),
                &time(family.access.expires_at),
                &family.access.body()?.as_str(),
                &time(family.client_needed_until()),
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn read_one(
    session: &mut Session,
    id: &FamilyId,
) -> Result<Option<FamilyRecord>, Failure> {
    let query = "SELECT client_id, subject, resource, expires_at, idle_until, generation, \
         rotated_at, revoked, body FROM families WHERE id = $1";
    let Some(row) = session.find(query, &[&id.as_bytes().as_slice()]).await? else {
        return Ok(None);
    };
    let generation: i64 = read(&row, 5)?;
    let index = FamilyIndex {
        client_id: read_text(&row, 0, ClientId::parse)?,
        subject: read_subject(&row, 1)?,
        resource: read_text(&row, 2, ResourceUri::parse)?,
        expires_at: read_time(&row, 3)?,
        idle_until: read_time(&row, 4)?,
        generation: Generation::new(u64::try_from(generation).map_err(|_| Failure::Damaged)?),
        rotated_at: read_time(&row, 6)?,
        revoked: read(&row, 7)?,
    };
    Ok(Some(FamilyRecord::from_row(index, &read_body(&row, 8)?)?))
}

/// Rotates the refresh token of a family in one statement.
///
/// The second of two rotations judges the family as the first left it, because PostgreSQL reads a row again after it
/// waited for its lock. An access token may outlive its family, so the family's row and its code are kept for as long
/// as the token needs them.
const ROTATE: &str = "\
    WITH family AS MATERIALIZED (
        SELECT id, generation, rotated_at, expires_at, idle_until, revoked FROM families
        WHERE id = $1 FOR NO KEY UPDATE
    ), judged AS (
        SELECT id, expires_at, CASE
            WHEN revoked THEN 'revoked'
            WHEN expires_at <= $3 OR idle_until <= $3 THEN 'expired'
            WHEN generation = $2 THEN 'rotated'
            WHEN generation - 1 = $2 AND greatest($3 - rotated_at, 0) < $4 THEN 'replayed'
            ELSE 'reused'
        END AS outcome FROM family
    ), rotated AS (
        UPDATE families SET generation = generation + 1, rotated_at = $3, idle_until = $5,
            needed_until = greatest(needed_until, $7)
        FROM judged WHERE families.id = judged.id AND outcome = 'rotated'
    ), replayed AS (
        UPDATE families SET needed_until = $7
        FROM judged WHERE families.id = judged.id AND outcome = 'replayed' AND needed_until < $7
    ), reused AS (
        UPDATE families SET revoked = true
        FROM judged WHERE families.id = judged.id AND outcome = 'reused'
    ), code AS (
        UPDATE codes SET needed_until = $7
        FROM judged WHERE codes.redeemed = judged.id AND outcome IN ('rotated', 'replayed')
            AND judged.expires_at < $7 AND needed_until < $7
    ), token AS (
        INSERT INTO access (digest, family, expires_at, body)
        SELECT $6::bytea, id, $7::bigint, $8::text FROM judged
        WHERE outcome IN ('rotated', 'replayed')
        ON CONFLICT (digest) DO NOTHING
    )
    SELECT outcome FROM judged";

pub(crate) async fn rotate(
    session: &mut Session,
    rotation: &Rotation,
    now: UnixTime,
) -> Result<RotateOutcome, Failure> {
    // A-TOKEN-4
    let presented = saturating(rotation.presented.get());
    // Rounded up, because ages are whole seconds.
    let grace = rotation.grace.as_secs() + u64::from(rotation.grace.subsec_nanos() > 0);
    let found = session
        .change(
            ROTATE,
            &[
                &rotation.family.as_bytes().as_slice(),
                &presented,
                &time(now),
                &saturating(grace),
                &time(rotation.idle_until),
                &rotation.access.digest.as_bytes().as_slice(),
                &time(rotation.access.expires_at),
                &rotation.access.body()?.as_str(),
            ],
        )
        .await?;
    let Some(judged) = found else { return Ok(RotateOutcome::Missing) };
    match read(&judged, 0)? {
        "rotated" => Ok(RotateOutcome::Rotated),
        "replayed" => Ok(RotateOutcome::GraceReplay),
        "reused" => Ok(RotateOutcome::Reused),
        "revoked" => Ok(RotateOutcome::Revoked),
        "expired" => Ok(RotateOutcome::Expired),
        _ => Err(Failure::Damaged),
    }
}

pub(crate) async fn revoke(session: &mut Session, id: &FamilyId) -> Result<(), Failure> {
    let statement = "UPDATE families SET revoked = true WHERE id = $1 AND NOT revoked";
    session.change(statement, &[&id.as_bytes().as_slice()]).await?;
    Ok(())
}

pub(crate) async fn access(
    session: &mut Session,
    digest: &SecretDigest,
    now: UnixTime,
) -> Result<Option<AccessRecord>, Failure> {
    let query = "SELECT families.id, families.client_id, families.subject, families.resource, \
         access.expires_at, families.body, access.body \
         FROM access JOIN families ON families.id = access.family \
         WHERE access.digest = $1 AND NOT families.revoked";
    let Some(row) = session.find(query, &[&digest.as_bytes().as_slice()]).await? else {
        return Ok(None);
    };
    let index = AccessIndex {
        family: read_family(&row, 0)?,
        client_id: read_text(&row, 1, ClientId::parse)?,
        subject: read_subject(&row, 2)?,
        resource: read_text(&row, 3, ResourceUri::parse)?,
        expires_at: read_time(&row, 4)?,
    };
    let found = AccessRecord::from_rows(index, &read_body(&row, 5)?, &read_body(&row, 6)?)?;
    Ok(Some(found).filter(|access| now < access.expires_at))
}
