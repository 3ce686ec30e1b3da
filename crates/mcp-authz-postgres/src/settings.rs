//! Settings of the store: durability, limits, connections, timeouts and certificates.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// Settings of a [`PostgresStore`](crate::PostgresStore).
///
/// The URL names the database. The isolation of transactions, the schema and the other session settings are fixed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use mcp_authz_postgres::Settings;
///
/// let settings = Settings::default().with_connections(8).with_timeout(Duration::from_secs(3));
/// # drop(settings);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    pub(crate) synchronous: Synchronous,
    pub(crate) max_clients: usize,
    pub(crate) connections: usize,
    pub(crate) timeout: Duration,
    #[cfg(feature = "rustls")]
    pub(crate) root_certificates: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::On,
            max_clients: 1_000_000,
            connections: 16,
            timeout: Duration::from_secs(5),
            #[cfg(feature = "rustls")]
            root_certificates: Vec::new(),
        }
    }
}

impl Settings {
    /// Sets how durable a change is before its answer leaves; [`Synchronous::On`] by default.
    #[must_use]
    pub const fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets the most clients that are stored, by all processes together; a million by default.
    #[must_use]
    pub const fn with_max_clients(mut self, max_clients: usize) -> Self {
        self.max_clients = max_clients;
        self
    }

    /// Sets the most connections of this process; 16 by default, and at least 1.
    ///
    /// The server's `max_connections` has to have room for those of all processes.
    #[must_use]
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets the longest time of an operation; 5 s by default, and at least 10 ms.
    ///
    /// The wait for a connection is included.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the root certificates (PEM) for the server; those of the machine by default.
    ///
    /// With this setting, the certificates of the machine are not trusted.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.max(Duration::from_millis(10))
    }

    /// Returns the server's timeouts, in milliseconds.
    ///
    /// They are shorter than the timeout here, so that the server's answer arrives in time.
    pub(crate) fn timeouts(&self) -> [(&'static str, u128); 3] {
        let milliseconds = |duration: Duration| duration.as_millis().max(1);
        [
            ("statement_timeout", milliseconds(self.timeout() * 4 / 5)),
            ("lock_timeout", milliseconds(self.timeout() / 2)),
            ("idle_in_transaction_session_timeout", milliseconds(self.timeout())),
        ]
    }
}

/// Durability of a change: the safe levels of PostgreSQL's `synchronous_commit`.
///
/// ```
/// use mcp_authz_postgres::Synchronous;
///
/// assert_eq!("on".parse(), Ok(Synchronous::On));
/// assert!("local".parse::<Synchronous>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Synchronous {
    /// The change is flushed to the disks of the server and of the standbys in `synchronous_standby_names`.
    On,
    /// The change is visible to readers of those standbys, too.
    RemoteApply,
}

/// Error of a value of `synchronous_commit` that is unsafe or unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidSynchronous {
    /// `off`, `local` or `remote_write`, with which an answer could leave before its change is safe.
    Unsafe,
    /// The text is not a value of PostgreSQL's `synchronous_commit`.
    Unknown,
}

impl fmt::Display for InvalidSynchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => {
                "`synchronous_commit` is off, local or remote_write, with which a crash or a fail-over can undo a \
                 change that was answered, and make a used code or refresh token valid again: set on or remote_apply"
            }
            Self::Unknown => {
                "the text is not a value of `synchronous_commit`: set on or remote_apply"
            }
        })
    }
}

impl core::error::Error for InvalidSynchronous {}

impl FromStr for Synchronous {
    type Err = InvalidSynchronous;

    /// Parses PostgreSQL's names of the levels, ignoring case.
    fn from_str(text: &str) -> Result<Self, InvalidSynchronous> {
        match text.to_ascii_lowercase().as_str() {
            "on" => Ok(Self::On),
            "remote_apply" => Ok(Self::RemoteApply),
            "off" | "local" | "remote_write" => Err(InvalidSynchronous::Unsafe),
            _ => Err(InvalidSynchronous::Unknown),
        }
    }
}

impl Synchronous {
    /// Returns PostgreSQL's name of the level.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::RemoteApply => "remote_apply",
        }
    }
}
