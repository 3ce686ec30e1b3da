//! Discovery: protected resource metadata (RFC 9728), then the authorization server's (RFC 8414).

use client_flow::{
    DiscoveryError, FlowError, FlowErrorKind, FlowStage, Step, TransportError, TransportErrorKind,
    login,
};
use oauth_types::{BearerChallenge, EndpointUrl};
use serde_json::{Value, json};

use crate::world::*;

/// C-DISC-1
#[test]
fn the_challenge_names_the_metadata_on_its_own_origin_only() {
    let challenge =
        |url| BearerChallenge::new().with_resource_metadata(EndpointUrl::parse(url).unwrap());
    for (url, first) in [
        ("https://rs.example/prm", "GET https://rs.example/prm"),
        (
            "https://evil.example/prm",
            "GET https://rs.example/.well-known/oauth-protected-resource/mcp",
        ),
    ] {
        let world = World::new();
        world.drive(login(config(), MCP, Some(&challenge(url)), None).unwrap()).unwrap();
        assert_eq!(world.sent()[0], first);
    }
}

/// SEC-130
#[test]
fn metadata_on_another_origin_is_not_even_asked_for() {
    for elsewhere in
        ["https://evil.example/prm", "https://rs.example:8443/prm", "http://127.0.0.1/prm"]
    {
        let challenge =
            BearerChallenge::new().with_resource_metadata(EndpointUrl::parse(elsewhere).unwrap());
        let world = World::new();
        world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap();
        assert!(!world.sent().iter().any(|line| line.contains(elsewhere)), "{elsewhere}");
    }
}

/// C-DISC-12
#[test]
fn a_place_without_metadata_leads_to_the_next_of_the_issuer() {
    let large = "x".repeat(200_000);
    for (status, body) in [
        (200, json!("<!doctype html><html></html>")),
        (200, json!(large)),
        (200, json!({"status": "ok"})),
        (200, json!([])),
        (301, Value::Null),
        (401, Value::Null),
        (500, json!("Internal Server Error")),
        (429, Value::Null),
    ] {
        let mut world = World::new();
        (world.prm, world.prm_root) = ((status, body.clone()), World::new().prm);
        (world.metadata, world.openid) = ((status, body), World::new().metadata);
        let session = world.login(config()).unwrap();
        assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    }
}

/// C-DISC-2
#[test]
fn then_the_path_then_the_root() {
    let mut world = World::new();
    let resource =
        json!({"resource": "https://rs.example", "authorization_servers": ["https://as.example"]});
    (world.prm, world.prm_root) = ((404, json!({})), (200, resource));
    let session = world.login(config()).unwrap();
    // C-AUTHZ-3: the published bytes, with no slash added.
    assert_eq!(session.account().resource.as_str(), "https://rs.example");
    assert_eq!(world.token_form("resource").unwrap(), "https://rs.example");
    world.prm_root.0 = 404;
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoResourceMetadata))
    ));
}

/// C-DISC-4, SEC-131: no authorization server is asked.
#[test]
fn metadata_of_another_resource_is_refused_at_once() {
    for resource in
        ["https://evil.example/mcp", "https://rs.example/mcp2", "https://rs.example/mcp?x"]
    {
        let mut world = World::new();
        world.prm.1["resource"] = resource.into();
        assert!(matches!(
            world.login(config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::ResourceMismatch { .. }))
        ));
        assert_eq!(world.sent().len(), 1, "{resource}");
    }
}

/// C-DISC-7, SEC-014
#[test]
fn metadata_of_another_issuer_is_unusable() {
    for issuer in ["https://honest.example", "https://as.example/", "https://AS.example"] {
        let mut world = World::new();
        world.metadata.1["issuer"] = issuer.into();
        let error = world.login(config()).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. })),
            "{issuer}"
        );
        // Both are named, so that the operator can correct one, or the host pin the other.
        let told = error.to_string();
        assert!(told.contains(&format!("of https://as.example names another issuer, {issuer} ")));
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{issuer}");
        // The next place may have the right one.
        world.openid = (200, metadata("https://as.example"));
        assert!(world.login(config()).is_ok());
    }
}

/// C-DISC-9, SEC-139
#[test]
fn the_host_chooses_among_several_servers() {
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["https://evil.example", "https://as.example"]);
    let session = world.login(config()).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    world.prm.1["authorization_servers"] = json!([]);
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoAuthorizationServer))
    ));
}

/// C-DISC-10, C-DISC-12, SEC-132, SEC-133
#[test]
fn a_failing_server_ends_the_flow() {
    type Break = fn(&mut World);
    let breaks: [(Break, FlowStage); 6] = [
        (|world| world.prm.0 = 500, FlowStage::ResourceMetadata),
        (|world| world.prm = (200, json!({})), FlowStage::ResourceMetadata),
        (|world| world.prm = (302, json!({})), FlowStage::ResourceMetadata),
        (|world| world.metadata.0 = 503, FlowStage::ServerMetadata),
        (|world| world.metadata = (200, "{\"issuer\":[]}".into()), FlowStage::ServerMetadata),
        (|world| world.metadata = (200, json!([])), FlowStage::ServerMetadata),
    ];
    for (break_it, expected) in breaks {
        let mut world = World::new();
        break_it(&mut world);
        let error = world.login(config()).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Status(_) | FlowErrorKind::Document { .. }),
            "{error:?}"
        );
        assert_eq!(error.stage(), expected);
        assert!(error.to_string().starts_with(&expected.to_string()), "{error}");
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
    }
}

/// C-AUTHZ-7, SEC-128, SEC-134
#[test]
fn endpoints_lead_nowhere_else() {
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        for bad in [
            "http://as.example/x",
            "javascript:alert(1)",
            "http://localhost/x",
            "https://127.0.0.1/x",
            "https://192.168.0.1/x",
            "https://169.254.169.254/x",
        ] {
            let mut world = World::new();
            world.metadata.1[member] = bad.into();
            let error = world.login(config()).unwrap_err();
            let expected = matches!(
                error.kind(),
                FlowErrorKind::Document { .. }
                    | FlowErrorKind::Discovery(DiscoveryError::LeadsToLocalAddress { .. })
            );
            assert!(expected, "{member} {bad} {error:?}");
            assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
        }
    }
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["http://127.0.0.1:9"]);
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::LeadsToLocalAddress { .. }))
    ));
    assert!(matches!(
        login(config(), "http://rs.example", None, None).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::ServerUrl(_))
    ));
}

/// C-AUTHZ-7, SEC-136
#[test]
fn the_host_may_allow_local_addresses() {
    let mut world = World::new();
    world.metadata.1["token_endpoint"] = json!("https://10.0.0.1/token");
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::LeadsToLocalAddress { .. }))
    ));
    let mut trusting = config();
    trusting.allows_local_addresses = true;
    world.interfere = Box::new(|request| {
        let is_local = request.uri().host() == Some("10.0.0.1");
        is_local.then(|| json_response(200, &json!({"access_token": "t", "token_type": "Bearer"})))
    });
    assert!(world.login(trusting).is_ok());
}

#[test]
fn a_failing_network_names_the_request() {
    let Step::SendRequest(exchange) = login(config(), MCP, None, None).unwrap() else { panic!() };
    let socket = std::io::Error::new(std::io::ErrorKind::TimedOut, "the socket's own words");
    let error = exchange.resume(Err(TransportError::from(socket)), NOW).unwrap_err();
    let FlowErrorKind::Transport(failure) = error.kind() else { panic!("{error:?}") };
    assert_eq!(failure.kind(), TransportErrorKind::Timeout);
    let text = error.to_string();
    assert!(
        text.starts_with("protected resource metadata: no complete response came in time"),
        "{text}"
    );
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("the socket's own words"), "once, and in full");
}
