//! What an operator may choose, and what nobody may.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// How a store is kept. What is not said here is not to be chosen: WAL, foreign keys, one writer.
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
    /// How sure a change is to be before its answer: [`Synchronous::Full`] if nothing else is said.
    #[must_use]
    pub const fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Most clients that are taken; a million if nothing else is said.
    #[must_use]
    pub const fn with_max_clients(mut self, max_clients: usize) -> Self {
        self.max_clients = max_clients;
        self
    }

    /// The largest that the database may become, in bytes; as large as the disk if nothing is said. A full one refuses
    /// to issue and goes on answering what it is asked.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }

    /// How many threads look things up; four if nothing else is said, and never fewer than one.
    #[must_use]
    pub const fn with_readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// How long a change waits for another process that writes to the same file; two seconds if nothing else is said.
    #[must_use]
    pub const fn with_busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }
}

/// When a change counts as stored: SQLite's `synchronous`, as far as it can be trusted with what happens once.
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
    /// When the disk has it.
    Full,
    /// When the disk has it, and the folder too. In WAL mode SQLite makes no difference.
    Extra,
}

/// A setting by which an answer could leave before its change is safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidSynchronous {
    /// `NORMAL` or `OFF`.
    Unsafe,
    /// No setting of SQLite's.
    Unknown,
}

impl fmt::Display for InvalidSynchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => {
                "synchronous has to be FULL or EXTRA: with less, a power cut can take back a change that \
                 was answered for, so that a spent code or refresh token is good again"
            }
            Self::Unknown => "synchronous is FULL or EXTRA",
        })
    }
}

impl core::error::Error for InvalidSynchronous {}

impl FromStr for Synchronous {
    type Err = InvalidSynchronous;

    /// Reads SQLite's names and numbers for it, in letters of either case.
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
    /// SQLite's number for it.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Full => 2,
            Self::Extra => 3,
        }
    }
}
