//! Proxies: what goes through one, and which of their names may lead to a private address.
//!
//! | the MCP server | the proxy of the builder | without one |
//! |---|---|---|
//! | on this machine, or http is allowed in development | for all but such hosts and `NO_PROXY` | those of the environment, likewise |
//! | elsewhere | likewise | as the HTTP client is set: its own, else those of the environment |
//!
//! The environment is `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. Proxies in the settings of the operating
//! system are not read: reqwest is built without its feature `system-proxy`.
//!
//! http is for this machine or a private network only because nothing leaves them (C-TOKEN-1).

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use crate::error::Error;

/// Hosts of this machine, in the notation of `NO_PROXY`.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// Sets the proxies of an HTTP client, and names their hosts.
pub(crate) fn apply(
    http: ClientBuilder,
    named: Option<&str>,
    is_direct: bool,
    for_development: &[String],
) -> Result<(ClientBuilder, Vec<String>), Error> {
    let environment = environment();
    let hosts = |urls: &[(Scheme, String)]| urls.iter().filter_map(|(_, url)| host(url)).collect();
    let own = match named {
        Some(url) => vec![(Scheme::All, url.to_owned())],
        None if is_direct => environment,
        // The HTTP library looks into the environment by itself.
        None => return Ok((http, hosts(&environment))),
    };
    let direct = direct(for_development);
    let mut http = http.no_proxy();
    for (scheme, url) in &own {
        let proxy = match scheme {
            Scheme::Http => Proxy::http(url),
            Scheme::Https => Proxy::https(url),
            Scheme::All => Proxy::all(url),
        };
        match proxy {
            Ok(proxy) => http = http.proxy(proxy.no_proxy(NoProxy::from_string(&direct))),
            Err(_) if named.is_some() => return Err(Error::Proxy),
            // The library passes over such a one as well.
            Err(_) => {}
        }
    }
    Ok((http, hosts(&own)))
}

/// The hosts that are asked without a proxy.
fn direct(for_development: &[String]) -> String {
    let development = for_development.iter().filter_map(|origin| host(origin));
    let mut all = vec![THIS_MACHINE.to_owned()];
    all.extend(development);
    all.extend(variable("NO_PROXY"));
    all.join(",")
}

/// Which requests a proxy is for.
#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
    All,
}

/// The proxies that the environment names, the most specific first.
fn environment() -> Vec<(Scheme, String)> {
    // In a CGI process a client of the server sets it (httpoxy).
    let is_cgi = variable("REQUEST_METHOD").is_some();
    let http = variable("HTTP_PROXY").filter(|_| !is_cgi).map(|url| (Scheme::Http, url));
    let https = variable("HTTPS_PROXY").map(|url| (Scheme::Https, url));
    let all = variable("ALL_PROXY").map(|url| (Scheme::All, url));
    [http, https, all].into_iter().flatten().collect()
}

/// A variable of the environment by its name in capitals or in small letters.
#[expect(clippy::disallowed_methods, reason = "the proxies of a process stand in its environment")]
fn variable(name: &str) -> Option<String> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    read(&name.to_ascii_lowercase()).or_else(|| read(name))
}

/// The host of a URL, whose scheme may be left out as in the environment.
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
    fn the_host_of_a_proxy_is_found_with_and_without_scheme_and_credentials() {
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

    #[test]
    fn c_token_1_this_machine_and_hosts_for_development_go_through_no_proxy() {
        let direct =
            direct(&["http://10.255.255.1:8080".to_owned(), "http://keycloak:8080".to_owned()]);
        assert!(direct.starts_with("localhost,127.0.0.0/8,::1,10.255.255.1,keycloak"), "{direct}");
    }

    #[test]
    fn an_address_of_a_proxy_that_is_no_url_is_an_error() {
        for bad in ["", "http://", "://x"] {
            let applied = apply(reqwest::Client::builder(), Some(bad), false, &[]);
            assert!(matches!(applied, Err(Error::Proxy)), "{bad}");
        }
    }
}
