//! A proof counts once, and is as fresh as the server asks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use authorization_server::MemoryStore;
use futures::future::join_all;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, StatusCode};
use oauth_types::{BearerChallenge, Entropy, Secret, UnixTime};
use tower::ServiceExt as _;

use crate::server::*;

#[tokio::test]
async fn a_proof_that_many_send_at_once_counts_once() {
    let server = server();
    let proof = prove("alice.bound");
    let send = || server.send(bound("alice.bound", proof.clone()));
    let answers = join_all((0..16).map(|_| send())).await;
    let let_in = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!((let_in, server.ran()), (1, 1));
    // As long as it counts it is remembered, and then it does not count.
    for now in [NOW + 60, NOW + 299, NOW + 300, NOW + 301, NOW + 1000] {
        server.clock.store(now, Ordering::SeqCst);
        assert_eq!(send().await.error(), "invalid_dpop_proof", "{now}");
    }
}

#[tokio::test]
async fn a_proof_counts_within_five_minutes_or_what_the_host_says() {
    let made = |at| prove_with(&key(), &Method::POST, MCP, "alice.bound", at);
    for (window, seconds) in [(None, 300), (Some(30), 30), (Some(3600), 300)] {
        let own = match window {
            Some(window) => resource().with_dpop_window(core::time::Duration::from_secs(window)),
            None => resource().with_dpop(),
        };
        let server = server_that(&own, |protect| protect);
        for (at, counts) in
            [(NOW - seconds, true), (NOW - seconds - 1, false), (NOW + seconds + 1, false)]
        {
            let answer = server.send(bound("alice.bound", made(at))).await;
            assert_eq!(answer.status == StatusCode::OK, counts, "{window:?}: {at}");
        }
        // One that was made ahead is remembered until it stops to count.
        let ahead = made(NOW + seconds);
        let answer = server.send(bound("alice.bound", ahead.clone())).await;
        assert_eq!(answer.status, StatusCode::OK, "{window:?}");
        for now in [NOW + seconds, NOW + 2 * seconds, NOW + 2 * seconds + 1] {
            server.clock.store(now, Ordering::SeqCst);
            let answer = server.send(bound("alice.bound", ahead.clone())).await;
            assert_eq!(answer.error(), "invalid_dpop_proof", "{window:?}: {now}");
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_for_nonces_accepts_its_own_fresh_ones() {
    let own = resource().with_dpop_nonces(Entropy::new([9; 32]));
    let server = server_that(&own, |protect| protect);
    let token = Secret::new("alice.bound");
    let prove = |nonce: Option<&HeaderValue>, draw: u8| {
        let now = UnixTime::from_secs(server.clock.load(Ordering::SeqCst));
        let draw = Entropy::new([draw; 16]);
        let proof = key().prove(&Method::POST, MCP, Some(&token), nonce, now, draw).unwrap();
        bound("alice.bound", proof)
    };
    let asked = server.send(prove(None, 1)).await;
    assert_eq!((asked.status, asked.error()), (StatusCode::UNAUTHORIZED, "use_dpop_nonce"));
    let headers = [(WWW_AUTHENTICATE, asked.lines[0].parse().unwrap())].into_iter().collect();
    assert!(BearerChallenge::from_dpop_headers(&headers).unwrap().resource_metadata.is_some());
    let nonce = asked.nonce.unwrap();
    for (draw, bad) in [(10, ""), (11, "x"), (12, "AAAAAGtJ0gA")] {
        let answer = server.send(prove(Some(&HeaderValue::from_static(bad)), draw)).await;
        assert_eq!(answer.error(), "use_dpop_nonce");
    }
    assert_eq!(server.send(prove(Some(&nonce), 2)).await.status, StatusCode::OK);
    // One nonce is good for many proofs, each of them once.
    assert_eq!(server.send(prove(Some(&nonce), 2)).await.error(), "invalid_dpop_proof");
    assert_eq!(server.send(prove(Some(&nonce), 3)).await.status, StatusCode::OK);
    server.clock.store(NOW + 301, Ordering::SeqCst);
    let answer = server.send(prove(Some(&nonce), 4)).await;
    assert_eq!(answer.error(), "use_dpop_nonce");
    assert_eq!(server.send(prove(answer.nonce.as_ref(), 5)).await.status, StatusCode::OK);
    // What is wrong otherwise, or of another key, is told nothing about nonces.
    let wrong = prove_with(&key(), &Method::GET, MCP, "alice.bound", NOW + 301);
    let stolen = prove_with(&other_key(), &Method::POST, MCP, "alice.bound", NOW + 301);
    for proof in [wrong, stolen] {
        assert_eq!(server.send(bound("alice.bound", proof)).await.nonce, None);
    }
}

#[tokio::test]
async fn a_full_memory_lets_nobody_in_and_no_stranger_fills_it() {
    let server = server_that(&resource().with_dpop(), |protect| protect.with_max_proofs(10));
    let token = "alice.bound";
    // Right but for one thing, and many of them: nothing is remembered.
    for at in 0..20 {
        let thiefs = prove_with(&other_key(), &Method::POST, MCP, token, NOW);
        let unknown = prove("nobody");
        let elsewhere = prove_with(&key(), &Method::POST, "https://rs.example", token, NOW);
        for request in [bound(token, thiefs), bound("nobody", unknown), bound(token, elsewhere)] {
            assert_eq!(server.send(request).await.status, StatusCode::UNAUTHORIZED, "{at}");
        }
    }
    assert_eq!(server.send(bound(token, prove(token))).await.status, StatusCode::OK);
    // That was alice's share; it is not that of others.
    let answer = server.send(bound(token, prove(token))).await;
    assert_eq!((answer.status, answer.lines.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(answer.retry_after.unwrap(), "5");
    let users = ["b.bound", "c.bound", "d.bound", "e.bound", "f.bound", "g.bound", "h.bound"];
    for user in users.into_iter().chain(["i.bound", "j.bound"]) {
        assert_eq!(server.send(bound(user, prove(user))).await.status, StatusCode::OK, "{user}");
    }
    let answer = server.send(bound("k.bound", prove("k.bound"))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.ran(), 10);
    // Bearer tokens need no room, and time makes some.
    let bare = server.send(request(&[shown("Bearer", "alice.bare")])).await;
    assert_eq!(bare.status, StatusCode::OK);
    server.clock.store(NOW + 361, Ordering::SeqCst);
    let fresh = prove_with(&key(), &Method::POST, MCP, token, NOW + 361);
    assert_eq!(server.send(bound(token, fresh)).await.status, StatusCode::OK);
}

/// SEC-226
#[tokio::test]
async fn ten_clients_of_one_user_fill_one_share_of_proof_memory() {
    let store = Arc::new(MemoryStore::default());
    let own = server_that(&resource().with_dpop(), |protect| protect.with_max_proofs(100));
    let shared = server_that(&resource().with_dpop(), |protect| {
        protect.with_shared_proofs(store).with_max_proofs(100)
    });
    for server in [own, shared] {
        let mut let_in = 0;
        for client in 0..10 {
            for _ in 0..20 {
                let token = format!("mallory+client-{client}.bound");
                let answer = server.send(bound(&token, prove(&token))).await;
                let_in += usize::from(answer.status == StatusCode::OK);
            }
        }
        assert_eq!(let_in, 10);
        for _ in 0..5 {
            let answer = server.send(bound("alice.bound", prove("alice.bound"))).await;
            assert_eq!(answer.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_proof_that_one_process_has_seen_is_good_at_no_other() {
    let store = Arc::new(MemoryStore::default());
    let process = || {
        let store = Arc::clone(&store);
        server_that(&resource().with_dpop(), move |protect| protect.with_shared_proofs(store))
    };
    let (one, other) = (process(), process());
    let proof = prove("alice.bound");
    let send = |server: &Server| {
        let router = server.router.clone();
        let request = bound("alice.bound", proof.clone());
        async move { router.oneshot(request).await.unwrap().status() }
    };
    assert_eq!(send(&one).await, StatusCode::OK);
    assert_eq!(send(&other).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&one).await, StatusCode::UNAUTHORIZED);
    assert_eq!(other.send(bound("alice.bound", prove("alice.bound"))).await.status, StatusCode::OK);
}
