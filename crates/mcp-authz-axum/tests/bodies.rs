//! Request bodies that are announced and do not come, over real sockets: at the protected server, and at every
//! endpoint of the authorization server.

#![cfg(test)]

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use allocation_counter::measure;
use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::routing::any;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, Deadlines, DemoLogin, ProtectLayer, TokenVerifier,
    VerifierUnavailable, serve,
};
use oauth_types::{ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_millis(800);
const RS: &str = "https://rs.example/mcp";

/// Every token is good, for decades.
struct Good;

impl TokenVerifier for Good {
    async fn verify(
        &self,
        _: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse("user").unwrap(),
                ClientId::parse("client").unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse("read").unwrap())
            .with_audience([ResourceUri::parse(RS).unwrap()])
            .with_expires_at(UnixTime::from_secs(4_000_000_000)),
        )))
    }
}

fn issuer() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}

/// Both servers in one router.
fn router(
    protect: impl FnOnce(ProtectLayer<Good>) -> ProtectLayer<Good>,
    body: Duration,
) -> Router {
    let resource = Resource::new(ResourceUri::parse(RS).unwrap(), vec![issuer()]).unwrap();
    let scopes = OperationScopes::new("read").unwrap();
    let protect = protect(ProtectLayer::new(resource, Good, scopes));
    let mcp = Router::new().route("/mcp", any(async || "in")).layer(protect);
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = ScopeSet::parse("read").unwrap();
    let resources = vec![ResourceUri::parse(RS).unwrap()];
    let config = Config::new(issuer(), resources, scopes, keys).unwrap();
    AuthorizationServer::new(config, MemoryStore::default(), DemoLogin)
        .with_deadlines(Deadlines::default().with_body(body))
        .router()
        .merge(mcp)
}

async fn start(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let never = core::future::pending();
    tokio::spawn(serve(listener, router, ConnectionLimits::default(), never));
    address
}

/// Announces a body, sends a byte of it now and then, and returns all that is answered until the connection ends.
async fn stall(address: SocketAddr, path: &str, framing: &str, piece: &'static [u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let send = async {
        while !piece.is_empty() {
            sleep(DEADLINE / 8).await;
            if write.write_all(piece).await.is_err() {
                break;
            }
        }
        core::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        // A reset after the answer is an end as well.
        _ = read.read_to_end(&mut answer) => String::from_utf8(answer).unwrap(),
        () = send => unreachable!(),
    }
}

/// SEC-218
#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_closed_everywhere() {
    let address = start(router(|protect| protect.with_body_deadline(DEADLINE), DEADLINE)).await;
    let mut slow = JoinSet::new();
    for path in ["/mcp", "/token", "/register", "/revoke", "/authorize", "/authorize/consent"] {
        for (framing, piece) in [
            ("content-length: 9000", &b""[..]),
            ("content-length: 9000", b"{"),
            ("transfer-encoding: chunked", b""),
            ("transfer-encoding: chunked", b"1\r\n{\r\n"),
        ] {
            slow.spawn(async move { (path, stall(address, path, framing, piece).await) });
        }
    }
    let ends = async {
        while let Some(ended) = slow.join_next().await {
            let (path, answer) = ended.unwrap();
            assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        }
    };
    timeout(5 * DEADLINE, ends).await.expect("every connection is closed in time");
}

/// SEC-218
#[test]
fn what_is_said_without_settings_is_half_a_minute() {
    assert_eq!(ProtectLayer::<Good>::BODY_DEADLINE, Duration::from_secs(30));
    assert_eq!(Deadlines::default().body, Duration::from_secs(30));
}

/// SEC-218: 60 bodies.
#[test]
fn bodies_that_do_not_come_hold_little_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = runtime.block_on(start(router(|protect| protect, Deadlines::default().body)));
    for path in ["/mcp", "/token"] {
        // 60,000 bytes are within the limits of both servers. Both ends are counted.
        let held = measure(|| {
            let slow: JoinSet<String> = (0..60)
                .map(|number| {
                    let framing = match number % 2 {
                        0 => "content-length: 60000",
                        _ => "transfer-encoding: chunked",
                    };
                    let piece = if number % 2 == 0 { &b"{"[..] } else { b"1\r\n{\r\n" };
                    async move { stall(address, path, framing, piece).await }
                })
                .map(Box::pin)
                .fold(JoinSet::new(), |mut set, slow| {
                    set.spawn_on(slow, runtime.handle());
                    set
                });
            runtime.block_on(async { sleep(DEADLINE).await });
            assert_eq!(slow.len(), 60, "none is cut off before its time");
            core::mem::forget(slow);
        });
        assert!(held.bytes_max < 8 * 1024 * 1024, "{path}: {held:?}");
    }
}
