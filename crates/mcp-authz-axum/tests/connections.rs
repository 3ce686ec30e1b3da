//! More connections than a listener, or the process, can hold, over real sockets.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "descriptors are limited in a process of their own")]

use core::net::Ipv4Addr;
use core::time::Duration;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use mcp_authz_axum::{ConnectionLimits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// Time within which an honest request is answered, whatever others do.
const SOON: Duration = Duration::from_secs(5);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn start(limits: ConnectionLimits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        "slow"
    };
    let router = Router::new()
        .route("/", get(async || "in"))
        .route("/slow", get(slow).post(async move |_: Bytes| slow().await))
        .route("/form", post(async |_: Bytes| "read"));
    tokio::spawn(serve(listener, router, limits, core::future::pending()));
    address
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

/// All that is answered on a connection of its own.
async fn ask(from: Ipv4Addr, to: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = connect(from, to).await?;
    send(&mut stream, path, "close").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn send(stream: &mut TcpStream, path: &str, connection: &str) -> std::io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(head.as_bytes()).await
}

/// Idle connections, half of them with a part of a head.
async fn flood(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for number in 0..count {
        let Ok(mut stream) = connect(ATTACKER, to).await else { break };
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        }
        open.push(stream);
    }
    open
}

/// Connections with the head of a request and a part of its body.
async fn flood_with_bodies(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for number in 0..count {
        let Ok(mut stream) = connect(ATTACKER, to).await else { break };
        let length =
            if number % 2 == 0 { "content-length: 99" } else { "transfer-encoding: chunked" };
        let head = format!("POST /form HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n3\r\nabc");
        let _ = stream.write_all(head.as_bytes()).await;
        open.push(stream);
    }
    open
}

/// Connections that the server has not closed.
async fn still_open(open: &mut [TcpStream]) -> usize {
    let mut count = 0;
    for stream in open {
        let read = timeout(Duration::from_millis(2), stream.read(&mut [0])).await;
        count += usize::from(read.is_err());
    }
    count
}

/// SEC-223
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_network_holds_its_share_and_others_are_served() {
    let limits = ConnectionLimits::default().with_by_local_network(20);
    let address = start(limits).await;
    // A connection of an honest client that waits for its next request, and one with an answer under way.
    let mut kept = connect(HONEST, address).await.unwrap();
    let under_way = tokio::spawn(ask(ATTACKER, address, "/slow"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut open = flood(address, 200).await;
    assert_eq!(open.len(), 200, "each is taken, and older ones are closed for it");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let count = still_open(&mut open).await;
    assert!((1..=20).contains(&count), "{count}");
    for from in [HONEST, ATTACKER] {
        let answer = timeout(SOON, ask(from, address, "/")).await.unwrap().unwrap();
        assert!(answer.ends_with("in"), "{answer}");
    }
    let answer = timeout(SOON, under_way).await.unwrap().unwrap().unwrap();
    assert!(answer.ends_with("slow"), "an answer that is under way is not cut off: {answer}");
    send(&mut kept, "/", "close").await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("in"), "{answer}");
}

/// SEC-223
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_keeps_no_connection_where_others_need_room() {
    for limits in [
        ConnectionLimits::default().with_in_all(20),
        ConnectionLimits::default().with_by_local_network(20),
    ] {
        let address = start(limits).await;
        let form =
            "POST /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\n";
        let mut under_way = connect(HONEST, address).await.unwrap();
        under_way.write_all(form.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        under_way.write_all(b"abc").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut open = flood_with_bodies(address, 200).await;
        for from in [HONEST, ATTACKER] {
            let answer = timeout(SOON, ask(from, address, "/")).await.unwrap().unwrap();
            assert!(answer.ends_with("in"), "{limits:?} {answer}");
        }
        let count = still_open(&mut open).await;
        assert!((1..=20).contains(&count), "{count}");
        let mut answer = String::new();
        timeout(SOON, under_way.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("slow"), "a request that has arrived is not cut off: {answer}");
    }
}

/// SEC-223
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_in_all() {
    let limits = ConnectionLimits::default().with_in_all(20);
    let address = start(limits).await;
    let mut open = flood(address, 200).await;
    let answer = timeout(SOON, ask(HONEST, address, "/")).await.unwrap().unwrap();
    assert!(answer.ends_with("in"), "{answer}");
    let count = still_open(&mut open).await;
    assert!((1..=20).contains(&count), "{count}");
}

/// The name of the variable by which the process below is told its ports.
const PORTS: &str = "MCP_AUTHZ_TEST_PORTS";

/// Serves until its standard input ends.
#[tokio::test]
#[ignore = "a process for the test below, which limits its descriptors"]
async fn two_listeners() {
    for port in std::env::var(PORTS).unwrap().split(' ') {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        let router = Router::new().route("/", get(async || "in"));
        let never = core::future::pending();
        tokio::spawn(serve(listener, router, ConnectionLimits::default(), never));
    }
    let wait = || std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    let _ = tokio::task::spawn_blocking(wait).await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Two listeners of a process that has 64 descriptors, and the process.
#[cfg(unix)]
async fn start_process() -> ([SocketAddr; 2], Child) {
    let ports = [free_port(), free_port()];
    let process = Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 64; exec \"$0\" --ignored --exact two_listeners")
        .arg(std::env::current_exe().unwrap())
        .env(PORTS, ports.map(|port| port.to_string()).join(" "))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    for address in addresses {
        let started = Instant::now();
        while ask(HONEST, address, "/").await.is_err() {
            assert!(started.elapsed() < SOON, "the process serves");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    (addresses, process)
}

/// SEC-223
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(unix)]
async fn a_process_without_descriptors_gives_idle_connections_up() {
    let ([flooded, other], mut process) = start_process().await;
    // Many more than it has descriptors for, and more all the time.
    let mut open = flood(flooded, 300).await;
    for _ in 0..10 {
        open.extend(flood(flooded, 20).await);
        for address in [other, flooded] {
            let answer = timeout(SOON, ask(HONEST, address, "/")).await;
            let answer = answer.expect("the silence would last 30 s").unwrap();
            assert!(answer.ends_with("in"), "{answer}");
        }
    }
    drop(process.stdin.take());
    process.wait().unwrap();
}

/// SEC-223: connections that the kernel took for a process without descriptors are taken from it at once, and are not a
/// line in which an honest client waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(unix)]
async fn idle_connections_do_not_queue_if_descriptors_run_out() {
    let ([flooded, _], mut process) = start_process().await;
    let (mut open, mut waits) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        // No more than the kernel takes at once.
        open.extend(flood(flooded, 800).await);
        let started = Instant::now();
        let answer = timeout(SOON, ask(HONEST, flooded, "/")).await;
        let answer = answer.expect("an answer").unwrap();
        assert!(answer.ends_with("in"), "{answer}");
        waits.push(started.elapsed());
    }
    drop(process.stdin.take());
    process.wait().unwrap();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)), "{waits:?}");
}
