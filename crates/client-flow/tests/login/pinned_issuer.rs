//! Issuers that the host pins for a resource, whatever its metadata names.

use client_flow::{ClientConfig, DiscoveryError, FlowError, FlowErrorKind};
use oauth_types::{EndpointUrl, Issuer, ResourceUri};
use serde_json::{Value, json};

use crate::world::*;

/// C-DISC-11
#[test]
fn a_pinned_issuer_is_expected_instead_of_a_misspelt_one() {
    let mut pinned = config();
    let resource = ResourceUri::parse("https://rs.example").unwrap();
    pinned.pinned_issuers = vec![(resource, Issuer::parse("https://as.example").unwrap())];
    let mut world = World::new();
    for misspelt in ["https://as.example/", "https://AS.example"] {
        world.prm.1["authorization_servers"] = json!([misspelt]);
        assert!(matches!(
            world.login(config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. }))
                | Err(FlowErrorKind::Discovery(DiscoveryError::NoServerMetadata { .. }))
        ));
        let session = world.login(pinned.clone()).unwrap();
        assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    }
    // It is compared like any other, and it is for its own resource only.
    world.metadata.1["issuer"] = "https://as.example/".into();
    let error = world.login(pinned.clone()).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. })),
        "{error:?}"
    );
    world.metadata.1["issuer"] = "https://as.example".into();
    let elsewhere = ResourceUri::parse("https://rs.example/other").unwrap();
    pinned.pinned_issuers[0].0 = elsewhere;
    assert!(world.login(pinned).is_err());
}

/// A configuration that pins `https://as.example` for the MCP server.
fn pinned() -> ClientConfig {
    let mut pinned = config();
    let resource = ResourceUri::parse(MCP).unwrap();
    pinned.pinned_issuers = vec![(resource, Issuer::parse("https://as.example").unwrap())];
    pinned
}

/// A world whose resource names this issuer, at whose first place is the document.
fn tenant(named: &str, document: Value) -> World {
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!([named]);
    world.metadata.0 = 404;
    let issuer = Issuer::parse(named).unwrap();
    let place = oauth_types::authorization_server_urls(&issuer).unwrap()[0].to_string();
    world.interfere = Box::new(move |request| {
        (request.uri().to_string() == place).then(|| json_response(200, &document))
    });
    world
}

/// C-DISC-11: the resource says where.
#[test]
fn a_pinned_issuer_is_found_where_its_own_origin_has_it() {
    let world = tenant("https://as.example/t1", metadata("https://as.example"));
    let session = world.login(pinned()).unwrap();
    let server = &session.account().server;
    assert_eq!(server.issuer.as_str(), "https://as.example");
    let place = "https://as.example/.well-known/oauth-authorization-server/t1";
    assert_eq!(server.metadata_url.as_ref().map(EndpointUrl::as_str), Some(place));
    // A refresh that looks again finds it there too.
    let mut record = session.to_record();
    record.account.server.read_at = None;
    record.tokens.as_mut().unwrap().refresh_token = Some(oauth_types::Secret::new("rt"));
    let session = client_flow::Session::restore(record).unwrap();
    world.sent.borrow_mut().clear();
    let session = world.drive(session.refresh(&pinned()).unwrap()).unwrap();
    assert!(world.sent().contains(&format!("GET {place}")));
    assert!(session.account().server.metadata_url.is_some());
    // Without the pin, it is another issuer than the one that was asked for.
    let error = world.login(config()).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. })),
        "{error:?}"
    );
}

/// C-DISC-11, SEC-014
#[test]
fn a_resource_does_not_say_on_which_origin_a_pinned_issuer_is() {
    let mut document = metadata("https://as.example");
    document["token_endpoint"] = "https://evil.example/token".into();
    for named in [
        "https://evil.example",
        "https://evil.example/as.example",
        "https://as.example.evil.example",
        "https://as.example:8443",
        "https://login.as.example",
        "http://127.0.0.1:9",
    ] {
        let world = tenant(named, document.clone());
        let error = world.login(pinned()).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Discovery(DiscoveryError::NoServerMetadata { .. })
            ),
            "{named} {error:?}"
        );
        let own = |line: &String| {
            line.starts_with("GET https://as.example/") || line.starts_with("GET https://rs.ex")
        };
        assert!(world.sent().iter().all(own), "{named} {:?}", world.sent());
    }
}

/// C-DISC-11, SEC-014
#[test]
fn a_place_named_by_the_resource_leads_to_no_other_origin() {
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        let mut document = metadata("https://as.example");
        document[member] = "https://evil.example/steal".into();
        let at_tenant = || tenant("https://as.example/u/evil", document.clone());
        let world = at_tenant();
        let error = world.login(pinned()).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Discovery(DiscoveryError::LeadsToAnotherOrigin { .. })
            ),
            "{member} {error:?}"
        );
        assert!(error.to_string().contains("with_metadata_at"), "{error}");
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{member}");
        // A refresh that looks again sends no refresh token there.
        let honest = tenant("https://as.example/u/evil", metadata("https://as.example"));
        let mut record = honest.login(pinned()).unwrap().to_record();
        record.account.server.read_at = None;
        record.tokens.as_mut().unwrap().refresh_token = Some(oauth_types::Secret::new("rt"));
        let session = client_flow::Session::restore(record).unwrap();
        let world = at_tenant();
        let error = world.drive(session.refresh(&pinned()).unwrap()).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Discovery(DiscoveryError::LeadsToAnotherOrigin { .. })
            ),
            "{member} {error:?}"
        );
        assert!(!error.ends_grant());
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{member}");
    }
}

/// C-DISC-11, SEC-014
#[test]
fn a_tenant_does_not_replace_the_document_of_a_pinned_issuer() {
    let mut document = metadata("https://as.example");
    document["token_endpoint"] = "https://as.example/evil/token".into();
    let tenant = || tenant("https://as.example/evil", document.clone());
    let mut world = tenant();
    world.metadata.0 = 200;
    let session = world.login(pinned()).unwrap();
    let server = &session.account().server;
    assert_eq!(server.token_endpoint.as_str(), "https://as.example/token");
    assert!(!world.sent().iter().any(|line| line.contains("evil")));
    // Nor where its own place is in trouble, or has something else.
    let own = World::new().metadata.1;
    for answer in [(500, own.clone()), (429, own), (302, json!({})), (200, json!({}))] {
        let mut world = tenant();
        world.metadata = answer;
        let error = world.login(pinned()).unwrap_err();
        let expected =
            matches!(error.kind(), FlowErrorKind::Status(_) | FlowErrorKind::Document { .. });
        assert!(expected, "{error:?}");
        assert!(!world.sent().iter().any(|line| line.contains("evil")));
    }
    // The places that a resource can name are few.
    let mut world = World::new();
    world.metadata.0 = 404;
    let named: Vec<_> = (0..100).map(|nth| format!("https://as.example/{nth}")).collect();
    world.prm.1["authorization_servers"] = json!(named);
    assert!(matches!(
        world.login(pinned()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoServerMetadata { .. }))
    ));
    assert_eq!(world.sent().len(), 1 + 2 + 4 * 3);
}
