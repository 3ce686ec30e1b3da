//! Clients that are known by the documents in which they describe themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use authorization_server::MemoryStore;
use http::StatusCode;
use mcp_authz_axum::{AuthorizationServer, DemoLogin, WebDocuments};
use oauth_types::ClientId;
use tokio::io::AsyncWriteExt as _;

use crate::server::*;
use crate::site::*;

/// A-CIMD-1, A-META-4
#[tokio::test]
async fn a_client_is_known_by_its_document_at_every_endpoint() {
    let url = "https://client.test/client.json";
    let grants = r#","client_name":"The client","grant_types":["authorization_code",
        "refresh_token","urn:ietf:params:oauth:grant-type:device_code"]"#;
    let site = Site::new(move |_, mut stream: Stream| {
        Box::pin(async move {
            let port = stream.get_ref().0.local_addr().unwrap().port();
            let url = url.replace(".test/", &format!(".test:{port}/"));
            let _ = stream.write_all(&json("", &document(&url, grants))).await;
        })
    })
    .await;
    let (server, _) = reader_of(site.documents());
    let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    let client = site.url();
    let page = server.get(&authorize(&client, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    // The name, who vouches for it, and where the user is sent.
    for shown in ["The client", "client.test", "app.example"] {
        assert!(page.html().contains(shown), "{shown}");
    }
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await;
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
    let tokens = server.form("/token", &form).await;
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let form = format!("client_id={client}&token={access}");
    assert_eq!(server.form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(site.asked(), 1, "what was fetched is kept");
    // A redirect URI that is not in the document leads nowhere.
    let elsewhere = authorize(&client, &[("redirect_uri", "https://evil.example/cb")]);
    assert_eq!(server.get(&elsewhere).await.status, StatusCode::BAD_REQUEST);
}

/// A-META-4
#[tokio::test]
async fn who_wants_no_documents_promises_none() {
    let store = Arc::new(MemoryStore::default());
    let router =
        AuthorizationServer::new(config("https://as.example"), Arc::clone(&store), DemoLogin)
            .without_client_documents()
            .router();
    let server = Server { router, store };
    let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata.get("client_id_metadata_document_supported").is_none());
    let answer = server.get(&authorize("https://client.test/client.json", &[])).await;
    assert_unknown(&answer, "off");
}

/// SEC-118, SEC-119
#[tokio::test]
async fn what_is_at_a_local_address_is_not_even_connected_to() {
    let site = Site::serving(vec![json("", "{}")]).await;
    // The same site, for one that fetches from public addresses only.
    let (server, _) = reader_of(WebDocuments::new().unwrap());
    let port = site.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "127.1"] {
        let answer = server.get(&authorize(&format!("https://{host}:{port}/m"), &[])).await;
        assert_unknown(&answer, host);
    }
    // Whoever listens takes what was connected before it takes this.
    drop(tokio::net::TcpStream::connect(site.address).await.unwrap());
    while site.connected() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.connected(), 1, "by the test itself");
}

#[tokio::test]
async fn a_client_whose_document_cannot_be_had_now_keeps_its_tokens() {
    let site = changing(&[
        ("200 OK", "cache-control: max-age=60\r\n", "A"),
        ("503 Service Unavailable", "", "A"),
        ("200 OK", "", "A"),
        ("404 Not Found", "", "A"),
    ])
    .await;
    let (server, time) = reader_of(site.documents());
    let client = site.url();
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await;
    let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let form = format!("client_id={client}&token={access}");
    // Longer than what was good is used while it cannot be had.
    time.fetch_add(60 + 60 * 60, Ordering::Relaxed);
    let answer = server.form("/revoke", &form).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.error(), "temporarily_unavailable");
    assert_eq!(server.form("/revoke", &form).await.status, StatusCode::OK);
    time.fetch_add(61, Ordering::Relaxed);
    // It is gone, which is another thing.
    let answer = server.form("/revoke", &form).await;
    assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
}

/// SEC-127
#[tokio::test]
async fn who_changes_its_document_is_agreed_to_anew() {
    const KEPT: &str = "cache-control: max-age=60\r\n";
    let site =
        changing(&[("200 OK", KEPT, "Alpha"), ("200 OK", KEPT, "Alpha"), ("200 OK", KEPT, "Beta")])
            .await;
    let id = ClientId::parse(&site.url()).unwrap();
    let (server, time) = reader_with(site.documents(), |config| config.with_remembered_client(id));
    let url = authorize(&site.url(), &[]);
    let page = server.get(&url).await;
    assert!(page.html().contains("Alpha"));
    server.consent(&page.transaction(), &page.cookie(), "allow").await;
    // Agreed to before, and the document says the same.
    time.fetch_add(61, Ordering::Relaxed);
    assert!(server.get(&url).await.redirect("code").is_some());
    assert_eq!(site.asked(), 2);
    time.fetch_add(61, Ordering::Relaxed);
    let page = server.get(&url).await;
    assert_eq!((page.status, site.asked()), (StatusCode::OK, 3));
    assert!(page.html().contains("Beta"));
}
