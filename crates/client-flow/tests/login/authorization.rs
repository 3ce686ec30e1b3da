//! Authorization, tokens, and what is kept.

use std::cell::RefCell;

use client_flow::{CallbackError, DiscoveryError, FlowError, FlowErrorKind, Session, login};
use http::HeaderValue;
use http::header::LOCATION;
use iss_validate::Rejection;
use oauth_types::{BearerChallenge, CodeChallenge, CodeVerifier, ScopeSet, UnixTime};
use serde_json::{Value, json};

use crate::world::*;

#[test]
fn a_cold_login_sends_four_requests_and_saves_before_use() {
    let world = World::new();
    let session = world.login(config()).unwrap();
    assert_eq!(
        world.sent(),
        [
            "GET https://rs.example/.well-known/oauth-protected-resource/mcp",
            "GET https://as.example/.well-known/oauth-authorization-server",
            "POST https://as.example/register",
            "POST https://as.example/token",
        ]
    );
    // C-TOKEN-6: first the registration, then the tokens.
    let saved = world.saved.borrow();
    assert_eq!(
        saved.iter().map(|record| record.tokens.is_some()).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(session.tokens().expires_at, Some(UnixTime::from_secs(1_000_600)));
}

/// C-AUTHZ-1, C-AUTHZ-3
#[test]
fn the_request_carries_pkce_and_the_resource() {
    let mut world = World::new();
    let seen = std::rc::Rc::new(RefCell::new(String::new()));
    let (log, answer) = (seen.clone(), World::new().callback);
    world.callback = Box::new(move |url| {
        *log.borrow_mut() = url.to_owned();
        answer(url)
    });
    world.login(config()).unwrap();
    let url = seen.borrow();
    assert_eq!(query(&url, "resource").as_deref(), Some(MCP));
    assert_eq!(query(&url, "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(query(&url, "scope"), None);
    let verifier = CodeVerifier::parse(&world.token_form("code_verifier").unwrap()).unwrap();
    let challenge = CodeChallenge::parse(&query(&url, "code_challenge").unwrap()).unwrap();
    assert!(challenge.matches(&verifier));
    assert_ne!(query(&url, "state").as_deref(), world.token_form("code_verifier").as_deref());
    assert_eq!(world.token_form("code").as_deref(), Some("the-code"));
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
}

/// C-AUTHZ-2, SEC-045
#[test]
fn no_browser_without_s256() {
    for methods in [Value::Null, json!(["plain"]), json!([])] {
        let mut world = World::new();
        world.metadata.1["code_challenge_methods_supported"] = methods;
        world.callback = Box::new(|_| unreachable!("no browser"));
        assert!(matches!(
            world.login(config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. }))
        ));
    }
}

/// C-ISS-6, C-AUTHZ-5, SEC-001, SEC-011, SEC-018
#[test]
fn a_callback_that_is_not_ours_sends_no_token_request() {
    for (callback, rejection) in [
        ("code=c&state=STATE&iss=https://evil.example", Rejection::IssuerMismatch),
        (
            "error=call+555&error_description=CANARY&state=STATE&iss=https://evil.example",
            Rejection::IssuerMismatch,
        ),
        ("code=c&state=STATE", Rejection::IssuerMissing),
        ("code=c&state=x&iss=https://as.example", Rejection::StateMismatch),
        ("code=c&iss=https://as.example", Rejection::StateMismatch),
        ("code=c&code=d&state=STATE&iss=https://as.example", Rejection::Repeated("code")),
    ] {
        let mut world = World::new();
        world.callback = Box::new(|url| {
            callback.replace("STATE", &query(url, "state").unwrap()).replacen(
                "",
                "http://127.0.0.1/cb?",
                1,
            )
        });
        let error = world.login(config()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        match error.kind() {
            FlowErrorKind::Callback(CallbackError::Rejected(rejected)) => {
                assert_eq!(*rejected, rejection);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.token_requests(), 0, "{callback}");
    }
}

/// C-AUTHZ-8
#[test]
fn an_openid_provider_is_told_to_ask_for_offline_access() {
    for (openid, lists_offline, prompts) in
        [(true, true, true), (true, false, false), (false, true, false)]
    {
        let mut world = World::new();
        world.prm.1["scopes_supported"] = json!(["a"]);
        if lists_offline {
            world.metadata.1["scopes_supported"] = json!(["offline_access"]);
        }
        if openid {
            world.metadata.1["subject_types_supported"] = json!(["public"]);
        }
        let step = login(config(), MCP, None, None).unwrap();
        let visit = world.until_user(step).unwrap().unwrap();
        let prompt = query(visit.url(), "prompt");
        assert_eq!(prompt.as_deref(), prompts.then_some("consent"), "{openid} {lists_offline}");
    }
}

/// C-TOKEN-1, SEC-104
#[test]
fn a_redirect_of_the_token_endpoint_ends_the_flow() {
    for status in [301, 302, 303, 307, 308] {
        let mut world = World::new();
        world.interfere = Box::new(move |request| {
            (request.uri().path() == "/token").then(|| {
                let mut response = json_response(status, &json!({}));
                let elsewhere = HeaderValue::from_static("https://evil.example/token");
                response.headers_mut().insert(LOCATION, elsewhere);
                response
            })
        });
        assert!(
            matches!(
                world.login(config()).as_ref().map_err(FlowError::kind),
                Err(FlowErrorKind::Status(_))
            ),
            "{status}"
        );
        assert!(!world.sent().iter().any(|line| line.contains("evil")), "{status}");
        assert_eq!(world.token_requests(), 1);
    }
}

/// A session whose login asked for these scopes.
fn session_for(world: &World, scope: ScopeSet) -> Session {
    let challenge = BearerChallenge::new().with_scope(scope);
    world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap()
}

/// C-SCOPE-4, SEC-162
#[test]
fn a_login_asks_again_for_what_was_asked_for_and_granted_before() {
    let mut world = World::new();
    world.token.1["scope"] = "a b2".into();
    let before = session_for(&world, ScopeSet::parse("a b").unwrap());
    let challenge = BearerChallenge::new().with_scope(ScopeSet::parse("c a").unwrap());
    let after = login(config(), MCP, Some(&challenge), Some(&before)).unwrap();
    let after = world.drive(after).unwrap();
    assert_eq!(after.tokens().requested.as_ref().unwrap().as_str(), "a b b2 c");
}

/// C-SCOPE-1, C-SCOPE-2, C-SCOPE-3, C-TOKEN-5, SEC-106, SEC-212
#[test]
fn which_scopes_are_asked_for() {
    let set = |text: &str| ScopeSet::parse(text).unwrap();
    for (challenged, listed, held, server_lists, expected) in [
        (Some("r"), Some(json!(["a", "b"])), None, json!(null), Some("r")),
        (None, Some(json!(["a", "b"])), None, json!(null), Some("a b")),
        (None, None, None, json!(null), None),
        (None, None, None, json!(["x"]), None),
        (Some("r"), None, None, json!(["offline_access"]), Some("r offline_access")),
        (Some("c"), None, Some("a b"), json!(null), Some("a b c")),
    ] {
        let mut world = World::new();
        world.prm.1["scopes_supported"] = listed.unwrap_or_default();
        world.metadata.1["scopes_supported"] = server_lists;
        let challenge = BearerChallenge::new().with_scope(challenged.map(set));
        let held = held.map(|held| session_for(&world, set(held)));
        let step = login(config(), MCP, Some(&challenge), held.as_ref()).unwrap();
        let session = world.drive(step).unwrap();
        // C-TOKEN-5, SEC-106: the answer omits scope, so what was requested is granted.
        let granted = session.tokens().granted.as_ref().map(ScopeSet::as_str);
        assert_eq!(granted, expected);
    }
}

/// C-TOKEN-4, SEC-105
#[test]
fn what_the_token_endpoint_refuses_or_garbles() {
    for (status, body) in [
        (400, json!({"error": "invalid_grant"})),
        (200, json!({"error": "invalid_grant", "access_token": "x", "token_type": "bearer"})),
    ] {
        let mut world = World::new();
        world.token = (status, body);
        assert!(matches!(
            world.login(config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Refused(_))
        ));
        // Never a second post of the same code.
        assert_eq!(world.token_requests(), 1);
    }
    for (status, body) in
        [(200, json!("<html>")), (200, json!({"access_token": "x"})), (307, json!({}))]
    {
        let mut world = World::new();
        world.token = (status, body);
        let error = world.login(config()).unwrap_err();
        assert!(matches!(error.kind(), FlowErrorKind::Document { .. } | FlowErrorKind::Status(_)));
    }
}

/// C-TOKEN-6, SEC-185
#[test]
fn refresh_keeps_the_old_token_or_takes_the_new_one() {
    let mut world = World::new();
    world.token.1["refresh_token"] = "r1".into();
    world.token.1["scope"] = "a".into();
    let session = world.login(config()).unwrap();
    world
        .token
        .1
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name != "refresh_token" && name != "scope");
    let session = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(session.tokens().refresh_token.as_ref().unwrap().expose(), "r1");
    assert_eq!(session.tokens().granted.as_ref().unwrap().as_str(), "a");
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("r1"));
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
    world.token.1["refresh_token"] = "r2".into();
    let session = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(session.tokens().refresh_token.as_ref().unwrap().expose(), "r2");
}

/// C-TOKEN-9
#[test]
fn the_token_goes_to_its_origin_only() {
    let session = World::new().login(config()).unwrap();
    assert_eq!(session.authorization("https://rs.example/other").unwrap(), "Bearer at");
    assert!(session.authorization("https://rs.example/other").unwrap().is_sensitive());
    for url in
        ["https://evil.example/mcp", "http://rs.example/mcp", "https://rs.example:8443/mcp", "x"]
    {
        assert!(session.authorization(url).is_none(), "{url}");
    }
}

/// C-TOKEN-10, SEC-192
#[test]
fn nothing_prints_a_token() {
    let mut world = World::new();
    world.token.1 =
        json!({"access_token": "canary", "refresh_token": "canary", "token_type": "bearer"});
    let session = world.login(config()).unwrap();
    assert!(!format!("{session:?} {:?}", session.to_record()).contains("canary"));
    let step = session.refresh(&config()).unwrap();
    assert!(!format!("{step:?}").contains("canary"));
}

#[test]
fn a_token_is_refreshed_at_most_a_quarter_of_its_life_ahead() {
    for (lifetime, stale_after) in [(600, 570), (120, 90), (60, 45), (4, 3), (1, 1), (0, 0)] {
        let mut world = World::new();
        world.token.1["refresh_token"] = json!("r");
        world.token.1["expires_in"] = json!(lifetime);
        let session = world.login(config()).unwrap();
        let is_stale = |after| session.is_stale(UnixTime::from_secs(NOW.as_secs() + after));
        assert!(is_stale(stale_after), "{lifetime}");
        assert!(stale_after == 0 || !is_stale(stale_after - 1), "{lifetime}");
        let ended = UnixTime::from_secs(NOW.as_secs() + lifetime);
        assert!(session.has_expired(ended), "{lifetime}");
    }
}
