//! The address that a request comes from. `X-Forwarded-For` counts only where the host trusts the proxy that wrote it.
//!
//! | the request | counts as |
//! |---|---|
//! | of a peer that is no trusted proxy, with `X-Forwarded-For` or without | the peer; the header is told to the log |
//! | of a trusted proxy, with entries | the last entry that is no trusted proxy: what stands before it anybody may have written |
//! | the same, and an entry cannot be read (`unknown`, `_hidden`, empty) | the proxy that wrote this entry |
//! | of a trusted proxy, without the header | the proxy; told to the log |
//! | without the address of its peer | nothing: no limit holds; told to the log |

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};

use axum::extract::ConnectInfo;
use http::Request;
use oauth_types::is_local_ip;
use tracing::warn;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses that are proxies of the host's own.
#[derive(Clone)]
pub(crate) struct TrustedProxies {
    is_trusted: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    told: Arc<Told>,
}

/// Events that an operator needs once, and that anybody can cause.
struct Told {
    nobody: Once,
    silent: Once,
    /// Of a proxy on this machine or network, which is most likely the operator's own.
    local: Once,
    /// Of any other peer. It does not use up the event of a local one.
    distant: Once,
}

impl TrustedProxies {
    pub(crate) fn new(is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        let once = Once::new;
        let told = Told { nobody: once(), silent: once(), local: once(), distant: once() };
        Self { is_trusted: Arc::new(is_trusted), told: Arc::new(told) }
    }

    /// Returns the address that a request comes from, as far as a trusted peer says it; `None` if the server does not
    /// know its peers.
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
        // Any bytes may stand there: each entry is read by itself.
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

/// Reads an entry: an address, with a port or without, IPv6 in brackets or without.
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
