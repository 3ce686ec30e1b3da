//! Hosts and origins that the server answers to: a page that rebinds its name to this machine is refused.

use std::sync::Arc;

use authorization_server::{Config, MemoryStore, ResourceServer};
use axum::body::Body;
use client_auth::ClientAuthRecord;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{Method, Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, DemoLogin};
use oauth_types::{AuthMethod, BrowserOrigins, ClientId, ResourceUri, Secret};

use crate::server::*;

const LOCAL: &str = "http://127.0.0.1:8000";
const REBOUND: &str = "rebound.evil.example:8000";

const DOCUMENTS: [&str; 3] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/nothing"];

async fn ask(server: &Server, method: Method, path: &str, host: &str, origin: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(HOST, host);
    if !origin.is_empty() {
        request = request.header(ORIGIN, origin);
    }
    let form = "application/x-www-form-urlencoded";
    let request = request.header(CONTENT_TYPE, form).body(Body::from("a=b")).unwrap();
    server.send(request).await
}

/// All endpoints, introspection and keys too.
fn local() -> Config {
    let secret = Secret::new("a-secret-of-a-resource-server-1234");
    let server = ResourceServer::new(
        ClientId::parse("rs").unwrap(),
        ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest()),
        ResourceUri::parse("https://rs.example/mcp").unwrap(),
    );
    config(LOCAL).with_resource_server(server).unwrap()
}

/// SEC-220
#[tokio::test]
async fn a_rebound_page_is_refused_on_every_endpoint() {
    let server = server_of(local());
    let paths = config_paths(&local());
    assert!(paths.len() >= 8, "{paths:?}");
    for path in &paths {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            for (host, origin) in [
                (REBOUND, "http://rebound.evil.example:8000"),
                (REBOUND, ""),
                (REBOUND, "null"),
                ("127.0.0.1:8000", "http://rebound.evil.example:8000"),
                ("localhost.evil.example", ""),
            ] {
                let answer = ask(&server, method.clone(), path, host, origin).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {host} {origin}");
                assert!(answer.html().contains("Config::with_host_name"), "{}", answer.html());
                assert!(!answer.html().contains("evil"), "nothing of the request is repeated");
                let is_readable = answer.headers.contains_key("access-control-allow-origin");
                assert!(!is_readable, "the page reads nothing of it");
            }
            for (host, origin) in [
                ("127.0.0.1:8000", ""),
                ("localhost:8000", "http://localhost:6274"),
                ("[::1]:8000", "http://127.0.0.1:8000"),
                // The form of the consent page, which sends no Referer.
                ("127.0.0.1:8000", "null"),
            ] {
                let answer = ask(&server, method.clone(), path, host, origin).await;
                let is_refused = answer.html().contains("Config::with_host_name");
                assert!(!is_refused, "{method} {path} {host} {origin}");
            }
        }
    }
}

fn config_paths(config: &Config) -> Vec<String> {
    let paths = config.paths();
    let own = [paths.authorize, paths.consent, paths.token, paths.register, paths.revoke];
    let more = paths.introspect.into_iter().chain(paths.jwks).chain(paths.metadata);
    own.into_iter().chain(more).chain(DOCUMENTS.map(str::to_owned)).collect()
}

/// SEC-220
#[tokio::test]
async fn the_host_names_what_else_may_call() {
    let config = config(LOCAL).with_host_name("host.docker.internal").unwrap();
    let origins = BrowserOrigins::listed(["https://app.example"]).unwrap();
    let server = server_of(config.with_browser_origins(origins));
    for (host, origin, refused) in [
        ("host.docker.internal:8000", "", false),
        ("127.0.0.1:8000", "https://app.example", false),
        ("127.0.0.1:8000", "https://other.example", true),
        ("app.example", "https://app.example", true),
    ] {
        let answer = ask(&server, Method::POST, "/token", host, origin).await;
        assert_eq!(answer.status == StatusCode::FORBIDDEN, refused, "{host} {origin}");
    }
    for host in ["host:80", "http://host", "host/path", ""] {
        assert!(local().with_host_name(host).is_err(), "{host}");
    }
}

/// SEC-220
#[tokio::test]
async fn a_public_issuer_answers_any_proxy_until_it_has_host_names() {
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(
        config("https://host.example/auth"),
        Arc::clone(&store),
        DemoLogin,
    )
    .with_stripped_prefix("/auth")
    .unwrap()
    .router();
    let server = Server { router, store };
    for (host, origin) in [
        ("host.example", "https://app.example"),
        ("127.0.0.1:8000", ""),
        ("backend.internal", "https://app.example"),
    ] {
        let answer = ask(&server, Method::POST, "/token", host, origin).await;
        assert_eq!(answer.error(), "invalid_client", "{host}");
    }
    let named = config("https://as.example").with_host_name("as.internal").unwrap();
    let server = server_of(named);
    for (host, refused) in [("as.example", false), ("as.internal", false), ("127.0.0.1", true)] {
        let answer = ask(&server, Method::POST, "/token", host, "").await;
        assert_eq!(answer.status == StatusCode::FORBIDDEN, refused, "{host}");
    }
}
