//! The event about an `X-Forwarded-For` that no setting trusts.
//!
//! A program of its own: `tracing` remembers for each place of an event whether anything listens, and another test that
//! comes by at the same moment could settle it before this one listens.

#![cfg(test)]

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use http::header::CONTENT_TYPE;
use mcp_authz_axum::{AuthorizationServer, DemoLogin};
use oauth_types::{Entropy, Issuer, ResourceUri, ScopeSet};
use tower::ServiceExt as _;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// SEC-222: the operator is told what to set, once, and by a proxy of theirs even after an attacker from elsewhere.
#[tokio::test]
async fn an_untrusted_forwarded_header_is_one_event_with_the_setting() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let (issuer, scopes) =
        (Issuer::parse("https://as.example").unwrap(), ScopeSet::parse("files:read").unwrap());
    let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(config, store, DemoLogin).router();
    for from in ["8.8.4.4", "8.8.8.8", "127.0.0.1", "10.0.0.1"] {
        let address = SocketAddr::new(from.parse::<IpAddr>().unwrap(), 4711);
        for forwarded in [Some("198.51.100.1"), None].repeat(5) {
            let mut request = Request::post("/register")
                .header(CONTENT_TYPE, "application/json")
                .extension(ConnectInfo(address));
            if let Some(forwarded) = forwarded {
                request = request.header("x-forwarded-for", forwarded);
            }
            let metadata = r#"{"redirect_uris": ["https://app.example/cb"]}"#;
            let request = request.body(Body::from(metadata)).unwrap();
            assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 201);
        }
    }

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("with_trusted_proxies")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("WARN") && lines[0].contains("8.8.4.4"), "{text}");
    assert!(lines[1].contains("127.0.0.1"), "{text}");
    assert!(!text.contains("198.51.100.1"), "what anybody can write is not repeated: {text}");
}
