//! Loopback listener for the redirect of a login (RFC 8252 §7.3), on one thread.
//!
//! Any program on this machine can connect, but cannot block the browser: each connection has a few seconds, a new one
//! replaces the oldest, and the login as a whole has a time limit.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client_flow::{BrowserRequest, CallbackListener, CallbackRequest};

/// Maximum number of open connections.
const MAX_OPEN: usize = 32;
/// Time in which a connection has to send its request.
const READING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Connection with the part of its request that has arrived.
struct Connection {
    stream: TcpStream,
    request: CallbackRequest,
    until: Instant,
}

enum Progress {
    Waiting,
    Read,
    Closed,
}

/// Answers connections until one brings the callback.
pub(crate) fn wait(listener: &TcpListener, login: &CallbackListener) -> Result<String> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + BrowserRequest::LIFETIME;
    let mut open = VecDeque::new();
    while Instant::now() < until {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            if open.len() == MAX_OPEN {
                open.pop_front();
            }
            let until = Instant::now() + READING;
            let request = CallbackRequest::default();
            open.push_back(Connection { stream, request, until });
        }
        for _ in 0..open.len() {
            let Some(mut connection) = open.pop_front() else { break };
            match connection.read() {
                Progress::Waiting => open.push_back(connection),
                Progress::Closed => {}
                Progress::Read => {
                    let heard = connection.request.answer(Some(login));
                    // The reply fits into any socket buffer; a failed write means that the peer is gone.
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
    /// Reads the bytes that have arrived.
    fn read(&mut self) -> Progress {
        let mut chunk = [0; 2048];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Progress::Closed,
                Ok(count) => {
                    if self.request.push(chunk.get(..count).unwrap_or_default()) {
                        return Progress::Read;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let is_late = Instant::now() >= self.until;
                    return if is_late { Progress::Closed } else { Progress::Waiting };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Closed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread;

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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (login, ours) = login(address);
        let waiting = thread::spawn(move || wait(&listener, &login));
        // Connections that begin a request and never end it.
        let mut others = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /cb?x").unwrap();
            others.push(stream);
        }
        let (start, mut browser) = (Instant::now(), TcpStream::connect(address).unwrap());
        // Bytes after the head are ignored.
        browser.write_all(format!("{ours}more").as_bytes()).unwrap();
        let mut answer = String::new();
        browser.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(waiting.join().unwrap().unwrap().contains("/cb?code=c&state="));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        drop(others);
    }
}
