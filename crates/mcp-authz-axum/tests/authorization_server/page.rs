//! What the consent page shows, and what it keeps apart.

use std::sync::Arc;

use authorization_server::{MemoryStore, Store as _};
use http::header::CONTENT_SECURITY_POLICY;
use mcp_authz_axum::{AuthorizationServer, Clock, ConsentPage};
use oauth_types::ClientId;
use serde_json::json;

use crate::server::*;

/// A-AUTHZ-10, SEC-066, SEC-116
#[tokio::test]
async fn a_name_stands_apart_and_beside_hosts_that_are_true() {
    let server = serve(config("https://as.example"));
    let name = "\u{202e}Claude\u{2066}\u{200d}\0</bdi></dd></dl><script>\" & \u{feff}'x'";
    let shown = "<bdi>Claude&lt;/bdi&gt;&lt;/dd&gt;&lt;/dl&gt;&lt;script&gt;&quot; &amp; 'x'</bdi>";
    let redirect = "https://xn--pp-6kc.example/cb";
    let metadata = json!({
        "client_name": name,
        "redirect_uris": [redirect, "http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "none",
    });
    let client = server.register(metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let page = server.get_as("alice", &authorize(&client, &[("redirect_uri", redirect)])).await;
    assert!(page.html().contains(shown), "{}", page.html());
    assert!(page.html().contains("<dd>xn--pp-6kc.example</dd>"));
    assert!(page.html().contains("<h1>Allow access?</h1>"));
    assert!(!page.html().contains("own computer") && !page.html().contains("published"));

    // No name pushes the rest off the page.
    let metadata = json!({
        "client_name": "\u{1f600}".repeat(200),
        "redirect_uris": [redirect],
        "token_endpoint_auth_method": "none",
    });
    let many = server.register(metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let page = server.get_as("alice", &authorize(&many, &[("redirect_uri", redirect)])).await;
    assert_eq!(page.html().matches('\u{1f600}').count(), 80);

    // Nor is one made up where there is none to be seen.
    for name in [json!("\u{200b}\u{202e} "), json!("")] {
        let metadata = json!({
            "client_name": name,
            "redirect_uris": [redirect],
            "token_endpoint_auth_method": "none",
        });
        let answer = server.register(metadata).await.json();
        let nameless =
            authorize(answer["client_id"].as_str().unwrap(), &[("redirect_uri", redirect)]);
        let page = server.get_as("alice", &nameless).await;
        assert!(page.html().contains("<dd><small>it gave no name</small></dd>"), "{}", page.html());
    }

    // A client whose identifier is a document's address: with the host that is answerable for it.
    let mut record =
        server.store.read_client(&ClientId::parse(&client).unwrap()).await.unwrap().unwrap();
    for (id, host) in [
        ("https://xn--pp-6kc.example:8443/client.json", "<dd>xn--pp-6kc.example</dd>"),
        ("https://[2001:db8::1]/client.json", "<dd>[2001:db8::1]</dd>"),
    ] {
        record.client_id = ClientId::parse(id).unwrap();
        server.store.create_client(record.clone(), NOW).await.unwrap();
        let loopback = ("redirect_uri", "http://127.0.0.1/cb");
        let page = server.get_as("alice", &authorize(id, &[loopback])).await;
        let (_, published) = page.html().split_once("It is published by").unwrap();
        assert!(published.starts_with(&format!("</dt>{host}")), "{published}");
        assert!(page.html().contains("<dd>127.0.0.1<small>a program on your own computer</small>"));
    }
}

/// SEC-189
#[tokio::test]
async fn a_page_of_the_host_has_our_headers_and_our_form() {
    let own = |page: &ConsentPage<'_>| {
        let scopes: Vec<_> = page.scopes().map(|(scope, text)| format!("{scope}={text}")).collect();
        format!(
            "{} {:?} {:?} {} {} {} name=\"transaction\" value=\"{}\" {} {}",
            page.user_name().unwrap(),
            page.client_name(),
            page.client_host(),
            page.redirect_host(),
            page.resource(),
            scopes.join(","),
            page.transaction(),
            page.form_action(),
            page.nonce(),
        )
    };
    let store = Arc::new(MemoryStore::default());
    let router =
        AuthorizationServer::new(config("https://as.example"), Arc::clone(&store), Cookies)
            .describe("files:read", "See")
            .with_clock(Clock::new(|| NOW))
            .with_consent_page(own)
            .router();
    let server = Server { router, store };
    let client = server.client().await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    let start = "alice None None app.example https://rs.example/mcp \
                 files:read=See name=";
    assert!(page.html().starts_with(start), "{}", page.html());
    let (_, nonce) = page.html().rsplit_once("/authorize/consent ").unwrap();
    let policy = page.header(CONTENT_SECURITY_POLICY);
    assert!(policy.contains(&format!("style-src 'nonce-{nonce}'")), "{policy}");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    let answer = server.answer_as("alice", &page, "allow").await;
    assert!(answer.redirect("code").is_some());
}

/// SEC-189, SEC-193
#[tokio::test]
async fn no_page_is_framed_or_links_out_or_loads_anything() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let asked = server.get_as("alice", &authorize(&client, &[])).await;
    let unknown = server.get("/authorize?client_id=nobody").await;
    let gone = server.consent("guess", "", "allow").await;
    let silent = server.get(&authorize(&client, &[("prompt", "none")])).await;
    for page in [asked, unknown, gone, silent] {
        let html = page.html();
        let policy = page.header(CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; style-src '"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert_eq!(page.header(http::header::X_FRAME_OPTIONS), "DENY");
        assert_eq!(page.header(http::header::REFERRER_POLICY), "no-referrer");
        assert_eq!(page.header(http::header::CACHE_CONTROL), "no-store");
        for loaded in ["<script", "src=", "url(", "@import", "<link", "<img"] {
            assert!(!html.contains(loaded), "{loaded}");
        }
        assert_eq!(html.matches("href=").count(), html.matches("rel=\"noreferrer\" href=").count());
    }
}
