//! Conversions between values and columns.

use authorization_server::store::FamilyId;
use authorization_server::store::rows::RecordBody;
use oauth_types::{SecretDigest, Subject, UnixTime};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::failure::Failure;

/// Converts a number for a column; 2^63 - 1, PostgreSQL's maximum, stands for every larger number too.
pub(crate) fn saturating(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Converts a time for a column, in seconds since the Unix epoch.
pub(crate) fn time(time: UnixTime) -> i64 {
    saturating(time.as_secs())
}

/// Reads the value in a column; fails if the column has another type.
pub(crate) fn read<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|_| Failure::Damaged)
}

/// Reads the time in a column.
pub(crate) fn read_time(row: &Row, column: usize) -> Result<UnixTime, Failure> {
    to_time(read(row, column)?)
}

/// Reads the time in a column that may be `NULL`.
pub(crate) fn read_optional_time(row: &Row, column: usize) -> Result<Option<UnixTime>, Failure> {
    read::<Option<i64>>(row, column)?.map(to_time).transpose()
}

fn to_time(number: i64) -> Result<UnixTime, Failure> {
    match u64::try_from(number) {
        Ok(_) if number == i64::MAX => Ok(UnixTime::from_secs(u64::MAX)),
        Ok(seconds) => Ok(UnixTime::from_secs(seconds)),
        Err(_) => Err(Failure::Damaged),
    }
}

/// Reads a text with the parser that accepted it before it was stored.
pub(crate) fn read_text<T, E>(
    row: &Row,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    parse(read(row, column)?).map_err(|_| Failure::Damaged)
}

/// Reads the body of a record in a column, without parsing it.
pub(crate) fn read_body(row: &Row, column: usize) -> Result<RecordBody, Failure> {
    read::<String>(row, column).map(RecordBody::from_stored)
}

/// Reads a subject, which is stored as bytes because it may contain NUL.
pub(crate) fn read_subject(row: &Row, column: usize) -> Result<Subject, Failure> {
    let text = String::from_utf8(read(row, column)?).map_err(|_| Failure::Damaged)?;
    Subject::try_from(text).map_err(|_| Failure::Damaged)
}

/// Reads the digest in a column.
pub(crate) fn read_digest(row: &Row, column: usize) -> Result<SecretDigest, Failure> {
    sized(read(row, column)?).map(SecretDigest::from_bytes)
}

/// Reads the identifier of a family in a column.
pub(crate) fn read_family(row: &Row, column: usize) -> Result<FamilyId, Failure> {
    sized(read(row, column)?).map(FamilyId::from_bytes)
}

/// Reads the identifier of a family in a column that may be `NULL`.
pub(crate) fn read_optional_family(row: &Row, column: usize) -> Result<Option<FamilyId>, Failure> {
    Ok(read::<Option<&[u8]>>(row, column)?.map(sized).transpose()?.map(FamilyId::from_bytes))
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| Failure::Damaged)
}
