//! Logins that cannot tell now which user a browser belongs to: the page, its repetition, and what stays unused.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use authorization_server::MemoryStore;
use axum::body::Body;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, Clock, Login, LoginResult, LoginUnavailable};
use oauth_types::EndpointUrl;

use crate::server::*;
use crate::upstream::Provided;

/// Login of the wrapped type, with a user database that can be down.
struct Database<L> {
    inner: L,
    is_down: Arc<AtomicBool>,
    retry_after: Option<Duration>,
}

impl<L: Login> Login for Database<L> {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        if !self.is_down.load(Ordering::Relaxed) {
            return self.inner.status(headers, return_to).await;
        }
        let error = LoginUnavailable::from_source("canary: no route to db.internal");
        Err(match self.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }

    fn upstream(&self) -> Option<&EndpointUrl> {
        self.inner.upstream()
    }
}

fn server_on(inner: impl Login, retry_after: Option<Duration>) -> (Server, Arc<AtomicBool>) {
    let is_down = Arc::new(AtomicBool::new(false));
    let login = Database { inner, is_down: Arc::clone(&is_down), retry_after };
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(config("https://as.example"), Arc::clone(&store), login)
        .with_clock(Clock::new(|| NOW))
        .router();
    (Server { router, store }, is_down)
}

/// Checks what every such page has, and returns the value of `Retry-After`.
fn unavailable(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.html());
    assert!(!answer.html().contains("canary") && !answer.html().contains("db.internal"));
    assert!(answer.html().contains("who is logged in"), "{}", answer.html());
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    assert!(!answer.headers.contains_key(LOCATION));
    answer.header(RETRY_AFTER).to_owned()
}

fn link(answer: &Answer) -> String {
    let (_, rest) = answer.html().split_once("href=\"").unwrap();
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// The page repeats the request at the path that the browser knows, and says nothing of the cause.
#[tokio::test]
async fn a_login_that_is_down_answers_503_with_a_link() {
    let (server, is_down) = server_on(Cookies, Some(Duration::from_millis(29_001)));
    let client = server.client().await;
    let url = authorize(&client, &[("state", "a\"><b>&c")]);
    is_down.store(true, Ordering::Relaxed);
    let page = server.get_as("alice", &url).await;
    assert_eq!(unavailable(&page), "30", "whole seconds, rounded up");
    assert!(page.header(CONTENT_SECURITY_POLICY).contains("form-action 'none'"));
    let link = link(&page);
    assert!(link.starts_with("?response_type=code"), "{link}");
    is_down.store(false, Ordering::Relaxed);
    let page = server.get_as("alice", &format!("/authorize{link}")).await;
    assert_eq!(page.status, StatusCode::OK);
    let answer = server.answer_as("alice", &page, "allow").await;
    assert_eq!(answer.redirect("state").as_deref(), Some("a\"><b>&c"));
}

/// A program reads the RFC's word for it, and no time is invented where the host knows none.
#[tokio::test]
async fn a_program_reads_that_the_login_is_unavailable() {
    let (server, is_down) = server_on(Cookies, None);
    let client = server.client().await;
    is_down.store(true, Ordering::Relaxed);
    let request = Request::get(authorize(&client, &[])).header(ACCEPT, "application/json");
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(unavailable(&answer), "");
    assert_eq!(answer.error(), "temporarily_unavailable");
}

/// A request that is wrong for every user is answered as such.
#[tokio::test]
async fn a_wrong_request_is_told_so_while_the_login_is_down() {
    let (server, is_down) = server_on(Cookies, None);
    let client = server.client().await;
    is_down.store(true, Ordering::Relaxed);
    let page = server.get_as("alice", &authorize(&client, &[("scope", "admin")])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

/// An answer to the consent page stays unused, and the page has the button that sends it again.
#[tokio::test]
async fn an_answer_can_be_sent_again_after_the_login_failed() {
    let (server, is_down) = server_on(Cookies, None);
    let client = server.client().await;
    for decision in ["allow", "deny"] {
        let page = server.get_as("alice", &authorize(&client, &[])).await;
        is_down.store(true, Ordering::Relaxed);
        let failed = server.answer_as("alice", &page, decision).await;
        unavailable(&failed);
        assert_eq!(failed.transaction(), page.transaction());
        assert!(failed.html().contains(&format!("name=\"decision\" value=\"{decision}\"")));
        // The answer may lead on to any client.
        assert!(!failed.header(CONTENT_SECURITY_POLICY).contains("form-action"));
        is_down.store(false, Ordering::Relaxed);
        let cookies = format!("user=alice; {}", page.cookie());
        let answer = server.consent(&failed.transaction(), &cookies, decision).await;
        assert_eq!(answer.redirect("code").is_some(), decision == "allow");
        let again = server.consent(&failed.transaction(), &cookies, decision).await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST, "it counts once");
    }
}

/// With a login elsewhere, neither the answer nor the way back is used up, in any process of the issuer.
#[tokio::test]
async fn a_login_elsewhere_that_is_down_uses_nothing_up() {
    let (server, is_down) = server_on(Provided::new(), None);
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    is_down.store(true, Ordering::Relaxed);
    let failed = server.consent(&page.transaction(), &page.cookie(), "allow").await;
    unavailable(&failed);
    // Another process, which remembers nothing of the first answer.
    let router = AuthorizationServer::new(
        config("https://as.example"),
        Arc::clone(&server.store),
        Provided::new(),
    );
    let other = Server {
        router: router.with_clock(Clock::new(|| NOW)).router(),
        store: Arc::clone(&server.store),
    };
    let answer = other.consent(&failed.transaction(), &page.cookie(), "allow").await;
    let back = answer.header(LOCATION).strip_prefix("/login?").unwrap().to_owned();

    let come_back = async |url: &str| {
        let request = Request::get(url).header(COOKIE, format!("user=alice; {}", page.cookie()));
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let failed = come_back(&back).await;
    unavailable(&failed);
    is_down.store(false, Ordering::Relaxed);
    let answer = come_back(&format!("/authorize/consent{}", link(&failed))).await;
    assert!(answer.redirect("code").is_some());
}
