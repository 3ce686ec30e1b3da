//! Refresh tokens: rotation, reuse, narrowing, expiry, failures of the store.

use crate::*;
use authorization_server::Store as _;
use client_flow::Session;
use http::StatusCode;
use oauth_types::TokenResponse;
use tests::faulty::Fault;
use tests::world::{Client, now_or_never};

fn refresh_form<'a>(session: &'a Session, token: &'a str) -> [(&'a str, &'a str); 3] {
    let client_id = session.account().client.client_id().as_str();
    [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)]
}

/// A-TOKEN-4, SEC-171, SEC-172
#[test]
fn a_lost_answer_is_given_again_within_the_grace_window() {
    let world = world();
    let (session, first) = logged_in(&world);
    let second = refresh_token(&post(&world, &refresh_form(&session, &first)));
    assert_ne!(first, second);
    world.advance(9);
    let again = refresh_token(&post(&world, &refresh_form(&session, &first)));
    assert_eq!(again, second);
    // The successor is live, and moves on.
    let third = refresh_token(&post(&world, &refresh_form(&session, &second)));
    assert_ne!(third, second);
}

/// A-TOKEN-4, SEC-173
#[test]
fn an_older_generation_ends_the_family() {
    for (steps, wait) in [(1, 10), (2, 0)] {
        let world = world();
        let (session, first) = logged_in(&world);
        let mut live = first.clone();
        for _ in 0..steps {
            live = refresh_token(&post(&world, &refresh_form(&session, &live)));
        }
        world.advance(wait);
        assert_eq!(error(&post(&world, &refresh_form(&session, &first))), "invalid_grant");
        assert_eq!(error(&post(&world, &refresh_form(&session, &live))), "invalid_grant");
        assert!(!is_active(&world, session.tokens().access_token.expose()));
    }
}

/// A-TOKEN-4, SEC-170, SEC-175
#[test]
fn a_stranger_or_a_forgery_ends_nothing() {
    let world = world();
    let (session, token) = logged_in(&world);
    let (other, _) = logged_in(&world);
    assert_eq!(error(&post(&world, &refresh_form(&other, &token))), "invalid_grant");
    let mut forged = token.clone();
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    assert_eq!(error(&post(&world, &refresh_form(&session, &forged))), "invalid_grant");
    assert_eq!(post(&world, &refresh_form(&session, &token)).status(), StatusCode::OK);
}

/// A-TOKEN-5, SEC-167, SEC-168, SEC-169
#[test]
fn a_refresh_narrows_and_never_widens() {
    let world = world();
    let mut client = Client::default();
    world.call(&mut client, "write-file").unwrap();
    let session = client.session.unwrap();
    let token = session.tokens().refresh_token.as_ref().unwrap().expose().to_owned();
    let ask = |token: &str, name: &'static str, value: &str| {
        let mut form = refresh_form(&session, token).to_vec();
        form.push((name, value));
        post(&world, &form)
    };
    assert_eq!(error(&ask(&token, "scope", "files:read admin")), "invalid_scope");
    assert_eq!(error(&ask(&token, "resource", "https://rs.example/x")), "invalid_target");
    let narrow = ask(&token, "scope", "files:read");
    let tokens = TokenResponse::from_json(narrow.body()).unwrap();
    assert_eq!(tokens.scope.unwrap().as_str(), "files:read");
    // The refresh token keeps the whole grant.
    let full = post(&world, &refresh_form(&session, &refresh_token(&narrow)));
    let tokens = TokenResponse::from_json(full.body()).unwrap();
    assert_eq!(tokens.scope.unwrap().as_str(), "files:read files:write");
}

/// A-TOKEN-4, SEC-176
#[test]
fn a_family_ends_when_idle_and_in_any_case() {
    let day = 24 * 60 * 60;
    let world_ = world();
    let (session, token) = logged_in(&world_);
    world_.advance(30 * day);
    assert_eq!(error(&post(&world_, &refresh_form(&session, &token))), "invalid_grant");
    let world_ = world();
    let (session, mut token) = logged_in(&world_);
    for _ in 0..4 {
        world_.advance(20 * day);
        token = refresh_token(&post(&world_, &refresh_form(&session, &token)));
    }
    world_.advance(11 * day);
    assert_eq!(error(&post(&world_, &refresh_form(&session, &token))), "invalid_grant");
}

/// SEC-202
#[test]
fn a_failing_store_issues_nothing_and_a_retry_is_safe() {
    for fault in [Fault::Before, Fault::After] {
        let world = world();
        let (session, token) = logged_in(&world);
        world.store.fail_next(fault);
        let refused = post(&world, &refresh_form(&session, &token));
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(error(&refused), "temporarily_unavailable");
        assert!(refused.headers().contains_key("retry-after"));
        let retried = post(&world, &refresh_form(&session, &token));
        assert_eq!(retried.status(), StatusCode::OK, "{fault:?}");
    }
    // A code that the server cannot store is not sent.
    let world = world();
    let (url, _) = login_until_token(&world);
    world.store.fail_next(Fault::Before);
    let location = world.authorize(&url).unwrap();
    assert_eq!(query(&location, "error").as_deref(), Some("temporarily_unavailable"));
    assert_eq!(query(&location, "code"), None);
}

#[test]
fn a_sweep_removes_the_expired_and_keeps_what_detects_reuse() {
    let world = world();
    let (session, first) = logged_in(&world);
    let second = refresh_token(&post(&world, &refresh_form(&session, &first)));
    world.advance(3600);
    // Two access tokens have expired; the used code and the family are still needed.
    assert_eq!(now_or_never(world.store.sweep(world.now(), 100)).unwrap(), 2);
    assert_eq!(now_or_never(world.store.sweep(world.now(), 100)).unwrap(), 0);
    assert_eq!(error(&post(&world, &refresh_form(&session, &first))), "invalid_grant");
    assert_eq!(error(&post(&world, &refresh_form(&session, &second))), "invalid_grant");
    world.advance(91 * 24 * 60 * 60);
    assert_eq!(now_or_never(world.store.sweep(world.now(), 1)).unwrap(), 1);
    assert_eq!(now_or_never(world.store.sweep(world.now(), 100)).unwrap(), 1);
}
