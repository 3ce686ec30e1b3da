//! Redemption of authorization codes (RFC 6749 §4.1.3): wrong requests, replays, races.

use crate::*;
use core::task::{Context, Poll, Waker};

use authorization_server::token;
use bytes::Bytes;
use http::{Request, StatusCode};
use oauth_types::{FormPairs, TokenResponse};

fn form_of(request: &Request<Bytes>) -> Vec<(String, String)> {
    let form = FormPairs::parse(request.body()).unwrap();
    form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The form with one parameter changed.
fn with<'a>(form: &'a [(String, String)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let change = |(own, old): &'a (String, String)| (&**own, if own == name { value } else { old });
    form.iter().map(change).collect()
}

/// A-TOKEN-1, A-TOKEN-3, SEC-030, SEC-032, SEC-034, SEC-041, SEC-044
#[test]
fn a_wrong_request_leaves_the_code_unused() {
    let world = world();
    let (_, request) = login_until_token(&world);
    let (_, other) = login_until_token(&world);
    let form = form_of(&request);
    let other_client = form_of(&other).into_iter().find(|(name, _)| name == "client_id").unwrap().1;
    let verifier = "x".repeat(43);
    for (name, value, code) in [
        ("code_verifier", verifier.as_str(), "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("code_verifier", "short", "invalid_request"),
        ("redirect_uri", "http://127.0.0.1/other", "invalid_grant"),
        ("resource", "https://rs.example/other", "invalid_target"),
        ("client_id", other_client.as_str(), "invalid_grant"),
        ("client_id", "nobody", "invalid_client"),
        ("code", "guessed", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
    ] {
        let response = post(&world, &with(&form, name, value));
        assert_eq!(error(&response), code, "{name}={value}");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    assert_eq!(world.answer(&request).status(), StatusCode::OK);
}

/// A-TOKEN-1, SEC-031
#[test]
fn a_code_is_dead_at_its_last_second() {
    for (later, ok) in [(59, true), (60, false), (61, false)] {
        let world = world();
        let (_, request) = login_until_token(&world);
        world.advance(later);
        assert_eq!(world.answer(&request).status() == StatusCode::OK, ok, "{later}");
    }
}

/// A-TOKEN-2, SEC-027, SEC-029
#[test]
fn a_second_use_ends_the_family_and_a_wrong_second_use_does_not() {
    let world = world();
    let (_, request) = login_until_token(&world);
    let first = world.answer(&request);
    let tokens = TokenResponse::from_json(first.body()).unwrap();
    assert!(is_active(&world, tokens.access_token.expose()));
    // A thief without the verifier ends nothing.
    let form = form_of(&request);
    let verifier = "x".repeat(43);
    assert_eq!(error(&post(&world, &with(&form, "code_verifier", &verifier))), "invalid_grant");
    assert_eq!(error(&post(&world, &with(&form, "client_id", "nobody"))), "invalid_client");
    assert!(is_active(&world, tokens.access_token.expose()));
    // The right request a second time does, even long after the code's own end.
    world.advance(300);
    assert_eq!(error(&world.answer(&request)), "invalid_grant");
    assert!(!is_active(&world, tokens.access_token.expose()));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh_token.as_ref().unwrap().expose()),
        ("client_id", &form.iter().find(|(name, _)| name == "client_id").unwrap().1),
    ];
    assert_eq!(error(&post(&world, &refresh)), "invalid_grant");
}

/// Every order of the moves of two that make as many each.
fn orders(moves: u32) -> impl Iterator<Item = Vec<usize>> {
    let bits = (0_u32..1 << (2 * moves)).filter(move |bits| bits.count_ones() == moves);
    bits.map(move |bits| (0..2 * moves).map(|at| usize::from(bits >> at & 1 == 1)).collect())
}

/// A-TOKEN-1, SEC-028
#[test]
fn every_interleaving_of_two_redemptions_has_one_winner() {
    // Each request looks up its client, reads the code and redeems it: four polls with one call to the store between
    // two of them.
    for order in orders(4) {
        let world = world();
        let (_, request) = login_until_token(&world);
        world.store.pause_before_calls();
        let redemption = || Box::pin(token(&world.config, &world, &request, world.now()));
        let mut redemptions = [redemption(), redemption()];
        let mut outcomes = Vec::new();
        for &who in &order {
            match redemptions[who].as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcomes.push(outcome.is_ok()),
                Poll::Pending => {}
            }
        }
        assert_eq!(outcomes, [true, false], "{order:?}");
    }
}
