//! The authorization endpoint and its callback: errors as pages or redirects, and forged callbacks.

use crate::*;
use client_flow::{CallbackError, FlowError, FlowErrorKind, login};
use http::StatusCode;
use iss_validate::Rejection;
use tests::world::{MCP, REDIRECT, client_config};

/// A-AUTHZ-1, A-AUTHZ-2, SEC-061, SEC-062
#[test]
fn unknown_clients_and_foreign_redirects_are_pages() {
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

/// A-AUTHZ-3, A-AUTHZ-6, SEC-037, SEC-038, SEC-039, SEC-097
#[test]
fn later_errors_redirect_with_state_and_iss() {
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

/// A-AUTHZ-7
#[test]
fn a_state_that_is_there_twice_is_not_sent_back() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let location = world.authorize(&format!("{url}&state=other")).unwrap();
    assert_eq!(query(&location, "error").as_deref(), Some("invalid_request"));
    assert_eq!(query(&location, "state"), None);
}

/// C-ISS-1, C-AUTHZ-5, SEC-001, SEC-018
#[test]
fn a_forged_callback_sends_nothing() {
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
        match world.drive(step, &forge).map_err(FlowError::into_kind) {
            Err(FlowErrorKind::Callback(CallbackError::Rejected(rejected))) => {
                assert_eq!(rejected, rejection);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.count("/token"), 0);
    }
}

/// Its state is its own business.
#[test]
fn a_client_without_state_is_served() {
    let world = world();
    let (url, _) = login_until_token(&world);
    let state = query(&url, "state").unwrap();
    let location = world.authorize(&url.replace(&format!("&state={state}"), "")).unwrap();
    assert!(query(&location, "code").is_some() && query(&location, "state").is_none());
}
