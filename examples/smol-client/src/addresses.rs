//! Address policy: a remote server must not lead the client into its local network, by a name or an address (RFC 9728
//! §7.7).

use std::net::SocketAddr;

use client_flow::{TransportError, TransportErrorKind};
use http::Uri;
use oauth_types::is_local_ip;
use smol::net::resolve;

/// Address policy for all requests to one MCP server.
pub(crate) struct Addresses {
    allows_local: bool,
}

impl Addresses {
    /// Creates the policy for the MCP server at `url`, which the user chose.
    ///
    /// Local addresses are allowed only if that server is at one.
    pub(crate) async fn of(url: &str) -> Self {
        let found = look_up(&url.parse().unwrap_or_default()).await;
        // A name that does not resolve now must not resolve to a local address later.
        Self { allows_local: !found.is_empty() && found.iter().all(|it| is_local_ip(it.ip())) }
    }

    /// Resolves a name once, so that the connection goes to the checked addresses.
    pub(crate) async fn resolve(&self, uri: &Uri) -> Result<Vec<SocketAddr>, TransportError> {
        let found = look_up(uri).await;
        let leads_home = !self.allows_local && found.iter().any(|it| is_local_ip(it.ip()));
        if found.is_empty() || leads_home {
            return Err(TransportErrorKind::Connect.into());
        }
        Ok(found)
    }
}

async fn look_up(uri: &Uri) -> Vec<SocketAddr> {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    resolve((host, port)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_the_network_leads_nobody_home() {
        smol::block_on(async {
            let home: Uri = "http://localhost:8000/".parse().unwrap();
            for (server, allows_local) in [
                ("http://127.0.0.1:8000/mcp", true),
                ("http://[::1]:8000/mcp", true),
                ("http://localhost:8000/mcp", true),
                ("https://8.8.8.8/mcp", false),
                ("https://name.invalid/mcp", false),
            ] {
                let addresses = Addresses::of(server).await;
                assert_eq!(addresses.resolve(&home).await.is_ok(), allows_local, "{server}");
            }
        });
    }
}
