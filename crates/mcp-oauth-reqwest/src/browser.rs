//! The user's own browser, and a listener on loopback for its return (RFC 8252 §7.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use client_flow::Visit;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use iss_validate::Callback;
use oauth_types::RedirectUri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use crate::{Error, UserAgent, VisitFailed};

/// Opens the user's browser and waits on an ephemeral loopback port for it to come back.
///
/// The address is handed to the system as one argument, through no shell. The page that ends the login
/// is the same whatever the callback said.
#[derive(Debug)]
pub struct LoopbackBrowser {
    listener: TcpListener,
    redirect_uri: RedirectUri,
    authority: String,
}

const PATH: &str = "/callback";
/// Longest request head that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Most connections that are read at once.
const MAX_CONNECTIONS: usize = 32;

const FINISHED: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    <!doctype html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>\
    <title>Back to the application</title>\
    <body style='font:1.1rem system-ui;margin:20vh auto;max-width:30rem;padding:0 1rem'>\
    <h1>You can close this page</h1><p>The application has received the answer.";

const NOT_OURS: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    This is not the answer that the application waits for. Start the login there again.";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl LoopbackBrowser {
    /// Takes an ephemeral port of 127.0.0.1, or of ::1 where there is no IPv4, and keeps it for all logins of
    /// this value, so that the redirect URI is known before the client registers.
    ///
    /// # Errors
    ///
    /// [`Error::Visit`] when no port can be had.
    pub async fn bind() -> Result<Self, Error> {
        Self::bind_port(0).await
    }

    /// The same at this port, for a client that is registered with a server that compares ports (RFC 8252 §7.3
    /// wants none to).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_port(port: u16) -> Result<Self, Error> {
        let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        // Nobody beyond this machine can reach either.
        let addresses = addresses.map(|address| SocketAddr::new(address, port));
        let no_port = |_| Error::Visit(VisitFailed::NoBrowser);
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(no_port)?;
        let authority = listener.local_addr().map_err(no_port)?.to_string();
        let redirect_uri = RedirectUri::parse(&format!("http://{authority}{PATH}"))
            .map_err(|_| Error::Visit(VisitFailed::NoBrowser))?;
        Ok(Self { listener, redirect_uri, authority })
    }

    /// Answers connections until one is the callback that `is_ours`. Browsers open connections ahead of need and leave them
    /// idle, so none of them holds up another.
    async fn callback(&self, is_ours: &(dyn Fn(&str) -> bool + Sync)) -> String {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    if let Ok((stream, _)) = accepted
                        && open.len() < MAX_CONNECTIONS
                    {
                        open.push(self.answer(stream, is_ours));
                    }
                }
                Some(answered) = open.next() => {
                    if let Some(callback) = answered {
                        return callback;
                    }
                }
            }
        }
    }

    /// Answers one connection; the callback's query when it was the callback.
    async fn answer(
        &self,
        mut stream: TcpStream,
        is_ours: &(dyn Fn(&str) -> bool + Sync),
    ) -> Option<String> {
        let head = read_head(&mut stream).await?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&head).ok()?;
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        // Another name for this address is a page of somebody else's that rebound its DNS.
        let (reply, query) = if host.map(|host| host.value) != Some(self.authority.as_bytes()) {
            warn!("a request to the callback listener names a foreign host");
            (FORBIDDEN, None)
        } else {
            let target = request.path.unwrap_or_default();
            match target.split_once('?') {
                // Any page that the user has open can guess the port, and none of them the state.
                Some((PATH, query)) if request.method == Some("GET") && !is_ours(query) => {
                    warn!("a request to the callback listener does not answer the login");
                    (NOT_OURS, None)
                }
                Some((PATH, query)) if request.method == Some("GET") => {
                    (FINISHED, Some(format!("{}?{query}", self.redirect_uri)))
                }
                _ => (NOT_FOUND, None),
            }
        };
        if let Err(error) = stream.write_all(reply.as_bytes()).await {
            debug!(%error, "the browser left before its answer");
        }
        let _ = stream.shutdown().await;
        query
    }
}

/// Reads until the empty line; `None` when the head is too long, too slow or cut off.
async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let mut head = Vec::new();
        let mut chunk = [0; 2048];
        loop {
            let count = stream.read(&mut chunk).await.ok()?;
            head.extend_from_slice(chunk.get(..count)?);
            if head.windows(4).any(|end| end == b"\r\n\r\n") {
                return Some(head);
            }
            if count == 0 || head.len() > MAX_HEAD {
                return None;
            }
        }
    };
    tokio::time::timeout(core::time::Duration::from_secs(5), read).await.ok()?
}

impl UserAgent for LoopbackBrowser {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitFailed>> {
        Box::pin(async move {
            webbrowser::open(visit.url()).map_err(|_| VisitFailed::NoBrowser)?;
            let is_ours = |query: &str| visit.is_answered_by(&Callback::from_query(query));
            let callback = tokio::time::timeout(Visit::LIFETIME, self.callback(&is_ours));
            callback.await.map_err(|_| VisitFailed::Timeout)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends raw requests one after the other; the answers, and the callback that was accepted.
    async fn visit(
        browser: &LoopbackBrowser,
        requests: &[String],
    ) -> (Vec<String>, Option<String>) {
        let client = async {
            let mut answers = Vec::new();
            for request in requests {
                let mut stream = TcpStream::connect(&browser.authority).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer).await;
                answers.push(answer);
            }
            answers
        };
        // Long where a callback ends the wait, short where none is to come.
        let is_expected = requests.iter().any(|request| request.contains(&browser.authority));
        let patience = core::time::Duration::from_secs(if is_expected { 30 } else { 2 });
        let server =
            tokio::time::timeout(patience, browser.callback(&|query| query.contains("state=ours")));
        let (answers, callback) = tokio::join!(client, server);
        (answers, callback.ok())
    }

    fn get(target: &str, host: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    #[tokio::test]
    async fn sec_025_only_the_callback_ends_the_wait() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        assert!(browser.redirect_uri.as_str().starts_with("http://127.0.0.1:"));
        let host = browser.authority.clone();
        let requests = [
            get("/favicon.ico", &host),
            get("/callback", &host),
            format!("POST /callback?code=x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "garbage\r\n\r\n".to_owned(),
            get("/callback?code=x&state=guessed", &host),
            get("/callback?code=c&state=ours", &host),
        ];
        let (answers, callback) = visit(&browser, &requests).await;
        assert!(answers[..3].iter().all(|answer| answer.starts_with("HTTP/1.1 404")));
        assert!(answers[4].starts_with("HTTP/1.1 400"));
        assert!(answers[5].starts_with("HTTP/1.1 200"));
        assert_eq!(callback, Some(format!("http://{host}/callback?code=c&state=ours")));
    }

    #[tokio::test]
    async fn sec_024_a_request_for_another_host_changes_nothing() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let target = "/callback?code=x";
        let requests = [get(target, "evil.example"), format!("GET {target} HTTP/1.1\r\n\r\n")];
        let (answers, callback) = visit(&browser, &requests).await;
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 403")));
        assert_eq!(callback, None);
    }

    #[tokio::test]
    async fn an_idle_connection_holds_nothing_up() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let _idle = TcpStream::connect(&browser.authority).await.unwrap();
        let started = tokio::time::Instant::now();
        let (_, callback) =
            visit(&browser, &[get("/callback?code=c&state=ours", &browser.authority)]).await;
        assert!(callback.is_some() && started.elapsed().as_secs() < 4);
    }

    #[tokio::test]
    async fn sec_026_the_page_reflects_nothing() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let target = "/callback?error=x&state=ours&error_description=%3Cscript%3Ecanary";
        let (answers, callback) = visit(&browser, &[get(target, &browser.authority)]).await;
        assert!(!answers[0].contains("canary") && answers[0].contains("default-src 'none'"));
        assert!(answers[0].contains("Referrer-Policy: no-referrer"));
        assert!(callback.is_some());
    }
}
