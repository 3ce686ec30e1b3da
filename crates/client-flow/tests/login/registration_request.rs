//! Client identifiers and credentials: registration requests (RFC 7591), metadata documents, pre-registered clients.

use client_flow::{FlowError, FlowErrorKind, RegistrationError, login};
use http::{Method, StatusCode};
use oauth_types::{
    ApplicationType, BearerChallenge, ClientId, ClientMetadata, ClientMetadataUrl, Issuer,
    RedirectUri, ScopeSet,
};
use serde_json::{Value, json};

use crate::world::*;

/// C-REG-1, C-REG-3, C-REG-7
#[test]
fn registration_says_what_the_client_is() {
    let world = World::new();
    world.login(config()).unwrap();
    let sent = world.sent.borrow();
    let request = sent.iter().find(|request| request.method() == Method::POST).unwrap();
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["application_type"], "native");
    assert_eq!(body["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(body["token_endpoint_auth_method"], "none");
    assert_eq!(body["redirect_uris"], json!(["http://127.0.0.1/cb"]));
}

/// C-REG-1
#[test]
fn listed_scopes_that_may_be_asked_for_are_registered() {
    for (listed, by_resource, asked, registered) in [
        // Not all that the server has: what this resource has and what is asked for.
        (json!(["read", "write", "admin"]), json!(["read", "write"]), None, json!("read write")),
        (
            json!(["read", "write", "admin"]),
            json!(["read", "write"]),
            Some("read"),
            json!("read write"),
        ),
        (json!(["read", "admin"]), json!(["read", "write"]), Some("read"), json!("read")),
        (json!(["read", "admin"]), json!(["read"]), Some("admin"), json!("admin read")),
        (json!(["read", "offline_access"]), json!(["read"]), None, json!("read offline_access")),
        (json!(["read"]), json!(null), None, json!(null)),
        // A resource that lists nothing may ask for any of them later.
        (
            json!(["read", "write", "offline_access"]),
            json!(null),
            Some("read"),
            json!("read offline_access write"),
        ),
        // It would refuse what it does not list.
        (json!(["openid"]), json!(["read"]), None, json!(null)),
        (json!(["read"]), json!(["read"]), Some("read files"), json!(null)),
        (json!(null), json!(["read"]), None, json!(null)),
    ] {
        let mut world = World::new();
        world.prm.1["scopes_supported"] = by_resource;
        world.metadata.1["scopes_supported"] = listed;
        let scope = asked.map(|asked| ScopeSet::parse(asked).unwrap());
        let challenge = BearerChallenge::new().with_scope(scope);
        world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap();
        let sent = world.sent.borrow();
        let request = sent.iter().find(|request| request.method() == Method::POST).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["scope"], registered);
    }
}

/// C-REG-1
#[test]
fn the_method_is_the_first_that_the_server_lists() {
    for (listed, method) in [
        (json!(["client_secret_basic", "none"]), "none"),
        (json!(["client_secret_post", "client_secret_basic"]), "client_secret_post"),
        (json!(["private_key_jwt", "client_secret_basic"]), "client_secret_basic"),
    ] {
        let mut world = World::new();
        world.metadata.1["token_endpoint_auth_methods_supported"] = listed;
        world.register.1["client_secret"] = json!("s");
        world.login(config()).unwrap();
        let sent = world.sent.borrow();
        let request = sent.iter().find(|request| request.method() == Method::POST).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["token_endpoint_auth_method"], method);
    }
}

/// C-REG-1, C-REG-2
#[test]
fn a_metadata_document_is_preferred_to_registration() {
    let url = "https://client.example/meta.json";
    let mut with_document = config();
    with_document.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
    let mut world = World::new();
    world.login(with_document.clone()).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
    world.metadata.1["client_id_metadata_document_supported"] = true.into();
    world.login(with_document).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some(url));
}

/// C-REG-5, C-DISC-8
#[test]
fn credentials_of_one_issuer_are_never_shown_to_another() {
    let known = |id| client_auth::ClientCredentials::public(ClientId::parse(id).unwrap());
    let mut with_credentials = config();
    with_credentials.pre_registered = vec![
        (Issuer::parse("https://other.example").unwrap(), known("other")),
        (Issuer::parse("https://as.example").unwrap(), known("right")),
    ];
    let world = World::new();
    world.login(with_credentials.clone()).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("right"));
    with_credentials.pre_registered.pop();
    world.login(with_credentials).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
}

#[test]
fn credentials_that_need_a_key_end_the_login_before_the_browser() {
    let json = json!({"client_id": "c1", "method": "private_key_jwt"});
    let credentials: client_auth::ClientCredentials = serde_json::from_value(json).unwrap();
    let mut with_key = config();
    with_key.pre_registered = vec![(Issuer::parse("https://as.example").unwrap(), credentials)];
    let world = World::new();
    assert!(matches!(
        world.login(with_key).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Credentials(_))
    ));
    assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
}

/// C-DISC-8
#[test]
fn a_kept_registration_is_used_again() {
    let mut world = World::new();
    world.login(config()).unwrap();
    world.kept = world.saved.borrow().first().cloned();
    world.sent.borrow_mut().clear();
    world.login(config()).unwrap();
    assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
}

/// SEC-090
#[test]
fn a_method_that_the_client_cannot_use_ends_the_registration() {
    for (method, secret) in [
        ("private_key_jwt", None),
        ("private_key_jwt", Some("s")),
        ("tls_client_auth", Some("s")),
        ("client_secret_basic", None),
    ] {
        let mut world = World::new();
        world.register = (201, json!({"client_id": "c1", "token_endpoint_auth_method": method}));
        world.register.1["client_secret"] = json!(secret);
        let error = world.login(config()).unwrap_err();
        assert!(matches!(error.kind(), FlowErrorKind::Credentials(_)), "{method} {error:?}");
        assert!(world.saved.borrow().is_empty() && world.token_requests() == 0);
    }
}

/// SEC-090
#[test]
fn a_token_response_changes_nothing_about_authentication() {
    let mut world = World::new();
    let json = &mut world.token.1;
    json["token_endpoint_auth_method"] = "client_secret_post".into();
    json["client_secret"] = "canary".into();
    json["refresh_token"] = "rt".into();
    let session = world.login(config()).unwrap();
    world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
    assert_eq!(world.token_form("client_secret"), None);
}

/// C-REG-4
#[test]
fn a_refused_registration_surfaces_everything() {
    let mut world = World::new();
    world.register =
        (400, json!({"error": "invalid_redirect_uri", "error_description": "no\u{1b}"}));
    match world.login(config()).unwrap_err().into_kind() {
        FlowErrorKind::Registration(RegistrationError::Rejected { status, error, sent }) => {
            assert_eq!(status, StatusCode::BAD_REQUEST);
            let error = error.unwrap();
            assert_eq!(error.error.as_str(), "invalid_redirect_uri");
            assert_eq!(error.error_description.unwrap().as_str(), "no");
            assert_eq!(sent.client_name.as_deref(), Some("Test"));
        }
        other => panic!("{other:?}"),
    }
    // Changed by the host, it is sent as it is.
    world.register = World::new().register;
    let mut changed = config();
    let uris = [RedirectUri::parse("http://127.0.0.1/cb").unwrap()];
    let mut registration = ClientMetadata::new(&uris);
    registration.client_name = Some("Another name".to_owned());
    registration.application_type = Some(ApplicationType::Web);
    changed.registration = Some(registration);
    world.login(changed).unwrap();
    let body = world.sent.borrow().iter().rev().nth(1).unwrap().body().clone();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["client_name"], &body["application_type"]),
        (&json!("Another name"), &json!("web"))
    );
    world.metadata.1.as_object_mut().unwrap().remove("registration_endpoint");
    assert!(matches!(
        world.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Registration(RegistrationError::NotOffered { .. }))
    ));
}
