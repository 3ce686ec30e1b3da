//! Metadata that would send the codes of one server to another.

use client_auth::ClientCredentials;
use client_flow::{
    CallbackError, ClientConfig, DiscoveryError, FlowError, FlowErrorKind, RegistrationError,
    ServerProfile, StoredCredentials, login,
};
use oauth_types::{ClientId, EndpointUrl, Issuer};
use serde_json::json;

use crate::world::*;

/// A server without `iss`, with its endpoints on these origins.
fn world(authorization: &str, token: &str, registration: &str) -> World {
    let mut world = World::new();
    world.metadata.1["authorization_response_iss_parameter_supported"] = json!(false);
    for (member, origin) in [
        ("authorization_endpoint", authorization),
        ("token_endpoint", token),
        ("registration_endpoint", registration),
    ] {
        let (endpoint, _) = member.split_once('_').unwrap();
        world.metadata.1[member] = json!(format!("{origin}/{endpoint}"));
    }
    world.interfere = Box::new(|request| match request.uri().path() {
        "/registration" => Some(json_response(201, &json!({"client_id": "c1"}))),
        "/token" => {
            let tokens = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60});
            Some(json_response(200, &tokens))
        }
        _ => None,
    });
    world
}

fn posts(world: &World) -> usize {
    world.sent().iter().filter(|line| line.starts_with("POST ")).count()
}

const OWN: &str = "https://as.example";
const HONEST: &str = "https://honest.example";
const OTHER: &str = "https://other.example";

/// The issuer's metadata, with a profile that accepts this authorization endpoint.
fn allowing(url: &str) -> ClientConfig {
    let url = EndpointUrl::parse(url).unwrap();
    let profile = ServerProfile::new().with_authorization_endpoint_at(url);
    config().with_server_profile(Issuer::parse(OWN).unwrap(), profile)
}

/// SEC-242
#[test]
fn codes_of_one_server_are_not_sent_to_another() {
    for (authorization, token) in [
        (HONEST, OWN),
        (HONEST, OTHER),
        ("https://login.as.example", OWN),
        ("https://as.example:8443", OWN),
        ("https://as.example.honest.example", OWN),
    ] {
        let world = world(authorization, token, authorization);
        let error = world.login(config()).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::MixUp { .. })),
            "{error:?}"
        );
        let says = error.to_string();
        for part in [authorization, token, "`iss`", "ServerProfile::with_authorization_endpoint_at"]
        {
            assert!(says.contains(part), "{says}");
        }
        // Neither a registration nor anything after the browser.
        assert_eq!(posts(&world), 0);
    }
}

/// SEC-242: its codes go back to it alone.
#[test]
fn a_safe_server_may_have_its_endpoints_on_several_hosts() {
    for (authorization, token, registration) in [
        // Google, Facebook: the page is the issuer's own.
        (OWN, OTHER, OWN),
        (OWN, OTHER, OTHER),
        // Cognito, Slack, Entra ID v1: both elsewhere.
        (OTHER, OTHER, OTHER),
        (OTHER, OTHER, OWN),
        ("https://AS.example:443", OWN, OWN),
    ] {
        let world = world(authorization, token, registration);
        let outcome = world.login(config());
        assert!(outcome.is_ok(), "{authorization} {token} {registration} {outcome:?}");
    }
}

/// SEC-242, C-ISS-2
#[test]
fn a_promise_of_iss_has_to_be_kept_by_the_answer() {
    let promising = || {
        let mut world = world(HONEST, OWN, OWN);
        world.metadata.1["authorization_response_iss_parameter_supported"] = json!(true);
        world
    };
    assert!(promising().login(config()).is_ok());
    for iss in ["", "&iss=https%3A%2F%2Fhonest.example"] {
        let mut world = promising();
        world.callback = Box::new(move |url| {
            format!("/cb?code=honest&state={}{iss}", query(url, "state").unwrap())
        });
        let error = world.login(config()).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Callback(CallbackError::Rejected(_))),
            "{error:?}"
        );
        assert_eq!(world.token_requests(), 0);
    }
}

/// SEC-242
#[test]
fn the_host_allows_one_origin_for_one_issuer() {
    let outcome = world(HONEST, OWN, OWN).login(allowing("https://honest.example/any"));
    let profile = &outcome.unwrap().account().server.profile.clone();
    assert_eq!(profile.to_string(), "users log in at https://honest.example");
    // Another origin, and the same setting for another issuer.
    let error = world(HONEST, OWN, OWN).login(allowing("https://other.example/any")).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::MixUp { .. })),
        "{error:?}"
    );
    let of_other = ServerProfile::new()
        .with_authorization_endpoint_at(EndpointUrl::parse("https://honest.example/any").unwrap());
    let other = config().with_server_profile(Issuer::parse(OTHER).unwrap(), of_other);
    assert!(matches!(
        world(HONEST, OWN, OWN).login(other).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::MixUp { .. }))
    ));
}

/// SEC-242
#[test]
fn registrations_go_to_the_servers_own_origins() {
    let elsewhere = || world(OWN, OWN, HONEST);
    let refused = elsewhere();
    let error = refused.login(config()).unwrap_err();
    assert!(
        matches!(error.kind(), FlowErrorKind::Registration(RegistrationError::Elsewhere { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("ClientConfig::pre_registered"), "{error}");
    assert_eq!(posts(&refused), 0);
    // A promise of `iss` is about callbacks.
    let mut promising = elsewhere();
    promising.metadata.1["authorization_response_iss_parameter_supported"] = json!(true);
    assert!(matches!(
        promising.login(config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Registration(RegistrationError::Elsewhere { .. }))
    ));
    // It is nobody's concern where no one registers.
    let mut given = config();
    let client = ClientCredentials::public(ClientId::parse("given").unwrap());
    given.pre_registered.push((Issuer::parse(OWN).unwrap(), client));
    assert!(elsewhere().login(given).is_ok());
}

/// SEC-242
#[test]
fn what_was_remembered_before_the_rule_is_held_to_it() {
    let mut world = world(OWN, OWN, OWN);
    let session = world.login(config()).unwrap();
    let mut json = serde_json::to_value(session.to_record()).unwrap();
    json["server"]["authorization_endpoint"] = json!("https://honest.example/authorize");
    let record: StoredCredentials = serde_json::from_value(json).unwrap();
    let session = client_flow::Session::restore(record.clone()).unwrap();
    world.kept = Some(record);
    let scope = oauth_types::ScopeSet::parse("more").unwrap();
    let step =
        session.step_up(&config(), MCP, &oauth_types::BearerChallenge::default(), scope, NOW);
    let outcome = step.and_then(|step| world.until_user(step).map(|_| ()));
    assert!(
        matches!(
            outcome.as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Discovery(DiscoveryError::MixUp { .. }))
        ),
        "{outcome:?}"
    );
}

/// SEC-242: a visit says who sends the user where.
#[test]
fn the_host_reads_the_target_before_the_browser_opens() {
    let mut world = world(OWN, OTHER, OWN);
    world.prm.1["scopes_supported"] = json!(["read"]);
    let visit = world.until_user(login(config(), MCP, None, None).unwrap()).unwrap().unwrap();
    assert_eq!(visit.issuer().as_str(), OWN);
    assert_eq!(visit.authorization_endpoint().as_str(), "https://as.example/authorization");
    assert_eq!(visit.resource().as_str(), MCP);
    assert_eq!(visit.client_id().as_str(), "c1");
    assert_eq!(visit.scope().unwrap().as_str(), "read");
    assert_eq!(visit.redirect_uri().as_str(), "http://127.0.0.1/cb");
}

/// SEC-248
#[test]
fn an_endpoint_url_with_a_parameter_of_ours_is_refused_by_name() {
    for (member, query, name) in [
        ("authorization_endpoint", "client_id=ATTACKER", "client_id"),
        ("authorization_endpoint", "a=1&redirect_uri=https%3A%2F%2Fevil.example", "redirect_uri"),
        ("authorization_endpoint", "scope=admin", "scope"),
        ("authorization_endpoint", "state", "state"),
        ("authorization_endpoint", "%73tate=1", "state"),
        ("authorization_endpoint", "response_type=token", "response_type"),
        ("authorization_endpoint", "code_challenge=x", "code_challenge"),
        ("authorization_endpoint", "code_challenge_method=plain", "code_challenge_method"),
        ("authorization_endpoint", "resource=x", "resource"),
        ("authorization_endpoint", "nonce=x", "nonce"),
        ("authorization_endpoint", "prompt=none", "prompt"),
        ("authorization_endpoint", "response_mode=fragment", "response_mode"),
        ("authorization_endpoint", "request_uri=https://evil.example", "request_uri"),
        ("token_endpoint", "client_id=ATTACKER", "client_id"),
        ("token_endpoint", "grant_type=x", "grant_type"),
        ("registration_endpoint", "redirect_uris=x", "redirect_uris"),
    ] {
        let mut world = World::new();
        let url = format!("{}?{query}", world.metadata.1[member].as_str().unwrap());
        world.metadata.1[member] = json!(url);
        let error = world.login(config()).unwrap_err();
        let says = error.to_string();
        assert!(matches!(error.kind(), FlowErrorKind::Document { .. }), "{query} {error:?}");
        assert!(says.contains(&format!("`{member}` has `{name}` in its query")), "{says}");
        assert!(!says.contains("ATTACKER") && !says.contains("evil"), "{says}");
        assert_eq!(posts(&world), 0);
    }
    // Azure AD B2C names its policy there, others their tenant.
    for (member, query) in [
        ("authorization_endpoint", "p=b2c_1_sign_in&client=x"),
        ("token_endpoint", "p=b2c_1_sign_in"),
        ("registration_endpoint", "tenant=a"),
    ] {
        let mut world = World::new();
        let url = format!("{}?{query}", world.metadata.1[member].as_str().unwrap());
        world.metadata.1[member] = json!(url);
        world.interfere = Box::new(|request| match request.uri().path() {
            "/register" => Some(json_response(201, &json!({"client_id": "c1"}))),
            "/token" => {
                Some(json_response(200, &json!({"access_token": "t", "token_type": "Bearer"})))
            }
            _ => None,
        });
        assert!(world.login(config()).is_ok(), "{member}");
    }
}
