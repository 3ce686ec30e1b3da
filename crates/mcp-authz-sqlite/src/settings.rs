//! Settings of the store: durability, limits, number of readers and timeouts.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// Settings of a [`SqliteStore`](crate::SqliteStore).
///
/// The write-ahead log, foreign keys and the single writer are fixed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use mcp_authz_sqlite::Settings;
///
/// let settings = Settings::default().with_max_clients(10_000).with_busy_timeout(Duration::from_secs(2));
/// # drop(settings);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    pub(crate) synchronous: Synchronous,
    pub(crate) max_clients: usize,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) readers: usize,
    pub(crate) busy_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            max_clients: 1_000_000,
            max_bytes: None,
            readers: 4,
            busy_timeout: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Sets how durable a change is before its answer leaves; [`Synchronous::Full`] by default.
    #[must_use]
    pub const fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets the most clients that are stored; a million by default.
    #[must_use]
    pub const fn with_max_clients(mut self, max_clients: usize) -> Self {
        self.max_clients = max_clients;
        self
    }

    /// Sets the largest size of the database, in bytes; the size of the disk by default.
    ///
    /// A full database refuses to issue and still answers look-ups.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }

    /// Sets the number of threads for look-ups; 4 by default, and at least 1.
    #[must_use]
    pub const fn with_readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Sets how long a change waits for another process that writes to the same file; 2 s by default.
    #[must_use]
    pub const fn with_busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }
}

/// Durability of a change: the safe levels of SQLite's `synchronous`.
///
/// ```
/// use mcp_authz_sqlite::Synchronous;
///
/// assert_eq!("full".parse(), Ok(Synchronous::Full));
/// assert!("NORMAL".parse::<Synchronous>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Synchronous {
    /// The change is flushed to the disk.
    Full,
    /// The folder is flushed too. In WAL mode, SQLite makes no difference.
    Extra,
}

/// Error of a value of `synchronous` that is unsafe or unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidSynchronous {
    /// `NORMAL` or `OFF`, with which an answer could leave before its change is safe.
    Unsafe,
    /// The text is not a value of SQLite's `synchronous`.
    Unknown,
}

impl fmt::Display for InvalidSynchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => {
                "`synchronous` is NORMAL or OFF, with which a power cut can undo a change that was answered, and make a \
                 used code or refresh token valid again: set FULL or EXTRA"
            }
            Self::Unknown => "the text is not a value of `synchronous`: set FULL or EXTRA",
        })
    }
}

impl core::error::Error for InvalidSynchronous {}

impl FromStr for Synchronous {
    type Err = InvalidSynchronous;

    /// Parses SQLite's names and numbers of the levels, ignoring case.
    fn from_str(text: &str) -> Result<Self, InvalidSynchronous> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" | "2" => Ok(Self::Full),
            "EXTRA" | "3" => Ok(Self::Extra),
            "OFF" | "NORMAL" | "0" | "1" => Err(InvalidSynchronous::Unsafe),
            _ => Err(InvalidSynchronous::Unknown),
        }
    }
}

impl Synchronous {
    /// Returns SQLite's number of the level.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Full => 2,
            Self::Extra => 3,
        }
    }
}
