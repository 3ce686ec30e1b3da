//! The callback listener of a login (RFC 8252 §7.3), on one thread.
//!
//! Any program on this machine can connect. None of them holds up the browser: each connection has a few seconds, a new
//! one takes the place of the oldest, and the login as a whole ends in time.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client_flow::{Heard, Visit};

/// Most connections that are read at once.
const MAX_OPEN: usize = 32;
/// Time for one of them to say what it wants.
const READING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// A connection, and the part of its request that was read.
struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    until: Instant,
}

enum Progress {
    Waiting,
    Read,
    Closed,
}

/// Answers connections until one is the callback.
pub(crate) fn wait(listener: &TcpListener, visit: &Visit) -> Result<String> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + Visit::LIFETIME;
    let mut open = VecDeque::new();
    while Instant::now() < until {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            if open.len() == MAX_OPEN {
                open.pop_front();
            }
            let until = Instant::now() + READING;
            open.push_back(Connection { stream, head: Vec::new(), until });
        }
        for _ in 0..open.len() {
            let Some(mut connection) = open.pop_front() else { break };
            match connection.read() {
                Progress::Waiting => open.push_back(connection),
                Progress::Closed => {}
                Progress::Read => {
                    let is_too_long = connection.head.len() >= Visit::MAX_HEAD;
                    let heard =
                        if is_too_long { Heard::too_long() } else { visit.hear(&connection.head) };
                    // Small enough for the buffer of any socket. Whoever is gone has no use for it.
                    let _ = connection.stream.write_all(heard.reply().as_bytes());
                    if let Some(callback) = heard.callback() {
                        return Ok(callback);
                    }
                }
            }
        }
        sleep(PAUSE);
    }
    bail!("the browser did not come back in time: start again")
}

impl Connection {
    /// Reads what has arrived.
    fn read(&mut self) -> Progress {
        let mut chunk = [0; 2048];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Progress::Closed,
                Ok(count) => self.head.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let is_late = Instant::now() >= self.until;
                    return if is_late { Progress::Closed } else { Progress::Waiting };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Closed,
            }
            if self.head.ends_with(b"\r\n\r\n") || self.head.len() >= Visit::MAX_HEAD {
                return Progress::Read;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread;

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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let visit = visit(&format!("http://{address}/cb"));
        let ours = request(&visit, address);
        let waiting = thread::spawn(move || wait(&listener, &visit));
        // Whoever begins a request and never ends it.
        let mut others = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /cb?x").unwrap();
            others.push(stream);
        }
        let (start, mut browser) = (Instant::now(), TcpStream::connect(address).unwrap());
        browser.write_all(ours.as_bytes()).unwrap();
        let mut answer = String::new();
        browser.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(waiting.join().unwrap().unwrap().contains("/cb?code=c&state="));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        drop(others);
    }
}
