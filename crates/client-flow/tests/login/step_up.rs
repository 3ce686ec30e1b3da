//! More scope: with a user and without, at the same server and at another.

use client_auth::ClientCredentials;
use client_flow::{
    ClientConfig, DiscoveryError, FlowError, FlowErrorKind, RegistrationError, Session, Tried,
    Verdict, judge, login,
};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::{
    AuthMethod, BearerChallenge, BearerErrorCode, ClientId, EndpointUrl, Issuer, ScopeSet, Secret,
};
use scope_stepup::{InsufficientScopeKind, Ledger, Limit, Operation, Policy, StepUpMode};
use serde_json::json;

use crate::world::*;

const WELL_KNOWN: &str = "https://rs.example/.well-known/oauth-protected-resource";

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn challenge(scope: &str, resource_metadata: &str) -> BearerChallenge {
    BearerChallenge::new()
        .with_error(BearerErrorCode::parse("insufficient_scope"))
        .with_scope(ScopeSet::parse(scope).ok())
        .with_resource_metadata(EndpointUrl::parse(resource_metadata).ok())
}

/// A client of its own, with a secret for the one server.
fn machine() -> ClientConfig {
    let credentials = ClientCredentials::choose(
        ClientId::parse("job").unwrap(),
        Some(Secret::new("s3cret")),
        Some(&AuthMethod::ClientSecretBasic),
        &[],
    );
    let issuer = Issuer::parse("https://as.example").unwrap();
    ClientConfig::client_credentials("Nightly job", issuer, credentials.unwrap())
}

fn machine_world() -> World {
    let mut world = World::new();
    // No user ever comes here.
    let metadata = world.metadata.1.as_object_mut().unwrap();
    for name in
        ["authorization_endpoint", "code_challenge_methods_supported", "registration_endpoint"]
    {
        metadata.remove(name);
    }
    world.prm.1["scopes_supported"] = json!(["read"]);
    world.callback = Box::new(|_| panic!("nobody is there to ask"));
    world
}

fn verdict(
    session: &Session,
    policy: &Policy,
    ledger: &Ledger,
    asked: &BearerChallenge,
) -> Verdict {
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, asked.to_header_value())]);
    let answer = (StatusCode::FORBIDDEN, &headers);
    judge(Some(session), ledger, policy, &Operation::tool("t"), Tried::default(), answer)
}

/// C-SCOPE-9
#[test]
fn a_client_without_a_user_steps_up_or_stops_as_the_host_says() {
    let mut world = machine_world();
    let session = world.login(machine()).unwrap();
    assert_eq!(world.token_form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
    assert_eq!(world.token_form("scope").as_deref(), Some("read"));
    assert!(session.authorization(MCP).is_some() && world.saved.borrow().len() == 1);
    {
        let sent = world.sent.borrow();
        let authorization = &sent.last().unwrap().headers()[http::header::AUTHORIZATION];
        assert!(
            authorization.to_str().unwrap().starts_with("Basic ") && authorization.is_sensitive()
        );
    }

    let asked = challenge("write", &format!("{WELL_KNOWN}/mcp"));
    let stops = Policy::default().with_mode(StepUpMode::Manual);
    match verdict(&session, &stops, &Ledger::new(), &asked) {
        Verdict::GiveUp(error) => {
            assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::Surfaced, 0));
        }
        other => panic!("{other:?}"),
    }
    let mut ledger = Ledger::new();
    let Verdict::StepUp { scope, attempt, challenge } =
        verdict(&session, &Policy::default(), &ledger, &asked)
    else {
        panic!("a step-up");
    };
    drop(ledger.start(attempt));
    world.token.1["scope"] = json!("read write");
    let step = session.step_up(&machine(), MCP, &challenge, scope, NOW).unwrap();
    let session = world.drive(step).unwrap();
    assert_eq!(world.token_form("scope").as_deref(), Some("read write"));
    assert_eq!(session.tokens().granted, Some(set("read write")));
    assert_eq!(world.token_requests(), 2);
    // Once is enough: the server wants still more.
    let more = self::challenge("admin", &format!("{WELL_KNOWN}/mcp"));
    match verdict(&session, &Policy::default(), &ledger, &more) {
        Verdict::GiveUp(error) => {
            assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::LimitReached, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_without_a_user_needs_more_than_a_public_id() {
    let world = machine_world();
    let public = ClientCredentials::public(ClientId::parse("job").unwrap());
    let issuer = Issuer::parse("https://as.example").unwrap();
    let config = ClientConfig::client_credentials("Job", issuer, public.clone());
    assert!(matches!(
        world.login(config).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Credentials(_))
    ));
    // Nor does it register itself where it has none.
    let elsewhere = Issuer::parse("https://other.example").unwrap();
    let config = ClientConfig::client_credentials("Job", elsewhere, public);
    assert!(matches!(
        World::new().login(config).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Registration(RegistrationError::NotOffered { .. }))
    ));
    assert_eq!(world.token_requests(), 0);
    // A user needs more of the server than a client does.
    let error = machine_world().login(crate::world::config()).unwrap_err();
    assert!(matches!(
        error.kind(),
        FlowErrorKind::Discovery(DiscoveryError::NoEndpoint {
            member: "authorization_endpoint",
            ..
        })
    ));
}

/// SEC-163
#[test]
fn other_metadata_is_found_out_about_and_checked_anew() {
    let mut world = World::new();
    world.token.1["scope"] = json!("read");
    let session = world.login(config()).unwrap();
    let before = world.sent().len();
    let own = challenge("write", &format!("{WELL_KNOWN}/mcp"));
    // The metadata that the login was made by: one authorization and no discovery.
    let step = session.step_up(&config(), MCP, &own, set("read write"), NOW).unwrap();
    world.drive(step).unwrap();
    assert_eq!(world.sent()[before..], ["POST https://as.example/token"]);

    // On another origin it proves nothing and is not even fetched.
    let before = world.sent().len();
    let foreign = challenge("write", "https://evil.example/prm");
    let step = session.step_up(&config(), MCP, &foreign, set("read write"), NOW).unwrap();
    world.drive(step).unwrap();
    assert_eq!(world.sent()[before..], ["POST https://as.example/token"]);

    // Another document of the same server: for another resource it is refused, and no scope is asked for.
    let other = challenge("write", WELL_KNOWN);
    world.prm_root = (
        200,
        json!({"resource": "https://rs.example/other",
        "authorization_servers": ["https://as.example"]}),
    );
    let before = world.token_requests();
    let step = session.step_up(&config(), MCP, &other, set("read write"), NOW).unwrap();
    assert!(matches!(
        world.drive(step).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::ResourceMismatch { .. }))
    ));
    // For this resource it is followed, also to a server whose metadata has to be right, for exactly the
    // scopes that were decided.
    world.prm_root.1 = json!({"resource": MCP, "authorization_servers": ["https://as.example/b"],
        "scopes_supported": ["everything"]});
    let step = session.step_up(&config(), MCP, &other, set("read write"), NOW).unwrap();
    assert!(matches!(
        world.drive(step).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoServerMetadata { .. }))
    ));
    assert_eq!(world.token_requests(), before);
    world.prm_root.1["authorization_servers"] = json!(["https://as.example"]);
    world.callback = Box::new(|url| {
        assert_eq!(query(url, "scope").as_deref(), Some("read write"));
        let state = query(url, "state").unwrap();
        format!("/cb?code=c&state={state}&iss=https://as.example")
    });
    let step = session.step_up(&config(), MCP, &other, set("read write"), NOW).unwrap();
    let session = world.drive(step).unwrap();
    let kept = session.account().resource_metadata.as_ref().map(ToString::to_string);
    assert_eq!(kept.as_deref(), Some(WELL_KNOWN));
}

/// SEC-161
#[test]
fn a_filtered_scope_stays_out_of_the_request() {
    let mut world = World::new();
    world.token.1["scope"] = json!("read");
    let session = world.login(config()).unwrap();
    let policy = Policy::default()
        .with_limit(Limit::MAX)
        .with_filter(|_, scope| Some(scope.filter(|one| one != "admin")));
    for place in [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/mcp")] {
        world.prm_root = world.prm.clone();
        let asked = challenge("write admin", &place);
        let Verdict::StepUp { scope, challenge, .. } =
            verdict(&session, &policy, &Ledger::new(), &asked)
        else {
            panic!("a step-up");
        };
        world.callback = Box::new(|url| {
            assert_eq!(query(url, "scope").as_deref(), Some("read write"));
            let state = query(url, "state").unwrap();
            format!("/cb?code=c&state={state}&iss=https://as.example")
        });
        let step = session.step_up(&config(), MCP, &challenge, scope, NOW).unwrap();
        world.drive(step).unwrap();
    }
}

/// C-SCOPE-10
#[test]
fn a_401_after_a_403_keeps_what_was_asked_for_whoever_asks() {
    let world = machine_world();
    let session = world.login(machine()).unwrap();
    let headers = HeaderMap::from_iter([(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer error=\"invalid_token\""),
    )]);
    let answer = (StatusCode::UNAUTHORIZED, &headers);
    let operation = Operation::new("GET", Some("/mcp"));
    let ledger = Ledger::new();
    let judged =
        judge(Some(&session), &ledger, &Policy::default(), &operation, Tried::default(), answer);
    let Verdict::Login { challenge } = judged else { panic!("a login") };
    let step = login(machine(), MCP, challenge.as_ref(), Some(&session)).unwrap();
    let again = world.drive(step).unwrap();
    assert_eq!(again.tokens().requested, Some(set("read")));
}
