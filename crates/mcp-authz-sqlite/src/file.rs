//! The database file: who may read it, whether it is ours, and how it is opened.

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

/// Pages of the write-ahead log after which it is put back, 3 MB: in a few milliseconds on a disk of today. Fewer cost each
/// change more, and more make the one that has to wait for them wait longer.
const PUT_BACK: i64 = 700;

/// Why a database is not opened. None of these changes the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// A later release wrote it. Go back to that release.
    NewerSchema {
        /// The version of its schema.
        found: u32,
        /// The last version that this release knows.
        known: u32,
    },
    /// It is a file, or a database, of another kind.
    NotAStore,
    /// Others may read it, or what SQLite keeps beside it: its mode has to be 0600.
    OpenToOthers,
    /// It belongs to another user, who may change it, or what SQLite keeps beside it does.
    OtherOwner {
        /// The number of that user.
        owner: u32,
        /// The number of the user as whom the server runs.
        process: u32,
    },
    /// Its path ends in a symbolic link, or that of what SQLite keeps beside it: name the file itself.
    Link,
    /// The file system cannot keep a database as it has to be: write-ahead log, flushed before each answer.
    Unfit,
    /// The file system's error.
    Io(io::Error),
    /// SQLite's error.
    Sqlite(rusqlite::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerSchema { found, known } => {
                write!(f, "the database has schema {found}, and this release knows up to {known}")
            }
            Self::NotAStore => {
                f.write_str("the file is not the database of an authorization server")
            }
            Self::OpenToOthers => f.write_str("others may read the database: make it 0600"),
            Self::OtherOwner { owner, process } => write!(
                f,
                "the database belongs to user {owner}, and the server runs as user {process}: give it and the \
                 files beside it to user {process}, or run the server as user {owner}"
            ),
            Self::Link => f.write_str(
                "the path of the database ends in a symbolic link: give the path of the file itself",
            ),
            Self::Unfit => f.write_str("the file system cannot keep a database safe"),
            Self::Io(error) => error.fmt(f),
            Self::Sqlite(error) => error.fmt(f),
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

/// Opens the database for the one that writes, and makes it if it is not there.
pub(crate) fn open_writer(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    refuse_others(open_private(path)?, path)?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, settings)?;
    if schema::is_foreign(&connection)? {
        return Err(OpenError::NotAStore);
    }
    make_safe(&connection, settings.synchronous)?;
    // A migration copies tables, and needs more room for a moment.
    schema::migrate(&mut connection)?;
    if let Some(max_bytes) = settings.max_bytes {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = saturating(max_bytes / u64::from(page.max(1)));
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(connection)
}

/// Opens it for one that looks things up.
pub(crate) fn open_reader(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, settings)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags, settings: &Settings) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(settings.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A file that somebody tampered with runs nothing, and is noticed sooner.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

/// An answer leaves only when its change is on the disk, or the database is not used at all.
fn make_safe(connection: &Connection, synchronous: Synchronous) -> Result<(), OpenError> {
    connection.pragma_update(None, "synchronous", synchronous.number())?;
    // macOS flushes to the disk's own cache unless it is told otherwise.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // Who makes the log too long puts it back into the database, with its pages all over the file, and others wait.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", PUT_BACK, |_| Ok(()))?;
    // A log that one large change blew up shrinks again.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let is_safe = mode == "wal"
        && number("synchronous")? == synchronous.number()
        && number("foreign_keys")? == 1;
    if is_safe { Ok(()) } else { Err(OpenError::Unfit) }
}

/// Looks at a database before anything opens it for writing.
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
    // The last changes of the label may be in the log, which nobody may write back before we know. Where there is a
    // rollback journal, the power was cut while the file was made, and nothing is in it yet.
    let has = |suffix| fs::metadata(with_suffix(path, suffix)).is_ok_and(|file| file.len() > 0);
    if has("-wal") && !has("-journal") {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Label::read(&connection)?.check()?;
    }
    Ok(())
}

/// The file that SQLite keeps beside a database.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens the file, which is made for its owner alone if it is not there; SQLite gives its log the same mode. What lies
/// beside it from before has to be as private, because SQLite takes it as it is.
fn open_private(path: &Path) -> Result<File, OpenError> {
    match private_file::options().write(true).create_new(true).open(path) {
        Ok(_) => sync_folder(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    // Where it may only be read, SQLite would leave a log that may only be read too, and stays when the file's own mode
    // is mended.
    let file = private_file::open(private_file::options().read(true).write(true), path)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        match private_file::look(&with_suffix(path, suffix)) {
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
    }
    Ok(file)
}
