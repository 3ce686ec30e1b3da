//! Plain http for a named private host, for development only.

use std::sync::{PoisonError, RwLock};

use crate::uri::{InvalidUri, WebUrl, is_local_ip, parts};

/// The origins that were allowed, as `host:port`.
static NAMED: RwLock<Vec<Box<str>>> = RwLock::new(Vec::new());

/// Suffixes of private names that the public DNS does not resolve.
///
/// They are from RFC 2606, RFC 6761, RFC 6762 and RFC 8375; `internal` is reserved by ICANN for private use.
const PRIVATE: [&str; 5] = [".test", ".localhost", ".local", ".internal", ".home.arpa"];

/// Allows plain http for one private origin, as for a loopback host, during development.
///
/// It holds for the whole process until its end, for issuers, resources and endpoints alike, whichever peer names
/// them. Call it first in `main`, with the host name that a server has in development: `http://keycloak:8080` of a
/// Compose file, `http://idp.auth.svc.cluster.local`.
///
/// An attacker on the network path reads and changes all that is sent there, codes, secrets and tokens included. That
/// is acceptable only on a network of your own, so the host has to be private: a name without a dot, a name below
/// `test`, `localhost`, `local`, `internal` or `home.arpa`, or the literal address of a private network. The rules for
/// redirect URIs and client metadata documents do not change. The adapters log a warning for each origin.
///
/// Other origins, another port of the same host included, are not affected.
///
/// # Examples
///
/// ```standalone_crate
/// use oauth_types::{Issuer, allow_http_for_development};
///
/// assert!(Issuer::parse("http://keycloak:8080/realms/mcp").is_err());
/// allow_http_for_development("http://keycloak:8080")?;
/// assert!(Issuer::parse("http://keycloak:8080/realms/mcp").is_ok());
/// assert!(Issuer::parse("http://keycloak:9090/realms/mcp").is_err());
/// assert!(allow_http_for_development("http://as.example.com").is_err());
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
///
/// # Errors
///
/// [`InvalidUri::Scheme`] or [`InvalidUri::Syntax`] if the text is not the origin of an http URL, and
/// [`InvalidUri::PublicHost`] if its host may be public. [`InvalidUri`] names any other broken rule.
pub fn allow_http_for_development(origin: &str) -> Result<(), InvalidUri> {
    let url = WebUrl::measure(&parts(origin)?)?;
    if !url.scheme().eq_ignore_ascii_case("http") {
        return Err(InvalidUri::Scheme);
    }
    if url.before_path() != origin {
        return Err(InvalidUri::Syntax);
    }
    if !is_private(url.host()) {
        return Err(InvalidUri::PublicHost);
    }
    let named = key(url.host(), url.port());
    let mut all = NAMED.write().unwrap_or_else(PoisonError::into_inner);
    if !all.contains(&named) {
        all.push(named);
    }
    Ok(())
}

/// Returns the origins that [`allow_http_for_development`] allowed, for the log of an adapter.
#[must_use]
pub fn http_origins_for_development() -> Vec<String> {
    let all = NAMED.read().unwrap_or_else(PoisonError::into_inner);
    all.iter().map(|named| format!("http://{named}")).collect()
}

/// Returns `true` if http was allowed for exactly this host and port.
pub(super) fn is_allowed(host: &str, port: u16) -> bool {
    let all = NAMED.read().unwrap_or_else(PoisonError::into_inner);
    !all.is_empty() && all.contains(&key(host, port))
}

fn key(host: &str, port: u16) -> Box<str> {
    format!("{}:{port}", host.to_ascii_lowercase()).into()
}

/// Returns `true` if the host is a literal local address or a private name.
fn is_private(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match v6.unwrap_or(&name).parse() {
        Ok(address) => is_local_ip(address),
        Err(_) => {
            let is_below = PRIVATE.iter().any(|suffix| name.ends_with(suffix));
            v6.is_none() && !name.is_empty() && (is_below || !name.contains('.'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_host_is_not_reachable_from_the_internet() {
        for host in [
            "keycloak",
            "KEYCLOAK",
            "idp.auth.svc.cluster.local",
            "host.docker.internal",
            "as.test",
            "10.0.0.7",
            "192.168.1.2",
            "[fd00::7]",
            "[::1]",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "as.example",
            "keycloak.example.com",
            "8.8.8.8",
            "[2606:4700::1111]",
            "local.example",
            ".",
            "",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn only_the_origin_of_an_http_url_on_a_private_host_is_allowed() {
        for (text, rule) in [
            ("https://keycloak:8080", InvalidUri::Scheme),
            ("http://keycloak:8080/", InvalidUri::Syntax),
            ("http://keycloak:8080/realms/mcp", InvalidUri::Syntax),
            ("http://keycloak:8080?x", InvalidUri::Syntax),
            ("http://u@keycloak:8080", InvalidUri::Userinfo),
            ("http://keycloak:99999", InvalidUri::Port),
            ("http://as.example.com", InvalidUri::PublicHost),
            ("http://8.8.8.8", InvalidUri::PublicHost),
            ("http://0x7f.1", InvalidUri::AmbiguousHost),
            ("keycloak:8080", InvalidUri::NoHost),
        ] {
            assert_eq!(allow_http_for_development(text), Err(rule), "{text}");
        }
        assert!(http_origins_for_development().is_empty());
    }
}
