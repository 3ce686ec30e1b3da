//! Servers of MCP 2025-03-26: no protected resource metadata, and perhaps no metadata at all.

use client_flow::{CallbackError, DiscoveryError, FlowError, FlowErrorKind, login};
use oauth_types::{BearerChallenge, EndpointUrl, Issuer, ResourceUri};
use serde_json::{Value, json};

use crate::world::*;

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A server without protected resource metadata, whose own origin answers the rest.
fn old_world(metadata: (u16, Value)) -> World {
    let mut world = World::new();
    world.prm.0 = 404;
    let register = world.register.clone();
    let token = world.token.clone();
    world.interfere = Box::new(move |request| {
        let uri = request.uri().to_string();
        let (status, body) = match uri.strip_prefix("https://rs.example")? {
            METADATA => &metadata,
            "/register" | "/old/register" => &register,
            "/token" | "/old/token" => &token,
            _ => return None,
        };
        Some(json_response(*status, body))
    });
    world.callback = Box::new(|url| {
        let state = query(url, "state").unwrap();
        format!("http://127.0.0.1/cb?code=the-code&state={state}")
    });
    world
}

fn own_metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://rs.example/old/authorize",
        "token_endpoint": "https://rs.example/old/token",
        "registration_endpoint": "https://rs.example/old/register",
        "code_challenge_methods_supported": ["S256"],
    })
}

#[test]
fn its_origin_publishes_the_endpoints() {
    for issuer in ["https://rs.example", "https://rs.example/"] {
        let world = old_world((200, own_metadata(issuer)));
        let session = world.login(config()).unwrap();
        let account = session.account();
        assert_eq!(account.server.issuer.as_str(), issuer);
        assert_eq!(account.server.token_endpoint.as_str(), "https://rs.example/old/token");
        // C-AUTHZ-3: the canonical address of the server itself.
        assert_eq!(account.resource.as_str(), MCP);
        assert!(!account.server.is_assumed);
        let requests = world.sent();
        assert_eq!(requests.len(), 5, "{requests:?}");
        assert!(requests[2].ends_with(METADATA));
    }
}

#[test]
fn or_has_them_at_fixed_places() {
    let world = old_world((404, Value::Null));
    let session = world.login(config()).unwrap();
    let server = &session.account().server;
    assert!(server.is_assumed && !server.iss_advertised);
    let authorize = server.authorization_endpoint.as_ref().unwrap();
    assert_eq!(authorize.as_str(), "https://rs.example/authorize");
    let sent = world.sent.borrow();
    let token = sent.last().unwrap();
    assert_eq!(token.uri().to_string(), "https://rs.example/token");
    // C-AUTHZ-1
    assert!(form_of(token, "code_verifier").is_some_and(|verifier| verifier.len() >= 43));
}

/// SEC-012
#[test]
fn no_issuer_is_believed_where_none_was_published() {
    let mut world = old_world((404, Value::Null));
    world.callback = Box::new(|url| {
        let state = query(url, "state").unwrap();
        format!("http://127.0.0.1/cb?code=c&state={state}&iss=https://rs.example")
    });
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Callback(CallbackError::Rejected(_)))
    ));
    assert_eq!(world.token_requests(), 0);
}

/// C-DISC-12, SEC-132, SEC-133
#[test]
fn a_failing_server_is_no_old_server() {
    let is_harmless = |world: &World| {
        let error = world.login(config()).unwrap_err();
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{error:?}");
        error
    };
    // Metadata that fails is not metadata that is not there.
    for status in [500, 503, 301] {
        let mut world = old_world((200, own_metadata("https://rs.example")));
        world.prm.0 = status;
        assert!(matches!(is_harmless(&world).kind(), FlowErrorKind::Status(_)));
        let world = old_world((status, Value::Null));
        assert!(matches!(is_harmless(&world).kind(), FlowErrorKind::Status(_)));
    }
    let mut world = old_world((200, own_metadata("https://rs.example")));
    for something in [json!({}), json!({"resource": 1}), json!({"resource": MCP, "a": [1, {}]})] {
        world.prm = (200, something);
        let error = world.login(config()).unwrap_err();
        let is_told = matches!(
            error.kind(),
            FlowErrorKind::Document { .. }
                | FlowErrorKind::Discovery(DiscoveryError::NoAuthorizationServer)
        );
        assert!(is_told, "{error:?}");
    }
    // At whichever place it is, and behind a redirect.
    let mut world = old_world((200, own_metadata("https://rs.example")));
    world.prm_root.0 = 502;
    assert!(matches!(is_harmless(&world).kind(), FlowErrorKind::Status(_)));
    // Fixed places are assumed where nothing is, and not where every path is a page.
    let world = old_world((200, json!("<html>")));
    assert!(matches!(is_harmless(&world).kind(), FlowErrorKind::Document { .. }));
    // C-DISC-7: the origin's metadata is its own.
    let world = old_world((200, own_metadata("https://other.example")));
    assert!(matches!(
        is_harmless(&world).kind(),
        FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. })
    ));
    // C-AUTHZ-2
    let mut no_pkce = own_metadata("https://rs.example");
    no_pkce["code_challenge_methods_supported"] = json!(null);
    assert!(matches!(
        is_harmless(&old_world((200, no_pkce))).kind(),
        FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. })
    ));
}

/// C-DISC-12
#[test]
fn a_page_is_as_good_as_no_metadata() {
    let mut world = old_world((200, own_metadata("https://rs.example")));
    world.prm = (200, json!("<!doctype html><html></html>"));
    for root in [world.prm.clone(), (404, Value::Null)] {
        world.prm_root = root;
        let session = world.login(config()).unwrap();
        assert_eq!(session.account().server.issuer.as_str(), "https://rs.example");
    }
    // A server that names its metadata, or had some before, is told what it answers.
    let session = World::new().login(config()).unwrap();
    world.sent.borrow_mut().clear();
    let error = world.drive(login(config(), MCP, None, Some(&session)).unwrap()).unwrap_err();
    assert!(matches!(
        error.kind(),
        FlowErrorKind::Discovery(DiscoveryError::NoResourceMetadata)
            | FlowErrorKind::Document { .. }
    ));
    assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn a_server_that_names_its_metadata_is_no_old_server() {
    for url in ["https://rs.example/prm", "https://elsewhere.example/prm"] {
        let challenge =
            BearerChallenge::new().with_resource_metadata(EndpointUrl::parse(url).unwrap());
        let world = old_world((200, own_metadata("https://rs.example")));
        let step = login(config(), MCP, Some(&challenge), None).unwrap();
        assert!(matches!(
            world.drive(step).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::NoResourceMetadata))
        ));
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
    }
}

#[test]
fn where_nothing_is_there_the_error_says_so() {
    let mut world = World::new();
    world.prm.0 = 404;
    let error = world.login(config()).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::NoResourceMetadata)),
        "{error:?}"
    );
}

/// C-DISC-11
#[test]
fn a_pinned_issuer_is_the_issuer_of_an_old_server_too() {
    let mut pinned = config();
    let around = |text: &str| ResourceUri::parse(text).unwrap();
    // The narrowest counts.
    pinned.pinned_issuers = vec![
        (around("https://rs.example"), Issuer::parse("https://wrong.example").unwrap()),
        (around(MCP), Issuer::parse("https://as.example").unwrap()),
    ];
    let mut world = old_world((200, own_metadata("https://rs.example")));
    world.callback = World::new().callback;
    let session = world.login(pinned).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    assert!(!world.sent().iter().any(|line| line.starts_with("POST https://rs.example")));
}

/// C-DISC-12
#[test]
fn a_server_that_had_metadata_or_is_busy_is_no_old_server() {
    let session = World::new().login(config()).unwrap();
    let world = old_world((200, own_metadata("https://rs.example")));
    let step = login(config(), MCP, None, Some(&session)).unwrap();
    assert!(matches!(
        world.drive(step).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoResourceMetadata))
    ));
    for status in [408, 425, 429] {
        let mut world = old_world((200, own_metadata("https://rs.example")));
        world.prm.0 = status;
        let error = world.login(config()).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Status(_)) && error.is_transient(),
            "{status}"
        );
    }
}

/// C-TOKEN-10
#[test]
fn an_error_does_not_repeat_the_query_of_the_address() {
    let mut world = World::new();
    world.interfere = Box::new(|_| Some(json_response(200, &json!({"resource": 1}))));
    let step = login(config(), "https://rs.example/mcp?api_key=canary", None, None).unwrap();
    let error = world.drive(step).unwrap_err();
    assert!(matches!(error.kind(), FlowErrorKind::Document { .. }));
    assert!(!error.to_string().contains("canary"), "{error}");
}
