//! Proxies: the requests that go through one, and the proxy hosts that may be at a private address.
//!
//! | the server | with a named proxy | without one |
//! |---|---|---|
//! | on this machine, or development hosts exist | except for such hosts and `NO_PROXY` | the environment's, likewise |
//! | elsewhere | likewise | the HTTP client's own, else the environment's |
//!
//! The environment is `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. Proxies in the settings of the operating
//! system are not read: reqwest is built without its feature `system-proxy`.
//!
//! http is allowed for this machine or a private network only, because the request stays there (C-TOKEN-1).

use oauth_types::{Origin, http_origins_for_development};
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use crate::error::BuildError;

/// Hosts of this machine, in the notation of `NO_PROXY`.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// Place of the server that a client visits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerPlace {
    /// This machine.
    ///
    /// The proxies of the HTTP client are dropped, because they could receive requests for it.
    ThisMachine,
    /// Any other host.
    Elsewhere,
}

impl ServerPlace {
    pub(crate) fn of(server: &Origin) -> Self {
        if server.is_loopback() { Self::ThisMachine } else { Self::Elsewhere }
    }
}

/// Configures the proxies of the environment, or those of the HTTP client.
///
/// Returns the hosts of the environment's proxies.
pub(crate) fn ambient(http: ClientBuilder, server: ServerPlace) -> (ClientBuilder, Vec<String>) {
    let proxies = environment();
    let hosts = proxies.iter().filter_map(|(_, url)| host(url)).collect();
    let for_development = http_origins_for_development();
    if server == ServerPlace::Elsewhere && for_development.is_empty() {
        // The HTTP library reads the environment by itself.
        return (http, hosts);
    }
    let direct = direct(&for_development);
    // The HTTP library, too, skips a URL that it cannot parse.
    let own = proxies.iter().filter_map(|(scheme, url)| scheme.proxy(url).ok());
    let http = own.fold(http.no_proxy(), |http, proxy| {
        http.proxy(proxy.no_proxy(NoProxy::from_string(&direct)))
    });
    (http, hosts)
}

/// Configures the proxy at this URL, and returns its host.
pub(crate) fn named(
    http: ClientBuilder,
    url: &str,
) -> Result<(ClientBuilder, Vec<String>), BuildError> {
    let proxy = Scheme::All.proxy(url).map_err(|_| BuildError::Proxy)?;
    let direct = direct(&http_origins_for_development());
    let http = http.no_proxy().proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    Ok((http, host(url).into_iter().collect()))
}

/// Returns the hosts that are contacted without a proxy, in the notation of `NO_PROXY`.
fn direct(for_development: &[String]) -> String {
    let development = for_development.iter().filter_map(|origin| host(origin));
    let mut all = vec![THIS_MACHINE.to_owned()];
    all.extend(development);
    all.extend(variable("NO_PROXY"));
    all.join(",")
}

/// Schemes of the requests that a proxy is for.
#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
    All,
}

impl Scheme {
    fn proxy(self, url: &str) -> reqwest::Result<Proxy> {
        match self {
            Self::Http => Proxy::http(url),
            Self::Https => Proxy::https(url),
            Self::All => Proxy::all(url),
        }
    }
}

/// Returns the proxies of the environment, the most specific first.
fn environment() -> Vec<(Scheme, String)> {
    // In a CGI process, a client of the server can set `HTTP_PROXY` (httpoxy).
    let is_cgi = variable("REQUEST_METHOD").is_some();
    let http = variable("HTTP_PROXY").filter(|_| !is_cgi).map(|url| (Scheme::Http, url));
    let https = variable("HTTPS_PROXY").map(|url| (Scheme::Https, url));
    let all = variable("ALL_PROXY").map(|url| (Scheme::All, url));
    [http, https, all].into_iter().flatten().collect()
}

/// Returns an environment variable, by its name in lower case or in capitals.
#[expect(clippy::disallowed_methods, reason = "the proxies of a process stand in its environment")]
fn variable(name: &str) -> Option<String> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    read(&name.to_ascii_lowercase()).or_else(|| read(name))
}

/// Returns the host of a URL whose scheme may be left out, as in the environment.
fn host(url: &str) -> Option<String> {
    let has_scheme = url.contains("://");
    let url = if has_scheme { Url::parse(url) } else { Url::parse(&format!("http://{url}")) };
    let url = url.ok()?;
    Some(url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_host_is_read_with_or_without_scheme_and_credentials() {
        for (url, expected) in [
            ("http://proxy.corp:3128", "proxy.corp"),
            ("http://me:secret@proxy.corp:3128/", "proxy.corp"),
            ("proxy.corp:3128", "proxy.corp"),
            ("socks5://10.0.0.1:1080", "10.0.0.1"),
            ("http://[fd00::1]:3128", "fd00::1"),
        ] {
            assert_eq!(host(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(host("http://"), None);
    }

    /// C-TOKEN-1
    #[test]
    fn this_machine_and_hosts_for_development_go_through_no_proxy() {
        let direct =
            direct(&["http://10.255.255.1:8080".to_owned(), "http://keycloak:8080".to_owned()]);
        assert!(direct.starts_with("localhost,127.0.0.0/8,::1,10.255.255.1,keycloak"), "{direct}");
    }

    #[test]
    fn an_address_of_a_proxy_that_is_no_url_is_an_error() {
        for bad in ["", "http://", "://x"] {
            let failed = named(reqwest::Client::builder(), bad).err();
            assert_eq!(failed, Some(BuildError::Proxy), "{bad}");
        }
    }
}
