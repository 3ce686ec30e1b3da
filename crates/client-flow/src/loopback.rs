//! What a program hears on its loopback port while the browser is away (RFC 8252 §7.3, §8.3).
//!
//! | check, in this order | requirement | reply |
//! |---|---|---|
//! | a bounded request head with one `Host`, which is the redirect URI's | SEC-024 | 403, or none to what is no HTTP |
//! | GET of the redirect URI's path, with a query | SEC-025 | 404 |
//! | the query carries this login's `state` | C-AUTHZ-5 | 400 |

use iss_validate::Callback;

use crate::Visit;

const NOT_HTTP: &str = "";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NOT_OURS: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    This is not the answer that the application waits for. Start the login there again.\n";
/// The same whatever the callback says.
const FINISHED: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    <!doctype html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>\
    <meta name=viewport content='width=device-width'><title>Back to the application</title>\
    <body style='font:1.1rem system-ui;margin:20vh auto;max-width:30rem;padding:0 1rem'>\
    <h1>You can close this page</h1><p>The application has received the answer.";

/// A request to the loopback port of a login, and what to make of it.
#[derive(Debug)]
#[must_use = "write the reply, and wait on unless there is a callback"]
pub struct Heard {
    reply: &'static str,
    callback: Option<String>,
}

impl Heard {
    /// The whole HTTP response to write before the connection is closed.
    #[must_use]
    pub const fn reply(&self) -> &'static str {
        self.reply
    }

    /// The callback that ends the wait, for [`Callback::from_url`]. `None`: wait for another connection.
    #[must_use]
    pub fn callback(self) -> Option<String> {
        self.callback
    }
}

impl Visit {
    /// Longest request head that a listener reads, in bytes.
    pub const MAX_HEAD: usize = 16 * 1024;

    /// What a request to the port of the redirect URI means: `head` is what came up to and including the empty
    /// line, at most [`MAX_HEAD`](Self::MAX_HEAD) bytes of it.
    ///
    /// Any page that the user has open can ask for this port, under a name of its own that it has rebound, or
    /// without knowing the state. None of that ends the login, and nothing is repeated to it.
    pub fn hear(&self, head: &[u8]) -> Heard {
        let refuse = |reply| Heard { reply, callback: None };
        let head = core::str::from_utf8(head).unwrap_or_default();
        let Some((line, headers)) = head.split_once("\r\n") else { return refuse(NOT_HTTP) };
        let mut hosts = headers.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim())
        });
        let redirect_uri = self.redirect_uri().as_str();
        let (authority, path) = redirect_uri
            .strip_prefix("http://")
            .map(|rest| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
            .unwrap_or_default();
        // Another name for this address is a page of somebody else's.
        let plain = |host: &str| host.strip_suffix(":80").unwrap_or(host).to_ascii_lowercase();
        if hosts.next().map(plain) != Some(plain(authority)) || hosts.next().is_some() {
            return refuse(FORBIDDEN);
        }
        let target = line.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
        let query = target.and_then(|target| target.strip_prefix(path)?.strip_prefix('?'));
        let Some(query) = query.filter(|query| !query.contains([' ', '#'])) else {
            return refuse(NOT_FOUND);
        };
        // C-AUTHZ-5
        if !self.is_answered_by(&Callback::from_query(query)) {
            return refuse(NOT_OURS);
        }
        Heard { reply: FINISHED, callback: Some(format!("{redirect_uri}?{query}")) }
    }
}
