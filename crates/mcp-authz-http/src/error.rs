//! Errors of building a client, and of requests without a response.

use core::fmt;
use std::io;

use crate::resolve::NoAddress;

/// Reason for which a client cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A certificate to trust cannot be read.
    Certificate,
    /// The address of the proxy is not the URL of a proxy.
    Proxy,
    /// Untrusted URLs would be fetched through a proxy, which resolves names without the checks.
    ProxyForUntrusted,
    /// TLS cannot be set up, for example because the system trusts no certificates.
    Tls,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => {
                "a certificate to trust cannot be read: pass certificates in PEM to `certificates`"
            }
            Self::Proxy => {
                "the address of the proxy is no URL: name it as http://host:port, https or socks5"
            }
            Self::ProxyForUntrusted => {
                "a client for untrusted URLs uses no proxy, which would resolve their names \
                 without the checks: leave the proxy out"
            }
            Self::Tls => {
                "TLS cannot be set up: install certificates to trust, or build with the feature \
                 `rustls`"
            }
        })
    }
}

impl core::error::Error for BuildError {}

/// Error of a request, without the URL and any text of a peer.
///
/// ```
/// use mcp_authz_http::{HttpError, HttpErrorKind};
///
/// fn is_worth_another_try(error: &HttpError) -> bool {
///     matches!(error.kind(), HttpErrorKind::Busy | HttpErrorKind::Timeout)
/// }
/// ```
#[derive(Debug)]
pub struct HttpError {
    kind: HttpErrorKind,
    source: Option<reqwest::Error>,
}

/// Reason for a failed request.
///
/// Its text has no colon, because it follows the name of the peer or of the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The URL is neither https nor http on a loopback or development host.
    Url,
    /// The host has no address that may be connected to.
    LocalAddress,
    /// The name of a development host resolves to a public address.
    PublicAddress,
    /// Too many names are being resolved, or resolve to the same address.
    Busy,
    /// The name cannot be resolved.
    Name,
    /// The connection was refused.
    Refused,
    /// TLS could not be set up.
    Tls,
    /// The proxy could not be reached, or did not connect to the server.
    Proxy,
    /// The connection failed for another reason.
    Connect,
    /// The complete response did not arrive in time.
    Timeout,
    /// The connection broke, or did not speak HTTP.
    Interrupted,
    /// The body is longer than the limit.
    TooLarge,
}

impl HttpError {
    /// Returns the reason.
    #[must_use]
    pub const fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Returns the error of the HTTP library, without its URL.
    ///
    /// `None` if nothing was sent, or if the body was too long.
    #[must_use]
    pub fn into_source(self) -> Option<reqwest::Error> {
        self.source
    }
}

impl From<HttpErrorKind> for HttpError {
    fn from(kind: HttpErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<reqwest::Error> for HttpError {
    /// Classifies an error of the HTTP library and removes the URL that it quotes.
    fn from(error: reqwest::Error) -> Self {
        Self { kind: kind(&error), source: Some(error.without_url()) }
    }
}

fn kind(error: &reqwest::Error) -> HttpErrorKind {
    let causes =
        || core::iter::successors(core::error::Error::source(error), |&cause| cause.source());
    match causes().find_map(|cause| cause.downcast_ref()) {
        Some(NoAddress::Local) => return HttpErrorKind::LocalAddress,
        Some(NoAddress::Public) => return HttpErrorKind::PublicAddress,
        Some(NoAddress::Busy) => return HttpErrorKind::Busy,
        Some(NoAddress::Unresolved(_)) | None => {}
    }
    if error.is_timeout() {
        return HttpErrorKind::Timeout;
    } else if !error.is_connect() {
        return HttpErrorKind::Interrupted;
    }
    // The HTTP library does not export this type.
    if causes().any(|cause| cause.to_string().starts_with("tunnel error")) {
        return HttpErrorKind::Proxy;
    }
    if causes().any(|cause| cause.is::<NoAddress>()) {
        return HttpErrorKind::Name;
    }
    // A socket's error may be inside another error that does not name it as its source.
    let sockets = causes().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let inner = |error: &io::Error| Some(error.get_ref()?.downcast_ref::<io::Error>()?.kind());
    let is_https = error.url().is_some_and(|url| url.scheme() == "https");
    match sockets.map(|error| inner(error).unwrap_or_else(|| error.kind())).last() {
        Some(io::ErrorKind::ConnectionRefused) => HttpErrorKind::Refused,
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof,
        ) if is_https => HttpErrorKind::Tls,
        _ => HttpErrorKind::Connect,
    }
}

impl fmt::Display for HttpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => {
                "the URL is neither https nor http on a loopback or development host; use https"
            }
            Self::LocalAddress => {
                "the host leads only to addresses of this machine or a private network; if \
                 requests may go there, name the host to `GuardedClient::trust_host`"
            }
            Self::PublicAddress => {
                "the name of a development host leads to a public address, and plain http is only \
                 for a private network; use https there"
            }
            Self::Busy => {
                "too many names are being resolved, or lead to the same address; try again later"
            }
            Self::Name => "the name cannot be resolved; check it and the network",
            Self::Refused => {
                "the connection was refused; check the address and the port, and that the server \
                 runs"
            }
            Self::Tls => {
                "TLS could not be set up; the server's operator has to correct its certificate, or \
                 this client has to trust the authority that signed it"
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
            Self::TooLarge => {
                "the body of the response is longer than the limit of the caller; check the \
                 address, or raise the limit"
            }
        })
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl core::error::Error for HttpError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
