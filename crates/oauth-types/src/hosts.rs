//! Host names and origins that a server answers to, as a defence against DNS rebinding.
//!
//! A page that rebinds its DNS name to this machine calls a loopback server, or one with public operations, under the
//! page's own name, which its browser sends in `Host` and `Origin`. Authorization servers and resource servers check
//! both by this one rule.

use http::Request;
use http::header::{HOST, ORIGIN};

use crate::browser_origins::{BrowserOrigins, is_loopback, split_port};
use crate::uri::{InvalidUri, Origin, is_loopback_host};

/// Host names that a server answers to, and origins whose pages may call it.
///
/// They decide nothing else: the identity of a server comes from its configuration.
///
/// # Examples
///
/// ```
/// use http::Request;
/// use oauth_types::{Hosts, Origin};
///
/// let hosts = Hosts::of(Origin::of("http://127.0.0.1:8000")?).with_name("host.docker.internal")?;
/// let named = |host: &str| Request::post("/mcp").header("host", host).body(()).unwrap();
/// assert!(hosts.admits(&named("localhost:8000")) && hosts.admits(&named("host.docker.internal:8000")));
/// assert!(!hosts.admits(&named("rebound.evil.example:8000")));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hosts {
    own: Origin,
    is_loopback: bool,
    more: Vec<Box<str>>,
    /// Origins that the host allowed, if it set any.
    browsers: Option<BrowserOrigins>,
    takes_null: bool,
}

impl Hosts {
    /// Creates the default rule for a server with this origin.
    ///
    /// A loopback server answers to loopback names. Any other server answers to every name in a request with a token.
    #[must_use]
    pub fn of(own: Origin) -> Self {
        let is_loopback = own.is_loopback();
        Self { own, is_loopback, more: Vec::new(), browsers: None, takes_null: false }
    }

    /// Adds a host name, without a port.
    ///
    /// A server that is not loopback then answers only to its own host and to the added names.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] if the text is not a host: a scheme, a port or a path is not part of one.
    pub fn with_name(mut self, host: &str) -> Result<Self, InvalidUri> {
        let origin = Origin::of(&format!("https://{host}"))?;
        if !origin.host().eq_ignore_ascii_case(host) {
            return Err(InvalidUri::Syntax);
        }
        self.more.push(host.into());
        Ok(self)
    }

    /// Allows pages of these origins to call the server.
    #[must_use]
    pub fn with_browser_origins(mut self, origins: BrowserOrigins) -> Self {
        self.browsers = Some(origins);
        self
    }

    /// Accepts the origin `null` too, while the check of `Host` stays.
    ///
    /// Browsers send it for a page of the server's own that sends no `Referer`.
    #[must_use]
    pub const fn with_null_origin(mut self) -> Self {
        self.takes_null = true;
        self
    }

    /// Returns every name that the server may answer to, loopback names included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let more = self.more.iter().map(|name| &**name);
        [self.own.host(), "localhost", "127.0.0.1", "[::1]"].into_iter().chain(more)
    }

    /// Returns `true` if pages of this origin may read responses.
    ///
    /// Those are the origins that the host allowed or, if it set none, the loopback origins that pass the check.
    #[must_use]
    pub fn is_open_to(&self, origin: &str) -> bool {
        match &self.browsers {
            Some(origins) => origins.allows(origin),
            None => is_loopback(origin) && (self.is_unnamed() || self.is_own_origin(origin)),
        }
    }

    /// Returns `true` if the server answers to every name.
    fn is_unnamed(&self) -> bool {
        !self.is_loopback && self.more.is_empty()
    }

    fn is_own_origin(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| self.is_own(host))
    }

    /// Returns `true` if every host and origin in a request belongs to this server or is allowed.
    ///
    /// A server without configured names that is not loopback accepts every request.
    #[must_use]
    pub fn admits<B>(&self, request: &Request<B>) -> bool {
        self.is_unnamed() || self.admits_without_token(request)
    }

    /// Returns `true` if a request without a token names this server in every host and origin.
    ///
    /// The check is that of [`admits`](Self::admits), but a server without configured names answers only to its own
    /// host and to loopback names, because no token keeps out a page that rebinds its name.
    #[must_use]
    pub fn admits_without_token<B>(&self, request: &Request<B>) -> bool {
        let text = |name| {
            let lines = request.headers().get_all(name).iter();
            lines.map(|value| value.to_str().ok())
        };
        let opened = |origin| {
            self.takes_null && origin == "null"
                || self.browsers.as_ref().is_some_and(|list| list.allows(origin))
        };
        let mut hosts = text(HOST);
        hosts.next().is_none_or(|host| host.is_some_and(|host| self.is_own(host)))
            && hosts.next().is_none()
            // HTTP/2 has no `Host`, and the request line may name another host.
            && request.uri().authority().is_none_or(|host| self.is_own(host.as_str()))
            && text(ORIGIN).all(|origin| {
                origin.is_some_and(|origin| self.is_own_origin(origin) || opened(origin))
            })
    }

    /// Returns `true` if `host [ ":" port ]` is one of this server's names; the port is not compared.
    fn is_own(&self, text: &str) -> bool {
        let Some((host, _)) = split_port(text) else { return false };
        self.own.host().eq_ignore_ascii_case(host)
            || (self.is_loopback || self.more.is_empty()) && is_loopback_host(host)
            || self.more.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(server: &str, more: &[&str], lines: &[(&str, &str)]) -> bool {
        let mut hosts = Hosts::of(Origin::of(server).unwrap());
        for name in more {
            hosts = hosts.with_name(name).unwrap();
        }
        let mut request = Request::post("/mcp");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        hosts.admits(&request.body(()).unwrap())
    }

    const LOCAL: &str = "http://127.0.0.1:8000";

    #[test]
    fn a_loopback_server_answers_to_loopback_names() {
        for host in ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.8.8.8"] {
            assert!(admits(LOCAL, &[], &[("host", host)]), "{host}");
            assert!(admits(LOCAL, &[], &[("origin", &format!("http://{host}"))]), "{host}");
        }
        assert!(admits(LOCAL, &[], &[]));
        for host in [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "evil.example:80@127.0.0.1",
            "127.0.0.1:80@evil.example",
            "127.0.0.1:8000:8000",
            "localhost:x",
            "[::1]evil.example",
            "evil.example[::1]",
            "localhost/",
            "localhost.",
            "127.1",
            "\u{e9}",
        ] {
            assert!(!admits(LOCAL, &[], &[("host", host)]), "{host}");
            assert!(!admits(LOCAL, &[], &[("origin", &format!("http://{host}"))]), "{host}");
        }
        for origin in ["null", "localhost", "file://localhost", "javascript://localhost"] {
            assert!(!admits(LOCAL, &[], &[("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn every_line_counts_and_the_request_line_too() {
        assert!(!admits(LOCAL, &[], &[("host", "localhost"), ("host", "evil.example")]));
        assert!(!admits(LOCAL, &[], &[("host", "evil.example"), ("host", "localhost")]));
        let lines = [("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert!(!admits(LOCAL, &[], &lines));
        let hosts = Hosts::of(Origin::of(LOCAL).unwrap());
        let at = |uri: &str| Request::get(uri).header(HOST, "localhost").body(()).unwrap();
        assert!(hosts.admits(&at("http://localhost:8000/mcp")));
        assert!(!hosts.admits(&at("http://evil.example/mcp")));
    }

    #[test]
    fn other_names_are_added_and_other_servers_choose() {
        let more = ["host.docker.internal"];
        assert!(admits(LOCAL, &more, &[("host", "Host.Docker.Internal:8000")]));
        assert!(admits(LOCAL, &more, &[("host", "localhost:8000")]));
        assert!(!admits(LOCAL, &more, &[("host", "evil.example")]));
        let public = "https://rs.example";
        assert!(admits(public, &[], &[("host", "anything"), ("origin", "null")]));
        let more = ["app.example"];
        let lines = [("host", "rs.example"), ("origin", "https://app.example")];
        assert!(admits(public, &more, &lines));
        assert!(!admits(public, &more, &[("host", "localhost")]));
        assert!(!admits(public, &more, &[("origin", "https://evil.example")]));
    }

    #[test]
    fn a_list_of_origins_opens_a_server_to_these_hosts_only() {
        let opened = |server: &str, origins| {
            Hosts::of(Origin::of(server).unwrap()).with_browser_origins(origins)
        };
        let asks = |hosts: &Hosts, host: &str, origin: &str| {
            let request = Request::post("/mcp").header("host", host).header("origin", origin);
            hosts.admits(&request.body(()).unwrap())
        };
        let app = "https://app.example";
        let hosts = opened(LOCAL, BrowserOrigins::listed([app]).unwrap());
        assert!(asks(&hosts, "localhost", app) && hosts.is_open_to(app));
        assert!(
            asks(&hosts, "localhost", "http://localhost") && !hosts.is_open_to("http://localhost")
        );
        for other in
            ["https://evil.example", "null", "http://app.example", "https://app.example:444"]
        {
            assert!(!asks(&hosts, "localhost", other) && !hosts.is_open_to(other), "{other}");
        }
        // A rebound name is refused, whichever origins may call.
        let any = opened(LOCAL, BrowserOrigins::any());
        assert!(asks(&any, "localhost", "https://evil.example"));
        assert!(!asks(&any, "evil.example", "https://evil.example"));
        assert!(!asks(&any, "localhost", "null"));
    }

    #[test]
    fn by_default_a_server_is_open_to_loopback_pages_it_lets_in() {
        let page = "http://localhost:6274";
        let hosts = Hosts::of(Origin::of("https://rs.example").unwrap());
        assert!(hosts.is_open_to(page) && !hosts.is_open_to("https://app.example"));
        assert!(!hosts.is_open_to("null") && !hosts.is_open_to("http://localhost.evil.example"));
        let hosts = hosts.with_name("app.example").unwrap();
        assert!(!hosts.is_open_to(page), "it answers to its own names alone");
        assert!(Hosts::of(Origin::of(LOCAL).unwrap()).is_open_to(page));
    }

    #[test]
    fn the_null_origin_is_let_in_for_own_pages_at_the_right_host() {
        let hosts = Hosts::of(Origin::of(LOCAL).unwrap()).with_null_origin();
        let asks = |host: &str| {
            let request = Request::post("/").header("host", host).header("origin", "null");
            hosts.admits(&request.body(()).unwrap())
        };
        assert!(asks("localhost") && !asks("evil.example"));
    }
}
