//! Names of a server, and requests that call it by another one. A page that rebinds its DNS name to this machine calls
//! a loopback server, or one with public operations, by the page's own name, and its browser says so in `Host` and
//! `Origin`.

use http::Request;
use http::header::{HOST, ORIGIN};
use oauth_types::{Origin, is_loopback_host};

use crate::BrowserOrigins;
use crate::browser_origins::{is_loopback, split_port};

/// The names that a server answers to. They decide nothing else: what a resource is comes from its configuration.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    own: Origin,
    is_loopback: bool,
    more: Vec<Box<str>>,
    /// Origins that the host opened the server to, if it did.
    browsers: Option<BrowserOrigins>,
}

impl Hosts {
    /// The default: a loopback server answers to loopback names, any other to every name of a request with a token.
    pub(crate) fn of(own: Origin) -> Self {
        Self { is_loopback: own.is_loopback(), own, more: Vec::new(), browsers: None }
    }

    /// The same with another name.
    pub(crate) fn add(&mut self, name: &str) {
        self.more.push(name.into());
    }

    /// Every name, loopback ones too.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let more = self.more.iter().map(|name| &**name);
        [self.own.host(), "localhost", "127.0.0.1", "[::1]"].into_iter().chain(more)
    }

    /// The same for pages of these origins.
    pub(crate) fn open_to(&mut self, origins: BrowserOrigins) {
        self.browsers = Some(origins);
    }

    /// Returns `true` if pages of this origin may read answers: those that the host opened the server to, or else
    /// loopback ones that it lets in.
    pub(crate) fn is_open_to(&self, origin: &str) -> bool {
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

    /// Whether everything in a request that names a host or an origin names one of this server's.
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> bool {
        self.is_unnamed() || self.admit_without_token(request)
    }

    /// Returns `true` if a request without a token names this server: as [`admit`](Self::admit), and a server that was
    /// told no name answers to its own host and to loopback names. No token keeps out a page that rebinds its name.
    pub(crate) fn admit_without_token<B>(&self, request: &Request<B>) -> bool {
        let text = |name| {
            let lines = request.headers().get_all(name).iter();
            lines.map(|value| value.to_str().unwrap_or_default())
        };
        let opened = |origin| self.browsers.as_ref().is_some_and(|list| list.allows(origin));
        let mut hosts = text(HOST);
        hosts.next().is_none_or(|host| self.is_own(host))
            && hosts.next().is_none()
            // HTTP/2 has no `Host`, and a request line may name another one.
            && request.uri().authority().is_none_or(|host| self.is_own(host.as_str()))
            && text(ORIGIN).all(|origin| self.is_own_origin(origin) || opened(origin))
    }

    /// Whether `host [ ":" port ]` is one of this server's names. Which port is for whoever listens.
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
        more.iter().for_each(|name| hosts.add(name));
        let mut request = Request::post("/mcp");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        hosts.admit(&request.body(()).unwrap())
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
        assert!(hosts.admit(&at("http://localhost:8000/mcp")));
        assert!(!hosts.admit(&at("http://evil.example/mcp")));
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
    fn a_list_of_origins_opens_a_server_to_them_and_to_no_other_host() {
        let opened = |server: &str, origins| {
            let mut hosts = Hosts::of(Origin::of(server).unwrap());
            hosts.open_to(origins);
            hosts
        };
        let asks = |hosts: &Hosts, host: &str, origin: &str| {
            let request = Request::post("/mcp").header("host", host).header("origin", origin);
            hosts.admit(&request.body(()).unwrap())
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
        // A rebound name is refused whoever may call.
        let any = opened(LOCAL, BrowserOrigins::any());
        assert!(asks(&any, "localhost", "https://evil.example"));
        assert!(!asks(&any, "evil.example", "https://evil.example"));
        assert!(!asks(&any, "localhost", "null"));
    }

    #[test]
    fn a_server_is_open_to_loopback_pages_that_it_lets_in_if_nothing_is_said() {
        let page = "http://localhost:6274";
        let mut hosts = Hosts::of(Origin::of("https://rs.example").unwrap());
        assert!(hosts.is_open_to(page) && !hosts.is_open_to("https://app.example"));
        assert!(!hosts.is_open_to("null") && !hosts.is_open_to("http://localhost.evil.example"));
        hosts.add("app.example");
        assert!(!hosts.is_open_to(page), "it answers to its own names alone");
        assert!(Hosts::of(Origin::of(LOCAL).unwrap()).is_open_to(page));
    }
}
