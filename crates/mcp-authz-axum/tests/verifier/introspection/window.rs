//! Answers that are used again, and questions that are not asked.

use super::*;

/// SEC-155
#[tokio::test]
async fn a_revoked_token_works_for_the_window_and_not_a_second_longer() {
    for (chosen, seconds) in [(None, 10), (Some(1), 1), (Some(30), 30), (Some(600), 30)] {
        let servers = servers_with(|verifier, _| match chosen {
            Some(seconds) => verifier.with_window(Duration::from_secs(seconds)),
            None => verifier,
        })
        .await;
        assert_eq!(servers.show("t").await.status, StatusCode::OK);
        servers.foreign.answer(ENDPOINT, inactive());
        servers.pass(seconds - 1);
        assert_eq!(servers.show("t").await.status, StatusCode::OK, "{chosen:?}");
        assert_eq!(servers.asked(), 1);
        servers.pass(1);
        servers.ran.store(0, Ordering::SeqCst);
        servers.refused(&servers.show("t").await, "revoked");
        assert_eq!(servers.asked(), 2);
    }
}

/// SEC-155
#[tokio::test]
async fn without_a_window_a_revoked_token_is_refused_at_once() {
    let servers = servers_with(|verifier, _| verifier.with_window(Duration::ZERO)).await;
    for asked in 1..=3 {
        assert_eq!(servers.show("t").await.status, StatusCode::OK);
        assert_eq!(servers.asked(), asked);
    }
    servers.foreign.answer(ENDPOINT, inactive());
    servers.ran.store(0, Ordering::SeqCst);
    servers.refused(&servers.show("t").await, "revoked");
}

/// SEC-155
#[tokio::test]
async fn a_no_is_not_kept_and_a_clock_that_is_set_back_keeps_nothing() {
    let servers = servers().await;
    servers.foreign.answer(ENDPOINT, inactive());
    servers.refused(&servers.show("t").await, "not yet");
    servers.foreign.answer(ENDPOINT, active(&json!({})));
    assert_eq!(servers.show("t").await.status, StatusCode::OK);
    servers.foreign.answer(ENDPOINT, inactive());
    servers.time.store(NOW - 3600, Ordering::SeqCst);
    servers.ran.store(0, Ordering::SeqCst);
    servers.refused(&servers.show("t").await, "revoked");
}

/// It does not matter who of them goes away.
#[tokio::test]
async fn a_hundred_users_of_one_token_cause_one_introspection() {
    let servers = servers().await;
    let slow = Answer { delay: Duration::from_millis(300), ..active(&json!({})) };
    servers.foreign.answer(ENDPOINT, slow);
    let short = Duration::from_millis(100);
    assert!(tokio::time::timeout(short, servers.show("t")).await.is_err());
    let replies = join_all((0..100).map(|_| servers.show("t"))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
    assert_eq!(servers.asked(), 1);
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_without_introspection() {
    let servers = servers().await;
    for token in ["a".repeat(8 * 1024 + 1), "a".repeat(1024 * 1024), "+".repeat(8 * 1024 / 3 + 1)] {
        servers.refused(&servers.show(&token).await, "too long");
    }
    assert_eq!(servers.asked(), 0);
    assert_eq!(servers.show(&"a".repeat(8 * 1024)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_makes_tokens_up_floods_nobody_and_keeps_nobody_out() {
    let servers = servers().await;
    assert_eq!(servers.show("known").await.status, StatusCode::OK);
    assert_eq!(servers.show("returning").await.status, StatusCode::OK);
    servers.foreign.answer(ENDPOINT, Answer { delay: Duration::from_millis(500), ..inactive() });
    let flood = async {
        let made_up: Vec<String> = (0..2_000).map(|n| format!("made-up-{n}")).collect();
        join_all(made_up.iter().map(|token| servers.show(token))).await
    };
    let others = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Those whose tokens are known wait for nobody, and those whose were good wait for no stranger.
        assert_eq!(servers.show("known").await.status, StatusCode::OK);
        servers.foreign.answer(ENDPOINT, active(&json!({})));
        servers.pass(10);
        assert_eq!(servers.show("returning").await.status, StatusCode::OK);
    };
    tokio::join!(flood, others);
    // One of these is of somebody whose token was good.
    assert!(servers.foreign.most_at_once() <= 65, "{}", servers.foreign.most_at_once());
    let heard = servers.foreign.heard(ENDPOINT);
    let about = |token: &[u8]| heard.iter().filter(|own| own.body.starts_with(token)).count();
    assert_eq!((about(b"token=known&"), about(b"token=returning&")), (1, 2));
}
