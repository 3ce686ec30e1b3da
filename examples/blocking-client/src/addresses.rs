//! Address policy: a remote server must not lead the client into its local network, by a name or an address (RFC 9728
//! §7.7).

use std::net::ToSocketAddrs as _;

use http::Uri;
use oauth_types::is_local_ip;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Resolver of the system that refuses local addresses.
///
/// They are allowed only if the MCP server itself is at one.
#[derive(Debug)]
pub(crate) struct Addresses {
    system: DefaultResolver,
    allows_local: bool,
}

impl Addresses {
    /// Creates the policy for the MCP server at `url`, which the user chose.
    pub(crate) fn of(url: &str) -> Self {
        let uri = url.parse::<Uri>().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let mut found = (host, port).to_socket_addrs().into_iter().flatten().peekable();
        // A name that does not resolve now must not resolve to a local address later.
        let allows_local = found.peek().is_some() && found.all(|it| is_local_ip(it.ip()));
        Self { system: DefaultResolver::default(), allows_local }
    }
}

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.system.resolve(uri, config, timeout)?;
        match self.allows_local || !found.iter().any(|address| is_local_ip(address.ip())) {
            true => Ok(found),
            false => Err(Error::HostNotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_the_network_leads_nobody_home() {
        for (server, allows_local) in [
            ("http://127.0.0.1:8000/mcp", true),
            ("http://[::1]:8000/mcp", true),
            ("http://localhost:8000/mcp", true),
            ("https://192.0.2.1/mcp", true),
            ("https://8.8.8.8/mcp", false),
            ("https://name.invalid/mcp", false),
        ] {
            assert_eq!(Addresses::of(server).allows_local, allows_local, "{server}");
        }
        let http = ureq::Agent::with_parts(
            Config::default(),
            ureq::unversioned::transport::DefaultConnector::default(),
            Addresses::of("https://8.8.8.8/mcp"),
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        assert!(matches!(http.get(url).call(), Err(Error::HostNotFound)));
    }
}
