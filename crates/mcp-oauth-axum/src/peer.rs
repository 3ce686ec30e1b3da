//! Who is at the other end of a connection? `X-Forwarded-For` says so only where the host trusts who wrote it.

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use http::Request;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Which addresses are proxies of the host's own.
#[derive(Clone)]
pub(crate) struct TrustedProxies(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl TrustedProxies {
    pub(crate) fn new(is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_trusted))
    }

    /// The address that a request comes from, if anybody to be trusted says it.
    pub(crate) fn peer<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        let ConnectInfo(connected) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        let connected = connected.ip().to_canonical();
        if !(self.0)(connected) {
            return Some(connected);
        }
        // Each proxy appends what it saw: the last that is none of them is true, and what stands before it may not be.
        // Any bytes may: each entry is read by itself.
        let lines = request.headers().get_all(FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut seen = entries.map(|entry| -> Option<IpAddr> {
            Some(str::from_utf8(entry).ok()?.trim().parse::<IpAddr>().ok()?.to_canonical())
        });
        seen.find(|address| !address.is_some_and(|address| (self.0)(address)))?
    }
}

impl Default for TrustedProxies {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedProxies")
    }
}
