//! The user's own browser, and a listener on loopback for its return (RFC 8252 §7.3).

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use client_flow::Visit;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use oauth_types::RedirectUri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::{Error, UserAgent, VisitFailed};

/// Opens the user's browser and waits on an ephemeral loopback port for it to come back.
///
/// The address is handed to the system as one argument, through no shell. The page that ends the login
/// is the same whatever the callback said.
#[derive(Debug)]
pub struct LoopbackBrowser {
    listener: TcpListener,
    redirect_uri: RedirectUri,
}

const PATH: &str = "/callback";

/// Most connections that are read at once; others wait until one of them is done, or has said nothing for too long.
const MAX_CONNECTIONS: usize = 32;
const PAUSE: Duration = Duration::from_millis(100);

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
        Ok(Self { listener, redirect_uri })
    }

    /// Answers connections until one is the callback of this visit. Browsers open connections ahead of need and
    /// leave them idle, so none of them holds up another.
    async fn callback(&self, visit: &Visit) -> String {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < MAX_CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => open.push(answer(stream, visit)),
                        // Out of sockets, perhaps: that passes.
                        Err(_) => tokio::time::sleep(PAUSE).await,
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
}

/// Answers one connection; the callback when it was that.
async fn answer(mut stream: TcpStream, visit: &Visit) -> Option<String> {
    let head = read_head(&mut stream).await?;
    let heard = visit.hear(&head);
    if let Err(error) = stream.write_all(heard.reply().as_bytes()).await {
        debug!(%error, "the browser left before its answer");
    }
    let _ = stream.shutdown().await;
    let callback = heard.callback();
    if callback.is_none() {
        debug!("a request to the callback listener does not answer the login");
    }
    callback
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
            if count == 0 || head.len() > Visit::MAX_HEAD {
                return None;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.ok()?
}

impl UserAgent for LoopbackBrowser {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitFailed>> {
        Box::pin(async move {
            let url = visit.url().to_owned();
            let opened = tokio::task::spawn_blocking(move || webbrowser::open(&url)).await;
            if !matches!(opened, Ok(Ok(()))) {
                return Err(VisitFailed::NoBrowser);
            }
            let callback = tokio::time::timeout(Visit::LIFETIME, self.callback(visit));
            callback.await.map_err(|_| VisitFailed::Timeout)
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use client_auth::ClientCredentials;
    use client_flow::{ClientConfig, Step, login};
    use oauth_types::{ClientId, Entropy, Issuer, UnixTime};

    use super::*;

    /// A login that has come to its visit.
    fn visit(browser: &LoopbackBrowser) -> Visit {
        let now = UnixTime::from_secs(0);
        let mut config = ClientConfig::new("Test", browser.redirect_uri.clone());
        let client = ClientCredentials::public(ClientId::parse("c").unwrap());
        config.pre_registered.push((Issuer::parse("https://as.example").unwrap(), client));
        let mut step = login(config, "https://rs.example", None, None).unwrap();
        let mut documents = [
            r#"{"resource": "https://rs.example", "authorization_servers": ["https://as.example"]}"#,
            r#"{"issuer": "https://as.example", "authorization_endpoint": "https://as.example/a",
                "token_endpoint": "https://as.example/t",
                "code_challenge_methods_supported": ["S256"]}"#,
        ]
        .into_iter();
        loop {
            step = match step {
                Step::Exchange(exchange) => {
                    let document = Bytes::from(documents.next().unwrap());
                    exchange.resume(Ok(http::Response::new(document)), now).unwrap()
                }
                Step::Recall(recall) => recall.resume(None, now).unwrap(),
                Step::Randomize(draw) => {
                    draw.resume(Entropy::new([1; 32]), Entropy::new([2; 32]), now).unwrap()
                }
                Step::Visit(visit) => return *visit,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn send(browser: &LoopbackBrowser, request: &str) -> String {
        let address = browser.listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn sec_025_one_answer_ends_the_wait_whoever_else_connects() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let address = browser.listener.local_addr().unwrap();
        assert!(address.ip().is_loopback() && address.port() != 0);
        let visit = visit(&browser);
        let (_, query) = visit.url().split_once('?').unwrap();
        let state = query.split('&').find(|pair| pair.starts_with("state=")).unwrap();
        let ours = format!("GET /callback?code=c&{state} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let guessed = ours.replace(state, "state=guessed");
        // A browser opens connections ahead of need, and says nothing on them.
        let _idle = TcpStream::connect(address).await.unwrap();
        let started = tokio::time::Instant::now();
        let others = async {
            let refused = send(&browser, &guessed).await;
            (refused, send(&browser, "garbage\r\n\r\n").await, send(&browser, &ours).await)
        };
        let (callback, (refused, garbage, finished)) =
            tokio::join!(browser.callback(&visit), others);
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        assert!(garbage.starts_with("HTTP/1.1 403"), "{garbage}");
        assert!(finished.starts_with("HTTP/1.1 200"), "{finished}");
        assert_eq!(callback, format!("http://{address}/callback?code=c&{state}"));
        assert!(started.elapsed().as_secs() < 4);
    }

    #[tokio::test]
    async fn sec_025_a_fixed_port_is_a_loopback_port_too() {
        let port = {
            let other = LoopbackBrowser::bind().await.unwrap();
            other.listener.local_addr().unwrap().port()
        };
        let browser = LoopbackBrowser::bind_port(port).await.unwrap();
        assert_eq!(browser.redirect_uri.as_str(), format!("http://127.0.0.1:{port}/callback"));
    }
}
