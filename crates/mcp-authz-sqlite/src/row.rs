//! Conversions between values and columns.

use authorization_server::store::rows::RecordBody;
use oauth_types::{SecretDigest, UnixTime};
use rusqlite::Row;

use crate::failure::Failure;

/// Converts a number for a column; 2^63 - 1, SQLite's maximum, stands for every larger number too.
pub(crate) fn saturating(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Converts a time for a column, in seconds since the Unix epoch.
pub(crate) fn time(time: UnixTime) -> i64 {
    saturating(time.as_secs())
}

/// Reads the time in a column.
pub(crate) fn read_time(row: &Row<'_>, column: usize) -> Result<UnixTime, Failure> {
    to_time(row.get(column)?)
}

/// Reads the time in a column that may be `NULL`.
pub(crate) fn read_optional_time(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<UnixTime>, Failure> {
    row.get::<_, Option<i64>>(column)?.map(to_time).transpose()
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
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    let text = row.get_ref(column)?.as_str().map_err(|_| Failure::Damaged)?;
    parse(text).map_err(|_| Failure::Damaged)
}

/// Reads the body of a record in a column, without parsing it.
pub(crate) fn read_body(row: &Row<'_>, column: usize) -> Result<RecordBody, Failure> {
    Ok(RecordBody::from_stored(row.get::<_, String>(column)?))
}

/// Reads the digest in a column.
pub(crate) fn read_digest(row: &Row<'_>, column: usize) -> Result<SecretDigest, Failure> {
    Ok(SecretDigest::from_bytes(row.get(column)?))
}

/// Reads the first row that a query finds, if it finds any.
pub(crate) fn first<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    rows.next()?.map(read).transpose()
}
