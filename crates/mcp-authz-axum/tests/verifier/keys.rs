//! The keys of a server that is not ours: when they are fetched, and what holds while they cannot be.

use core::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use mcp_authz_axum::{JwtVerifier, TokenVerifier as _, VerifierUnavailable};
use oauth_types::{Issuer, Secret, SigningAlgorithm, UnixTime};
use resource_server::JwtTokens;
use serde_json::{Value, json};

use crate::foreign::*;
use crate::protected::*;

/// SEC-148
#[tokio::test]
async fn whatever_tokens_say_keys_are_fetched_once_in_30_seconds() {
    let server = publishing().await;
    let (own, protected) = (server.issuer(), protected(&server));
    let unknown = |number: usize| {
        let claims = claims(&own, &json!({"jti": number.to_string()}));
        signed_by(OTHER, SigningAlgorithm::Es256, &number.to_string(), &claims)
    };
    // All at once, then ten a second.
    let tokens: Vec<String> = (0..1000).map(unknown).collect();
    let statuses = join_all(tokens.iter().map(|token| protected.status(token))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::UNAUTHORIZED));
    assert_eq!(server.asked("/jwks"), 1);
    for second in tokens.chunks(10) {
        for token in second {
            assert_eq!(protected.status(token).await, StatusCode::UNAUTHORIZED);
        }
        protected.wait(1);
    }
    assert_eq!((server.asked("/jwks"), server.asked(METADATA)), (1 + 3, 1));
    assert_eq!(protected.ran(), 0);
}

/// SEC-135
#[tokio::test]
async fn documents_that_moved_are_followed_on_their_own_origin_only() {
    let (server, other) = (publishing().await, publishing().await);
    let own = server.issuer();
    server.answer("/moved", Answer::json(&json!({"issuer": own, "jwks_uri": server.url("/jwks")})));
    server.answer("/keys", Answer::json(PUBLIC));
    let moved = |to: &str| Answer { location: to.to_owned(), ..Answer::status(308) };
    server.answer(METADATA, moved(&server.url("/moved")));
    server.answer("/jwks", moved("/keys"));
    let token = signed(&claims(&own, &json!({})));
    assert_eq!(protected(&server).status(&token).await, StatusCode::OK);
    // A loop ends after three.
    let before = server.asked("/jwks");
    server.answer("/jwks", moved("/jwks"));
    let nobody = protected(&server).status(&token).await;
    assert_eq!(nobody, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.asked("/jwks") - before, 4);
    for location in [other.url("/jwks"), format!("//{}/jwks", other.address)] {
        server.answer("/jwks", moved(&location));
        let nobody = protected(&server).status(&token).await;
        assert_eq!(nobody, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(other.asked("/jwks"), 0);
}

/// SEC-148
#[tokio::test]
async fn a_new_key_is_found_and_one_that_is_gone_ends_its_tokens() {
    let server = publishing().await;
    let own = server.issuer();
    let protected = protected(&server);
    let lasting = claims(&own, &json!({"exp": NOW + 7200}));
    let (old, new) =
        (signed(&lasting), signed_by(EDDSA, SigningAlgorithm::EdDsa, "eddsa", &lasting));
    let mut set: Value = serde_json::from_str(PUBLIC).unwrap();
    let keys = set["keys"].as_array_mut().unwrap();
    let both = keys.clone();
    keys.retain(|key| key["kid"] == "es256");
    server.answer("/jwks", Answer::json(&set));
    assert_eq!(protected.status(&old).await, StatusCode::OK);
    server.answer("/jwks", Answer::json(&json!({"keys": both})));
    protected.wait(29);
    assert_eq!(protected.status(&new).await, StatusCode::UNAUTHORIZED);
    protected.wait(1);
    assert_eq!(protected.status(&new).await, StatusCode::OK);
    server.answer("/jwks", Answer::json(&json!({"keys": both[1..]})));
    // Within five minutes of the fetch before, whatever is shown meanwhile.
    protected.wait(JwtTokens::FRESH.as_secs());
    assert_eq!(protected.status(&old).await, StatusCode::UNAUTHORIZED);
    assert_eq!(protected.status(&new).await, StatusCode::OK);
    assert_eq!(server.asked("/jwks"), 3);
}

/// SEC-148
#[tokio::test]
async fn a_server_that_takes_all_keys_back_ends_all_tokens() {
    let private = json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "es256", "alg": "HS256"}]});
    let unknown = json!({"keys": [{"kty": "RSA", "alg": "RS512"}]});
    for none in [json!({"keys": []}), unknown, private] {
        let server = publishing().await;
        let protected = protected(&server);
        let token = signed(&claims(&server.issuer(), &json!({"exp": NOW + 10_000})));
        assert_eq!(protected.status(&token).await, StatusCode::OK);
        server.answer("/jwks", Answer::json(&none));
        protected.wait(JwtTokens::FRESH.as_secs());
        for _ in 0..3 {
            assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE, "{none}");
            protected.wait(30);
        }
        server.answer("/jwks", Answer::json(PUBLIC));
        assert_eq!(protected.status(&token).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn where_tokens_are_shown_nobody_waits_for_the_keys_again() {
    let server = publishing().await;
    let protected = protected(&server);
    let token = signed(&claims(&server.issuer(), &json!({"exp": NOW + 10_000})));
    assert_eq!(protected.status(&token).await, StatusCode::OK);
    server.answer("/jwks", Answer { delay: Duration::from_secs(60), ..Answer::json(PUBLIC) });
    for seconds in [209, 31] {
        protected.wait(seconds);
        let at_once = Duration::from_secs(1);
        let status = tokio::time::timeout(at_once, protected.status(&token)).await;
        assert_eq!(status, Ok(StatusCode::OK));
    }
    eventually(|| server.asked("/jwks") == 2).await;
}

#[tokio::test]
async fn keys_that_are_gone_for_a_moment_cost_no_metadata() {
    let server = publishing().await;
    let protected = protected(&server);
    let token = |id: u64| {
        signed(&claims(&server.issuer(), &json!({"jti": id.to_string(), "exp": NOW + 10_000})))
    };
    assert_eq!(protected.status(&token(0)).await, StatusCode::OK);
    for path in ["/jwks", METADATA] {
        server.answer(path, Answer::status(500));
    }
    protected.wait(300);
    assert_eq!(protected.status(&token(1)).await, StatusCode::OK);
    server.answer("/jwks", Answer::json(PUBLIC));
    for round in 2..20 {
        protected.wait(300);
        let (before, mut tries) = (server.asked("/jwks"), 0);
        // Each with a token of its own: while the round before is not over yet, nothing new is fetched.
        while server.asked("/jwks") == before {
            tries += 1;
            assert!(tries < 1000, "round {round}: the keys are not fetched again");
            let token = token(round * 1000 + tries);
            assert_eq!(protected.status(&token).await, StatusCode::OK, "{round}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// SEC-155
#[tokio::test]
async fn a_good_token_is_not_verified_again_for_a_moment() {
    let server = publishing().await;
    let own = server.issuer();
    let protected = protected(&server);
    let lasting = claims(&own, &json!({"exp": NOW + 7200}));
    let ending = signed(&claims(&own, &json!({"exp": NOW + 3 - 60, "jti": "2"})));
    let (old, new) =
        (signed(&lasting), signed_by(EDDSA, SigningAlgorithm::EdDsa, "eddsa", &lasting));
    let mut set: Value = serde_json::from_str(PUBLIC).unwrap();
    set["keys"].as_array_mut().unwrap().truncate(1);
    server.answer("/jwks", Answer::json(&set));
    assert_eq!(protected.status(&ending).await, StatusCode::OK);
    protected.wait(3);
    assert_eq!(
        protected.status(&ending).await,
        StatusCode::UNAUTHORIZED,
        "not longer than it lives"
    );
    protected.wait(26);
    assert_eq!(protected.status(&old).await, StatusCode::OK);
    // The key is gone, and that is known a second later.
    set = serde_json::from_str(PUBLIC).unwrap();
    set["keys"].as_array_mut().unwrap().remove(0);
    server.answer("/jwks", Answer::json(&set));
    protected.wait(1);
    assert_eq!(protected.status(&new).await, StatusCode::OK);
    protected.wait(28);
    assert_eq!(protected.status(&old).await, StatusCode::OK);
    protected.wait(1);
    assert_eq!(protected.status(&old).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_that_is_down_costs_nobody_their_token() {
    let address = Foreign::new().await.stop().await;
    let own = Issuer::parse(&format!("http://{address}")).unwrap();
    let protected = Protected::new(JwtVerifier::new(own.clone()).unwrap(), &own);
    let token = signed(&claims(&own, &json!({"exp": NOW + 10_000})));
    let forged = format!("{token}A");
    let foreign = signed(&claims(&fixed(), &json!({})));
    assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(protected.status(&forged).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(protected.status(&foreign).await, StatusCode::UNAUTHORIZED);
    let server = Foreign::at(address).await;
    publish(&server);
    protected.wait(5);
    assert_eq!(protected.status(&token).await, StatusCode::OK);
    server.stop().await;
    for _ in 0..11 {
        protected.wait(300);
        let (good, bad) = (protected.status(&token).await, protected.status(&forged).await);
        assert_eq!((good, bad), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    }
    protected.wait(300);
    assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE);
    let server = Foreign::at(address).await;
    publish(&server);
    protected.wait(5);
    assert_eq!(protected.status(&token).await, StatusCode::OK);
}

/// SEC-148
#[tokio::test]
async fn an_answer_that_is_no_key_set_is_none() {
    let elsewhere = publishing().await;
    for answer in [
        Answer::json("<html>"),
        Answer::json(&"x".repeat(10 * 1024 * 1024)),
        Answer::json("{}"),
        Answer { location: elsewhere.url("/jwks"), ..Answer::status(302) },
        Answer::status(500),
    ] {
        let server = publishing().await;
        let protected = protected(&server);
        let token = signed(&claims(&server.issuer(), &json!({"exp": NOW + 10_000})));
        server.answer("/jwks", answer.clone());
        assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE);
        server.answer("/jwks", Answer::json(PUBLIC));
        assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE);
        protected.wait(5);
        assert_eq!(protected.status(&token).await, StatusCode::OK);
        // What is known is not lost for it.
        server.answer("/jwks", answer);
        protected.wait(300);
        assert_eq!(protected.status(&token).await, StatusCode::OK);
        assert_eq!(server.asked("/jwks"), 3);
    }
    assert_eq!(elsewhere.asked("/jwks"), 0);
}

#[tokio::test]
async fn a_server_that_is_slow_is_waited_for_once() {
    let server = publishing().await;
    let protected = protected(&server);
    let token = signed(&claims(&server.issuer(), &json!({"exp": NOW + 10_000})));
    assert_eq!(protected.status(&token).await, StatusCode::OK);
    server.answer("/jwks", Answer { delay: Duration::from_secs(60), ..Answer::json(PUBLIC) });
    for limit in [7, 1, 1] {
        protected.wait(300);
        let limit = Duration::from_secs(limit);
        let status = tokio::time::timeout(limit, protected.status(&token)).await;
        assert_eq!(status, Ok(StatusCode::OK));
    }
}

#[tokio::test]
async fn keys_that_have_moved_are_found_again() {
    let server = publishing().await;
    server.answer(METADATA, Answer::json(&json!({"issuer": server.issuer()})));
    let protected = protected(&server);
    let token = signed(&claims(&server.issuer(), &json!({})));
    assert_eq!(protected.status(&token).await, StatusCode::SERVICE_UNAVAILABLE);
    publish(&server);
    protected.wait(5);
    assert_eq!(protected.status(&token).await, StatusCode::OK);
}

#[tokio::test]
async fn who_waits_no_more_takes_nothing_from_the_others() {
    let server = publishing().await;
    server.answer("/jwks", Answer { delay: Duration::from_millis(200), ..Answer::json(PUBLIC) });
    let protected = protected(&server);
    let token = signed(&claims(&server.issuer(), &json!({})));
    let short = tokio::time::timeout(Duration::from_millis(50), protected.status(&token));
    let others = join_all((0..50).map(|_| protected.status(&token)));
    let (first, others) = tokio::join!(short, others);
    assert!(first.is_err() && others.iter().all(|status| *status == StatusCode::OK));
    assert_eq!((server.asked(METADATA), server.asked("/jwks")), (1, 1));
}

#[tokio::test]
async fn an_issuer_that_is_spelled_differently_has_no_keys() {
    let server = publishing().await;
    let other = Issuer::parse(&format!("{}/", server.issuer().as_str())).unwrap();
    let verifier = JwtVerifier::new(other.clone()).unwrap();
    let token = Secret::new(signed(&claims(&other, &json!({}))));
    let verified = verifier.verify(&token, UnixTime::from_secs(NOW)).await;
    assert_eq!(verified, Err(VerifierUnavailable::new()));
    assert_eq!(server.asked("/jwks"), 0);
}
