//! Redemption of authorization codes (RFC 6749 §4.1.3): wrong requests, replays, races.

use crate::*;
use authorization_server::Store as _;
use bytes::Bytes;
use http::{Request, StatusCode};
use oauth_types::{FormPairs, TokenResponse};
use tests::world::now_or_never;

fn form_of(request: &Request<Bytes>) -> Vec<(String, String)> {
    let form = FormPairs::parse(request.body()).unwrap();
    form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The form with one parameter changed.
fn with<'a>(form: &'a [(String, String)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let change = |(own, old): &'a (String, String)| (&**own, if own == name { value } else { old });
    form.iter().map(change).collect()
}

#[test]
fn a_token_1_a_token_3_sec_030_sec_032_sec_034_sec_041_sec_044_a_wrong_request_leaves_the_code_unused()
 {
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

#[test]
fn a_token_1_sec_031_a_code_is_dead_at_its_last_second() {
    for (later, ok) in [(59, true), (60, false), (61, false)] {
        let world = world();
        let (_, request) = login_until_token(&world);
        world.advance(later);
        assert_eq!(world.answer(&request).status() == StatusCode::OK, ok, "{later}");
    }
}

#[test]
fn a_token_2_sec_027_sec_029_a_second_use_ends_the_family_and_a_wrong_second_use_does_not() {
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

#[test]
fn a_token_1_sec_028_every_interleaving_of_two_redemptions_has_one_winner() {
    use authorization_server::{Admitted, ClientChecked, Redeem, TokenRequest};
    // Each redemption reads the code, then redeems it: all six orders of the four moves.
    for order in
        [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]]
    {
        let world = world();
        let (_, request) = login_until_token(&world);
        let mut redeems: [Option<Redeem<'_>>; 2] = [None, None];
        let mut statuses = Vec::new();
        for who in order {
            match redeems[who].take() {
                None => {
                    let parsed = TokenRequest::parse(&world.config, &request).unwrap();
                    let client = now_or_never(world.store.read_client(parsed.client_id())).unwrap();
                    let checked = parsed.with_client(client.as_ref(), world.now()).unwrap();
                    let ClientChecked::Done(Admitted::Code(grant)) = checked else {
                        panic!("a code of a client that signs nothing")
                    };
                    let code = now_or_never(world.store.read_code(grant.digest())).unwrap();
                    let checked = grant.with_code(code, world.now()).unwrap();
                    let checked = checked.first_use(&world.store, world.now());
                    let issuable = now_or_never(checked).unwrap();
                    let redeem = issuable.draw(&world.entropy(), world.entropy(), world.now());
                    redeems[who] = Some(redeem);
                }
                Some(redeem) => {
                    let family = redeem.family().clone();
                    let outcome = world.store.redeem(redeem.digest(), family, world.now());
                    let outcome = now_or_never(outcome);
                    let response = redeem.finish(outcome);
                    statuses.push(response.is_ok());
                }
            }
        }
        assert_eq!(statuses, [true, false], "{order:?}");
    }
}
