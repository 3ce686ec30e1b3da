//! Families: grants with their refresh tokens (OAuth 2.1 §4.3.1) and access tokens.

use authorization_server::store::rows::{AccessIndex, FamilyIndex};
use authorization_server::store::{
    AccessRecord, FamilyId, FamilyRecord, Generation, NewAccess, NewFamily, RotateOutcome, Rotation,
};
use oauth_types::{ClientId, ResourceUri, SecretDigest, Subject, UnixTime};
use rusqlite::{Connection, params};

use crate::clients;
use crate::failure::Failure;
use crate::row::{first, read_body, read_text, read_time, time};

/// Stores a family with its first access token and returns the number of its row.
///
/// The identifier of the family must be new.
pub(crate) fn insert(
    connection: &Connection,
    family: &NewFamily,
    now: UnixTime,
) -> Result<i64, Failure> {
    connection
        .prepare_cached(
            "INSERT INTO families (id, client_id, subject, resource, expires_at, idle_until, \
             generation, rotated_at, revoked, needed_until, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?8, ?9)",
        )?
        .execute(params![
            family.id.as_bytes(),
            family.client_id.as_str(),
            family.subject.as_str(),
            family.resource.as_str(),
            time(family.expires_at),
            time(family.idle_until),
            time(now),
            time(family.needed_until()),
            family.body()?.as_str(),
        ])?;
    let number = connection.last_insert_rowid();
    insert_access(connection, &family.id, &family.access)?;
    Ok(number)
}

/// Stores an access token.
///
/// A digest that is stored already comes from a repetition of the same operation, so the row stays as it is.
fn insert_access(
    connection: &Connection,
    family: &FamilyId,
    access: &NewAccess,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO access (digest, family, expires_at, body) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            access.digest.as_bytes(),
            family.as_bytes(),
            time(access.expires_at),
            access.body()?.as_str(),
        ])?;
    Ok(())
}

/// Stores a family that was issued without a code, unless it is stored already.
pub(crate) fn insert_new(
    connection: &Connection,
    family: &NewFamily,
    now: UnixTime,
) -> Result<(), Failure> {
    let mut query = connection.prepare_cached("SELECT 1 FROM families WHERE id = ?1")?;
    if query.exists([family.id.as_bytes()])? {
        return Ok(());
    }
    insert(connection, family, now)?;
    clients::keep(connection, family)
}

pub(crate) fn read(
    connection: &Connection,
    id: &FamilyId,
) -> Result<Option<FamilyRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT client_id, subject, resource, expires_at, idle_until, generation, rotated_at, \
         revoked, body FROM families WHERE id = ?1",
    )?;
    first(query.query([id.as_bytes()])?, |row| {
        let index = FamilyIndex {
            client_id: read_text(row, 0, ClientId::parse)?,
            subject: read_text(row, 1, Subject::parse)?,
            resource: read_text(row, 2, ResourceUri::parse)?,
            expires_at: read_time(row, 3)?,
            idle_until: read_time(row, 4)?,
            generation: generation(row.get(5)?)?,
            rotated_at: read_time(row, 6)?,
            revoked: row.get(7)?,
        };
        Ok(FamilyRecord::from_row(index, &read_body(row, 8)?)?)
    })
}

fn generation(number: i64) -> Result<Generation, Failure> {
    u64::try_from(number).map(Generation::new).map_err(|_| Failure::Damaged)
}

/// Columns that decide the outcome of a refresh.
struct Live {
    generation: Generation,
    rotated_at: UnixTime,
    expires_at: UnixTime,
    idle_until: UnixTime,
    is_revoked: bool,
}

fn read_live(connection: &Connection, id: &FamilyId) -> Result<Option<Live>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT generation, rotated_at, expires_at, idle_until, revoked FROM families WHERE id = ?1",
    )?;
    first(query.query([id.as_bytes()])?, |row| {
        Ok(Live {
            generation: generation(row.get(0)?)?,
            rotated_at: read_time(row, 1)?,
            expires_at: read_time(row, 2)?,
            idle_until: read_time(row, 3)?,
            is_revoked: row.get(4)?,
        })
    })
}

pub(crate) fn rotate(
    connection: &Connection,
    rotation: &Rotation,
    now: UnixTime,
) -> Result<RotateOutcome, Failure> {
    // A-TOKEN-4
    let Some(family) = read_live(connection, &rotation.family)? else {
        return Ok(RotateOutcome::Missing);
    };
    if family.is_revoked {
        return Ok(RotateOutcome::Revoked);
    }
    if now >= family.expires_at || now >= family.idle_until {
        return Ok(RotateOutcome::Expired);
    }
    let outcome = if rotation.presented == family.generation {
        connection
            .prepare_cached(
                "UPDATE families SET generation = generation + 1, rotated_at = ?2, idle_until = ?3 \
                 WHERE id = ?1",
            )?
            .execute(params![rotation.family.as_bytes(), time(now), time(rotation.idle_until)])?;
        RotateOutcome::Rotated
    } else if rotation.presented.next() == family.generation
        && now.saturating_duration_since(family.rotated_at) < rotation.grace
    {
        RotateOutcome::GraceReplay
    } else {
        revoke(connection, &rotation.family)?;
        return Ok(RotateOutcome::Reused);
    };
    if rotation.access.expires_at > family.expires_at {
        need_until(connection, &rotation.family, rotation.access.expires_at)?;
    }
    insert_access(connection, &rotation.family, &rotation.access)?;
    Ok(outcome)
}

/// Keeps the row of a family from sweeps until its last access token has expired.
fn need_until(connection: &Connection, id: &FamilyId, until: UnixTime) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE families SET needed_until = max(needed_until, ?2) WHERE id = ?1")?
        .execute(params![id.as_bytes(), time(until)])?;
    Ok(())
}

pub(crate) fn revoke(connection: &Connection, id: &FamilyId) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE families SET revoked = 1 WHERE id = ?1 AND revoked = 0")?
        .execute([id.as_bytes()])?;
    Ok(())
}

pub(crate) fn access(
    connection: &Connection,
    digest: &SecretDigest,
    now: UnixTime,
) -> Result<Option<AccessRecord>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT families.id, families.client_id, families.subject, families.resource, \
         access.expires_at, families.body, access.body \
         FROM access JOIN families ON families.id = access.family \
         WHERE access.digest = ?1 AND families.revoked = 0",
    )?;
    let found = first(query.query([digest.as_bytes()])?, |row| {
        let index = AccessIndex {
            family: FamilyId::from_bytes(row.get(0)?),
            client_id: read_text(row, 1, ClientId::parse)?,
            subject: read_text(row, 2, Subject::parse)?,
            resource: read_text(row, 3, ResourceUri::parse)?,
            expires_at: read_time(row, 4)?,
        };
        Ok(AccessRecord::from_rows(index, &read_body(row, 5)?, &read_body(row, 6)?)?)
    })?;
    Ok(found.filter(|access| now < access.expires_at))
}
