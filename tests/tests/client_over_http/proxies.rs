//! Proxies, and why there is no connection.

use core::error::Error as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use client_flow::{ClientConfig, FlowErrorKind, TransportErrorKind};
use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use mcp_authz_reqwest::{AuthorizedClient, AuthorizedClientBuilder, Error};
use oauth_types::RedirectUri;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::servers::*;

fn builder(url: &str) -> AuthorizedClientBuilder {
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/callback").unwrap();
    AuthorizedClient::builder(url, ClientConfig::new("Test", redirect_uri))
}

/// A proxy that refuses every tunnel, and the first line of each request to it.
async fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let (listener, origin) = bind().await;
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let lines = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            lines.lock().unwrap().extend(text.lines().next().map(str::to_owned));
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (origin.rsplit_once(':').unwrap().1.parse().unwrap(), heard)
}

/// The proxy is configured by name.
#[tokio::test]
async fn a_proxy_at_a_private_address_is_asked_for_the_servers_name() {
    let (port, heard) = proxy().await;
    let url = "https://mcp.invalid/mcp?key=CANARY";
    let client = builder(url).proxy(&format!("http://localhost:{port}")).build().unwrap();
    let error = client.send(client.get(url)).await.unwrap_err();
    assert_eq!(*heard.lock().unwrap(), ["CONNECT mcp.invalid:443 HTTP/1.1"]);
    let Error::Transport(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.kind(), TransportErrorKind::Proxy);
    // Without it the name would be looked up here.
    let client = builder("https://localhost.invalid/mcp").build().unwrap();
    let error = client.send(client.get("https://localhost.invalid/mcp")).await.unwrap_err();
    let Error::Transport(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.kind(), TransportErrorKind::Name);
}

/// C-TOKEN-1
#[tokio::test]
async fn a_local_server_is_reached_directly_and_others_by_the_proxy() {
    let (port, heard) = proxy().await;
    let (listener, origin) = bind().await;
    let url = format!("{origin}/mcp");
    let document = json!({"resource": url, "authorization_servers": ["https://as.invalid"]});
    let challenge = format!("Bearer resource_metadata=\"{origin}/metadata\"");
    let router = Router::new()
        .route(
            "/mcp",
            get(async move || (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)])),
        )
        .route(
            "/metadata",
            get(async move || ([(CONTENT_TYPE, "application/json")], document.to_string())),
        );
    serve(listener, router);
    let client = builder(&url).proxy(&format!("http://127.0.0.1:{port}")).build().unwrap();
    let error = client.send(client.get(&url)).await.unwrap_err();
    let Error::Flow(flow) = &error else { panic!("{error:?}") };
    assert_eq!(*flow.kind(), FlowErrorKind::Transport(TransportErrorKind::Proxy.into()));
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.is_empty());
    assert!(heard.iter().all(|line| line == "CONNECT as.invalid:443 HTTP/1.1"), "{heard:?}");
}

#[tokio::test]
async fn a_connection_error_carries_the_error_of_the_library() {
    let (listener, closed) = bind().await;
    drop(listener);
    // One that answers a TLS handshake with a page.
    let (listener, plain) = bind().await;
    serve(listener, Router::new());
    let secure = plain.replace("http://", "https://");
    // One that ends the connection in the middle of the handshake.
    let (listener, ended) = bind().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    let ended = ended.replace("http://", "https://");
    for (origin, expected, proxy) in [
        (&*closed, TransportErrorKind::Refused, None),
        (&*secure, TransportErrorKind::Tls, None),
        (&*ended, TransportErrorKind::Tls, None),
        ("https://no-such-name.invalid", TransportErrorKind::Name, None),
        ("https://mcp.invalid", TransportErrorKind::Proxy, Some(&*closed)),
    ] {
        let url = format!("{origin}/mcp?key=CANARY");
        let mut builder = builder(&url);
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().unwrap();
        let error = client.send(client.get(&url)).await.unwrap_err();
        let Error::Transport(failure) = &error else { panic!("{error:?}") };
        assert_eq!(failure.kind(), expected, "{origin}: {error:?}");
        let source = error.source().unwrap();
        assert!(source.source().is_some(), "{source:?}");
        let shown = format!("{error} {error:?} {source} {source:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
