//! The database file: its permissions and owner, its identity, and how it is opened.

use core::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mcp_authz_keys::private_file::{self, NotPrivate, sync_folder};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::row::saturating;
use crate::schema::{self, Label};
use crate::settings::{Settings, Synchronous};

/// Pages of the write-ahead log after which it is checkpointed: 3 MB.
///
/// A checkpoint takes a few milliseconds on a current disk. Fewer pages make every change slower; more make the change
/// that triggers the checkpoint wait longer.
const PUT_BACK: i64 = 700;

/// Reason for which a database was not opened. None of these changes the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// A later release wrote the database. Go back to that release.
    NewerSchema {
        /// Schema version of the database.
        found: u32,
        /// Latest schema version that this release knows.
        known: u32,
    },
    /// The file is not a database of this crate.
    NotAStore,
    /// Other users may read the database, or a file that SQLite keeps beside it: the mode has to be 0600.
    OpenToOthers,
    /// The database, or a file that SQLite keeps beside it, belongs to another user, who could change it.
    OtherOwner {
        /// User ID of the owner.
        owner: u32,
        /// User ID that the server runs as.
        process: u32,
    },
    /// The path of the database, or of a file beside it, ends in a symbolic link: name the file itself.
    Link,
    /// The file system does not support a write-ahead log that is flushed before each answer.
    Unfit,
    /// Error of the file system.
    Io(io::Error),
    /// Error of SQLite.
    Sqlite(rusqlite::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerSchema { found, known } => write!(
                f,
                "the database has schema {found}, and this release knows schemas up to {known}: run the release \
                 that wrote it, or a later one"
            ),
            Self::NotAStore => f.write_str(
                "the file is not the database of an authorization server: give another path, and a new file is \
                 created there",
            ),
            Self::OpenToOthers => f.write_str(
                "other users may read or write the database, or a file beside it: make all of them 0600",
            ),
            Self::OtherOwner { owner, process } => write!(
                f,
                "the database belongs to user {owner}, and the server runs as user {process}: give it and the \
                 files beside it to user {process}, or run the server as user {owner}"
            ),
            Self::Link => f.write_str(
                "the path of the database, or of a file beside it, ends in a symbolic link: give the path of the \
                 file itself",
            ),
            Self::Unfit => f.write_str(
                "the file system does not support a write-ahead log that is flushed before each answer: put the \
                 database on a local disk",
            ),
            Self::Io(_) => f.write_str(
                "the file of the database cannot be opened: check its path, its folder and the disk",
            ),
            Self::Sqlite(_) => f.write_str(
                "SQLite cannot open the database: check that it is whole, that the disk has room, and that no other \
                 program locks it",
            ),
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Sqlite(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotPrivate> for OpenError {
    fn from(refused: NotPrivate) -> Self {
        match refused {
            NotPrivate::OtherOwner { owner, process } => Self::OtherOwner { owner, process },
            NotPrivate::Link => Self::Link,
            NotPrivate::Io(error) => Self::Io(error),
            _ => Self::OpenToOthers,
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Opens the connection of the writer, and creates the database if it does not exist.
pub(crate) fn open_writer(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    refuse_others(open_private(path)?, path)?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, settings)?;
    if schema::is_foreign(&connection)? {
        return Err(OpenError::NotAStore);
    }
    make_safe(&connection, settings.synchronous)?;
    // The size is limited after the migration, because a migration copies tables and needs more room for a while.
    schema::migrate(&mut connection)?;
    if let Some(max_bytes) = settings.max_bytes {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = saturating(max_bytes / u64::from(page.max(1)));
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(connection)
}

/// Opens a read-only connection for look-ups.
pub(crate) fn open_reader(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, settings)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags, settings: &Settings) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(settings.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A tampered file can run nothing through its schema, and damage is noticed earlier.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

/// Sets SQLite so that a change is on the disk before its answer leaves.
///
/// Fails if the file system does not support that.
fn make_safe(connection: &Connection, synchronous: Synchronous) -> Result<(), OpenError> {
    connection.pragma_update(None, "synchronous", synchronous.number())?;
    // By default, macOS flushes only to the disk's own cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // The change that makes the log too long writes it back into pages all over the database, while others wait.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", PUT_BACK, |_| Ok(()))?;
    // A log that grew by one large change shrinks again.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let is_safe = mode == "wal"
        && number("synchronous")? == synchronous.number()
        && number("foreign_keys")? == 1;
    if is_safe { Ok(()) } else { Err(OpenError::Unfit) }
}

/// Refuses a file of another kind or of a later release, before anything opens it for writing.
fn refuse_others(file: File, path: &Path) -> Result<(), OpenError> {
    let mut head = Vec::new();
    file.take(100).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(());
    }
    // https://sqlite.org/fileformat2.html, section 1.3
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotAStore);
    }
    let number = |at: usize| -> Result<u32, OpenError> {
        let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or(OpenError::NotAStore)
    };
    Label { application_id: number(68)?, version: number(60)? }.check()?;
    // The latest label may be in the log alone, and the log must not be written back before the label is checked. A
    // rollback journal means that the power was cut while the file was created, so that it holds nothing yet.
    let has = |suffix| fs::metadata(with_suffix(path, suffix)).is_ok_and(|file| file.len() > 0);
    if has("-wal") && !has("-journal") {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Label::read(&connection)?.check()?;
    }
    Ok(())
}

/// Returns the path of a file that SQLite keeps beside a database.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens the file, and creates it with mode 0600 if it does not exist.
///
/// SQLite gives its log the same mode. Files that lie beside it already have to be as private, because SQLite uses them
/// as they are.
fn open_private(path: &Path) -> Result<File, OpenError> {
    match private_file::options().write(true).create_new(true).open(path) {
        Ok(_) => sync_folder(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    // The file has to be writable: beside a read-only one SQLite would leave a read-only log, which stays when the mode
    // of the file is corrected.
    let file = private_file::open(private_file::options().read(true).write(true), path)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        match private_file::look(&with_suffix(path, suffix)) {
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
    }
    Ok(file)
}
