//! Registrations that a server refuses, and what they are for.

use client_flow::{FlowError, FlowErrorKind, RegistrationError, login};
#[cfg(feature = "jwt")]
use oauth_types::EndpointUrl;
use oauth_types::{BearerChallenge, ClientMetadata, RedirectUri, ScopeSet};
use serde_json::{Value, json};

use crate::world::*;

/// What was sent to the registration endpoint.
fn sent(world: &World) -> Vec<Value> {
    let sent = world.sent.borrow();
    let registrations = sent.iter().filter(|request| request.uri().path() == "/register");
    registrations.map(|request| serde_json::from_slice(request.body()).unwrap()).collect()
}

/// A server that refuses registrations like this.
fn refusing(refuses: fn(&Value) -> Option<&'static str>) -> World {
    let mut world = World::new();
    world.prm.1["scopes_supported"] = json!(["read"]);
    world.metadata.1["scopes_supported"] = json!(["read", "write"]);
    world.interfere = Box::new(move |request| {
        let is_registration = request.uri().path() == "/register";
        let body = is_registration.then(|| serde_json::from_slice(request.body()).unwrap());
        let error = body.and_then(|body: Value| refuses(&body))?;
        Some(json_response(400, &json!({ "error": error })))
    });
    world
}

/// C-REG-4
#[test]
fn a_registration_refused_for_its_scopes_is_made_without_them() {
    // better-auth takes none that it was not told of.
    let world = refusing(|body| body.get("scope").map(|_| "invalid_scope"));
    let session = world.login(config()).unwrap();
    let sent = sent(&world);
    assert_eq!(
        (sent.len(), &sent[0]["scope"], &sent[1]["scope"]),
        (2, &json!("read"), &Value::Null)
    );
    assert_eq!(sent[1]["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(session.account().registered_scope, None);
}

/// C-REG-4: the second request has nothing optional in it.
#[test]
fn a_registration_refused_for_its_metadata_omits_the_optional() {
    let world = refusing(|body| {
        let refused = ["grant_types", "application_type"].map(|name| body.get(name).is_some());
        refused.contains(&true).then_some("invalid_client_metadata")
    });
    world.login(config()).unwrap();
    let sent = sent(&world);
    let least = json!({"redirect_uris": ["http://127.0.0.1/cb"], "client_name": "Test",
        "token_endpoint_auth_method": "none"});
    assert_eq!((sent.len(), &sent[1]), (2, &least));
}

/// C-REG-4
#[test]
fn the_second_refusal_is_the_error_and_says_what_was_refused() {
    let world = refusing(|body| {
        Some(if body.get("scope").is_some() { "invalid_scope" } else { "invalid_redirect_uri" })
    });
    match world.login(config()).unwrap_err().into_kind() {
        FlowErrorKind::Registration(RegistrationError::Rejected { error, sent, .. }) => {
            assert_eq!(error.unwrap().error.as_str(), "invalid_redirect_uri");
            assert!(sent.scope.is_none() && sent.grant_types.is_some());
        }
        other => panic!("{other:?}"),
    }
    // Once, whatever the server says; and never for another reason.
    for (refuses, requests) in [
        ((|_| Some("invalid_client_metadata")) as fn(&Value) -> Option<&'static str>, 2),
        (|_| Some("invalid_scope"), 2),
        (|_| Some("invalid_redirect_uri"), 1),
        (|_| Some("temporarily_unavailable"), 1),
    ] {
        let world = refusing(refuses);
        assert!(matches!(
            world.login(config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Registration(RegistrationError::Rejected { .. }))
        ));
        assert_eq!(sent(&world).len(), requests);
    }
    // With no scope to leave out there is nothing to try.
    let mut world = refusing(|_| Some("invalid_scope"));
    world.prm.1["scopes_supported"] = json!(null);
    assert!(world.login(config()).is_err());
    assert_eq!(sent(&world).len(), 1);
}

/// C-REG-4
#[test]
fn what_the_host_registers_is_sent_as_it_is() {
    let world = refusing(|_| Some("invalid_scope"));
    let mut by_host = config();
    let mut registration =
        ClientMetadata::new(&[RedirectUri::parse("http://127.0.0.1/cb").unwrap()]);
    registration.scope = ScopeSet::parse("admin").ok();
    by_host.registration = Some(registration);
    assert!(matches!(
        world.login(by_host.clone()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Registration(RegistrationError::Rejected { .. }))
    ));
    assert_eq!(sent(&world).len(), 1);
    // Nor does a login for more than that register anew: it would be the same again.
    let mut world = World::new();
    let session = world.login(by_host.clone()).unwrap();
    assert_eq!(session.account().registered_scope, None);
    world.kept = Some(session.logged_out());
    world.prm.1["scopes_supported"] = json!(["read"]);
    world.login(by_host).unwrap();
    assert_eq!(sent(&world).len(), 1);
}

/// C-SCOPE-5
#[test]
fn more_scopes_than_registered_need_another_registration() {
    let mut world = World::new();
    world.prm.1["scopes_supported"] = json!(["read"]);
    world.metadata.1["scopes_supported"] = json!(["read", "write", "admin"]);
    let session = world.login(config()).unwrap();
    assert_eq!(session.account().registered_scope.as_ref().unwrap().as_str(), "read");
    world.kept = Some(session.to_record());
    // What it registered for is asked for as it is.
    let step_up = |scope: &str| {
        let scope = ScopeSet::parse(scope).unwrap();
        session.step_up(&config(), MCP, &BearerChallenge::default(), scope, NOW).unwrap()
    };
    world.drive(step_up("read")).unwrap();
    assert_eq!(sent(&world).len(), 1);
    world.register.1["client_id"] = json!("c2");
    let stepped = world.drive(step_up("read write")).unwrap();
    assert_eq!(stepped.account().client.client_id().as_str(), "c2");
    assert_eq!(stepped.account().registered_scope.as_ref().unwrap().as_str(), "read write");
    // So does a login that asks again for what a step-up got.
    world.kept = Some(stepped.logged_out());
    world.drive(login(config(), MCP, None, Some(&stepped)).unwrap()).unwrap();
    assert_eq!(sent(&world).len(), 2);
    // Where the server says nothing about its scopes, nothing was registered and nothing is missing.
    let mut world = World::new();
    world.prm.1["scopes_supported"] = json!(["read"]);
    let session = world.login(config()).unwrap();
    world.kept = Some(session.to_record());
    let scope = ScopeSet::parse("read write").unwrap();
    let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope, NOW).unwrap();
    world.drive(step).unwrap();
    assert_eq!(sent(&world).len(), 1);
}

#[cfg(feature = "jwt")]
fn with_key() -> client_flow::ClientConfig {
    let pem = include_str!("../../../client-auth/tests/keys/es256.pem");
    let key = client_auth::SigningKey::from_pem(oauth_types::SigningAlgorithm::Es256, pem).unwrap();
    config().with_signing_key(key.with_id("k1"))
}

/// C-EXT-1
#[cfg(feature = "jwt")]
#[test]
fn a_client_with_a_key_signs_where_the_server_says_so() {
    for (listed, preferred, offered) in [
        (json!(["none", "private_key_jwt"]), json!("none"), json!(["private_key_jwt", "none"])),
        (json!(["private_key_jwt"]), json!("private_key_jwt"), json!(["private_key_jwt"])),
        (json!(["none"]), json!("none"), json!(null)),
    ] {
        let mut world = World::new();
        world.metadata.1["token_endpoint_auth_methods_supported"] = listed;
        let may_sign = !offered.is_null();
        if may_sign {
            world.register.1["token_endpoint_auth_method"] = json!("private_key_jwt");
        }
        world.login(with_key()).unwrap();
        let sent = sent(&world);
        assert_eq!(sent[0]["token_endpoint_auth_method"], preferred);
        assert_eq!(sent[0]["token_endpoint_auth_methods_supported"], offered);
        assert_eq!(sent[0]["jwks"]["keys"][0]["kid"].as_str(), may_sign.then_some("k1"));
        assert!(!sent[0].to_string().contains("\"d\""));
        assert_eq!(world.token_form("client_assertion").is_some(), may_sign);
    }
}

/// C-REG-2
#[cfg(feature = "jwt")]
#[test]
fn a_registration_names_the_keys_and_signs_where_it_has_to() {
    let mut world = World::new();
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]);
    world.register.1["token_endpoint_auth_method"] = json!("private_key_jwt");
    let mut own = with_key();
    own.keys_url = Some(EndpointUrl::parse("https://client.example/keys.json").unwrap());
    world.login(own).unwrap();
    let sent = &sent(&world)[0];
    assert_eq!(sent["jwks_uri"], "https://client.example/keys.json");
    assert_eq!(sent["jwks"], Value::Null);
    assert!(world.token_form("client_assertion").is_some());
}

/// C-REG-2
#[cfg(feature = "jwt")]
#[test]
fn the_clients_own_document_offers_both_methods() {
    let mut own = with_key();
    assert!(own.metadata_document().unwrap().is_none());
    let url = oauth_types::ClientMetadataUrl::parse("https://client.example/meta.json").unwrap();
    own.metadata_url = Some(url.clone());
    let document: Value =
        serde_json::from_slice(&own.metadata_document().unwrap().unwrap().to_json()).unwrap();
    assert_eq!(document["client_id"], "https://client.example/meta.json");
    assert_eq!(document["token_endpoint_auth_method"], "none");
    let offered = &document["token_endpoint_auth_methods_supported"];
    assert_eq!(offered, &json!(["private_key_jwt", "none"]));
    assert_eq!(document["jwks"]["keys"][0]["kid"], "k1");
    // It signs only where public clients are not taken.
    for (listed, signs) in
        [(json!(["private_key_jwt", "none"]), false), (json!(["private_key_jwt"]), true)]
    {
        let mut world = World::new();
        world.metadata.1["client_id_metadata_document_supported"] = json!(true);
        world.metadata.1["token_endpoint_auth_methods_supported"] = listed;
        world.login(own.clone()).unwrap();
        assert_eq!(world.token_form("client_assertion").is_some(), signs);
        assert!(sent(&world).is_empty());
    }
    let mut elsewhere = own;
    elsewhere.keys_url = Some(EndpointUrl::parse("https://client.example/keys.json").unwrap());
    let document: Value =
        serde_json::from_slice(&elsewhere.metadata_document().unwrap().unwrap().to_json()).unwrap();
    assert_eq!(document["jwks_uri"], "https://client.example/keys.json");
    assert_eq!(document["jwks"], Value::Null);
    assert_eq!(document["token_endpoint_auth_methods_supported"], *offered);
    let keys: Value = serde_json::from_str(&elsewhere.key_set().unwrap()).unwrap();
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["d"]), (&json!("k1"), &Value::Null));
    let mut without = config();
    without.metadata_url = Some(url);
    let document = without.metadata_document().unwrap().unwrap().to_json();
    assert!(!String::from_utf8_lossy(&document).contains("jwks"));
}
