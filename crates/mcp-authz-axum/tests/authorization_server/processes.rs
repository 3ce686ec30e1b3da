//! Two processes of one issuer on one store: a page of either is answered once, at either of them.

use std::sync::Arc;

use authorization_server::{MemoryStore, Store as _};
use axum::body::Body;
use futures::future::try_join_all;
use http::header::{COOKIE, LOCATION};
use http::{Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, Clock, Login};
use oauth_types::SecretDigest;
use tokio::sync::Barrier;

use crate::server::*;
use crate::upstream::Provided;

fn two<L: Login>(login: fn() -> L) -> [Server; 2] {
    let store = Arc::new(MemoryStore::default());
    [(); 2].map(|()| {
        let (config, store) = (config("https://as.example"), Arc::clone(&store));
        let server = AuthorizationServer::new(config, Arc::clone(&store), login());
        Server { router: server.with_clock(Clock::new(|| NOW)).router(), store }
    })
}

/// SEC-188
#[tokio::test]
async fn a_page_of_one_process_is_answered_once_at_any() {
    let [one, other] = two(|| Cookies);
    let client = one.client().await;
    for decision in ["allow", "deny"] {
        for (shown, answered) in [(&one, &other), (&other, &one), (&one, &one)] {
            let page = shown.get_as("alice", &authorize(&client, &[])).await;
            let refused = answered.answer_as("bob", &page, "allow").await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN);
            let answer = answered.answer_as("alice", &page, decision).await;
            assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
            assert_eq!(answer.redirect("code").is_some(), decision == "allow");
            for server in [&one, &other] {
                for again in ["allow", "deny"] {
                    let again = server.answer_as("alice", &page, again).await;
                    assert_eq!(again.status, StatusCode::BAD_REQUEST);
                    assert!(!again.headers.contains_key(LOCATION));
                }
            }
        }
    }
    // A second tab keeps the browser's value at the other process.
    let page = one.get_as("alice", &authorize(&client, &[])).await;
    let request = Request::get(authorize(&client, &[]))
        .header(COOKIE, format!("user=alice; {}", page.cookie()))
        .body(Body::empty());
    let tab = other.send(request.unwrap()).await;
    assert_eq!(tab.cookie(), page.cookie());
    for page in [&tab, &page] {
        assert!(one.answer_as("alice", page, "allow").await.redirect("code").is_some());
    }
}

/// SEC-188
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_answers_at_two_processes_one_counts() {
    const ANSWERS: usize = 64;
    let servers = Arc::new(two(|| Cookies));
    let client = servers[0].client().await;
    let page = Arc::new(servers[0].get_as("alice", &authorize(&client, &[])).await);
    let start = Arc::new(Barrier::new(ANSWERS));
    let answers = (0..ANSWERS).map(|number| {
        let (servers, page, start) = (Arc::clone(&servers), Arc::clone(&page), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            servers[number % 2].answer_as("alice", &page, "allow").await
        })
    });
    let answers = try_join_all(answers).await.unwrap();
    let codes: Vec<_> = answers.iter().filter_map(|answer| answer.redirect("code")).collect();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::BAD_REQUEST);
    assert_eq!((codes.len(), refused.count()), (1, ANSWERS - 1));
    let tokens = servers[1].form("/token", &redeem(&client, &codes[0])).await;
    assert_eq!(tokens.status, StatusCode::OK);
}

/// SEC-190
#[tokio::test]
async fn a_login_elsewhere_comes_back_to_any_process() {
    let [one, other] = two(Provided::new);
    let client = one.client().await;
    let come_back = async |server: &Server, back: &str, cookies: &str| {
        let request = Request::get(back).header(COOKIE, cookies).body(Body::empty());
        server.send(request.unwrap()).await
    };
    for (shown, answered, returned) in
        [(&one, &other, &one), (&one, &one, &other), (&one, &other, &other), (&one, &one, &one)]
    {
        let page = shown.get(&authorize(&client, &[])).await;
        let answer = answered.consent(&page.transaction(), &page.cookie(), "allow").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let back = answer.header(LOCATION).strip_prefix("/login?").unwrap();
        let stranger = shown.get(&authorize(&client, &[])).await.cookie();
        let refused = come_back(returned, back, &format!("{stranger}; user=eve")).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let cookies = format!("{}; user=alice", page.cookie());
        let code = come_back(returned, back, &cookies).await.redirect("code").unwrap();
        for server in [&one, &other] {
            let again = come_back(server, back, &cookies).await;
            assert_eq!(again.status, StatusCode::BAD_REQUEST);
        }
        let tokens = answered.form("/token", &redeem(&client, &code)).await.json();
        let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
        let access = one.store.access(&digest, NOW).await.unwrap().unwrap();
        assert_eq!(access.subject.as_str(), "alice");
    }
}
