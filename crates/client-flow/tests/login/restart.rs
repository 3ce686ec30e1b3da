//! What another run or another process left in the store.

use client_auth::ClientCredentials;
use client_flow::{
    ClientConfig, DiscoveryError, FlowError, FlowErrorKind, FlowStage, Session, StoredCredentials,
    login,
};
use oauth_types::{
    AuthMethod, BearerChallenge, ClientId, ClientMetadataUrl, Issuer, RedirectUri, ScopeSet,
    Secret, UnixTime,
};
use serde_json::json;

use crate::world::*;

/// A world in which a client logged in once, for `read write`; and its session.
pub(crate) fn after_a_login() -> (World, Session) {
    let mut world = World::new();
    world.prm.1["scopes_supported"] = json!(["read", "write"]);
    world.token.1["refresh_token"] = json!("r1");
    let session = world.login(config()).unwrap();
    world.token.1["access_token"] = json!("at2");
    world.token.1["refresh_token"] = json!("r2");
    world.sent.borrow_mut().clear();
    world.callback = Box::new(|_| panic!("the user was asked"));
    (world, session)
}

/// The record, as if its access token had expired.
pub(crate) fn expired(session: &Session) -> StoredCredentials {
    let mut record = session.to_record();
    let tokens = record.tokens.as_mut().unwrap();
    (tokens.expires_at, tokens.refresh_at) = (Some(UnixTime::from_secs(1)), None);
    record
}

#[test]
fn tokens_of_an_earlier_run_are_used_without_asking_anybody() {
    let (mut world, session) = after_a_login();
    world.kept = Some(session.to_record());
    let again = world.login(config()).unwrap();
    assert_eq!(again.tokens().access_token.expose(), "at");
    assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{:?}", world.sent());
}

#[test]
fn tokens_that_the_server_refused_are_not_taken_up_again() {
    let (mut world, session) = after_a_login();
    let mut kept = session.to_record();
    kept.tokens.as_mut().unwrap().refresh_token = None;
    world.kept = Some(kept);
    world.callback = World::new().callback;
    let again = world.drive(login(config(), MCP, None, Some(&session)).unwrap()).unwrap();
    assert_eq!(again.tokens().access_token.expose(), "at2");
    assert_eq!(world.token_form("grant_type").as_deref(), Some("authorization_code"));
}

/// C-REG-5, SEC-140
#[test]
fn another_authorization_server_sees_nothing_of_the_first() {
    let (mut world, session) = after_a_login();
    world.kept = Some(session.to_record());
    world.prm.1["authorization_servers"] = json!(["https://new.example"]);
    let mut new = metadata("https://new.example");
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        new[member] = json!(new[member].as_str().unwrap().replace("as.example", "new.example"));
    }
    world.interfere = Box::new(move |request| {
        let uri = request.uri().to_string();
        let path = uri.strip_prefix("https://new.example")?;
        Some(match path {
            "/.well-known/oauth-authorization-server" => json_response(200, &new),
            "/register" => json_response(201, &json!({"client_id": "c2"})),
            "/token" => json_response(200, &json!({"access_token": "n", "token_type": "Bearer"})),
            _ => json_response(404, &json!({})),
        })
    });
    world.callback = Box::new(|url| {
        let state = query(url, "state").unwrap();
        format!("http://127.0.0.1/cb?code=c&state={state}&iss=https://new.example")
    });
    let moved = world.drive(login(config(), MCP, None, Some(&session)).unwrap()).unwrap();
    assert_eq!(moved.account().client.client_id().as_str(), "c2");
    let sent = world.sent.borrow();
    let to_new = sent.iter().filter(|request| request.uri().host() == Some("new.example"));
    for request in to_new {
        let shown = format!("{request:?} {}", String::from_utf8_lossy(request.body()));
        for old in ["c1", "r1", "\"at\""] {
            assert!(!shown.contains(old), "{old} in {shown}");
        }
    }
    // What was asked for is asked for again.
    assert_eq!(moved.tokens().requested.as_ref().unwrap().as_str(), "read write");
}

/// C-TOKEN-7
#[test]
fn metadata_that_cannot_be_read_again_costs_no_refresh_token() {
    let mut no_s256 = metadata("https://as.example");
    no_s256["code_challenge_methods_supported"] = json!(["plain"]);
    let mut elsewhere = metadata("https://as.example");
    elsewhere["token_endpoint"] = json!("https://127.0.0.1/token");
    for broken in [
        (200, json!("<html>")),
        (200, json!({"issuer": 1})),
        (200, metadata("https://evil.example")),
        (200, json!({"issuer": "https://as.example"})),
        (200, no_s256),
        (200, elsewhere),
        (302, json!({})),
        (404, json!({})),
        (429, json!({})),
        (500, json!({"error": "invalid_grant"})),
        (503, json!({})),
    ] {
        let (mut world, session) = after_a_login();
        world.saved.borrow_mut().clear();
        let mut record = session.to_record();
        record.account.server.read_at = None;
        let old = Session::restore(record).unwrap();
        world.metadata = broken.clone();
        let error = world.drive(old.refresh(&config()).unwrap()).unwrap_err();
        assert!(!error.ends_grant() && !error.ends_client(), "{broken:?} {error:?}");
        // The remembered token endpoint is not used either.
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{broken:?}");
        assert!(world.saved.borrow().is_empty(), "{broken:?}");
        let old = old.after(&error);
        world.metadata = World::new().metadata;
        let fresh = world.drive(old.refresh(&config()).unwrap()).unwrap();
        assert_eq!(world.token_form("refresh_token").as_deref(), Some("r1"), "{broken:?}");
        assert_eq!(fresh.tokens().refresh_token.as_ref().unwrap().expose(), "r2");
    }
}

/// C-TOKEN-7
#[test]
fn a_login_after_a_failed_refresh_keeps_the_token_until_done() {
    for (status, body, is_kept) in [
        (404, json!({}), true),
        (302, json!({}), true),
        (200, json!("<html>"), true),
        (400, json!({"error": "invalid_request"}), true),
        (400, json!({"error": "invalid_grant"}), false),
    ] {
        let (mut world, session) = after_a_login();
        world.kept = Some(expired(&session));
        world.saved.borrow_mut().clear();
        world.interfere = Box::new(move |request| {
            let is_refresh = form_of(request, "grant_type").as_deref() == Some("refresh_token");
            is_refresh.then(|| json_response(status, &body))
        });
        // The user closes the page.
        world.callback = Box::new(|_| "http://127.0.0.1/cb?nothing=1".to_owned());
        assert!(world.login(config()).is_err());
        assert_eq!(world.token_requests(), 1, "{status}");
        let saved = world.saved.borrow().last().cloned().unwrap();
        assert_eq!(saved.account.unfinished_logins, 1, "{status}");
        let token = saved.tokens.as_ref().and_then(|tokens| tokens.refresh_token.as_ref());
        assert_eq!(token.map(Secret::expose), is_kept.then_some("r1"), "{status}");
        assert_eq!(saved.asked.is_some(), !is_kept);
    }
}

/// C-SCOPE-4
#[test]
fn a_step_up_keeps_its_scopes_over_a_restart() {
    let (mut world, session) = after_a_login();
    let mut kept = expired(&session);
    let tokens = kept.tokens.as_mut().unwrap();
    tokens.refresh_token = None;
    tokens.requested = Some(ScopeSet::parse("read write admin").unwrap());
    world.kept = Some(kept);
    world.callback = World::new().callback;
    let challenge = BearerChallenge::new().with_scope(ScopeSet::parse("read").unwrap());
    let again = world.drive(login(config(), MCP, Some(&challenge), None).unwrap()).unwrap();
    assert_eq!(again.tokens().requested.as_ref().unwrap().as_str(), "read write admin");
}

/// C-REG-6
#[test]
fn a_metadata_document_is_the_client_at_every_issuer() {
    let url = "https://client.example/meta.json";
    let mut with_document = config();
    with_document.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
    for issuer in ["https://as.example", "https://as.example/tenant"] {
        let mut world = World::new();
        world.prm.1["authorization_servers"] = json!([issuer]);
        let mut document = metadata(issuer);
        document["client_id_metadata_document_supported"] = json!(true);
        world.interfere = Box::new(move |request| {
            let path = request.uri().path();
            let is_metadata = path.starts_with("/.well-known/oauth-authorization-server");
            is_metadata.then(|| json_response(200, &document))
        });
        world.callback = Box::new(move |url| {
            let state = query(url, "state").unwrap();
            format!("http://127.0.0.1/cb?code=c&state={state}&iss={issuer}")
        });
        world.login(with_document.clone()).unwrap();
        assert_eq!(world.token_form("client_id").as_deref(), Some(url));
        assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
    }
}

/// C-TOKEN-7
#[test]
fn a_step_up_of_a_client_that_was_forgotten_registers_anew() {
    let (mut world, session) = after_a_login();
    world.token = (401, json!({"error": "invalid_client"}));
    let refused = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
    let session = session.after(&refused);
    assert!(session.tokens().refresh_token.is_none());
    world.kept = world.saved.borrow().last().cloned();
    (world.token, world.callback) = (World::new().token, World::new().callback);
    world.register.1["client_id"] = json!("c2");
    let scope = ScopeSet::parse("read write admin").unwrap();
    let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope.clone(), NOW);
    let stepped = world.drive(step.unwrap()).unwrap();
    assert_eq!(stepped.account().client.client_id().as_str(), "c2");
    assert_eq!(stepped.tokens().requested, Some(scope));
    // After what passes, nothing changes.
    let passing = FlowError::new(FlowStage::Refresh, FlowErrorKind::NotLoaded);
    assert!(
        stepped.clone().after(&passing).tokens().refresh_token.is_some()
            == stepped.tokens().refresh_token.is_some()
    );
}

/// C-REG-5
#[test]
fn a_record_is_this_clients_or_is_left_alone() {
    let (_, session) = after_a_login();
    let record = session.to_record();
    assert!(config().owns(&record));
    let secret = || ClientCredentials::public(ClientId::parse("c1").unwrap());
    let here = Issuer::parse("https://as.example").unwrap();
    let elsewhere = Issuer::parse("https://other.example").unwrap();
    // A user's tokens are no machine's, here or elsewhere.
    for issuer in [here.clone(), elsewhere] {
        assert!(!ClientConfig::client_credentials("Test", issuer, secret()).owns(&record));
    }
    let mut another = config();
    let other = ClientCredentials::public(ClientId::parse("c2").unwrap());
    another.pre_registered.push((here, other));
    assert!(!another.owns(&record));
    // Neither is taken over by a refresh.
    let (mut world, session) = after_a_login();
    let mut theirs = session.to_record();
    theirs.account.client = ClientCredentials::public(ClientId::parse("theirs").unwrap());
    theirs.tokens.as_mut().unwrap().access_token = Secret::new("theirs");
    world.kept = Some(theirs);
    let mut mine = config();
    mine.pre_registered.push((Issuer::parse("https://as.example").unwrap(), secret()));
    let refreshed = world.drive(session.refresh(&mine).unwrap()).unwrap();
    assert_eq!(refreshed.tokens().access_token.expose(), "at2");
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
}

#[test]
fn another_redirect_address_needs_another_registration() {
    let (mut world, session) = after_a_login();
    let mut kept = session.to_record();
    kept.tokens = None;
    world.kept = Some(kept);
    world.callback = World::new().callback;
    let moved = || {
        let redirect_uri = RedirectUri::parse("http://127.0.0.1:50002/cb").unwrap();
        ClientConfig::new("Test", redirect_uri)
    };
    world.login(config()).unwrap();
    assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
    world.login(moved()).unwrap();
    assert!(world.sent().iter().any(|line| line.ends_with("/register")));
    // A step-up as well.
    world.sent.borrow_mut().clear();
    let scope = ScopeSet::parse("admin").unwrap();
    let step = session.step_up(&moved(), MCP, &BearerChallenge::default(), scope, NOW).unwrap();
    world.drive(step).unwrap();
    assert!(world.sent().iter().any(|line| line.ends_with("/register")));
}

#[test]
fn what_the_host_says_now_counts_more_than_what_is_kept() {
    // A secret that was replaced.
    let mut world = World::new();
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    world.token.1["refresh_token"] = json!("r1");
    let with_secret = |secret: &str| {
        let (id, method) = (ClientId::parse("c1").unwrap(), &AuthMethod::ClientSecretPost);
        let client =
            ClientCredentials::choose(id, Some(Secret::new(secret)), Some(method), &[]).unwrap();
        let mut own = config();
        own.pre_registered.push((Issuer::parse("https://as.example").unwrap(), client));
        own
    };
    let session = world.login(with_secret("old")).unwrap();
    world.drive(session.refresh(&with_secret("new")).unwrap()).unwrap();
    assert_eq!(world.token_form("client_secret").as_deref(), Some("new"));
    world.callback = World::new().callback;
    let (own, scope) = (with_secret("newer"), ScopeSet::parse("read write admin").unwrap());
    let step = session.step_up(&own, MCP, &BearerChallenge::default(), scope, NOW);
    world.drive(step.unwrap()).unwrap();
    assert_eq!(world.token_form("client_secret").as_deref(), Some("newer"));
    // A document that has moved.
    let mut world = World::new();
    world.metadata.1["client_id_metadata_document_supported"] = json!(true);
    let at = |url: &str| {
        let mut own = config();
        own.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
        own
    };
    let session = world.login(at("https://client.example/old.json")).unwrap();
    let mut kept = session.to_record();
    kept.tokens = None;
    world.kept = Some(kept);
    world.login(at("https://client.example/new.json")).unwrap();
    let shown = world.token_form("client_id");
    assert_eq!(shown.as_deref(), Some("https://client.example/new.json"));
}

/// SEC-141, C-AUTHZ-2
#[test]
fn a_step_up_does_not_rely_on_old_metadata() {
    let (mut world, session) = after_a_login();
    world.callback = World::new().callback;
    let late = UnixTime::from_secs(NOW.as_secs() + 86_400);
    let step_up = |world: &World, now| {
        world.sent.borrow_mut().clear();
        let scope = ScopeSet::parse("read write admin").unwrap();
        let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope, now);
        world.drive(step.unwrap())
    };
    step_up(&world, NOW).unwrap();
    assert_eq!(world.sent().len(), 1);
    let stepped = step_up(&world, late).unwrap();
    assert!(world.sent().iter().any(|line| line.ends_with("/oauth-authorization-server")));
    assert_eq!(stepped.tokens().requested.as_ref().unwrap().as_str(), "read write admin");
    world.metadata.1["code_challenge_methods_supported"] = json!(["plain"]);
    assert!(matches!(
        step_up(&world, late).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. }))
    ));
    // A refresh reads it again by the same rules.
    let mut record = session.to_record();
    record.account.server.read_at = None;
    let old = Session::restore(record).unwrap();
    let error = world.drive(old.refresh(&config()).unwrap()).unwrap_err();
    assert!(matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::NoS256 { .. })));
}
