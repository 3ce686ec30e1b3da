//! What an operator may choose, and what nobody may.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// How a store is kept. Where the database is says its URL; what is not said here is not to be chosen: the isolation of
/// transactions, their timeouts, the schema.
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
    /// How sure a change is to be before its answer: [`Synchronous::On`] if nothing else is said.
    #[must_use]
    pub const fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Most clients that are taken, by all processes together; a million if nothing else is said.
    #[must_use]
    pub const fn with_max_clients(mut self, max_clients: usize) -> Self {
        self.max_clients = max_clients;
        self
    }

    /// Most connections of this process; sixteen if nothing else is said, and never fewer than one. The server's
    /// `max_connections` has to have room for those of all processes.
    #[must_use]
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How long an operation may take, its wait for a connection included; five seconds if nothing else is said, and
    /// never less than ten milliseconds.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Who vouches for the server, in PEM: those and nobody else. Whom this machine trusts, if nothing is said.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.max(Duration::from_millis(10))
    }

    /// How long the server may take for what, in milliseconds. It gives up before we do, so that we are told.
    pub(crate) fn timeouts(&self) -> [(&'static str, u128); 3] {
        let milliseconds = |duration: Duration| duration.as_millis().max(1);
        [
            ("statement_timeout", milliseconds(self.timeout() * 4 / 5)),
            ("lock_timeout", milliseconds(self.timeout() / 2)),
            ("idle_in_transaction_session_timeout", milliseconds(self.timeout())),
        ]
    }
}

/// When a change counts as stored: PostgreSQL's `synchronous_commit`, as far as it can be trusted with what happens once.
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
    /// When the server's disk has it, and the disks of those standbys that `synchronous_standby_names` names.
    On,
    /// When those standbys show it to readers, too.
    RemoteApply,
}

/// A setting by which an answer could leave before its change is safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidSynchronous {
    /// `off`, `local` or `remote_write`.
    Unsafe,
    /// No setting of PostgreSQL's.
    Unknown,
}

impl fmt::Display for InvalidSynchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => {
                "synchronous_commit has to be on or remote_apply: with less, a crash or a fail-over can take \
                 back a change that was answered for, so that a spent code or refresh token is good again"
            }
            Self::Unknown => "synchronous_commit is on or remote_apply",
        })
    }
}

impl core::error::Error for InvalidSynchronous {}

impl FromStr for Synchronous {
    type Err = InvalidSynchronous;

    /// Reads PostgreSQL's names for it, in letters of either case.
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
    /// PostgreSQL's name for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::RemoteApply => "remote_apply",
        }
    }
}
