//! Loopback redirect: requests to the port of the redirect URI during a login (RFC 8252 §7.3, §8.3).
//!
//! A program may also listen before, between and after logins; [`Heard::no_login`] then answers the requests, so that a
//! reloaded page does not hang.
//!
//! | check, in this order | requirement | reply |
//! |---|---|---|
//! | a bounded request head with one `Host`, that of the redirect URI | SEC-024 | 403; empty if it is not HTTP |
//! | GET of the redirect URI's path, with a query | SEC-025 | 404 |
//! | the query carries this login's `state` | C-AUTHZ-5 | 400 |

mod request;

use iss_validate::Callback;
use oauth_types::{RedirectUri, SecretDigest, State};

pub use request::CallbackRequest;

use crate::flow::BrowserRequest;

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
const TOO_LONG: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    The browser sends too many cookies to this address for the application to read its answer. \
    Delete the cookies of 127.0.0.1 and localhost, then start the login there again.\n";
const NO_LOGIN: &str = "HTTP/1.1 410 Gone\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    The application waits for no login now. If you have just logged in, you can close this page; \
    else start the login in the application again.\n";
/// Independent of the callback's content.
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

/// Result of a request to the loopback port of a login: the reply, and the callback if it is one.
#[derive(Debug)]
#[must_use = "write the reply, and wait on unless there is a callback"]
pub struct Heard {
    reply: &'static str,
    callback: Option<String>,
}

impl Heard {
    /// Returns the complete HTTP response to write before the connection is closed.
    #[must_use]
    pub const fn reply(&self) -> &'static str {
        self.reply
    }

    /// Creates the answer to a request head longer than [`BrowserRequest::MAX_HEAD`], which tells the user what to do.
    pub const fn too_long() -> Self {
        Self { reply: TOO_LONG, callback: None }
    }

    /// Creates the empty answer to an incomplete request.
    pub(crate) const fn not_http() -> Self {
        Self { reply: NOT_HTTP, callback: None }
    }

    /// Creates the answer to any request while no login waits.
    ///
    /// Such requests arrive before a login, between two, and when the page of a finished one is reloaded.
    pub const fn no_login() -> Self {
        Self { reply: NO_LOGIN, callback: None }
    }

    /// Returns `true` if the request is the callback that ends the wait.
    #[must_use]
    pub const fn is_callback(&self) -> bool {
        self.callback.is_some()
    }

    /// Returns the callback URL for [`Callback::from_url`]; on `None`, wait for another connection.
    #[must_use]
    pub fn callback(self) -> Option<String> {
        self.callback
    }
}

/// Data of a [`BrowserRequest`] by which a listener recognizes its callback.
///
/// An owned value, for a task that listens on the port for several logins.
#[derive(Clone, Debug)]
pub struct CallbackListener {
    redirect_uri: RedirectUri,
    state: SecretDigest,
}

impl BrowserRequest {
    /// Maximum length of a request head that a listener keeps, in bytes.
    ///
    /// Cookies of every local server are sent to this port too. Read longer heads to their end, and answer with
    /// [`Heard::too_long`], as [`CallbackRequest`] does.
    pub const MAX_HEAD: usize = 64 * 1024;

    /// Returns the data by which a listener recognizes the callback of this visit.
    #[must_use]
    pub fn callback_listener(&self) -> CallbackListener {
        CallbackListener {
            redirect_uri: self.redirect_uri().clone(),
            state: self.pending.state.digest(),
        }
    }

    /// Judges a request to the port of the redirect URI, as [`CallbackListener::hear`].
    pub fn hear(&self, head: &[u8]) -> Heard {
        self.callback_listener().hear(head)
    }
}

impl CallbackListener {
    /// Creates the listener of a login with this redirect URI and state.
    ///
    /// For a host that stores its logins in its own format; [`BrowserRequest::callback_listener`] returns that of a
    /// visit.
    #[must_use]
    pub fn new(redirect_uri: RedirectUri, state: &State) -> Self {
        Self { redirect_uri, state: state.as_secret().digest() }
    }

    /// Judges a request to the port of the redirect URI.
    ///
    /// `head` contains the bytes up to and including the empty line, at most [`BrowserRequest::MAX_HEAD`] of them.
    ///
    /// Any page that the user has open can send requests to this port, under a host name that it has rebound, or
    /// without knowing the state. Such requests do not end the login, and the reply repeats nothing of them.
    pub fn hear(&self, head: &[u8]) -> Heard {
        let refuse = |reply| Heard { reply, callback: None };
        let Ok(head) = core::str::from_utf8(head) else { return refuse(NOT_HTTP) };
        let Some((line, headers)) = head.split_once("\r\n") else { return refuse(NOT_HTTP) };
        let mut hosts = headers.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim())
        });
        let redirect_uri = self.redirect_uri.as_str();
        // A browser reaches this port only by an http redirect URI.
        let Some(own) = redirect_uri.strip_prefix("http://") else { return refuse(FORBIDDEN) };
        let (authority, path) = own.split_at(own.find(['/', '?']).unwrap_or(own.len()));
        // Another host name for this address belongs to a page of an attacker (DNS rebinding).
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
        if Callback::from_query(query).state_digest().as_ref() != Some(&self.state) {
            return refuse(NOT_OURS);
        }
        Heard { reply: FINISHED, callback: Some(format!("{redirect_uri}?{query}")) }
    }
}
