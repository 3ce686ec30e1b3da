//! System browser with a loopback listener for its redirect (RFC 8252 §7.3).

mod listener;

use core::pin::pin;

use client_flow::BrowserRequest;
use futures::future::BoxFuture;
use oauth_types::RedirectUri;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::user_agent::{UserAgent, VisitError};
use listener::Listener;

/// User agent with the system browser and a loopback redirect URI (RFC 8252 §7.3).
///
/// The URL is passed to the system as one argument, without a shell. The page that ends the login is the same for every
/// callback.
///
/// The port is open as long as this value lives, served by a task of the runtime in which it was bound. Requests
/// between logins are answered by a page, and several logins may wait at once. Connections of other local programs do
/// not delay the browser's:
///
/// | limit | value | beyond it |
/// |---|---|---|
/// | connections whose request is not complete | 64 | the oldest is closed |
/// | time for a request | 5 s | closed |
/// | head of a request, cookies included | 64 KiB ([`BrowserRequest::MAX_HEAD`]) | read on to 1 MiB, then 431 with a page |
/// | time for a login | 10 min ([`BrowserRequest::LIFETIME`]) | [`VisitError::Timeout`] |
///
/// # Examples
///
/// ```
/// use mcp_authz_reqwest::{Error, LoopbackBrowser, UserAgent as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let browser = LoopbackBrowser::bind().await?;
/// assert!(browser.redirect_uri().as_str().ends_with("/callback"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoopbackBrowser {
    listener: Listener,
    redirect_uri: RedirectUri,
}

const PATH: &str = "/callback";

impl LoopbackBrowser {
    /// Binds an ephemeral port of 127.0.0.1, or of `::1` on a host without IPv4.
    ///
    /// All logins of this value use this port, so that the redirect URI is known before the client registers.
    ///
    /// # Errors
    ///
    /// [`Error::CallbackPort`] when no port can be bound.
    pub async fn bind() -> Result<Self, Error> {
        Self::bind_port(0).await
    }

    /// Binds the given port, for an authorization server that compares ports.
    ///
    /// RFC 8252 §7.3 requires authorization servers to accept any port of a loopback redirect URI; use
    /// [`bind`](Self::bind) where they do.
    ///
    /// # Errors
    ///
    /// [`Error::CallbackPort`] when the port cannot be bound, of the kind `AddrInUse` when another program listens on
    /// it. No other port is tried, because the client is registered for this one.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the URL of a loopback address and port is always a redirect URI"
    )]
    pub async fn bind_port(port: u16) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::CallbackPort { port, kind: error.kind() };
        let listener = Listener::bind(port).await.map_err(failed)?;
        let redirect_uri = RedirectUri::parse(&format!("http://{}{PATH}", listener.address()))
            .expect("an http URL of a loopback address, without a fragment");
        Ok(Self { listener, redirect_uri })
    }
}

/// Opens the browser; the receiver gets `false` when no browser could be opened.
///
/// A text browser ends only when its user leaves it. A thread waits for that, so that neither the login nor the end
/// of the runtime has to.
fn open(url: String) -> oneshot::Receiver<bool> {
    let (opened, answer) = oneshot::channel();
    // If no thread can be started, the sender is dropped, and the receiver's error means the same as `false`.
    let _ = std::thread::Builder::new().name("browser".to_owned()).spawn(move || {
        let _ = opened.send(webbrowser::open(&url).is_ok());
    });
    answer
}

impl UserAgent for LoopbackBrowser {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            let mut callback = pin!(self.listener.callback(visit.callback_listener()));
            let both = async {
                tokio::select! {
                    biased;
                    callback = &mut callback => return Ok(callback),
                    opened = open(visit.url().to_owned()) => {
                        if !matches!(opened, Ok(true)) {
                            return Err(VisitError::NoBrowser);
                        }
                    }
                }
                Ok(callback.await)
            };
            let outcome = tokio::time::timeout(BrowserRequest::LIFETIME, both).await;
            outcome.unwrap_or(Err(VisitError::Timeout))
        })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use client_flow::CallbackListener;
    use oauth_types::{Entropy, State};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    /// Login that waits for its callback.
    struct Login(CallbackListener, State);

    /// Creates a login with this seed as its randomness.
    fn login(browser: &LoopbackBrowser, seed: u8) -> Login {
        let state = State::new(Entropy::new([seed; 32]));
        Login(CallbackListener::new(browser.redirect_uri.clone(), &state), state)
    }

    async fn send(browser: &LoopbackBrowser, request: &str) -> String {
        let mut stream = TcpStream::connect(browser.listener.address()).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    /// Returns the request of a returning browser, with these header lines.
    fn callback_of(browser: &LoopbackBrowser, login: &Login, headers: &str) -> String {
        let (state, address) = (login.1.as_secret().expose(), browser.listener.address());
        format!("GET /callback?code=c&state={state} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n")
    }

    /// Sends the callback of a waiting login, and returns the page that its user sees.
    async fn finish(browser: &LoopbackBrowser, login: &Login, headers: &str) -> String {
        let ours = callback_of(browser, login, headers);
        let both = async {
            let wait = browser.listener.callback(login.0.clone());
            tokio::join!(wait, send(browser, &ours))
        };
        let (callback, page) = tokio::time::timeout(SOON, both).await.unwrap();
        assert!(callback.contains("/callback?code=c&state="), "{callback}");
        page
    }

    /// Shorter than the time that a silent connection is allowed.
    const SOON: Duration = Duration::from_secs(4);

    /// SEC-250
    #[tokio::test]
    async fn silent_connections_hold_up_no_callback() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let address = browser.listener.address();
        // More than the backlog of the system, before the login and during it.
        let mut silent = Vec::new();
        for _ in 0..300 {
            let connected = tokio::time::timeout(SOON, TcpStream::connect(address));
            silent.push(connected.await.expect("somebody accepts").unwrap());
        }
        let login = login(&browser, 1);
        let wait = browser.listener.callback(login.0.clone());
        let others = async {
            for _ in 0..120 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            send(&browser, &callback_of(&browser, &login, "")).await
        };
        let both = async { tokio::join!(wait, others) };
        let (_, page) = tokio::time::timeout(SOON, both).await.expect("the callback is answered");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        // The oldest connections are closed, the newest are still served.
        let is_closed = async |stream: &mut TcpStream| {
            let mut byte = [0];
            let read = stream.read(&mut byte);
            tokio::time::timeout(Duration::from_millis(50), read).await.is_ok()
        };
        assert!(is_closed(&mut silent[0]).await);
        assert!(!is_closed(silent.last_mut().unwrap()).await);
    }

    /// SEC-250
    #[tokio::test]
    async fn a_head_full_of_cookies_is_answered() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let cookies = |length| format!("Cookie: a={}\r\n", "x".repeat(length));
        let page = finish(&browser, &login(&browser, 1), &cookies(20_000)).await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        for length in [100_000, 900_000] {
            let long = callback_of(&browser, &login(&browser, 1), &cookies(length));
            let page = tokio::time::timeout(SOON, send(&browser, &long)).await.unwrap();
            assert!(page.starts_with("HTTP/1.1 431"), "{length} {page}");
            assert!(page.contains("Delete the cookies"), "{page}");
        }
        // The end of the head is found wherever the head is split.
        let head = callback_of(&browser, &login(&browser, 1), "");
        let login = login(&browser, 1);
        let slowly = async {
            let mut stream = TcpStream::connect(browser.listener.address()).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for byte in head.as_bytes() {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let both = async { tokio::join!(browser.listener.callback(login.0.clone()), slowly) };
        tokio::time::timeout(SOON, both).await.unwrap();
    }

    /// SEC-250
    #[tokio::test]
    async fn before_between_and_after_logins_there_is_a_page() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let first = login(&browser, 1);
        let ours = callback_of(&browser, &first, "");
        let asked = async || tokio::time::timeout(SOON, send(&browser, &ours)).await.unwrap();
        assert!(asked().await.starts_with("HTTP/1.1 410"), "before");
        assert!(finish(&browser, &first, "").await.starts_with("HTTP/1.1 200"));
        let reloaded = asked().await;
        assert!(reloaded.starts_with("HTTP/1.1 410"), "{reloaded}");
        assert!(reloaded.contains("you can close this page"), "{reloaded}");
        // A login that was given up is forgotten, and the next one works as the first did.
        let given_up = browser.listener.callback(first.0.clone());
        assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
        assert!(asked().await.starts_with("HTTP/1.1 410"));
        assert!(finish(&browser, &first, "").await.starts_with("HTTP/1.1 200"));
        // The port is closed when the value is dropped.
        let address = browser.listener.address();
        drop(browser);
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// SEC-250
    #[tokio::test]
    async fn logins_that_share_a_port_each_get_their_own_callback() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let (one, other) = (login(&browser, 1), login(&browser, 2));
        let [to_one, to_other] = [&one, &other].map(|login| callback_of(&browser, login, ""));
        let sends = async { (send(&browser, &to_other).await, send(&browser, &to_one).await) };
        let all = async {
            let (one, other) = (
                browser.listener.callback(one.0.clone()),
                browser.listener.callback(other.0.clone()),
            );
            tokio::join!(one, other, sends)
        };
        let (first, second, pages) = tokio::time::timeout(SOON, all).await.unwrap();
        assert!(pages.0.starts_with("HTTP/1.1 200") && pages.1.starts_with("HTTP/1.1 200"));
        assert!(to_one.contains(first.rsplit('/').next().unwrap()));
        assert!(to_other.contains(second.rsplit('/').next().unwrap()));
        assert_ne!(first, second);
    }

    /// SEC-250
    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error_and_no_other_address() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let port = browser.listener.address().port();
        let error = LoopbackBrowser::bind_port(port).await.unwrap_err();
        let kind = std::io::ErrorKind::AddrInUse;
        assert!(
            matches!(error, Error::CallbackPort { port: own, kind: is } if (own, is) == (port, kind))
        );
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }

    /// SEC-025
    #[tokio::test]
    async fn one_answer_ends_the_wait_whoever_else_connects() {
        let browser = LoopbackBrowser::bind().await.unwrap();
        let address = browser.listener.address();
        assert!(address.ip().is_loopback() && address.port() != 0);
        let login = login(&browser, 1);
        let state = login.1.as_secret().expose();
        let ours = callback_of(&browser, &login, "");
        let guessed = ours.replace(state, "guessed");
        // Browsers open connections ahead of need and leave them silent.
        let _idle = TcpStream::connect(address).await.unwrap();
        let started = tokio::time::Instant::now();
        let others = async {
            let refused = send(&browser, &guessed).await;
            (refused, send(&browser, "garbage\r\n\r\n").await, send(&browser, &ours).await)
        };
        let (callback, (refused, garbage, finished)) =
            tokio::join!(browser.listener.callback(login.0.clone()), others);
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        assert!(garbage.starts_with("HTTP/1.1 403"), "{garbage}");
        assert!(finished.starts_with("HTTP/1.1 200"), "{finished}");
        assert_eq!(callback, format!("http://{address}/callback?code=c&state={state}"));
        assert!(started.elapsed().as_secs() < 4);
    }

    /// SEC-025
    #[tokio::test]
    async fn a_fixed_port_is_a_loopback_port_too() {
        let port = {
            let other = LoopbackBrowser::bind().await.unwrap();
            other.listener.address().port()
        };
        let browser = LoopbackBrowser::bind_port(port).await.unwrap();
        assert_eq!(browser.redirect_uri.as_str(), format!("http://127.0.0.1:{port}/callback"));
    }
}
