//! Client address of a request, from its connection or from `X-Forwarded-For` of a trusted proxy.
//!
//! | the request comes | and counts as |
//! |---|---|
//! | from a peer that is not a trusted proxy, with `X-Forwarded-For` or without | the peer; the header is logged |
//! | from a trusted proxy, with entries | the last one that is not a trusted proxy; earlier ones may be forged |
//! | the same, with an unreadable entry (`unknown`, `_hidden`) | the proxy that wrote this entry; logged |
//! | from a trusted proxy, without the header | the proxy; logged |
//! | without the address of its peer | unknown, so it is not limited; logged |

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};

use axum::extract::ConnectInfo;
use http::Request;
use oauth_types::is_local_ip;
use tracing::warn;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses of proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone)]
pub(crate) struct TrustedProxies {
    is_trusted: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    told: Arc<Told>,
}

/// Log events that are written once, because any client can cause them.
struct Told {
    nobody: Once,
    silent: Once,
    /// Untrusted header from a local peer, most likely the operator's proxy.
    local: Once,
    /// Untrusted header from any other peer, logged apart from local ones.
    distant: Once,
}

impl TrustedProxies {
    pub(crate) fn new(is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        let once = Once::new;
        let told = Told { nobody: once(), silent: once(), local: once(), distant: once() };
        Self { is_trusted: Arc::new(is_trusted), told: Arc::new(told) }
    }

    /// Returns the client address of a request, or `None` if its peer is unknown.
    ///
    /// `X-Forwarded-For` is read only where the peer is a trusted proxy.
    pub(crate) fn peer<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        let Some(ConnectInfo(connected)) = request.extensions().get::<ConnectInfo<SocketAddr>>()
        else {
            self.told.nobody.call_once(|| {
                warn!(
                    "requests come without the address of their peer, so nothing is limited by it: serve the router \
                     with mcp_authz_axum::serve, or with axum's into_make_service_with_connect_info"
                );
            });
            return None;
        };
        let connected = connected.ip().to_canonical();
        if !(self.is_trusted)(connected) {
            if request.headers().contains_key(FORWARDED_FOR) {
                self.told.untrusted(connected);
            }
            return Some(connected);
        }
        let mut proxy = connected;
        let lines = request.headers().get_all(FORWARDED_FOR).iter().rev();
        // Entries are parsed one by one as bytes, because a forged one may be invalid UTF-8.
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            match read(entry) {
                Some(address) if (self.is_trusted)(address) => proxy = address,
                Some(address) => return Some(address),
                None => break,
            }
        }
        self.told.silent.call_once(|| {
            warn!(
                %proxy,
                "a trusted proxy does not say in X-Forwarded-For for which address it asks: its requests are limited \
                 as its own. Let it add the address of its peer"
            );
        });
        Some(proxy)
    }
}

impl Told {
    fn untrusted(&self, peer: IpAddr) {
        let once = if is_local_ip(peer) { &self.local } else { &self.distant };
        once.call_once(|| {
            warn!(
                %peer,
                "X-Forwarded-For comes from a peer that is no trusted proxy: it is passed over, and all that this \
                 peer forwards is limited as one address. If it is a proxy of yours, name it in \
                 AuthorizationServer::with_trusted_proxies"
            );
        });
    }
}

/// Parses an entry: an address with an optional port, IPv6 with or without brackets.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    Some(address.ok()?.to_canonical())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-222
    #[test]
    fn an_entry_has_a_port_or_brackets_or_is_none() {
        let v6 = "2001:db8::1";
        for (entry, address) in [
            ("198.51.100.67", Some("198.51.100.67")),
            (" 198.51.100.67:4711 ", Some("198.51.100.67")),
            ("::ffff:198.51.100.67", Some("198.51.100.67")),
            ("[::ffff:198.51.100.67]:80", Some("198.51.100.67")),
            (v6, Some(v6)),
            ("[2001:db8::1]", Some(v6)),
            ("[2001:db8::1]:4711", Some(v6)),
            ("\"[2001:db8::1]:4711\"", Some(v6)),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("198.51.100.67:x", None),
            ("198.51.100.67:99999", None),
            ("[198.51.100.67", None),
            ("host.example", None),
        ] {
            let read = read(entry.as_bytes()).map(|address| address.to_string());
            assert_eq!(read.as_deref(), address, "{entry}");
        }
        assert_eq!(read(b"\xff"), None);
    }
}
