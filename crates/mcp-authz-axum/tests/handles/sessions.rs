//! Sessions: whose they are at every process, and how many one user may have.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_authz_axum::ProtectLayer;
use oauth_types::{Entropy, ScopeSet};
use resource_server::{OperationScopes, Requirement, SessionKey};
use tokio::time::{Instant, sleep, timeout};

use crate::server::{INITIALIZE, LIST, Server, Service, Spoken, process, process_behind, session};

const ALICE: &str = "alice.c.99999";
const MALLORY: &str = "mallory.c.99999";

/// Room for a hundred sessions, ten of one user's.
fn small(protect: ProtectLayer<Spoken>) -> ProtectLayer<Spoken> {
    protect.with_max_sessions(100)
}

/// SEC-215
#[tokio::test]
async fn a_session_is_its_owners_at_every_process_with_the_same_key() {
    let service = Service::default();
    let keyed = |byte: u8| {
        let key = SessionKey::new(Entropy::new([byte; 32]));
        process(service.clone(), |protect| protect.with_session_key(&key))
    };
    let (one, other, stranger) = (keyed(1), keyed(1), keyed(2));
    let alices = session(&one.open(ALICE).await.1);
    for method in ["POST", "GET", "DELETE"] {
        for token in [MALLORY, "alice.other.99999", ""] {
            for server in [&one, &other] {
                assert_eq!(server.in_session(method, token, &alices).await, 404, "{method}");
            }
        }
        assert_eq!(stranger.in_session(method, ALICE, &alices).await, 404);
    }
    assert_eq!(service.sessions.lock().unwrap().len(), 1, "untouched");
    for (server, method, status) in
        [(&other, "POST", 200), (&other, "GET", 200), (&other, "DELETE", 202), (&one, "POST", 404)]
    {
        assert_eq!(server.in_session(method, ALICE, &alices).await, status, "{method}");
    }
}

/// SEC-232
#[tokio::test]
async fn no_session_opens_beyond_the_share_and_each_can_be_ended() {
    let server = process(Service::default(), small);
    let mut own = Vec::new();
    let mut refused = 0;
    for _ in 0..1000 {
        match server.open(MALLORY).await {
            (status, headers) if status == 200 => own.push(session(&headers)),
            (status, headers) => {
                assert_eq!(status, 429);
                let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=600).contains(&wait), "{wait}");
                refused += 1;
            }
        }
    }
    assert_eq!((own.len(), refused), (10, 990));
    // They were refused before the service heard of them.
    assert_eq!(server.service.ran.load(Ordering::SeqCst), 10);
    // A service that opens sessions for other requests as well is told to end them.
    let listed = server.send(("POST", ""), MALLORY, &[], LIST).await;
    assert_eq!(listed.status(), 429);
    assert!(!listed.headers().contains_key("mcp-session-id"));
    assert_eq!(server.held().await.len(), 10);
    // What is answered elsewhere behind the layer ends no session, and makes no room.
    for (method, path) in [("DELETE", "/other"), ("GET", "/other"), ("GET", "/nowhere")] {
        server.send((method, path), MALLORY, &[("mcp-session-id", &own[0])], "").await;
        assert_eq!(server.open(MALLORY).await.0, 429, "{method} {path}");
    }
    // Others are not concerned, and what there is can be used and ended.
    assert_eq!(server.open(ALICE).await.0, 200);
    for id in &own {
        assert_eq!(server.in_session("POST", MALLORY, id).await, 200);
        assert_eq!(server.in_session("DELETE", MALLORY, id).await, 202);
    }
    assert_eq!(server.held().await.len(), 1);
    assert_eq!(server.open(MALLORY).await.0, 200, "ending one makes room");
}

/// SEC-226: others keep their sessions.
#[tokio::test]
async fn ten_clients_of_one_user_have_one_share_of_sessions() {
    let server = process(Service::default(), small);
    let alices = session(&server.open(ALICE).await.1);
    let mut opened = 0;
    for client in 0..10 {
        for _ in 0..100 {
            let token = format!("mallory.client-{client}.99999");
            opened += usize::from(server.open(&token).await.0 == 200);
        }
    }
    assert_eq!(opened, 10);
    for method in ["POST", "GET"] {
        assert_eq!(server.in_session(method, ALICE, &alices).await, 200, "{method}");
    }
    // All places, by a few users: they give up theirs, and who has one session keeps it.
    for user in 0..20 {
        for _ in 0..10 {
            server.open(&format!("user-{user}.c.99999")).await;
        }
    }
    assert_eq!(server.held().await.len(), 100);
    for user in 0..150 {
        let (status, headers) = server.open(&format!("newcomer-{user}.c.99999")).await;
        // From then on each user has one.
        let expected = if status == 200 { 200 } else { 503 };
        assert_eq!(status.as_u16(), expected);
        assert_eq!(headers.contains_key("retry-after"), status != 200);
    }
    assert_eq!(server.open("bob.c.99999").await.0, 503);
    assert_eq!(server.in_session("POST", ALICE, &alices).await, 200);
    assert_eq!(server.held().await.len(), 100);
}

/// SEC-232
#[tokio::test(start_paused = true)]
async fn an_unused_session_makes_room_and_ends_at_the_service() {
    let server = process(Service::default(), small);
    let mut own = Vec::new();
    for _ in 0..10 {
        own.push(session(&server.open(MALLORY).await.1));
        sleep(Duration::from_secs(1)).await;
    }
    // The first is used, the second has an open stream; the third is not.
    let lines = [("mcp-session-id", &*own[1])];
    let stream = server.send(("GET", "stream"), MALLORY, &lines, "").await;
    tokio::spawn(async move { http_body_util::BodyExt::collect(stream.into_body()).await });
    sleep(Duration::from_secs(400)).await;
    assert_eq!(server.in_session("POST", MALLORY, &own[0]).await, 200);
    assert_eq!(server.open(MALLORY).await.0, 429);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(server.open(MALLORY).await.0, 200);
    let left = server.held().await;
    assert_eq!(left.len(), 10);
    assert!(left.contains("session-0") && left.contains("session-1"), "{left:?}");
    assert!(!left.contains("session-2"), "{left:?}");
    assert_eq!(server.in_session("POST", MALLORY, &own[2]).await, 404);
}

/// It is ended at the service.
#[tokio::test]
async fn the_longest_unused_session_without_token_makes_room() {
    let server = process(Service::default(), small);
    let alices = session(&server.open(ALICE).await.1);
    let first = session(&server.open("").await.1);
    let busy = session(&server.open("").await.1);
    for _ in 0..100 {
        assert_eq!(server.in_session("GET", "", &busy).await, 200);
        assert_eq!(server.open("").await.0, 200);
    }
    assert_eq!(server.in_session("GET", "", &busy).await, 200);
    server.held().await;
    assert_eq!(server.in_session("GET", "", &first).await, 404);
    assert_eq!(server.in_session("POST", ALICE, &alices).await, 200);
    assert_eq!(server.held().await.len(), 11);
}

/// SEC-232
#[tokio::test]
async fn a_404_within_a_session_hides_none_from_the_count() {
    let server = process(Service::default(), small);
    for _ in 0..100 {
        let own = session(&server.open(MALLORY).await.1);
        let lines = [("mcp-session-id", &*own)];
        let answer = server.send(("POST", "unknown"), MALLORY, &lines, LIST).await;
        assert_eq!(answer.status(), 404);
    }
    assert_eq!(server.held().await.len(), 10);
}

#[tokio::test]
async fn a_session_that_the_service_has_ended_counts_no_longer() {
    let server = process(Service::default(), small);
    let mut own = Vec::new();
    for _ in 0..10 {
        own.push(session(&server.open(MALLORY).await.1));
    }
    assert_eq!(server.open(MALLORY).await.0, 429);
    server.service.sessions.lock().unwrap().clear();
    assert_eq!(server.in_session("POST", MALLORY, &own[0]).await, 404);
    assert_eq!(server.open(MALLORY).await.0, 200);
}

/// Opens sessions at a service that is slow to say so, each for a client that goes away at once.
async fn open_and_leave(server: &Server, query: &str, token: &str, times: usize) {
    for _ in 0..times {
        let opened = server.send(("POST", query), token, &[], INITIALIZE);
        if let Ok(refused) = timeout(Duration::from_millis(1), opened).await {
            assert_eq!(refused.status(), 429);
        }
    }
}

fn both_requirements() -> [Requirement; 2] {
    [OperationScopes::new("read").unwrap().into(), ScopeSet::parse("read").unwrap().into()]
}

/// SEC-232
#[tokio::test(start_paused = true)]
async fn a_session_whose_client_went_away_before_the_answer_is_ended() {
    for required in both_requirements() {
        let server = process_behind(required, Service::default(), small);
        open_and_leave(&server, "slow", MALLORY, 100).await;
        assert_eq!(server.held().await.len(), 10, "no more than a share before it is answered");
        assert_eq!(server.open(ALICE).await.0, 200);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(server.held().await.len(), 1, "Alice's");
        for _ in 0..10 {
            assert_eq!(server.open(MALLORY).await.0, 200, "what is ended is not counted");
        }
    }
}

/// SEC-232
#[tokio::test(start_paused = true)]
async fn a_session_with_a_lost_answer_counts_until_it_is_ended() {
    for required in both_requirements() {
        let server = process_behind(required, Service::default(), small);
        open_and_leave(&server, "slow-and-kept", MALLORY, 10).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(server.held().await.len(), 10);
        assert_eq!(server.open(MALLORY).await.0, 429);
        assert_eq!(server.open(ALICE).await.0, 200);
    }
}

/// SEC-232
#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_wait_until_the_old_session_has_ended() {
    let server = process(Service::default(), small);
    for _ in 0..20 {
        let started = Instant::now();
        let opened = server.send(("POST", "slow"), "", &[], INITIALIZE).await;
        assert_eq!(opened.status(), 200);
        assert_eq!(started.elapsed().as_secs(), 1, "to open it, not to end another");
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.held().await.len(), 10);
}

#[tokio::test]
async fn sessions_are_left_alone_where_the_host_says_so() {
    let server = process(Service::default(), |protect| protect.without_session_binding());
    assert_eq!(session(&server.open(ALICE).await.1), "session-0");
    assert_eq!(server.in_session("POST", MALLORY, "session-0").await, 200);
    let server = process(Service::default(), |protect| protect);
    server.open(ALICE).await;
    assert_eq!(server.in_session("POST", ALICE, "session-0").await, 404);
}
