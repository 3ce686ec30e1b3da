//! What slow, silent and endless clients get, over real sockets: about 1,100 at once, both ends counted (`ulimit -n`).

#![cfg(test)]

use core::time::Duration;
use std::net::SocketAddr;

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use mcp_authz_axum::{AuthorizationServer, ConnectionLimits, Deadlines, DemoLogin, serve};
use oauth_types::{Entropy, Issuer, ResourceUri, ScopeSet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The deadline of heads, and of bodies.
const DEADLINE: Duration = Duration::from_millis(800);
const METADATA: &str = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nhost: a\r\n";
const FORM: &str = "POST /token HTTP/1.1\r\nhost: a\r\n\
    content-type: application/x-www-form-urlencoded\r\n";

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn start() -> Running {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = ScopeSet::parse("read").unwrap();
    let issuer = Issuer::parse("https://as.example").unwrap();
    let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
    let router = AuthorizationServer::new(config, MemoryStore::default(), DemoLogin)
        .with_deadlines(Deadlines::default().with_body(DEADLINE))
        .router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let deadlines = ConnectionLimits::default().with_head(DEADLINE);
    let task = tokio::spawn(serve(listener, router, deadlines, stopped));
    Running { address, stop, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that is answered until the connection ends.
    async fn send(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // The server may have answered and gone before all is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Sends one byte after the other, far too slowly, until the server ends it.
async fn trickle(mut stream: TcpStream, bytes: &'static [u8]) -> String {
    let (mut read, mut write) = stream.split();
    let send = async {
        for byte in bytes.iter().cycle() {
            sleep(DEADLINE / 8).await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        core::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut answer) => String::from_utf8(answer).unwrap(),
        () = send => unreachable!(),
    }
}

/// SEC-099: 512 slow clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_and_disturb_nobody() {
    let server = start().await;
    let started = Instant::now();
    let mut slow = JoinSet::new();
    for number in 0..512 {
        let mut stream = server.connect().await;
        slow.spawn(async move {
            match number % 4 {
                // Nothing at all, and half a head.
                0 => rest(&mut stream).await,
                1 => trickle(stream, b"GET / HTTP/1.1\r\nx: ").await,
                // A body that stalls, and one that never ends.
                2 => {
                    let head = format!("{FORM}content-length: 99\r\n\r\ngrant_type=");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    rest(&mut stream).await
                }
                _ => {
                    let head = format!("{FORM}transfer-encoding: chunked\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    trickle(stream, b"1\r\na\r\n").await
                }
            }
        });
    }
    // Others are served as if they were alone.
    let (mut asked, all_slow) = (0, Instant::now());
    while all_slow.elapsed() < DEADLINE / 2 {
        let request = format!("{METADATA}connection: close\r\n\r\n");
        let answer = timeout(DEADLINE, server.send(&request)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        asked += 1;
    }
    assert!(asked > 3, "{asked}");
    let (mut silent, mut told) = (0, 0);
    let ends = async {
        while let Some(answer) = slow.join_next().await {
            match answer.unwrap() {
                answer if answer.is_empty() => silent += 1,
                answer if answer.starts_with("HTTP/1.1 408") => told += 1,
                answer => panic!("{answer}"),
            }
        }
    };
    timeout(10 * DEADLINE, ends).await.unwrap();
    assert_eq!((silent, told), (256, 256));
    assert!(started.elapsed() >= DEADLINE);
}

/// SEC-082, SEC-098
#[tokio::test]
async fn what_is_too_long_is_not_read_to_its_end() {
    let server = start().await;
    // Two headers of almost 8 KiB each, one of more, and many.
    let fits = "x".repeat(7 * 1024);
    for (headers, status) in [
        (format!("authorization: Basic {fits}\r\n"), "200"),
        (format!("authorization: Basic {}\r\n", "x".repeat(8 * 1024)), "431"),
        (format!("a: {fits}\r\nb: {fits}\r\nc: {fits}\r\n"), "431"),
        (format!("authorization: Basic {}\r\n", "x".repeat(64 * 1024)), "431"),
        ("a: b\r\n".repeat(101), "431"),
    ] {
        let answer = server.send(&format!("{METADATA}{headers}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:.99}");
    }
    // 10 MiB are announced, and refused before they are sent; or sent without an end, until they are too long.
    let head = format!("{FORM}content-length: 10485760\r\n\r\n");
    let mut stream = server.connect().await;
    let most = 128 * 1024;
    stream.write_all(format!("{head}{}", "x".repeat(most)).as_bytes()).await.unwrap();
    let answer = timeout(DEADLINE / 2, rest(&mut stream)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let chunk = format!("{most:x}\r\n{}\r\n", "x".repeat(most));
    let request = format!("{FORM}transfer-encoding: chunked\r\n\r\n{chunk}");
    let answer = timeout(DEADLINE / 2, server.send(&request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_reaches_a_client_that_sends_all_before_it_reads() {
    let server = start().await;
    let long = "x".repeat(200 * 1024);
    let head = format!("{METADATA}x: {long}\r\nconnection: close\r\n\r\n");
    let body = format!("{FORM}content-length: {}\r\n\r\n{long}", long.len());
    for (request, status) in [(head, "431"), (body, "413")] {
        for _ in 0..20 {
            let mut stream = server.connect().await;
            for piece in request.as_bytes().chunks(10 * 1024) {
                stream.write_all(piece).await.expect("the server takes what is sent");
                sleep(Duration::from_millis(1)).await;
            }
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("the connection is not reset");
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
    }
}

/// SEC-108
#[tokio::test]
async fn who_is_connected_is_who_is_limited() {
    let server = start().await;
    let body = r#"{"redirect_uris": ["https://app.example/cb"]}"#;
    let head =
        "POST /register HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for _ in 0..60 {
        assert!(server.send(&request).await.starts_with("HTTP/1.1 201"));
    }
    let answer = server.send(&request).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: "), "{answer}");
}

#[tokio::test]
async fn a_server_that_stops_ends_what_it_has_begun() {
    let server = start().await;
    let mut stream = server.connect().await;
    let head = format!("{FORM}content-length: 12\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(DEADLINE / 4).await;
    server.stop.send(()).unwrap();
    sleep(DEADLINE / 4).await;
    assert!(TcpStream::connect(server.address).await.is_err());
    stream.write_all(b"grant_type=x").await.unwrap();
    let answer = rest(&mut stream).await;
    // Of what was sent, not of its being late.
    assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains(" 408 "), "{answer}");
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
}
