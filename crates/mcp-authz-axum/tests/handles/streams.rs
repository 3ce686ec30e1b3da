//! Event streams end with their token.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Response;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::server::{LIST, Server, process, server};

/// How long a stream goes on; `None` if for more than an hour.
async fn lasts(response: Response<axum::body::Body>) -> Option<Duration> {
    assert_eq!(response.status(), 200);
    let start = Instant::now();
    let mut body = response.into_body();
    let end = async { while body.frame().await.is_some() {} };
    timeout(Duration::from_secs(3600), end).await.ok()?;
    Some(start.elapsed())
}

async fn open(
    server: &Server,
    method: &str,
    query: &str,
    token: &str,
) -> Response<axum::body::Body> {
    let body = if method == "POST" { LIST } else { "" };
    server.send((method, query), token, &[], body).await
}

/// SEC-219
#[tokio::test(start_paused = true)]
async fn an_event_stream_ends_with_its_token() {
    let server = server();
    for method in ["GET", "POST"] {
        for query in ["stream", "busy"] {
            let expiry = server.now() + 100;
            let token = format!("alice.c.{expiry}");
            let lasted = lasts(open(&server, method, query, &token).await).await.unwrap();
            let seconds = lasted.as_secs();
            assert!((99..=105).contains(&seconds), "{method} {query}: {seconds}");
            let again = open(&server, method, query, &token).await;
            assert_eq!(again.status(), 401, "the token has expired");
        }
    }
}

/// SEC-219
#[tokio::test(start_paused = true)]
async fn an_event_stream_of_a_revoked_token_ends_within_the_interval() {
    for (interval, longest) in [(None, 30), (Some(5), 5), (Some(0), 1)] {
        let server = process(Default::default(), |protect| match interval {
            Some(seconds) => protect.with_recheck_interval(Duration::from_secs(seconds)),
            None => protect,
        });
        for method in ["GET", "POST"] {
            let token = format!("alice.{method}.99999");
            let stream = open(&server, method, "stream", &token).await;
            let other = open(&server, method, "stream", "bob.c.99999").await;
            let revoked = server.verifier.revoked.clone();
            tokio::spawn(async move {
                sleep(Duration::from_secs(42)).await;
                revoked.lock().unwrap().insert(token);
            });
            let other = tokio::spawn(lasts(other));
            let seconds = lasts(stream).await.unwrap().as_secs();
            assert!((42..=42 + longest).contains(&seconds), "{method} {interval:?}: {seconds}");
            assert_eq!(other.await.unwrap(), None, "the stream of another token goes on");
        }
    }
}

/// SEC-219
#[tokio::test(start_paused = true)]
async fn while_the_verifier_is_away_a_stream_lasts_as_its_token() {
    for mood in [1, 2] {
        let server = server();
        let stream = open(&server, "GET", "stream", "alice.c.1200").await;
        server.verifier.mood.store(mood, Ordering::SeqCst);
        let seconds = lasts(stream).await.unwrap().as_secs();
        assert!((199..=205).contains(&seconds), "{mood}: {seconds}");
    }
}

/// The end of an answer: seconds after its head, and whether it is whole.
async fn ends(response: Response<axum::body::Body>) -> (u64, bool) {
    assert_eq!(response.status(), 200);
    let start = Instant::now();
    let whole = timeout(Duration::from_secs(3600), response.into_body().collect()).await.unwrap();
    (start.elapsed().as_secs(), whole.is_ok())
}

/// SEC-219
#[tokio::test(start_paused = true)]
async fn every_answer_without_a_known_size_is_cut_off_with_its_token() {
    let server = server();
    for method in ["GET", "POST"] {
        for query in ["data", "grpc"] {
            let expiry = server.now() + 100;
            let token = format!("alice.c.{expiry}");
            let (seconds, is_whole) = ends(open(&server, method, query, &token).await).await;
            assert!((99..=105).contains(&seconds) && !is_whole, "{method} {query}: {seconds}");
            let token = format!("bob.{method}-{query}.99999");
            let answer = open(&server, method, query, &token).await;
            server.verifier.revoked.lock().unwrap().insert(token);
            let (seconds, is_whole) = ends(answer).await;
            assert!(seconds <= 31 && !is_whole, "{method} {query}: {seconds}");
        }
    }
    // One that ends before its token is whole, trailers included.
    let answer = open(&server, "GET", "grpc", "alice.c.99999").await.into_body();
    let whole = answer.collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(whole.to_bytes(), "x");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_token_is_left_alone() {
    let server = server();
    let opened = server.open("").await.1;
    let lines = [("mcp-session-id", opened["mcp-session-id"].to_str().unwrap())];
    for query in ["stream", "data"] {
        let public = server.send(("GET", query), "", &lines, "").await;
        assert_eq!(lasts(public).await, None, "{query}");
    }
}
