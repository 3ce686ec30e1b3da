//! Guarded exchanges: allowed URLs and addresses, redirects, bounds, and errors.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const BOUNDS: Bounds = Bounds::new(1024, Duration::from_millis(300));

async fn get(client: &GuardedClient, url: &str) -> Result<Response<Bytes>, HttpErrorKind> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    client.fetch(request, BOUNDS).await.map_err(|error| error.kind())
}

/// Server that gives these answers, one to a connection; and its address.
async fn server(answers: &[&'static str]) -> SocketAddr {
    let answers = answers.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_strict_client_leads_to_no_local_address() {
    let client = GuardedClient::builder().build().unwrap();
    for url in [
        "http://127.0.0.1:1/jwks",
        "http://localhost:1/jwks",
        "https://10.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://[::1]:1/jwks",
        "https://metadata.localhost/jwks",
    ] {
        assert_eq!(get(&client, url).await.unwrap_err(), HttpErrorKind::LocalAddress, "{url}");
    }
    // A name that resolves to this machine.
    let home = |_| async { Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]) };
    let client = GuardedClient::builder().look_up_with(home).build().unwrap();
    let failed = get(&client, "https://as.example/jwks").await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::LocalAddress);
}

#[tokio::test]
async fn allowed_local_addresses_and_trusted_hosts_are_connected_to() {
    let client = GuardedClient::builder().allow_local().build().unwrap();
    for url in ["http://127.0.0.1:1/", "https://localhost:1/"] {
        assert_eq!(get(&client, url).await.unwrap_err(), HttpErrorKind::Refused, "{url}");
    }
    let client = GuardedClient::builder().build().unwrap();
    client.trust_host("LOCALHOST");
    let failed = get(&client, "https://localhost:1/").await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::Refused);
    let failed = get(&client, "http://127.0.0.1:1/").await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::LocalAddress);
}

/// C-TOKEN-1
#[tokio::test]
async fn plain_http_is_for_this_machine_alone() {
    let client = GuardedClient::builder().build().unwrap();
    for url in ["http://as.example/", "http://1.1.1.1/"] {
        assert_eq!(get(&client, url).await.unwrap_err(), HttpErrorKind::Url, "{url}");
    }
    let client = GuardedClient::builder().https_only().allow_local().build().unwrap();
    assert_eq!(get(&client, "http://127.0.0.1:1/").await.unwrap_err(), HttpErrorKind::Url);
}

/// SEC-120
#[tokio::test]
async fn a_name_that_is_rebound_is_connected_to_at_no_other_address() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // An address that answers no HTTP request, and then this machine.
    let rebound = move |_| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let address = if first { [192, 31, 196, 1] } else { [127, 0, 0, 1] };
        async move { Ok(vec![SocketAddr::from((address, 0))]) }
    };
    let client = GuardedClient::builder().untrusted_urls(|_| true).look_up_with(rebound);
    let client = client.build().unwrap();
    let url = format!("https://c.example:{port}/m");
    // Resolved once, even if the connection fails or takes too long.
    assert_ne!(get(&client, &url).await.unwrap_err(), HttpErrorKind::LocalAddress);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(get(&client, &url).await.unwrap_err(), HttpErrorKind::LocalAddress);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let nobody = tokio::time::timeout(BOUNDS.time, server.accept()).await;
    assert!(nobody.is_err(), "nobody came");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told_apart() {
    let public = |_| async { Ok(vec![SocketAddr::from(([1, 1, 1, 1], 0))]) };
    let client = GuardedClient::builder().untrusted_urls(|_| false).look_up_with(public);
    let client = client.build().unwrap();
    // By name, and by an address in the URL, which the resolver does not see.
    for url in ["https://c.example/m", "https://1.1.1.1/m", "https://[2606:4700::1]/m"] {
        assert_eq!(get(&client, url).await.unwrap_err(), HttpErrorKind::Busy, "{url}");
    }
}

#[tokio::test]
async fn the_error_tells_why_there_is_no_response() {
    let client = GuardedClient::builder().allow_local();
    let broken = |_| async { Err(std::io::Error::other("no such name")) };
    let client = client.look_up_with(broken).build().unwrap();
    let failed = get(&client, "https://as.example/").await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::Name);
    let empty = GuardedClient::builder().look_up_with(|_| async { Ok(Vec::new()) });
    let failed = get(&empty.build().unwrap(), "https://as.example/").await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::Name, "not: a local address");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    assert_eq!(get(&client, &silent).await.unwrap_err(), HttpErrorKind::Timeout);
    let address = server(&["not HTTP\r\n\r\n"]).await;
    let failed = get(&client, &format!("http://{address}/?canary")).await;
    assert_eq!(failed.unwrap_err(), HttpErrorKind::Interrupted);
}

#[tokio::test]
async fn an_error_quotes_no_url() {
    let client = GuardedClient::builder().allow_local().build().unwrap();
    let request = Request::get("http://127.0.0.1:1/?code=canary").body(Bytes::new()).unwrap();
    let failed = client.fetch(request, BOUNDS).await.unwrap_err();
    assert!(!format!("{failed} {failed:?}").contains("canary"));
    assert!(failed.into_source().is_some_and(|error| error.url().is_none()));
}

#[tokio::test]
async fn a_body_that_is_too_long_or_too_slow_is_not_waited_for() {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345";
    const LONG: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n123456";
    let client = GuardedClient::builder().allow_local().build().unwrap();
    let bounds = Bounds::new(5, BOUNDS.time);
    for (answer, expected) in [(WHOLE, Ok(())), (LONG, Err(HttpErrorKind::TooLarge))] {
        let url = format!("http://{}/", server(&[answer]).await);
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let fetched = client.fetch(request, bounds).await;
        assert_eq!(fetched.map(drop).map_err(|error| error.kind()), expected);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let slow = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(&WHOLE.as_bytes()[..WHOLE.len() - 1]).await.unwrap();
        core::future::pending::<()>().await;
    };
    tokio::select! {
        failed = get(&client, &url) => assert_eq!(failed.unwrap_err(), HttpErrorKind::Timeout),
        () = slow => {}
    }
}

#[tokio::test]
async fn a_document_is_followed_on_its_origin_three_times_at_most() {
    const MOVED: &str = "HTTP/1.1 308 Permanent Redirect\r\nlocation: /next\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    const FOUND: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    const AWAY: &str = "HTTP/1.1 308 Permanent Redirect\r\nlocation: http://127.0.0.1:1/\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    let client = GuardedClient::builder().allow_local().build().unwrap();
    for (answers, status) in [
        (&[MOVED, MOVED, MOVED, FOUND][..], 200),
        (&[MOVED, MOVED, MOVED, MOVED, FOUND][..], 308),
        // SEC-135: not to another origin.
        (&[AWAY][..], 308),
    ] {
        let url = EndpointUrl::parse(&format!("http://{}/keys", server(answers).await)).unwrap();
        assert_eq!(client.fetch_document(&url, BOUNDS).await.unwrap().status(), status);
    }
    // Other requests follow no redirect.
    let url = format!("http://{}/token", server(&[MOVED]).await);
    assert_eq!(get(&client, &url).await.unwrap().status(), 308);
}

/// C-TOKEN-1
#[tokio::test]
async fn a_development_host_is_reached_through_no_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    oauth_types::allow_http_for_development("http://10.255.255.1:8080").unwrap();
    let url = "http://10.255.255.1:8080/mcp";
    let http = reqwest::Client::builder().proxy(reqwest::Proxy::all(&proxy).unwrap());
    let server = Origin::of(url).unwrap();
    let own = GuardedClient::visiting(&server, http).build().unwrap();
    let named = GuardedClient::visiting(&server, reqwest::Client::builder()).proxy(&proxy);
    for client in [own, named.build().unwrap()] {
        let _ = get(&client, url).await;
    }
    let heard = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(heard.is_err(), "the request went to the proxy");
}
