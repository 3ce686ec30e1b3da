//! Responses as servers really write them: after something single-use is spent, the body decides.

use client_flow::{FlowErrorKind, RegistrationError};
use oauth_types::{DocumentError, MemberRule, UnixTime};
use serde_json::{Value, json};

use crate::world::*;

/// The body that a recorded input from the field has for this path.
fn recorded(file: &str, path: &str) -> (u16, Value) {
    let file: Value = serde_json::from_str(file).unwrap();
    let routes = file["routes"].as_array().unwrap();
    let route = routes.iter().find(|route| route["path"] == path).unwrap();
    let status = route["status"].as_u64().unwrap_or(200).try_into().unwrap();
    let body = if route["json"].is_null() { &route["text"] } else { &route["json"] };
    (status, body.clone())
}

macro_rules! field {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/zoo/field/", $name, ".json"))
    };
}

fn with_methods(methods: &[&str]) -> World {
    let mut world = World::new();
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(methods);
    world
}

/// C-TOKEN-4
#[test]
fn a_token_response_is_one_by_its_body() {
    let whole = json!({"access_token": "at", "token_type": "bearer", "refresh_token": "r1"});
    for status in [200, 201, 202, 203, 206, 302, 400, 500, 503] {
        let mut world = World::new();
        world.token = (status, whole.clone());
        let session = world.login(config()).unwrap();
        // A rotated refresh token is kept, whatever the status.
        world.token.1["refresh_token"] = "r2".into();
        let session = world.drive(session.refresh(&config()).unwrap()).unwrap();
        assert_eq!(session.tokens().refresh_token.as_ref().unwrap().expose(), "r2", "{status}");
        let saved = world.saved.borrow_mut().pop().unwrap();
        assert_eq!(saved.tokens.unwrap().refresh_token.unwrap().expose(), "r2", "{status}");
    }
    let mut world = World::new();
    world.token = recorded(field!("client-token-answer-201"), "/token");
    assert_eq!(world.token.0, 201);
    assert!(world.login(config()).is_ok());
}

/// C-TOKEN-4
#[test]
fn an_error_is_one_whatever_the_status_and_the_code() {
    for file in [
        field!("client-token-error-with-200"),
        r#"{"routes": [{"path": "/token",
        "status": 200, "json": {"error": "bad_verification_code"}}]}"#,
    ] {
        let mut world = World::new();
        world.token = recorded(file, "/token");
        let error = world.login(config()).unwrap_err();
        let FlowErrorKind::Refused(answer) = error.kind() else { panic!("{error:?}") };
        assert!(error.to_string().contains(answer.error.as_str()), "{error}");
        assert_eq!(world.token_requests(), 1);
    }
}

/// C-TOKEN-7
#[test]
fn a_refusal_in_words_of_the_servers_own_ends_the_grant() {
    let file: Value = serde_json::from_str(field!("client-refresh-error-with-200")).unwrap();
    let routes = file["routes"].as_array().unwrap();
    let refresh = routes.iter().find(|route| route["body_has"] == "grant_type=refresh_token");
    let dead = refresh.unwrap()["text"].clone();
    let own = |code: &str| json!({"error": code});
    for (status, body, ends) in [
        (200, dead.clone(), true),
        (400, dead.clone(), true),
        // Of a gateway in front of the token endpoint.
        (401, dead.clone(), false),
        (403, own("Forbidden"), false),
        (404, own("not_found"), false),
        (429, dead.clone(), false),
        (503, dead, false),
    ] {
        let mut world = World::new();
        world.token.1["refresh_token"] = "r1".into();
        let session = world.login(config()).unwrap();
        world.saved.borrow_mut().clear();
        world.token = (status, body);
        let error = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
        let passes = matches!(status, 429 | 503);
        assert_eq!(
            (error.ends_grant(), error.is_transient()),
            (ends, passes),
            "{status} {error:?}"
        );
        // The record forgets the refresh token, so that no run tries it again.
        let saved = world.saved.borrow_mut().pop();
        assert_eq!(saved.is_some_and(|record| record.tokens.is_none()), ends, "{status}");
    }
}

/// SEC-105
#[test]
fn a_nested_token_is_none() {
    let mut world = World::new();
    world.token = recorded(field!("client-token-nested"), "/token");
    let error = world.login(config()).unwrap_err();
    let missing = DocumentError::Member { member: "access_token", rule: MemberRule::Missing };
    assert!(
        matches!(error.kind(), FlowErrorKind::Document { error, .. } if *error == missing),
        "{error:?}"
    );
    assert!(world.saved.borrow().iter().all(|record| record.tokens.is_none()));
}

#[test]
fn a_lifetime_in_digits_is_read_and_one_in_words_is_passed_over() {
    let mut world = World::new();
    world.token = recorded(field!("client-expires-in-text"), "/token");
    let tokens = world.login(config()).unwrap().tokens().clone();
    assert_eq!(tokens.expires_at, Some(UnixTime::from_secs(NOW.as_secs() + 5250)));
    world.token.1["expires_in"] = "never".into();
    assert_eq!(world.login(config()).unwrap().tokens().expires_at, None);
}

/// C-REG-4
#[test]
fn a_registration_is_one_by_its_body() {
    for (name, file) in [
        ("empty method", field!("client-registration-empty-method")),
        ("empty texts", field!("client-registration-empty-texts")),
    ] {
        let mut world = with_methods(&["none", "client_secret_basic", "client_secret_post"]);
        world.register = recorded(file, "/register");
        world.login(config()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for status in [200, 201, 202] {
        let mut world = World::new();
        world.register.0 = status;
        assert!(world.login(config()).is_ok(), "{status}");
    }
    let mut world = World::new();
    world.register = recorded(field!("client-registration-number-id"), "/register");
    let error = world.login(config()).unwrap_err().to_string();
    assert!(error.contains("`client_id` is a number; it has to be a text"), "{error}");
    // An error counts whatever the status.
    world.register = (200, json!({"error": "invalid_redirect_uri", "client_id": "c"}));
    let error = world.login(config()).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Registration(RegistrationError::Rejected { .. })),
        "{error:?}"
    );
}

#[test]
fn the_client_ignores_bad_endpoints_that_it_never_calls() {
    let mut world = World::new();
    let internal = "http://keycloak.internal:8080/x";
    for unused in ["introspection_endpoint", "revocation_endpoint", "jwks_uri"] {
        world.metadata.1[unused] = internal.into();
    }
    assert!(world.login(config()).is_ok());
    world.metadata.1["token_endpoint"] = internal.into();
    let error = world.login(config()).unwrap_err().to_string();
    let rule = "`token_endpoint` is http on a host that is not loopback, where https is required";
    assert!(error.contains(rule), "{error}");
}
