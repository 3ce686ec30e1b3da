//! Consent before a login at another server. A whole login is in `examples/upstream-login`.

use std::sync::Arc;

use authorization_server::{MemoryStore, Store as _};
use axum::body::Body;
use http::header::{CONTENT_SECURITY_POLICY, COOKIE, LOCATION};
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, Clock, Login, LoginResult, LoginStatus, User};
use oauth_types::{EndpointUrl, SecretDigest, Subject};

use crate::server::*;

/// Takes a browser for the user whom its cookie names, and sends others to a provider.
pub(crate) struct Provided(EndpointUrl);

impl Provided {
    pub(crate) fn new() -> Self {
        Self(EndpointUrl::parse("https://idp.example/authorize").unwrap())
    }
}

impl Login for Provided {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split("; "));
        Ok(match pairs.find_map(|pair| pair.strip_prefix("user=")) {
            Some(name) => LoginStatus::LoggedIn(User::new(Subject::parse(name).unwrap(), name)),
            None => LoginStatus::Redirect(format!("/login?{return_to}")),
        })
    }

    fn upstream(&self) -> Option<&EndpointUrl> {
        Some(&self.0)
    }
}

fn provided() -> Server {
    let store = Arc::new(MemoryStore::default());
    let config = config("https://as.example");
    let router = AuthorizationServer::new(config, Arc::clone(&store), Provided::new())
        .with_clock(Clock::new(|| NOW))
        .router();
    Server { router, store }
}

async fn get(server: &Server, url: &str, cookie: &str) -> Answer {
    server.send(Request::get(url).header(COOKIE, cookie).body(Body::empty()).unwrap()).await
}

/// SEC-190
#[tokio::test]
async fn the_page_comes_before_the_login_and_the_code_after_it() {
    let server = provided();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html().contains("log in at <strong>idp.example</strong>"));
    // A provider may send the browser through other hosts.
    assert!(!page.header(CONTENT_SECURITY_POLICY).contains("form-action"));
    let (transaction, cookie) = (page.transaction(), page.cookie());

    // The question cannot be left out, by whoever is logged in.
    let skipped = format!("/authorize/consent?transaction={transaction}");
    let user = format!("{cookie}; user=alice");
    assert_eq!(get(&server, &skipped, &user).await.status, StatusCode::BAD_REQUEST);
    // Nor answered from elsewhere.
    let other = server.get(&authorize(&client, &[])).await.cookie();
    let answer = server.consent(&transaction, &other, "allow").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let answer = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let back = answer.header(LOCATION).strip_prefix("/login?").unwrap().to_owned();
    assert!(back.starts_with("/authorize/consent?transaction="));
    assert_ne!(back, skipped);
    assert_eq!(
        server.consent(&transaction, &cookie, "allow").await.status,
        StatusCode::BAD_REQUEST
    );
    // The way back is no answer.
    let secret = back.split_once('=').unwrap().1;
    assert_eq!(server.consent(secret, &user, "allow").await.status, StatusCode::BAD_REQUEST);

    // Nobody is logged in; somebody is, in another browser.
    assert_eq!(get(&server, &back, &cookie).await.status, StatusCode::FORBIDDEN);
    let elsewhere = format!("{other}; user=bob");
    assert_eq!(get(&server, &back, &elsewhere).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&server, &back, "user=bob").await.status, StatusCode::FORBIDDEN);

    let answer = get(&server, &back, &user).await;
    let code = answer.redirect("code").unwrap();
    assert_eq!(get(&server, &back, &user).await.status, StatusCode::BAD_REQUEST);
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    assert_eq!(server.store.access(&digest, NOW).await.unwrap().unwrap().subject.as_str(), "alice");
}

/// SEC-190
#[tokio::test]
async fn a_no_and_an_error_lead_nobody_to_the_provider() {
    let server = provided();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    let answer = server.consent(&page.transaction(), &page.cookie(), "deny").await;
    assert_eq!(answer.redirect("error").as_deref(), Some("access_denied"));
    for (name, value) in [("prompt", "none"), ("scope", "admin"), ("response_type", "token")] {
        let url = format!("{}&{name}={value}", authorize(&client, &[(name, "")]));
        let answer = server.get(&url).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
        assert!(!answer.headers.contains_key(LOCATION), "{name}");
    }
}

/// SEC-190
#[tokio::test]
async fn who_logs_in_meanwhile_is_who_agreed() {
    let server = provided();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    let user = format!("{}; user=alice", page.cookie());
    let answer = server.consent(&page.transaction(), &user, "allow").await;
    assert!(answer.redirect("code").is_some());
    // And who is logged in already is asked by name.
    let page = get(&server, &authorize(&client, &[]), "user=alice").await;
    assert!(page.html().contains("alice") && !page.html().contains("idp.example"));
    let answer = server.consent(&page.transaction(), &page.cookie(), "allow").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "nobody is logged in any more");
}
