//! Loopback listener for the redirect of a login (RFC 8252 §7.3), with a task for each connection.
//!
//! Any program on this machine can connect, but cannot block the browser: each connection has a few seconds, a new one
//! replaces the oldest, and the login as a whole has a time limit.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, anyhow};
use client_flow::{BrowserRequest, CallbackListener, CallbackRequest};
use smol::channel::unbounded;
use smol::future::FutureExt as _;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::net::{TcpListener, TcpStream};

use crate::after;

/// Maximum number of open connections.
const MAX_OPEN: usize = 32;
/// Time in which a connection has to send its request.
const READING: Duration = Duration::from_secs(5);

enum Event {
    Accepted(TcpStream),
    Read(TcpStream, CallbackRequest),
}

/// Answers connections until one brings the callback.
pub(crate) async fn wait(on: &TcpListener, login: &CallbackListener) -> Result<String> {
    let in_time = async { Ok(answer(on, login).await) };
    let late = anyhow!("the browser did not come back in time: start again");
    in_time.or(after(BrowserRequest::LIFETIME, Err(late))).await?
}

async fn answer(on: &TcpListener, login: &CallbackListener) -> Result<String> {
    let (read, requests) = unbounded();
    let mut reading = VecDeque::new();
    loop {
        let accepted = async { anyhow::Ok(Event::Accepted(on.accept().await?.0)) };
        let event = accepted.or(async { Ok(requests.recv().await?) }).await?;
        match event {
            Event::Accepted(stream) => {
                if reading.len() == MAX_OPEN {
                    // Dropping the task closes its connection.
                    reading.pop_front();
                }
                let read = read.clone();
                reading.push_back(smol::spawn(async move {
                    if let Some((stream, request)) = request(stream).or(after(READING, None)).await
                    {
                        let _ = read.try_send(Event::Read(stream, request));
                    }
                }));
            }
            Event::Read(mut stream, request) => {
                let heard = request.answer(Some(login));
                // The reply fits into any socket buffer; a failed write means that the peer is gone.
                let _ = stream.write_all(heard.reply().as_bytes()).await;
                if let Some(callback) = heard.callback() {
                    return Ok(callback);
                }
            }
        }
    }
}

/// Reads a request; `None` if the connection ends before it is complete.
async fn request(mut stream: TcpStream) -> Option<(TcpStream, CallbackRequest)> {
    let (mut request, mut chunk) = (CallbackRequest::default(), [0; 2048]);
    loop {
        let count = stream.read(&mut chunk).await.ok().filter(|&count| count > 0)?;
        if request.push(chunk.get(..count)?) {
            return Some((stream, request));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use oauth_types::{Entropy, RedirectUri, State};

    use super::*;

    /// Returns a login with its redirect to this address, and the request of that redirect.
    fn login(address: SocketAddr) -> (CallbackListener, String) {
        let state = State::new(Entropy::new([1; 32]));
        let redirect_uri = RedirectUri::parse(&format!("http://{address}/cb")).unwrap();
        let query = format!("code=c&state={}", state.as_secret().expose());
        let request = format!("GET /cb?{query} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        (CallbackListener::new(redirect_uri, &state), request)
    }

    #[test]
    fn silent_or_slow_local_connections_do_not_hold_the_callback() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (login, ours) = login(address);
            let waiting = smol::spawn(async move { wait(&listener, &login).await });
            // Connections that begin a request and never end it.
            let mut others = Vec::new();
            for _ in 0..100 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /cb?x").await.unwrap();
                others.push(stream);
            }
            let start = Instant::now();
            let mut browser = TcpStream::connect(address).await.unwrap();
            // Bytes after the head are ignored.
            browser.write_all(format!("{ours}more").as_bytes()).await.unwrap();
            let mut answer = String::new();
            browser.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(waiting.await.unwrap().contains("/cb?code=c&state="));
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
            drop(others);
        });
    }
}
