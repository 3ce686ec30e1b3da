//! The token endpoint on this store, with a restart in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authorization_server::{ClientRecord, Config, Lifetimes, Store as _};
use axum::Router;
use axum::body::Body;
use client_auth::ClientAuthRecord;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin};
use mcp_authz_sqlite::SqliteStore;
use oauth_types::{ClientId, Issuer, RedirectUri, ResourceUri, ScopeSet, SecretDigest};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::samples::*;

const CROWD: usize = 64;

/// A server on the database of a place, as it is after a start.
struct Server {
    router: Router,
    store: Arc<SqliteStore>,
    seconds: Arc<AtomicU64>,
}

impl Server {
    async fn start(place: &Place, grace: u64) -> Self {
        let store = Arc::new(place.open());
        let keys = store.server_keys(place.path("server.keys")).unwrap();
        let issuer = Issuer::parse("https://as.example").unwrap();
        let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let scopes = ScopeSet::parse("files:read").unwrap();
        let lifetimes = Lifetimes::default().with_refresh_grace(Duration::from_secs(grace));
        let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
        let config = config.with_lifetimes(lifetimes).unwrap();
        let back = vec![RedirectUri::parse("https://app.example/cb").unwrap()];
        let id = ClientId::parse(CLIENT).unwrap();
        let client =
            ClientRecord::pre_registered(&config, id, ClientAuthRecord::public(), back, NOW);
        store.create_client(client.unwrap(), NOW).await.unwrap();
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        let router = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
            .with_clock(Clock::new(move || at(clock.load(Ordering::SeqCst))))
            .router();
        Self { router, store, seconds }
    }

    async fn form(&self, body: String) -> (StatusCode, Value) {
        let request = Request::post("/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn redeem(&self, number: u64) -> (StatusCode, Value) {
        let verifier = verifier();
        self.form(format!(
            "grant_type=authorization_code&client_id={CLIENT}&code={}&code_verifier={}",
            code_text(number),
            verifier.as_secret().expose()
        ))
        .await
    }

    async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        let form = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}");
        self.form(form).await
    }

    async fn is_active(&self, tokens: &Value) -> bool {
        let digest = SecretDigest::of(text(tokens, "access_token"));
        self.store.access(&digest, NOW).await.unwrap().is_some()
    }
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

/// Answers that give tokens; all others are `invalid_grant`.
fn winners(answers: Vec<(StatusCode, Value)>) -> Vec<Value> {
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(status, _)| *status == StatusCode::OK);
    for (status, body) in lost {
        assert_eq!((status, text(&body, "error")), (StatusCode::BAD_REQUEST, "invalid_grant"));
    }
    won.into_iter().map(|(_, body)| body).collect()
}

/// SEC-027
#[tokio::test]
async fn a_code_that_comes_again_after_a_restart_ends_what_came_of_it() {
    for is_restarted in [false, true] {
        let place = Place::new();
        let mut server = Server::start(&place, 10).await;
        server.store.insert_code(code(1)).await.unwrap();
        let (status, tokens) = server.redeem(1).await;
        assert_eq!(status, StatusCode::OK);
        if is_restarted {
            drop(server);
            server = Server::start(&place, 10).await;
        }
        assert!(server.is_active(&tokens).await);
        let (status, refused) = server.redeem(1).await;
        assert_eq!((status, text(&refused, "error")), (StatusCode::BAD_REQUEST, "invalid_grant"));
        assert!(!server.is_active(&tokens).await);
        let (_, refused) = server.refresh(text(&tokens, "refresh_token")).await;
        assert_eq!(text(&refused, "error"), "invalid_grant");
    }
}

/// SEC-028: 64 redemptions over HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redemptions_of_one_code_at_once_have_one_winner() {
    let place = Place::new();
    let server = Arc::new(Server::start(&place, 10).await);
    for number in 0..10 {
        server.store.insert_code(code(number)).await.unwrap();
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.redeem(number).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in crowd {
            answers.push(task.await.unwrap());
        }
        assert_eq!(winners(answers).len(), 1);
        let families: u64 = {
            let count = "SELECT count(*) FROM families";
            place.raw().query_row(count, [], |row| row.get::<_, u32>(0)).unwrap().into()
        };
        assert_eq!(families, number + 1);
    }
}

/// SEC-171: 64 refreshes; without grace they have one winner.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_at_once_get_one_successor() {
    for grace in [10, 0] {
        let place = Place::new();
        let server = Arc::new(Server::start(&place, grace).await);
        for number in 0..10 {
            server.store.insert_code(code(number)).await.unwrap();
            let (_, tokens) = server.redeem(number).await;
            let crowd: Vec<_> = (0..CROWD)
                .map(|_| {
                    let (server, tokens) = (Arc::clone(&server), tokens.clone());
                    tokio::spawn(
                        async move { server.refresh(text(&tokens, "refresh_token")).await },
                    )
                })
                .collect();
            let mut answers = Vec::new();
            for task in crowd {
                answers.push(task.await.unwrap());
            }
            let won = winners(answers);
            let successors: BTreeSet<_> =
                won.iter().map(|tokens| text(tokens, "refresh_token")).collect();
            assert_eq!(successors.len(), 1);
            assert!(if grace == 0 {
                won.len() == 1
            } else {
                won.len() == CROWD || !won.is_empty()
            });
        }
    }
}

/// SEC-172: the client gets the same successor.
#[tokio::test]
async fn a_lost_answer_is_repeated_after_a_restart() {
    let place = Place::new();
    let server = Server::start(&place, 10).await;
    server.store.insert_code(code(1)).await.unwrap();
    let (_, tokens) = server.redeem(1).await;
    let old = text(&tokens, "refresh_token");
    let (_, lost) = server.refresh(old).await;
    drop(server);

    let server = Server::start(&place, 10).await;
    server.seconds.store(9, Ordering::SeqCst);
    let (status, again) = server.refresh(old).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text(&again, "refresh_token"), text(&lost, "refresh_token"));
    assert!(server.is_active(&again).await);
    let (status, next) = server.refresh(text(&again, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(text(&next, "refresh_token"), text(&again, "refresh_token"));
    // What is older than that is a thief's.
    let (_, refused) = server.refresh(old).await;
    assert_eq!(text(&refused, "error"), "invalid_grant");
    assert!(!server.is_active(&next).await);
}

/// SEC-203
#[tokio::test]
async fn a_database_that_cannot_be_written_is_a_503_and_no_token() {
    let place = Place::new();
    let server = Server::start(&place, 10).await;
    server.store.insert_code(code(1)).await.unwrap();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, body) = server.redeem(1).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.get("access_token").is_none());
    other.execute_batch("ROLLBACK").unwrap();
    let (status, _) = server.redeem(1).await;
    assert_eq!(status, StatusCode::OK);
}
