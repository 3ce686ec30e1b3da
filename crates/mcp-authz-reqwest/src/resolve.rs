//! Where names lead: a server on the network leads nobody to their own machine or network (RFC 9728 §7.7).

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use oauth_types::{http_origins_for_development, is_local_ip};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::warn;

/// Resolves names by the system, and leaves local addresses out, unless the MCP server itself is at one.
///
/// Literal addresses do not come by here: the flow looks at those.
pub(crate) struct Resolver {
    server: Box<str>,
    trusted: Trusted,
    /// What the server's own name resolved to: once a public address was among it, the server is a public one for
    /// good, so that none becomes a local one by another answer.
    seen: Arc<AtomicU8>,
}

/// What the host says may be local.
#[derive(Default)]
pub(crate) struct Trusted {
    pub(crate) all: bool,
    /// The hosts of servers and proxies that the configuration names.
    pub(crate) hosts: Vec<String>,
}

const UNKNOWN: u8 = 0;
const PUBLIC: u8 = 1;
const LOCAL: u8 = 2;

impl Resolver {
    /// `server` is the host of the MCP server's address.
    pub(crate) fn new(server: &str, trusted: Trusted) -> Self {
        let literal = server.trim_start_matches('[').trim_end_matches(']').parse();
        let seen = match literal.map(is_local_ip) {
            Ok(true) => LOCAL,
            Ok(false) => PUBLIC,
            Err(_) => UNKNOWN,
        };
        Self { server: server.into(), trusted, seen: Arc::new(AtomicU8::new(seen)) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is = |host: &str| name.as_str().eq_ignore_ascii_case(host);
        let is_server = is(&self.server);
        let is_trusted = self.trusted.all || self.trusted.hosts.iter().any(|host| is(host));
        let is_for_development = is_for_development(name.as_str());
        let (server, seen) = (self.server.clone(), Arc::clone(&self.seen));
        Box::pin(async move {
            let mut addresses = look_up(name.as_str()).await?;
            if is_for_development {
                addresses = only_local(addresses);
                if addresses.is_empty() {
                    warn!(
                        host = name.as_str(),
                        "the name for development leads to a public address"
                    );
                    return Err("the name for development leads to a public address".into());
                }
            }
            if is_trusted {
                let found: Addrs = Box::new(addresses.into_iter());
                return Ok(found);
            }
            if !is_server && seen.load(Ordering::Relaxed) == UNKNOWN {
                // After a restart the first request may go to the authorization server.
                let _ = admit(look_up(&server).await?, true, &seen);
            }
            let found = admit(addresses, is_server, &seen);
            if found.is_empty() {
                warn!(host = name.as_str(), "the name leads to a local address");
                return Err(LeadsHome.into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// A name has no address that may be connected to.
#[derive(Debug)]
pub(crate) struct LeadsHome;

impl fmt::Display for LeadsHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to a local address")
    }
}

impl core::error::Error for LeadsHome {}

/// A name that the system cannot resolve.
#[derive(Debug)]
pub(crate) struct Unresolved(std::io::Error);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name cannot be resolved")
    }
}

impl core::error::Error for Unresolved {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.0)
    }
}

async fn look_up(name: &str) -> Result<Vec<SocketAddr>, Unresolved> {
    Ok(tokio::net::lookup_host((name, 0)).await.map_err(Unresolved)?.collect())
}

/// Returns `true` if http is allowed for this host: what is sent there stays in a private network.
fn is_for_development(name: &str) -> bool {
    let origins = http_origins_for_development();
    origins.iter().any(|origin| {
        let host = origin.trim_start_matches("http://").rsplit_once(':').map(|(host, _)| host);
        host.is_some_and(|host| host.eq_ignore_ascii_case(name))
    })
}

fn only_local(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    found.retain(|address| is_local_ip(address.ip()));
    found
}

/// The addresses that may be connected to.
fn admit(mut found: Vec<SocketAddr>, is_server: bool, seen: &AtomicU8) -> Vec<SocketAddr> {
    // C-AUTHZ-7
    let all_local = found.iter().all(|address| is_local_ip(address.ip()));
    if is_server && !found.is_empty() {
        if all_local {
            let _ = seen.compare_exchange(UNKNOWN, LOCAL, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            seen.store(PUBLIC, Ordering::Relaxed);
        }
    }
    // Nobody has met the server before: then its metadata is no reason to go anywhere local either.
    if seen.load(Ordering::Relaxed) != LOCAL {
        found.retain(|address| !is_local_ip(address.ip()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn c_authz_7_sec_136_a_public_server_leads_to_no_local_address() {
        let seen = AtomicU8::new(UNKNOWN);
        let local = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"];
        assert_eq!(admit(addresses(&["1.1.1.1"]), true, &seen).len(), 1);
        assert!(admit(addresses(&local), false, &seen).is_empty());
        // Of a mixed answer the public part is left.
        let mixed = admit(addresses(&["10.0.0.1", "9.9.9.9"]), false, &seen);
        assert_eq!(mixed, addresses(&["9.9.9.9"]));
        // Its own name cannot be made to lead elsewhere later (attack row 136, DNS rebinding).
        assert!(admit(addresses(&["192.168.0.1"]), true, &seen).is_empty());
        assert!(admit(addresses(&["192.168.0.1"]), false, &seen).is_empty());
    }

    #[test]
    fn c_token_1_http_for_development_stays_in_a_private_network() {
        oauth_types::allow_http_for_development("http://keycloak-of-resolver:8080").unwrap();
        assert!(is_for_development("Keycloak-of-Resolver"));
        assert!(!is_for_development("keycloak") && !is_for_development("resolver"));
        let found = only_local(addresses(&["1.1.1.1", "10.0.0.7", "2606:4700::1"]));
        assert_eq!(found, addresses(&["10.0.0.7"]));
    }

    #[test]
    fn c_authz_7_sec_136_a_server_on_the_own_network_may_lead_there() {
        let seen = AtomicU8::new(UNKNOWN);
        assert!(admit(addresses(&["10.1.1.1"]), false, &seen).is_empty());
        assert_eq!(admit(addresses(&["10.0.0.1"]), true, &seen).len(), 1);
        assert_eq!(admit(addresses(&["10.1.1.1", "1.1.1.1"]), false, &seen).len(), 2);
        // A server with a public address among its own is a public one.
        let seen = AtomicU8::new(UNKNOWN);
        assert_eq!(admit(addresses(&["10.0.0.1", "1.1.1.1"]), true, &seen).len(), 1);
        // Nor does a server stay a local one that has answered with a public address since.
        let seen = AtomicU8::new(UNKNOWN);
        admit(addresses(&["127.0.0.1"]), true, &seen);
        admit(addresses(&["1.1.1.1"]), true, &seen);
        assert!(admit(addresses(&["10.0.0.7"]), false, &seen).is_empty());
    }
}
