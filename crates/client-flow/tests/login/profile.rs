//! Exceptions for one authorization server, and that they are for no other.

use std::cell::RefCell;
use std::rc::Rc;

use client_auth::ClientCredentials;
use client_flow::{
    ClientConfig, DiscoveryError, FlowError, FlowErrorKind, Grant, ServerProfile, Session,
};
use oauth_types::{
    AuthMethod, BearerChallenge, ClientId, EndpointUrl, Issuer, ResourceUri, ScopeSet, Secret,
};
use serde_json::{Value, json};

use crate::world::*;

const AS: &str = "https://as.example";

fn issuer(text: &str) -> Issuer {
    Issuer::parse(text).unwrap()
}

fn relaxed(profile: ServerProfile) -> ClientConfig {
    config().with_server_profile(issuer(AS), profile)
}

/// A login, and the URL that the browser was sent to.
fn visited(mut world: World, config: ClientConfig) -> (Result<Session, FlowError>, String, World) {
    let seen = Rc::new(RefCell::new(String::new()));
    let log = Rc::clone(&seen);
    world.callback = Box::new(move |url| {
        url.clone_into(&mut log.borrow_mut());
        format!("http://127.0.0.1/cb?code=c&state={}&iss={AS}", query(url, "state").unwrap())
    });
    let session = world.login(config);
    let url = seen.borrow().clone();
    (session, url, world)
}

/// C-AUTHZ-3: the resource is left out of every request.
#[test]
fn a_profile_omits_the_resource_for_its_issuer_and_no_other() {
    let config = relaxed(ServerProfile::new().with_resource_omitted());
    let mut world = World::new();
    world.token.1["refresh_token"] = "rt".into();
    let (session, url, world) = visited(world, config.clone());
    assert_eq!(query(&url, "resource"), None);
    assert_eq!(world.token_form("resource"), None);
    let session = session.unwrap();
    world.drive(session.refresh(&config).unwrap()).unwrap();
    assert_eq!(world.token_form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(world.token_form("resource"), None);
    // A record that was made by it is held to the configuration of now.
    let strict = crate::world::config();
    let mut kept = session.to_record();
    kept = serde_json::from_value(serde_json::to_value(kept).unwrap()).unwrap();
    assert!(!kept.account.server.profile.is_strict());
    let restored = Session::restore(kept).unwrap();
    world.drive(restored.refresh(&strict).unwrap()).unwrap();
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
    // Another issuer, by a slash, is another server.
    for other in ["https://as.example/", "https://other.example"] {
        let profile = ServerProfile::new().with_resource_omitted();
        let config = crate::world::config().with_server_profile(issuer(other), profile);
        let (session, url, world) = visited(World::new(), config);
        assert!(session.is_ok());
        assert_eq!(query(&url, "resource").as_deref(), Some(MCP));
        assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
    }
}

#[test]
fn a_profile_omits_the_resource_for_a_client_without_a_user_too() {
    let (id, listed) = (ClientId::parse("c1").unwrap(), [AuthMethod::ClientSecretBasic]);
    let credentials = ClientCredentials::choose(id, Some(Secret::new("s3cret")), None, &listed);
    let credentials = credentials.unwrap();
    let config = ClientConfig::client_credentials("Machine", issuer(AS), credentials);
    assert!(matches!(config.grant, Grant::ClientCredentials));
    let mut world = World::new();
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
    let scope = ScopeSet::parse("api://x/.default").unwrap();
    let profile = ServerProfile::entra().with_scope(scope);
    world.login(config.clone().with_server_profile(issuer(AS), profile)).unwrap();
    assert_eq!(world.token_form("resource"), None);
    assert_eq!(world.token_form("scope").as_deref(), Some("api://x/.default"));
    world.login(config).unwrap();
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
}

#[test]
fn a_profile_fixes_the_scope_of_logins_and_of_step_ups() {
    let scope = ScopeSet::parse("api://x/.default").unwrap();
    let config = relaxed(ServerProfile::new().with_scope(scope));
    let mut world = World::new();
    world.prm.1["scopes_supported"] = json!(["files:read", "files:write"]);
    world.metadata.1["scopes_supported"] = json!(["openid", "offline_access"]);
    let (session, url, world) = visited(world, config.clone());
    assert_eq!(query(&url, "scope").as_deref(), Some("api://x/.default offline_access"));
    let wanted = ScopeSet::parse("files:admin").unwrap();
    let challenge = BearerChallenge::default();
    let step = session.unwrap().step_up(&config, MCP, &challenge, wanted, NOW).unwrap();
    let visit = world.until_user(step).unwrap().unwrap();
    assert_eq!(query(visit.url(), "scope").as_deref(), Some("api://x/.default"));
    let (_, url, _) = visited(world, crate::world::config());
    assert_eq!(query(&url, "scope").as_deref(), Some("files:read files:write offline_access"));
}

/// C-AUTHZ-2, SEC-045
#[test]
fn a_profile_accepts_a_missing_pkce_list_not_one_without_s256() {
    let world = |methods: Option<Value>| {
        let mut world = World::new();
        let metadata = world.metadata.1.as_object_mut().unwrap();
        metadata.remove("code_challenge_methods_supported");
        metadata.extend(methods.map(|it| ("code_challenge_methods_supported".to_owned(), it)));
        world
    };
    let assumed = relaxed(ServerProfile::new().with_s256_assumed());
    for unlisted in [None, Some(Value::Null)] {
        let (session, url, _) = visited(world(unlisted), assumed.clone());
        assert!(session.is_ok());
        assert_eq!(query(&url, "code_challenge_method").as_deref(), Some("S256"));
        assert!(query(&url, "code_challenge").is_some());
    }
    for listed in [json!(["plain"]), json!([]), json!([["plain"]]), json!(7), json!({})] {
        let (session, url, _) = visited(world(Some(listed)), assumed.clone());
        assert!(matches!(
            session.as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. }))
        ));
        assert_eq!(url, "");
    }
    // Without it, and with one for another issuer, no browser is opened, and the next step is said.
    let profile = ServerProfile::entra();
    let other = config().with_server_profile(issuer("https://other.example"), profile);
    for strict in [config(), other] {
        let (session, url, _) = visited(world(None), strict);
        let error = session.unwrap_err();
        assert!(matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. })));
        assert!(error.to_string().contains("`ServerProfile::with_s256_assumed`"), "{error}");
        assert_eq!(url, "");
    }
}

#[test]
fn a_strict_login_at_entra_or_cognito_names_the_right_profile() {
    for (host, profile) in [
        ("https://login.microsoftonline.com/a1/v2.0", "`ServerProfile::entra`"),
        ("https://cognito-idp.eu-west-1.amazonaws.com/p1", "`ServerProfile::cognito`"),
    ] {
        let error = DiscoveryError::NoS256 { issuer: issuer(host) }.to_string();
        assert!(error.contains(profile) && error.contains(host), "{error}");
    }
}

/// C-AUTHZ-8
#[test]
fn a_profile_forces_no_consent() {
    let world = || {
        let mut world = World::new();
        world.metadata.1["scopes_supported"] = json!(["offline_access"]);
        world.metadata.1["subject_types_supported"] = json!(["pairwise"]);
        world
    };
    let (_, url, _) = visited(world(), config());
    assert_eq!(query(&url, "prompt").as_deref(), Some("consent"));
    let profile = ServerProfile::new().with_consent_prompt_omitted();
    let (_, url, _) = visited(world(), relaxed(profile));
    assert_eq!(query(&url, "prompt"), None);
    assert_eq!(query(&url, "scope").as_deref(), Some("offline_access"));
}

/// A server of many tenants, with a client that was given out for one of them.
fn tenants(named: &str, endpoints: &str) -> World {
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!([format!("{AS}/organizations/v2.0")]);
    let document = json!({
        "issuer": named,
        "authorization_endpoint": format!("{endpoints}/authorize"),
        "token_endpoint": "https://as.example/token",
    });
    world.interfere = Box::new(move |request| {
        let path = request.uri().path();
        let is_here = path == "/organizations/v2.0/.well-known/openid-configuration";
        is_here.then(|| json_response(200, &document))
    });
    world
}

fn of_tenant(profile: ServerProfile, pinned: Option<&str>) -> ClientConfig {
    let tenant = issuer("https://as.example/organizations/v2.0");
    let mut config = config().with_server_profile(tenant.clone(), profile);
    let client = ClientCredentials::public(ClientId::parse("c1").unwrap());
    config.pre_registered = vec![(tenant, client)];
    let resource = ResourceUri::parse(MCP).unwrap();
    config.pinned_issuers = pinned.map(|pinned| (resource, issuer(pinned))).into_iter().collect();
    config
}

/// C-DISC-7
#[test]
fn a_profile_lets_a_tenant_placeholder_mean_the_pinned_issuer() {
    const PIN: &str = "https://as.example/organizations/v2.0";
    const TEMPLATE: &str = "https://as.example/{tenantid}/v2.0";
    let world = || {
        let mut world = tenants(TEMPLATE, AS);
        world.callback = Box::new(|url| {
            format!("http://127.0.0.1/cb?code=c&state={}", query(url, "state").unwrap())
        });
        world
    };
    let session = world().login(of_tenant(ServerProfile::entra(), Some(PIN))).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), PIN);
    // Neither without a pin, nor with a pin of another resource, nor without the profile.
    let mut elsewhere = of_tenant(ServerProfile::entra(), Some(PIN));
    elsewhere.pinned_issuers[0].0 = ResourceUri::parse("https://rs.example/other").unwrap();
    for config in [
        of_tenant(ServerProfile::entra(), None),
        elsewhere,
        of_tenant(ServerProfile::new().with_s256_assumed(), Some(PIN)),
    ] {
        let error = world().login(config).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Discovery(DiscoveryError::TenantPlaceholder { .. })
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("`ServerProfile::entra`"), "{error}");
    }
}

/// C-DISC-7, SEC-014
#[test]
fn a_tenant_placeholder_leads_to_no_other_server() {
    const PIN: &str = "https://as.example/organizations/v2.0";
    for (template, endpoints) in [
        ("https://evil.example/{tenantid}/v2.0", AS),
        ("https://as.example/{tenantid}/v1.0", AS),
        ("https://as.example/{tenantid}", AS),
        ("https://as.example/{tenantid}/v2.0", "https://evil.example"),
        ("https://as.example/{tenantid}/v2.0", "https://as.example:8443"),
    ] {
        let mut world = tenants(template, endpoints);
        world.callback = Box::new(|_| unreachable!("no browser"));
        let error = world.login(of_tenant(ServerProfile::entra(), Some(PIN))).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Discovery(DiscoveryError::TenantPlaceholder { .. })
            ),
            "{template}: {error:?}"
        );
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{template}");
    }
}

/// C-DISC-7, SEC-014
#[test]
fn metadata_at_the_place_of_a_profile_must_name_the_issuer() {
    let at = EndpointUrl::parse("https://documents.example/as.json").unwrap();
    let profile = ServerProfile::new().with_metadata_at(at);
    let world = |named: &str| {
        let mut world = World::new();
        world.metadata = (200, json!({"issuer": AS, "x": "not asked"}));
        let document = metadata(named);
        world.interfere = Box::new(move |request| {
            let is_here = *request.uri() == "https://documents.example/as.json";
            is_here.then(|| json_response(200, &document))
        });
        world
    };
    let (session, _, world_of_it) = visited(world(AS), relaxed(profile.clone()));
    assert_eq!(session.unwrap().account().server.issuer.as_str(), AS);
    assert!(!world_of_it.sent().iter().any(|line| line.contains("as.example/.well-known")));
    for named in ["https://evil.example", "https://as.example/", "https://documents.example"] {
        let (session, url, world) = visited(world(named), relaxed(profile.clone()));
        assert!(
            matches!(
                session.as_ref().map_err(FlowError::kind),
                Err(FlowErrorKind::Discovery(DiscoveryError::IssuerMismatch { .. }))
            ),
            "{named}"
        );
        assert_eq!(url, "");
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{named}");
    }
    // What is said of another issuer leads this one nowhere.
    let other = config().with_server_profile(issuer("https://other.example"), profile);
    let (_, _, world) = visited(world(AS), other);
    assert!(!world.sent().iter().any(|line| line.contains("documents.example")));
}
