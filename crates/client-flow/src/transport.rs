//! Network failures that the host reports.

use core::fmt;

/// Reason for which a request brought no response; names no peer and contains no text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TransportError {
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
    /// The response body is longer than [`Exchange::MAX_BODY`](crate::Exchange::MAX_BODY).
    TooLarge,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of the server could not be resolved: check the address and the network",
            Self::Refused => "the connection was refused: nothing listens at that address and port",
            Self::Tls => {
                "TLS could not be set up: the server's operator has to correct its certificate, or the \
                 HTTP client has to trust the authority that signed it"
            }
            Self::Proxy => {
                "the proxy could not be reached or did not lead to the server: check its address, its \
                 credentials and what it allows"
            }
            Self::Connect => "no connection could be made",
            Self::Timeout => "no answer came in time",
            Self::Interrupted => "the connection broke",
            Self::LocalAddress => "the name leads to an address of this machine or its network",
            Self::TooLarge => "the answer is too long",
        })
    }
}

impl core::error::Error for TransportError {}

impl From<std::io::ErrorKind> for TransportError {
    /// Maps the usual error kinds of sockets.
    fn from(kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind::{
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
