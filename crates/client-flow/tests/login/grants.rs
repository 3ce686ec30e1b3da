//! Tokens without a browser: by a key, by a platform's word, by an enterprise's word.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::{ClientCredentials, NoUsableMethod, SigningKey};
use client_flow::{ClientConfig, FlowError, FlowErrorKind, IdentityProvider, RegistrationError};
use http::header::AUTHORIZATION;
use oauth_types::{
    AuthMethod, ClientId, ClientMetadataUrl, EndpointUrl, Issuer, Secret, SigningAlgorithm,
};
use serde_json::{Value, json};

use crate::world::*;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

fn issuer() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

fn key() -> SigningKey {
    let pem = include_str!("../../../client-auth/tests/keys/es256.pem");
    SigningKey::from_pem(SigningAlgorithm::Es256, pem).unwrap()
}

fn secret_client(name: &str) -> ClientCredentials {
    let basic = AuthMethod::ClientSecretBasic;
    let secret = Some(Secret::new("the secret"));
    ClientCredentials::choose(id(name), secret, Some(&basic), &[]).unwrap()
}

/// A world in which no user ever comes along.
fn world_without_users(methods: Value) -> World {
    let mut world = World::new();
    let metadata = world.metadata.1.as_object_mut().unwrap();
    metadata.remove("authorization_endpoint");
    metadata.remove("code_challenge_methods_supported");
    metadata["token_endpoint_auth_methods_supported"] = methods;
    world.prm.1["scopes_supported"] = json!(["read"]);
    world.callback = Box::new(|_| panic!("nobody is there to ask"));
    world
}

fn claims(assertion: &str) -> Value {
    let payload = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// C-EXT-1
#[test]
fn client_credentials_with_a_secret_in_the_header() {
    let world = world_without_users(json!(["client_secret_basic"]));
    let client = ClientConfig::client_credentials("Test", issuer(), secret_client("c 1"));
    let session = world.login(client).unwrap();
    assert!(session.authorization(MCP).is_some());
    let sent = world.sent.borrow();
    let request = sent.last().unwrap();
    // C-TOKEN-3: "c%201:the%20secret", encoded before Base64, and in one place only.
    assert_eq!(request.headers()[AUTHORIZATION], "Basic YyUyMDE6dGhlJTIwc2VjcmV0");
    assert_eq!(form_of(request, "client_id"), None);
    assert_eq!(form_of(request, "grant_type").unwrap(), "client_credentials");
    assert_eq!(form_of(request, "scope").unwrap(), "read");
    assert_eq!(form_of(request, "resource").unwrap(), MCP);
    assert_eq!(sent.len(), 3);
}

/// C-EXT-1, SEC-085
#[test]
fn client_credentials_with_an_assertion_for_this_issuer_alone() {
    let world = world_without_users(json!(["private_key_jwt"]));
    let client = ClientCredentials::with_assertions(id("c1"));
    let machine =
        ClientConfig::client_credentials("Test", issuer(), client).with_signing_key(key());
    world.login(machine.clone()).unwrap();
    world.login(machine).unwrap();
    let sent = world.sent.borrow();
    let assertions: Vec<Value> = sent
        .iter()
        .filter_map(|request| Some(claims(&form_of(request, "client_assertion")?)))
        .collect();
    let [first, second] = &assertions[..] else { panic!("{assertions:?}") };
    assert_eq!((&first["iss"], &first["sub"]), (&json!("c1"), &json!("c1")));
    assert_eq!(first["aud"], json!("https://as.example"));
    assert_eq!(first["iat"], json!(NOW.as_secs()));
    let lifetime = first["exp"].as_u64().unwrap() - NOW.as_secs();
    assert!((1..=300).contains(&lifetime));
    assert!(first["jti"].as_str().unwrap().len() >= 20 && first["jti"] != second["jti"]);
    assert!(sent.iter().all(|request| !request.headers().contains_key(AUTHORIZATION)));
}

/// C-TOKEN-2
#[test]
fn a_user_too_logs_in_to_a_client_that_signs() {
    let mut world = World::new();
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]);
    world.token.1["refresh_token"] = json!("r1");
    let mut signing = config().with_signing_key(key());
    signing.pre_registered = vec![(issuer(), ClientCredentials::with_assertions(id("c1")))];
    let session = world.login(signing.clone()).unwrap();
    world.drive(session.refresh(&signing).unwrap()).unwrap();
    let sent = world.sent.borrow();
    let signed = sent.iter().filter(|request| request.uri().path() == "/token");
    assert_eq!(signed.filter(|it| form_of(it, "client_assertion").is_some()).count(), 2);
    // Without the key nothing is sent.
    assert!(matches!(
        world.drive(session.refresh(&config()).unwrap()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Credentials(NoUsableMethod::KeyMissing))
    ));
}

/// SEC-089
#[test]
fn nothing_is_shown_another_way_than_the_server_takes_it() {
    // A key that the server does not take, before anybody is asked for anything.
    for (methods, algorithms) in [
        (json!(["client_secret_basic"]), json!(null)),
        (json!(["private_key_jwt"]), json!(["RS256"])),
    ] {
        let mut world = world_without_users(methods);
        world.metadata.1["token_endpoint_auth_signing_alg_values_supported"] = algorithms;
        let client = ClientCredentials::with_assertions(id("c1"));
        let machine =
            ClientConfig::client_credentials("Test", issuer(), client).with_signing_key(key());
        assert!(matches!(
            world.login(machine).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Credentials(NoUsableMethod::KeyNotAccepted))
        ));
        assert_eq!(world.token_requests(), 0);
    }
    // A secret where only keys are taken: chosen for no server that does not list a method for it.
    let listed = [AuthMethod::PrivateKeyJwt];
    let chosen = ClientCredentials::choose(id("c"), Some(Secret::new("s")), None, &listed);
    assert_eq!(chosen.unwrap_err(), NoUsableMethod::SecretNotAccepted);
}

/// C-EXT-4
#[test]
fn a_workload_shows_what_its_platform_says_of_it_once() {
    let mut world = world_without_users(json!(["none"]));
    world.identity = "platform.jwt.sig".to_owned();
    let client = ClientCredentials::public(id("workload"));
    let workload = ClientConfig::workload_identity("Test", issuer(), client);
    world.login(workload.clone()).unwrap();
    {
        let sent = world.sent.borrow();
        let request = sent.last().unwrap();
        assert_eq!(form_of(request, "grant_type").unwrap(), JWT_BEARER);
        assert_eq!(form_of(request, "assertion").unwrap(), "platform.jwt.sig");
        assert_eq!(form_of(request, "client_id").unwrap(), "workload");
        assert_eq!(form_of(request, "resource").unwrap(), MCP);
        assert_eq!(form_of(request, "client_secret"), None);
    }
    for error in ["invalid_grant", "invalid_scope", "unauthorized_client"] {
        world.sent.borrow_mut().clear();
        world.token = (400, json!({ "error": error }));
        assert!(
            matches!(
                world.login(workload.clone()).as_ref().map_err(FlowError::kind),
                Err(FlowErrorKind::Refused(_))
            ),
            "{error}"
        );
        // Neither again nor by another grant.
        assert_eq!(world.token_requests(), 1, "{error}");
    }
}

/// SEC-247
#[test]
fn an_echo_of_the_token_endpoint_puts_no_secret_into_the_error() {
    let mut world = world_without_users(json!(["client_secret_basic"]));
    world.interfere = Box::new(|request| {
        let is_token = request.uri().path() == "/token";
        let said = format!("{:?} {:?}", request.headers(), request.body());
        let basic = request.headers().get(AUTHORIZATION)?.to_str().unwrap().to_owned();
        let error = json!({"error": basic.replace(' ', ":"), "error_description":
            format!("secret the secret, {basic}, {said}"),
            "error_uri": format!("https://as.example/errors?{}", basic.replace(' ', "&"))});
        is_token.then(|| json_response(400, &error))
    });
    let machine = ClientConfig::client_credentials("Test", issuer(), secret_client("c 1"));
    let error = world.login(machine).unwrap_err();
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(shown.contains("[secret]"), "{shown}");
    for secret in ["the secret", "YyUyMDE6dGhlJTIwc2VjcmV0"] {
        assert!(!shown.contains(secret), "{shown}");
    }

    // An assertion, as codes, verifiers and refresh tokens are sent.
    let mut world = world_without_users(json!(["none"]));
    world.identity = "platform.jwt.signature".to_owned();
    world.interfere = Box::new(|request| {
        let said = String::from_utf8(request.body().to_vec()).unwrap();
        let error = json!({"error": "invalid_grant", "error_description": said});
        (request.uri().path() == "/token").then(|| json_response(400, &error))
    });
    let client = ClientCredentials::public(id("workload"));
    let error = world.login(ClientConfig::workload_identity("Test", issuer(), client)).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("[secret]") && !shown.contains("platform.jwt"), "{shown}");
}

/// A client of an enterprise, and what its identity provider answers.
fn enterprise(answer: (u16, Value)) -> (World, ClientConfig) {
    let mut world = world_without_users(json!(["client_secret_basic"]));
    world.interfere = Box::new(move |request| {
        let is_provider = *request.uri() == "https://idp.example/token";
        is_provider.then(|| json_response(answer.0, &answer.1))
    });
    let provider = IdentityProvider::new(
        Issuer::parse("https://idp.example").unwrap(),
        EndpointUrl::parse("https://idp.example/token").unwrap(),
        ClientCredentials::public(id("at-idp")),
    );
    let config = ClientConfig::id_jag("Test", issuer(), secret_client("c1"), provider);
    (world, config)
}

/// C-EXT-2
#[test]
fn an_id_token_becomes_an_assertion_becomes_tokens() {
    let answer =
        json!({"access_token": "jag.jwt.sig", "issued_token_type": ID_JAG, "token_type": "N_A"});
    let (world, config) = enterprise((200, answer));
    world.login(config).unwrap();
    let sent = world.sent.borrow();
    let [.., exchange, grant] = &sent[..] else { panic!("{sent:?}") };
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ID_JAG),
        ("subject_token", "id-token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", "https://as.example"),
        ("resource", MCP),
        ("scope", "read"),
        ("client_id", "at-idp"),
    ] {
        assert_eq!(form_of(exchange, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(grant.uri().host(), Some("as.example"));
    assert_eq!(form_of(grant, "grant_type").unwrap(), JWT_BEARER);
    assert_eq!(form_of(grant, "assertion").unwrap(), "jag.jwt.sig");
    assert!(grant.headers()[AUTHORIZATION].to_str().unwrap().starts_with("Basic "));
    // Each server sees what is meant for it.
    assert!(!exchange.headers().contains_key(AUTHORIZATION));
    assert_eq!(form_of(grant, "subject_token"), None);
}

/// C-EXT-2
#[test]
fn what_the_provider_refuses_or_garbles_goes_nowhere() {
    for (status, answer) in [
        (400, json!({"error": "invalid_grant"})),
        (200, json!({"error": "invalid_grant", "access_token": "x", "issued_token_type": ID_JAG})),
        (500, json!({})),
        (302, json!({})),
        (200, json!("<html>")),
        (
            200,
            json!({"access_token": "x", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
        ),
        (200, json!({"access_token": "x"})),
        (200, json!({"access_token": "", "issued_token_type": ID_JAG})),
    ] {
        let (world, config) = enterprise((status, answer.clone()));
        let error = world.login(config).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Refused(_)
                    | FlowErrorKind::Status(_)
                    | FlowErrorKind::Document { .. }
            ),
            "{answer} {error:?}"
        );
        assert_eq!(world.token_requests(), 1, "the provider's own: {answer}");
    }
}

/// SEC-139: a machine has no user who could notice.
#[test]
fn a_server_that_was_not_agreed_upon_gets_no_credentials() {
    let honest = Issuer::parse("https://honest.example").unwrap();
    let client = || ClientCredentials::public(id("workload"));
    let mut world = world_without_users(json!(["none"]));
    world.metadata.1["client_id_metadata_document_supported"] = json!(true);
    world.kept = {
        let own = ClientConfig::workload_identity("Test", issuer(), client());
        Some(world.login(own).unwrap().to_record())
    };
    world.sent.borrow_mut().clear();
    let mut workload = ClientConfig::workload_identity("Test", honest.clone(), client());
    let url = ClientMetadataUrl::parse("https://client.example/meta.json").unwrap();
    workload.metadata_url = Some(url);
    let mut machine = ClientConfig::client_credentials("Test", honest, secret_client("c1"));
    machine.metadata_url = workload.metadata_url.clone();
    for config in [workload, machine] {
        let error = world.login(config).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                FlowErrorKind::Registration(RegistrationError::NotOffered { .. })
            ),
            "{error:?}"
        );
    }
    assert_eq!(world.token_requests(), 0);
}

/// C-DISC-9
#[test]
fn of_several_servers_the_issuer_of_the_credentials_is_used() {
    let mut world = world_without_users(json!(["client_secret_basic"]));
    world.prm.1["authorization_servers"] =
        json!(["https://other.example", "https://as.example", "https://third.example"]);
    let machine = ClientConfig::client_credentials("Test", issuer(), secret_client("c1"));
    let session = world.login(machine).unwrap();
    assert_eq!(session.account().server.issuer, issuer());
}
