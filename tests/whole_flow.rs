//! Whole protocols in memory: the main job, and every wrong input met on the way.

#![cfg(test)]

use std::cell::Cell;

use authorization_server::Store as _;
use bytes::Bytes;
use client_flow::{FlowError, Record, Session, Step, login};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use iss_validate::Rejection;
use oauth_types::{FormPairs, FormWriter, TokenResponse};
use serde_json::Value;
use tests::faulty::Fault;
use tests::world::{Client, MCP, REDIRECT, World, client_config, now_or_never};

fn world() -> World {
    World::new().unwrap()
}

fn query(url: &str, name: &'static str) -> Option<String> {
    let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
    form.value(name).unwrap().map(str::to_owned)
}

/// A POST of a form to the token endpoint.
fn post(world: &World, pairs: &[(&str, &str)]) -> Response<Bytes> {
    let mut form = FormWriter::new();
    for (name, value) in pairs {
        form.append(name, value);
    }
    let mut request = Request::new(Bytes::from(form.finish()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "https://as.example/token".parse().unwrap();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, form);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    world.answer(&request)
}

fn error(response: &Response<Bytes>) -> String {
    let json: Value = serde_json::from_slice(response.body()).unwrap();
    json["error"].as_str().unwrap_or_default().to_owned()
}

/// A login up to the callback: its authorization URL, and the token request that would follow.
fn login_until_token(world: &World) -> (String, Request<Bytes>) {
    let mut step = login(client_config(), MCP, None, None).unwrap();
    let mut url = String::new();
    loop {
        step = match step {
            Step::Exchange(exchange) if exchange.request().uri().path() == "/token" => {
                return (url, exchange.request().clone());
            }
            Step::Visit(visit) => {
                visit.url().clone_into(&mut url);
                let callback = world.authorize(&url).unwrap();
                visit.resume(iss_validate::Callback::from_url(&callback), world.now()).unwrap()
            }
            Step::Exchange(exchange) => {
                let response = world.answer(exchange.request());
                exchange.resume(Ok(response), world.now()).unwrap()
            }
            Step::Recall(recall) => recall.resume(None, world.now()).unwrap(),
            Step::Randomize(draw) => {
                draw.resume(world.entropy(), world.entropy(), world.now()).unwrap()
            }
            Step::Identify(_) => panic!("a user stands behind this client"),
            Step::Save(save) => save.saved().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn form_of(request: &Request<Bytes>) -> Vec<(String, String)> {
    let form = FormPairs::parse(request.body()).unwrap();
    form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The form with one parameter changed.
fn with<'a>(form: &'a [(String, String)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let change = |(own, old): &'a (String, String)| (&**own, if own == name { value } else { old });
    form.iter().map(change).collect()
}

fn is_active(world: &World, token: &str) -> bool {
    let digest = oauth_types::SecretDigest::of(token);
    now_or_never(world.store.access(&digest, world.now())).unwrap().is_some()
}

#[test]
fn the_main_job_runs_in_memory_with_the_fewest_requests() {
    let (world, mut client) = (world(), Client::default());
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read"));
    assert_eq!(
        world.log(),
        [
            "POST /mcp",
            "GET /.well-known/oauth-protected-resource/mcp",
            "GET /.well-known/oauth-authorization-server",
            "POST /register",
            "POST /token",
            "POST /mcp",
        ]
    );
    assert_eq!(world.call(&mut client, "write-file").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read files:write"));
    // One refusal, one token request, one success; a warm call after that adds nothing.
    assert_eq!(world.log()[6..], ["POST /mcp", "POST /token", "POST /mcp"]);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.log().len(), 10);
}

#[test]
fn c_token_7_sec_183_an_expired_token_is_refreshed_and_a_dead_family_logs_in_again() {
    let (world, mut client) = (world(), Client::default());
    world.call(&mut client, "list-files").unwrap();
    world.advance(601);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.count("/token"), 2);
    assert_eq!(world.count("/register"), 1);
    // A refresh token that the server refuses is tried once; then the user is asked, for all that was held.
    world.advance(200 * 24 * 60 * 60);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.count("/token"), 4);
    assert_eq!(World::granted(&client), Some("files:read"));
}

#[test]
fn an_unknown_tool_needs_everything() {
    let (world, mut client) = (world(), Client::default());
    assert_eq!(world.call(&mut client, "unknown-tool").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read files:write"));
}

#[test]
fn a_authz_1_a_authz_2_sec_061_sec_062_unknown_clients_and_foreign_redirects_are_pages() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let client_id = query(&url, "client_id").unwrap();
    for (from, to) in [
        (client_id.as_str(), "somebody-else"),
        ("127.0.0.1%2Fcallback", "evil.example%2Fcb"),
        ("%2Fcallback", "%2Fcallback2"),
    ] {
        let wrong = url.replace(from, to).replace("S256", "plain");
        assert_ne!(wrong, url);
        assert_eq!(world.authorize(&wrong), Err(StatusCode::BAD_REQUEST), "{to}");
    }
    assert_eq!(world.authorize("https://as.example/authorize"), Err(StatusCode::BAD_REQUEST));
}

#[test]
fn a_authz_3_a_authz_6_sec_037_sec_038_sec_039_sec_097_later_errors_redirect_with_state_and_iss() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let state = query(&url, "state").unwrap();
    let challenge = query(&url, "code_challenge").unwrap();
    for (from, to, code) in [
        ("code_challenge_method=S256", "code_challenge_method=plain", "invalid_request"),
        ("code_challenge_method=S256", "code_challenge_method=s256", "invalid_request"),
        ("&code_challenge_method=S256", "", "invalid_request"),
        (&format!("&code_challenge={challenge}"), "", "invalid_request"),
        (&challenge, "short", "invalid_request"),
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("response_type=code", "response_type=", "invalid_request"),
        ("response_type=code", "response_type=code&response_type=code", "invalid_request"),
        (
            "resource=https%3A%2F%2Frs.example%2Fmcp",
            "resource=https%3A%2F%2Fother.example",
            "invalid_target",
        ),
        ("resource=https%3A%2F%2Frs.example%2Fmcp", "resource=relative", "invalid_target"),
        ("response_type=code", "response_type=code&scope=unknown", "invalid_scope"),
        ("response_type=code", "response_type=code&scope=a%22b", "invalid_scope"),
    ] {
        let wrong = url.replace(from, to);
        assert_ne!(wrong, url, "{from}");
        let location = world.authorize(&wrong).unwrap();
        assert!(location.starts_with(REDIRECT), "{location}");
        assert_eq!(query(&location, "error").as_deref(), Some(code), "{to}");
        assert_eq!(query(&location, "state").as_deref(), Some(state.as_str()));
        assert_eq!(query(&location, "iss").as_deref(), Some("https://as.example"));
        assert_eq!(query(&location, "code"), None);
    }
}

#[test]
fn a_authz_7_a_state_that_is_there_twice_is_not_sent_back() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let location = world.authorize(&format!("{url}&state=other")).unwrap();
    assert_eq!(query(&location, "error").as_deref(), Some("invalid_request"));
    assert_eq!(query(&location, "state"), None);
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
                    let issuable = grant.with_code(code, world.now()).unwrap();
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

fn refresh_form<'a>(session: &'a Session, token: &'a str) -> [(&'a str, &'a str); 3] {
    let client_id = session.account().client.client_id().as_str();
    [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)]
}

/// A session with a refresh token.
fn logged_in(world: &World) -> (Session, String) {
    let mut client = Client::default();
    world.call(&mut client, "list-files").unwrap();
    let session = client.session.unwrap();
    let token = session.tokens().refresh_token.as_ref().unwrap().expose().to_owned();
    (session, token)
}

fn refresh_token(response: &Response<Bytes>) -> String {
    let tokens = TokenResponse::from_json(response.body()).unwrap();
    tokens.refresh_token.unwrap().expose().to_owned()
}

#[test]
fn a_token_4_sec_171_sec_172_a_lost_answer_is_given_again_within_the_grace_window() {
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

#[test]
fn a_token_4_sec_173_an_older_generation_ends_the_family() {
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

#[test]
fn a_token_4_sec_170_sec_175_a_stranger_or_a_forgery_ends_nothing() {
    let world = world();
    let (session, token) = logged_in(&world);
    let (other, _) = logged_in(&world);
    assert_eq!(error(&post(&world, &refresh_form(&other, &token))), "invalid_grant");
    let mut forged = token.clone();
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    assert_eq!(error(&post(&world, &refresh_form(&session, &forged))), "invalid_grant");
    assert_eq!(post(&world, &refresh_form(&session, &token)).status(), StatusCode::OK);
}

#[test]
fn a_token_5_sec_167_sec_168_sec_169_a_refresh_narrows_and_never_widens() {
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

#[test]
fn a_token_4_sec_176_a_family_ends_when_idle_and_in_any_case() {
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

#[test]
fn sec_202_a_failing_store_issues_nothing_and_a_retry_is_safe() {
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
fn c_iss_1_c_authz_5_sec_001_sec_018_a_forged_callback_sends_nothing() {
    for (change, rejection) in [
        (
            ("iss=https%3A%2F%2Fas.example", "iss=https%3A%2F%2Fevil.example"),
            Rejection::IssuerMismatch,
        ),
        (("&iss=https%3A%2F%2Fas.example", ""), Rejection::IssuerMissing),
        (("state=", "stat="), Rejection::StateMismatch),
    ] {
        let world = world();
        let step = login(client_config(), MCP, None, None).unwrap();
        let forge = |url: &str| world.authorize(url).unwrap().replace(change.0, change.1);
        match world.drive(step, &forge) {
            Err(FlowError::Callback(rejected)) => assert_eq!(rejected, rejection),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.count("/token"), 0);
    }
}

#[test]
fn a_client_without_state_is_served_because_state_is_its_own_business() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let state = query(&url, "state").unwrap();
    let location = world.authorize(&url.replace(&format!("&state={state}"), "")).unwrap();
    assert!(query(&location, "code").is_some() && query(&location, "state").is_none());
}

#[test]
fn a_sweep_takes_what_has_expired_and_leaves_what_recognizes_reuse() {
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

/// A login of a client that keeps one record; what the browser comes back with, if it does, is `browse`'s to say.
fn run(
    world: &World,
    kept: &mut Option<Record>,
    browse: &dyn Fn(&str) -> Option<String>,
) -> Option<Session> {
    let mut step = login(client_config(), MCP, None, None).unwrap();
    loop {
        step = match step {
            Step::Recall(recall) => recall.resume(kept.clone(), world.now()).unwrap(),
            Step::Save(save) => {
                *kept = Some(save.record().clone());
                save.saved().unwrap()
            }
            Step::Exchange(exchange) => {
                let response = world.answer(exchange.request());
                exchange.resume(Ok(response), world.now()).unwrap()
            }
            Step::Randomize(draw) => {
                draw.resume(world.entropy(), world.entropy(), world.now()).unwrap()
            }
            Step::Visit(visit) => {
                let callback = browse(visit.url())?;
                visit.resume(iss_validate::Callback::from_url(&callback), world.now()).unwrap()
            }
            Step::Ready(session) => return Some(*session),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_user_who_closed_the_consent_page_logs_in_a_week_later() {
    let world = world();
    let mut kept = None;
    assert!(run(&world, &mut kept, &|_| None).is_none());
    // The server sweeps clients that nobody has logged in with for a day.
    world.advance(7 * 24 * 60 * 60);
    assert!(now_or_never(world.store.sweep(world.now(), 100)).unwrap() > 0);
    let agrees = |url: &str| Some(world.authorize(url).unwrap());
    assert!(run(&world, &mut kept, &agrees).is_some());
    assert_eq!(world.count("/register"), 2);
    // The registration that worked is used again, however much later.
    kept.as_mut().unwrap().tokens = None;
    world.advance(7 * 24 * 60 * 60);
    now_or_never(world.store.sweep(world.now(), 100)).unwrap();
    assert!(run(&world, &mut kept, &agrees).is_some());
    assert_eq!(world.count("/register"), 2);
}

#[test]
fn a_server_that_lost_its_clients_shows_at_most_two_error_pages() {
    let world = world();
    let mut kept = None;
    assert!(run(&world, &mut kept, &|url| Some(world.authorize(url).unwrap())).is_some());
    kept.as_mut().unwrap().tokens = None;
    // Another server at the same address, which knows nobody.
    let other = self::world();
    let pages = Cell::new(0);
    let browse = |url: &str| {
        pages.set(pages.get() + 1);
        other.authorize(url).ok()
    };
    let logins = (1..=3).find(|_| run(&other, &mut kept, &browse).is_some());
    assert_eq!((logins, pages.get(), other.count("/register")), (Some(3), 3, 1));
}
