//! Policy for local addresses (RFC 9728 §7.7).
//!
//! No peer on the public internet can lead a request into a private network.
//!
//! | a host | may be at |
//! |---|---|
//! | any, where local addresses are allowed | any address |
//! | that the configuration names | any address |
//! | any, where the server that is visited is itself at local addresses alone | any address |
//! | any other | public addresses |
//! | for which http is allowed in development | local addresses alone, besides |

use core::sync::atomic::{AtomicU8, Ordering};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use oauth_types::{Origin, http_origins_for_development, is_local_ip};

/// Policy for the addresses of one client's hosts.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    allows_local: bool,
    /// Hosts that the configuration names.
    trusted: RwLock<Vec<Box<str>>>,
    /// Hosts of proxies, to which the client connects without addressing requests to them.
    proxies: Vec<String>,
    network: Option<Network>,
}

/// Network of the server that is visited.
#[derive(Debug)]
struct Network {
    server: Box<str>,
    /// Kind of addresses that the server's name has resolved to.
    ///
    /// One public address makes it a public server for good, so that no later answer of its name server opens the local
    /// network.
    seen: AtomicU8,
}

const UNKNOWN: u8 = 0;
const PUBLIC: u8 = 1;
const LOCAL: u8 = 2;

impl Reach {
    /// Returns the policy of a client that visits this server.
    pub(crate) fn of(server: &Origin) -> Self {
        let host = server.host();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        let seen = match literal.map(is_local_ip) {
            Ok(false) => PUBLIC,
            _ if server.is_local_address() => LOCAL,
            _ => UNKNOWN,
        };
        let network = Network { server: host.into(), seen: AtomicU8::new(seen) };
        Self { network: Some(network), ..Self::default() }
    }

    pub(crate) const fn allow_local(&mut self) {
        self.allows_local = true;
    }

    pub(crate) fn trust(&self, host: &str) {
        self.trusted.write().unwrap_or_else(PoisonError::into_inner).push(host.into());
    }

    pub(crate) fn trust_proxies(&mut self, hosts: Vec<String>) {
        self.proxies = hosts;
    }

    /// Returns `true` if a name may resolve to any address.
    pub(crate) fn is_anywhere(&self, name: &str) -> bool {
        let is_proxy = || self.proxies.iter().any(|own| name.eq_ignore_ascii_case(own));
        self.is_trusted(name) || is_proxy()
    }

    fn is_trusted(&self, host: &str) -> bool {
        let trusted = || {
            let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
            trusted.iter().any(|own| host.eq_ignore_ascii_case(own))
        };
        self.allows_local || trusted()
    }

    /// Returns `true` if a request may go to an origin that is literally a local address.
    pub(crate) fn admits_literal(&self, origin: &Origin) -> bool {
        self.is_trusted(origin.host()) || self.network.as_ref().is_some_and(Network::is_local)
    }

    /// Returns the name of the server if it has to be resolved before `name`.
    ///
    /// After a restart, the first request may go to the authorization server.
    pub(crate) fn unseen_server(&self, name: &str) -> Option<&str> {
        let network = self.network.as_ref()?;
        let is_due = !network.is_server(name) && network.seen.load(Ordering::Relaxed) == UNKNOWN;
        is_due.then_some(&*network.server)
    }

    /// Removes the addresses that must not be connected to.
    pub(crate) fn admit(&self, name: &str, mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        // C-AUTHZ-7, A-CIMD-1
        let is_anywhere = match &self.network {
            Some(network) => {
                network.observe(name, &found);
                network.is_local()
            }
            None => false,
        };
        found.retain(|address| is_anywhere || !is_local_ip(address.ip()));
        found
    }
}

impl Network {
    fn is_server(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.server)
    }

    /// Returns `true` if the server resolved only to local addresses; `false` if it was never resolved.
    fn is_local(&self) -> bool {
        self.seen.load(Ordering::Relaxed) == LOCAL
    }

    fn observe(&self, name: &str, found: &[SocketAddr]) {
        if !self.is_server(name) || found.is_empty() {
            return;
        }
        if found.iter().all(|address| is_local_ip(address.ip())) {
            let (from, to, order) = (UNKNOWN, LOCAL, Ordering::Relaxed);
            let _ = self.seen.compare_exchange(from, to, order, order);
        } else {
            self.seen.store(PUBLIC, Ordering::Relaxed);
        }
    }
}

/// Returns `true` if http is allowed for this host in development.
///
/// Such a host has to be in a private network.
pub(crate) fn is_for_development(name: &str) -> bool {
    http_origins_for_development().iter().any(|origin| {
        let host = origin.trim_start_matches("http://").rsplit_once(':').map(|(host, _)| host);
        host.is_some_and(|host| host.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "mcp.example";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    fn visiting(server: &str) -> Reach {
        Reach::of(&Origin::of(server).unwrap())
    }

    /// C-AUTHZ-7, SEC-136
    #[test]
    fn a_public_server_leads_to_no_local_address() {
        let reach = visiting("https://mcp.example");
        let local = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"];
        assert_eq!(reach.admit(SERVER, addresses(&["1.1.1.1"])).len(), 1);
        assert!(reach.admit("as.example", addresses(&local)).is_empty());
        // Only the public part of a mixed answer is left.
        let mixed = reach.admit("as.example", addresses(&["10.0.0.1", "9.9.9.9"]));
        assert_eq!(mixed, addresses(&["9.9.9.9"]));
        // The server's own name cannot be made to lead elsewhere later (attack row 136, DNS rebinding).
        assert!(reach.admit(SERVER, addresses(&["192.168.0.1"])).is_empty());
        assert!(reach.admit("as.example", addresses(&["192.168.0.1"])).is_empty());
    }

    /// C-AUTHZ-7, SEC-136
    #[test]
    fn a_server_on_the_own_network_may_lead_there() {
        let reach = visiting("https://mcp.example");
        assert_eq!(reach.unseen_server("as.example"), Some(SERVER));
        assert_eq!(reach.unseen_server("MCP.example"), None);
        assert!(reach.admit("as.example", addresses(&["10.1.1.1"])).is_empty());
        assert_eq!(reach.admit(SERVER, addresses(&["10.0.0.1"])).len(), 1);
        assert_eq!(reach.admit("as.example", addresses(&["10.1.1.1", "1.1.1.1"])).len(), 2);
        assert_eq!(reach.unseen_server("as.example"), None);
        // A server with a public address among its own is a public one.
        let reach = visiting("https://mcp.example");
        assert_eq!(reach.admit(SERVER, addresses(&["10.0.0.1", "1.1.1.1"])).len(), 1);
        // A local server that answers with a public address becomes a public one.
        let reach = visiting("https://mcp.example");
        reach.admit(SERVER, addresses(&["127.0.0.1"]));
        reach.admit(SERVER, addresses(&["1.1.1.1"]));
        assert!(reach.admit("as.example", addresses(&["10.0.0.7"])).is_empty());
    }

    /// C-AUTHZ-7
    #[test]
    fn a_literal_address_counts_as_what_it_is() {
        let local = Origin::of("https://10.0.0.7").unwrap();
        for (server, is_admitted) in [
            ("https://10.0.0.1", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("https://1.1.1.1", false),
            ("https://[2606:4700::1]", false),
            ("https://mcp.example", false),
        ] {
            assert_eq!(visiting(server).admits_literal(&local), is_admitted, "{server}");
        }
        let reach = Reach::default();
        assert!(!reach.admits_literal(&local));
        reach.trust("10.0.0.7");
        assert!(reach.admits_literal(&local));
        assert!(!reach.admits_literal(&Origin::of("https://10.0.0.8").unwrap()));
        // The client connects to a proxy, but a peer may not name its address.
        let mut reach = Reach::default();
        reach.trust_proxies(vec!["10.0.0.7".into(), "proxy.example".into()]);
        assert!(!reach.admits_literal(&local) && reach.is_anywhere("Proxy.example"));
    }

    /// C-TOKEN-1
    #[test]
    fn a_development_host_is_known_by_its_name() {
        oauth_types::allow_http_for_development("http://keycloak-of-resolver:8080").unwrap();
        assert!(is_for_development("Keycloak-of-Resolver"));
        assert!(!is_for_development("keycloak") && !is_for_development("resolver"));
    }
}
