//! Discovery and registration.

use client_flow::{ClientConfig, FlowError, Purpose, Step, TransportFailed, login};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use oauth_types::{
    ApplicationType, BearerChallenge, ClientId, ClientMetadata, ClientMetadataUrl, EndpointUrl,
    Issuer, RedirectUri, ResourceUri, ScopeSet,
};
use serde_json::{Value, json};

use crate::world::*;

#[test]
fn c_disc_1_the_challenge_names_the_metadata_on_its_own_origin_only() {
    let challenge = |url| BearerChallenge {
        resource_metadata: Some(EndpointUrl::parse(url).unwrap()),
        ..BearerChallenge::default()
    };
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

#[test]
fn sec_130_metadata_on_another_origin_is_not_even_asked_for() {
    for elsewhere in
        ["https://evil.example/prm", "https://rs.example:8443/prm", "http://127.0.0.1/prm"]
    {
        let challenge = BearerChallenge {
            resource_metadata: Some(EndpointUrl::parse(elsewhere).unwrap()),
            ..BearerChallenge::default()
        };
        let world = World::new();
        world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap();
        assert!(!world.sent().iter().any(|line| line.contains(elsewhere)), "{elsewhere}");
    }
}

#[test]
fn sec_135_metadata_that_moves_is_not_followed() {
    for which in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization"] {
        for status in [301, 302, 303, 307, 308] {
            for to in [
                "https://evil.example/x",
                "//evil.example/x",
                "http://rs.example/x",
                "http://as.example/x",
                "http://169.254.169.254/",
                "https://u:p@rs.example/x",
                "https://u:p@as.example/x",
            ] {
                let world = moved(which, status, Some(to));
                assert!(matches!(world.login(config()), Err(FlowError::Status { .. })), "{to}");
                assert!(!world.sent().iter().any(|line| line.contains(to)), "{to}");
                assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{to}");
            }
        }
    }
}

/// A world in which URLs below this path, and `/loop`, answer with a redirect.
fn moved(path: &'static str, status: u16, to: Option<&'static str>) -> World {
    let mut world = World::new();
    world.interfere = Box::new(move |request| {
        let is_moved = request.uri().path().starts_with(path) || request.uri().path() == "/loop";
        is_moved.then(|| {
            let mut response = json_response(status, &json!({}));
            let to = to.map(|to| (LOCATION, HeaderValue::from_static(to)));
            response.headers_mut().extend(to);
            response
        })
    });
    world
}

#[test]
fn sec_135_a_redirect_without_a_target_or_an_end_leads_nowhere() {
    for which in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization"] {
        for to in [None, Some("/loop"), Some("relative")] {
            let world = moved(which, 308, to);
            assert!(matches!(world.login(config()), Err(FlowError::Status { .. })), "{to:?}");
            assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{to:?}");
            assert!(world.sent().len() <= 9, "{:?}", world.sent());
        }
    }
}

#[test]
fn c_disc_12_metadata_that_moved_on_its_origin_is_followed() {
    let place = "/.well-known/oauth-protected-resource/mcp";
    for status in [301, 307, 308] {
        let mut world = moved(place, status, Some("/.well-known/oauth-protected-resource"));
        world.prm_root = World::new().prm;
        let session = world.login(config()).unwrap();
        // The place that a challenge names again, wherever it leads then.
        let named = session.account().resource_metadata.clone().unwrap();
        assert_eq!(named.path(), place);
    }
}

#[test]
fn c_disc_12_what_is_no_metadata_goes_on_to_the_next_place_of_the_same_issuer() {
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

#[test]
fn c_disc_2_then_the_path_then_the_root() {
    let mut world = World::new();
    let resource =
        json!({"resource": "https://rs.example", "authorization_servers": ["https://as.example"]});
    (world.prm, world.prm_root) = ((404, json!({})), (200, resource));
    let session = world.login(config()).unwrap();
    // C-AUTHZ-3: the published bytes, with no slash added.
    assert_eq!(session.account().resource.as_str(), "https://rs.example");
    assert_eq!(world.token_form("resource").unwrap(), "https://rs.example");
    world.prm_root.0 = 404;
    assert!(matches!(world.login(config()), Err(FlowError::NoResourceMetadata)));
}

#[test]
fn c_disc_4_sec_131_metadata_of_another_resource_is_refused_before_any_server_is_asked() {
    for resource in
        ["https://evil.example/mcp", "https://rs.example/mcp2", "https://rs.example/mcp?x"]
    {
        let mut world = World::new();
        world.prm.1["resource"] = resource.into();
        assert!(matches!(world.login(config()), Err(FlowError::ResourceMismatch { .. })));
        assert_eq!(world.sent().len(), 1, "{resource}");
    }
}

#[test]
fn c_disc_7_sec_014_metadata_of_another_issuer_is_unusable() {
    for issuer in ["https://honest.example", "https://as.example/", "https://AS.example"] {
        let mut world = World::new();
        world.metadata.1["issuer"] = issuer.into();
        let error = world.login(config()).unwrap_err();
        assert!(matches!(error, FlowError::IssuerMismatch { .. }), "{issuer}");
        // Both are named, so that the operator can correct one, or the host pin the other.
        let told = error.to_string();
        assert!(told.contains(&format!("of https://as.example names another issuer, {issuer} ")));
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{issuer}");
        // The next place may have the right one.
        world.openid = (200, metadata("https://as.example"));
        assert!(world.login(config()).is_ok());
    }
}

#[test]
fn c_disc_11_a_pinned_issuer_is_expected_instead_of_a_misspelt_one() {
    let mut pinned = config();
    let resource = ResourceUri::parse("https://rs.example").unwrap();
    pinned.pinned_issuers = vec![(resource, Issuer::parse("https://as.example").unwrap())];
    let mut world = World::new();
    for misspelt in ["https://as.example/", "https://AS.example"] {
        world.prm.1["authorization_servers"] = json!([misspelt]);
        assert!(matches!(
            world.login(config()),
            Err(FlowError::IssuerMismatch { .. }) | Err(FlowError::NoServerMetadata { .. })
        ));
        let session = world.login(pinned.clone()).unwrap();
        assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    }
    // It is compared like any other, and it is for its own resource only.
    world.metadata.1["issuer"] = "https://as.example/".into();
    let error = world.login(pinned.clone()).unwrap_err();
    assert!(matches!(error, FlowError::IssuerMismatch { .. }), "{error:?}");
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

#[test]
fn c_disc_11_a_pinned_issuer_is_found_where_the_resource_says_on_its_own_origin() {
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
    assert!(matches!(error, FlowError::IssuerMismatch { .. }), "{error:?}");
}

#[test]
fn c_disc_11_sec_014_a_resource_does_not_say_on_which_origin_a_pinned_issuer_is() {
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
        assert!(matches!(error, FlowError::NoServerMetadata { .. }), "{named} {error:?}");
        let own = |line: &String| {
            line.starts_with("GET https://as.example/") || line.starts_with("GET https://rs.ex")
        };
        assert!(world.sent().iter().all(own), "{named} {:?}", world.sent());
    }
}

#[test]
fn c_disc_11_sec_014_a_document_at_a_place_that_the_resource_names_leads_to_no_other_origin() {
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        let mut document = metadata("https://as.example");
        document[member] = "https://evil.example/steal".into();
        let at_tenant = || tenant("https://as.example/u/evil", document.clone());
        let world = at_tenant();
        let error = world.login(pinned()).unwrap_err();
        assert!(matches!(error, FlowError::LeadsToAnotherOrigin { .. }), "{member} {error:?}");
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
        assert!(matches!(error, FlowError::LeadsToAnotherOrigin { .. }), "{member} {error:?}");
        assert!(!error.ends_grant());
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{member}");
    }
}

#[test]
fn c_disc_11_sec_014_a_tenant_does_not_replace_the_own_document_of_a_pinned_issuer() {
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
        let expected = matches!(error, FlowError::Status { .. } | FlowError::Document { .. });
        assert!(expected, "{error:?}");
        assert!(!world.sent().iter().any(|line| line.contains("evil")));
    }
    // The places that a resource can name are few.
    let mut world = World::new();
    world.metadata.0 = 404;
    let named: Vec<_> = (0..100).map(|nth| format!("https://as.example/{nth}")).collect();
    world.prm.1["authorization_servers"] = json!(named);
    assert!(matches!(world.login(pinned()), Err(FlowError::NoServerMetadata { .. })));
    assert_eq!(world.sent().len(), 1 + 2 + 4 * 3);
}

#[test]
fn c_disc_9_sec_139_the_host_chooses_among_several_servers() {
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["https://evil.example", "https://as.example"]);
    let session = world.login(config()).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    world.prm.1["authorization_servers"] = json!([]);
    assert!(matches!(world.login(config()), Err(FlowError::NoAuthorizationServer)));
}

#[test]
fn c_disc_10_c_disc_12_sec_132_sec_133_a_failing_server_ends_the_flow() {
    type Break = fn(&mut World);
    let breaks: [(Break, Purpose); 6] = [
        (|world| world.prm.0 = 500, Purpose::ResourceMetadata),
        (|world| world.prm = (200, json!({})), Purpose::ResourceMetadata),
        (|world| world.prm = (302, json!({})), Purpose::ResourceMetadata),
        (|world| world.metadata.0 = 503, Purpose::ServerMetadata),
        (|world| world.metadata = (200, "{\"issuer\":[]}".into()), Purpose::ServerMetadata),
        (|world| world.metadata = (200, json!([])), Purpose::ServerMetadata),
    ];
    for (break_it, expected) in breaks {
        let mut world = World::new();
        break_it(&mut world);
        match world.login(config()).unwrap_err() {
            FlowError::Status { purpose, .. } | FlowError::Document { purpose, .. } => {
                assert_eq!(purpose, expected);
            }
            other => panic!("{other:?}"),
        }
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
    }
}

#[test]
fn c_authz_7_sec_128_sec_134_endpoints_lead_nowhere_else() {
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
            let expected =
                matches!(error, FlowError::Document { .. } | FlowError::LeadsToLocalAddress { .. });
            assert!(expected, "{member} {bad} {error:?}");
            assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
        }
    }
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["http://127.0.0.1:9"]);
    assert!(matches!(world.login(config()), Err(FlowError::LeadsToLocalAddress { .. })));
    assert!(matches!(
        login(config(), "http://rs.example", None, None),
        Err(FlowError::ServerUrl(_))
    ));
}

#[test]
fn c_reg_1_c_reg_3_c_reg_7_registration_says_what_the_client_is() {
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

#[test]
fn c_reg_1_what_may_be_asked_for_is_registered_where_the_server_lists_it() {
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
        // It would refuse what it does not list.
        (json!(["openid"]), json!(["read"]), None, json!(null)),
        (json!(["read"]), json!(["read"]), Some("read files"), json!(null)),
        (json!(null), json!(["read"]), None, json!(null)),
    ] {
        let mut world = World::new();
        world.prm.1["scopes_supported"] = by_resource;
        world.metadata.1["scopes_supported"] = listed;
        let scope = asked.map(|asked| ScopeSet::parse(asked).unwrap());
        let challenge = BearerChallenge { scope, ..BearerChallenge::default() };
        world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap();
        let sent = world.sent.borrow();
        let request = sent.iter().find(|request| request.method() == Method::POST).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["scope"], registered);
    }
}

#[test]
fn c_reg_1_the_method_is_the_first_that_the_server_lists() {
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

#[test]
fn c_authz_7_sec_136_the_host_may_allow_local_addresses() {
    let mut world = World::new();
    world.metadata.1["token_endpoint"] = json!("https://10.0.0.1/token");
    assert!(matches!(world.login(config()), Err(FlowError::LeadsToLocalAddress { .. })));
    let mut trusting = config();
    trusting.allows_local_addresses = true;
    world.interfere = Box::new(|request| {
        let is_local = request.uri().host() == Some("10.0.0.1");
        is_local.then(|| json_response(200, &json!({"access_token": "t", "token_type": "Bearer"})))
    });
    assert!(world.login(trusting).is_ok());
}

#[test]
fn c_reg_1_c_reg_2_a_metadata_document_comes_before_registration_where_it_is_supported() {
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

#[test]
fn c_reg_5_c_disc_8_credentials_of_one_issuer_are_never_shown_to_another() {
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
    assert!(matches!(world.login(with_key), Err(FlowError::Credentials(_))));
    assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn c_disc_8_a_kept_registration_is_used_again() {
    let mut world = World::new();
    world.login(config()).unwrap();
    world.kept = world.saved.borrow().first().cloned();
    world.sent.borrow_mut().clear();
    world.login(config()).unwrap();
    assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
}

#[test]
fn sec_090_a_method_that_the_client_cannot_use_ends_the_registration() {
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
        assert!(matches!(error, FlowError::Credentials(_)), "{method} {error:?}");
        assert!(world.saved.borrow().is_empty() && world.token_requests() == 0);
    }
}

#[test]
fn sec_090_a_token_response_changes_nothing_about_authentication() {
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

#[test]
fn c_reg_4_a_refused_registration_surfaces_everything() {
    let mut world = World::new();
    world.register =
        (400, json!({"error": "invalid_redirect_uri", "error_description": "no\u{1b}"}));
    match world.login(config()).unwrap_err() {
        FlowError::RegistrationRejected { status, error, sent } => {
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
    assert!(matches!(world.login(config()), Err(FlowError::NoRegistration { .. })));
}

#[test]
fn a_failing_network_names_the_request() {
    let Step::Exchange(exchange) = login(config(), MCP, None, None).unwrap() else { panic!() };
    let error = exchange.resume(Err(TransportFailed::Timeout), NOW).unwrap_err();
    assert_eq!(error.to_string(), "protected resource metadata: no answer came in time");
}
