//! The callback listener of a login (RFC 8252 §7.3), a task for each connection.
//!
//! Any program on this machine can connect. None of them holds up the browser: each connection has a few seconds, a new
//! one takes the place of the oldest, and the login as a whole ends in time.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, anyhow};
use client_flow::{Heard, Visit};
use smol::channel::unbounded;
use smol::future::FutureExt as _;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::net::{TcpListener, TcpStream};

use crate::after;

/// Most connections that are read at once.
const MAX_OPEN: usize = 32;
/// Time for one of them to say what it wants.
const READING: Duration = Duration::from_secs(5);

enum Event {
    Accepted(TcpStream),
    Read(TcpStream, Vec<u8>),
}

/// Answers connections until one is the callback.
pub(crate) async fn wait(on: &TcpListener, visit: &Visit) -> Result<String> {
    let in_time = async { Ok(answer(on, visit).await) };
    let late = anyhow!("the browser did not come back in time: start again");
    in_time.or(after(Visit::LIFETIME, Err(late))).await?
}

async fn answer(on: &TcpListener, visit: &Visit) -> Result<String> {
    let (read, heads) = unbounded();
    let mut reading = VecDeque::new();
    loop {
        let accepted = async { anyhow::Ok(Event::Accepted(on.accept().await?.0)) };
        let event = accepted.or(async { Ok(heads.recv().await?) }).await?;
        match event {
            Event::Accepted(stream) => {
                if reading.len() == MAX_OPEN {
                    // Dropped, and its connection closed.
                    reading.pop_front();
                }
                let read = read.clone();
                reading.push_back(smol::spawn(async move {
                    if let Some((stream, head)) = read_head(stream).or(after(READING, None)).await {
                        let _ = read.try_send(Event::Read(stream, head));
                    }
                }));
            }
            Event::Read(mut stream, head) => {
                let is_too_long = head.len() >= Visit::MAX_HEAD;
                let heard = if is_too_long { Heard::too_long() } else { visit.hear(&head) };
                // Small enough for the buffer of any socket. Whoever is gone has no use for it.
                let _ = stream.write_all(heard.reply().as_bytes()).await;
                if let Some(callback) = heard.callback() {
                    return Ok(callback);
                }
            }
        }
    }
}

/// Reads until the empty line, or as much as may be read.
async fn read_head(mut stream: TcpStream) -> Option<(TcpStream, Vec<u8>)> {
    let (mut head, mut chunk) = (Vec::new(), [0; 2048]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < Visit::MAX_HEAD {
        let count = stream.read(&mut chunk).await.ok().filter(|&count| count > 0)?;
        head.extend_from_slice(chunk.get(..count)?);
    }
    Some((stream, head))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use bytes::Bytes;
    use client_auth::ClientCredentials;
    use client_flow::{ClientConfig, Step, login};
    use oauth_types::{ClientId, Entropy, Issuer, RedirectUri, UnixTime};

    use super::*;

    /// A login that has come to its visit.
    fn visit(redirect_uri: &str) -> Visit {
        let now = UnixTime::from_secs(0);
        let mut config = ClientConfig::new("Test", RedirectUri::parse(redirect_uri).unwrap());
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

    fn request(visit: &Visit, address: SocketAddr) -> String {
        let (_, query) = visit.url().split_once('?').unwrap();
        let state = query.split('&').find(|pair| pair.starts_with("state=")).unwrap();
        format!("GET /cb?code=c&{state} HTTP/1.1\r\nHost: {address}\r\n\r\n")
    }

    #[test]
    fn local_connections_that_are_silent_or_slow_do_not_hold_the_callback() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let visit = visit(&format!("http://{address}/cb"));
            let ours = request(&visit, address);
            let waiting = smol::spawn(async move { wait(&listener, &visit).await });
            // Whoever begins a request and never ends it.
            let mut others = Vec::new();
            for _ in 0..100 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /cb?x").await.unwrap();
                others.push(stream);
            }
            let start = Instant::now();
            let mut browser = TcpStream::connect(address).await.unwrap();
            browser.write_all(ours.as_bytes()).await.unwrap();
            let mut answer = String::new();
            browser.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(waiting.await.unwrap().contains("/cb?code=c&state="));
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
            drop(others);
        });
    }
}
