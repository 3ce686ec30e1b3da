//! Network failures that the host reports.

use core::error::Error;
use core::fmt;
use std::io;
use std::sync::Arc;

/// Failure of a request that brought no response.
///
/// Its text names no peer. The HTTP library's own error is its [source](Error::source), for logs; give it without the
/// URL, whose query may hold private data.
///
/// # Examples
///
/// ```
/// use std::error::Error;
///
/// use client_flow::{TransportError, TransportErrorKind};
///
/// let socket = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = TransportError::from(socket);
/// assert_eq!(error.kind(), TransportErrorKind::Refused);
/// assert!(error.source().is_some());
///
/// let elapsed = TransportError::from(TransportErrorKind::Timeout);
/// assert!(elapsed.source().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl TransportError {
    /// Creates the failure of this kind, without a source.
    #[must_use]
    pub const fn new(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds the error of the HTTP library.
    #[must_use]
    pub fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// Returns the kind of failure.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

/// Compares the kinds; sources are not compared.
impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<TransportErrorKind> for TransportError {
    fn from(kind: TransportErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<io::Error> for TransportError {
    /// Maps the usual errors of sockets, and keeps the error as the source.
    fn from(error: io::Error) -> Self {
        Self::new(error.kind().into()).with_source(error)
    }
}

/// Reason for which a request brought no response; names no peer and contains no text.
///
/// Its text has no colon, because it follows the name of a [stage](crate::FlowStage) or of the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name of the server, or of a proxy, could not be resolved.
    Name,
    /// The connection was refused: nothing listens at that address and port.
    Refused,
    /// The TLS handshake failed: one side did not accept the certificate, its name or the protocol version.
    Tls,
    /// The proxy could not be reached, or did not connect to the server.
    Proxy,
    /// The connection failed for another reason.
    Connect,
    /// The complete response did not arrive in time.
    Timeout,
    /// The connection was interrupted, or the peer did not speak HTTP.
    Interrupted,
    /// The host name resolves to an address of this machine or its network, where the server does not belong.
    LocalAddress,
    /// The host name of a development host resolves to a public address.
    PublicAddress,
    /// The URL is neither https nor http on a loopback or development host.
    Url,
    /// The HTTP client resolves too many names at once.
    Busy,
    /// The response body is longer than [`SendRequest::MAX_BODY`](crate::SendRequest::MAX_BODY).
    TooLarge,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => {
                "the name of the server could not be resolved; check the address and the network"
            }
            Self::Refused => {
                "the connection was refused; check the address and the port, and that the server \
                 runs"
            }
            Self::Tls => {
                "TLS could not be set up; the server's operator has to correct its certificate, or \
                 the HTTP client has to trust the authority that signed it"
            }
            Self::Proxy => {
                "the proxy could not be reached or did not lead to the server; check its address, \
                 its credentials and what it allows"
            }
            Self::Connect => "no connection could be made; check the network, and try again later",
            Self::Timeout => {
                "no complete response came in time; try again later, and check the address"
            }
            Self::Interrupted => {
                "the connection broke, or the peer does not speak HTTP; try again, and check the \
                 address"
            }
            Self::LocalAddress => {
                "the name leads to an address of this machine or its network; if the server \
                 belongs there, set `ClientConfig::allows_local_addresses`"
            }
            Self::PublicAddress => {
                "the name leads to a public address, where http is not allowed; use https, or a \
                 host of the private network"
            }
            Self::Url => {
                "the URL is neither https nor http on a loopback or development host; use https"
            }
            Self::Busy => "this client resolves too many names at once; try again later",
            Self::TooLarge => {
                "the response is too long; check the address, and if it is right, the server's \
                 operator has to send a shorter document"
            }
        })
    }
}

impl From<io::ErrorKind> for TransportErrorKind {
    /// Maps the usual error kinds of sockets.
    fn from(kind: io::ErrorKind) -> Self {
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound,
            TimedOut, WouldBlock,
        };
        match kind {
            TimedOut | WouldBlock => Self::Timeout,
            ConnectionRefused => Self::Refused,
            AddrNotAvailable | HostUnreachable | NetworkUnreachable | NotFound => Self::Connect,
            _ => Self::Interrupted,
        }
    }
}
