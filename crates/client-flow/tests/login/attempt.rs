//! Registrations that a server has forgotten, or may have.

use client_auth::ClientCredentials;
use client_flow::{
    Account, BrowserRequest, CallbackError, ClientConfig, FlowError, FlowErrorKind, Session, Step,
    StoredCredentials, login,
};
use iss_validate::Callback;
use oauth_types::{BearerChallenge, ClientId, ClientMetadataUrl, Issuer, ScopeSet, UnixTime};
use serde_json::{Value, json};

use crate::world::*;

/// Puts what was saved where the next step finds it.
fn keep(world: &mut World) {
    let saved = world.saved.borrow_mut().drain(..).next_back();
    world.kept = saved.or_else(|| world.kept.take());
}

/// A login up to its visit. What it registers is named by how many were before.
fn leave(world: &mut World, config: ClientConfig) -> Box<BrowserRequest> {
    let registered = world.sent().iter().filter(|line| line.ends_with("/register")).count();
    world.register.1["client_id"] = json!(format!("c{}", registered + 1));
    let visit = world.until_user(login(config, MCP, None, None).unwrap()).unwrap().unwrap();
    keep(world);
    visit
}

/// One run whose user comes back: the client that logged in.
fn run(world: &mut World, config: ClientConfig) -> Result<String, FlowError> {
    let visit = leave(world, config);
    let callback = (world.callback)(visit.url());
    let step = visit.resume(Callback::from_url(&callback), NOW)?;
    let outcome = world.until_user(step);
    keep(world);
    outcome.map(|session| session.unwrap_err().account().client.client_id().as_str().to_owned())
}

/// One run whose user never comes back, or that ends there: the client that the page was shown for.
fn abandoned(world: &mut World, config: ClientConfig) -> String {
    query(leave(world, config).url(), "client_id").unwrap()
}

fn callback_with(error: &'static str) -> Box<dyn Fn(&str) -> String> {
    Box::new(move |url| {
        let state = query(url, "state").unwrap();
        format!("http://127.0.0.1/cb?error={error}&state={state}&iss=https://as.example")
    })
}

fn unfinished(world: &World) -> u8 {
    world.kept.as_ref().unwrap().account.unfinished_logins
}

fn is_refresh(request: &http::Request<bytes::Bytes>) -> bool {
    request.uri().path() == "/token"
        && form_of(request, "grant_type").as_deref() == Some("refresh_token")
}

/// SEC-240
#[test]
fn a_client_that_one_login_failed_with_is_not_shown_again() {
    let mut world = World::new();
    let shown: Vec<String> = (0..5).map(|_| abandoned(&mut world, config())).collect();
    assert_eq!(shown, ["c1", "c1", "c2", "c2", "c3"]);
    // Also one that has worked before.
    let mut world = World::new();
    assert_eq!(run(&mut world, config()).unwrap(), "c1");
    world.kept.as_mut().unwrap().tokens = None;
    let shown: Vec<String> = (0..3).map(|_| abandoned(&mut world, config())).collect();
    assert_eq!(shown, ["c1", "c2", "c2"]);
}

/// The tokens from before stay meanwhile.
#[test]
fn a_login_is_counted_before_the_browser_opens() {
    let mut world = World::new();
    world.token.1["refresh_token"] = json!("r1");
    let session = world.login(config()).unwrap();
    world.kept = Some(session.to_record());
    assert_eq!(unfinished(&world), 0);
    world.interfere =
        Box::new(|request| is_refresh(request).then(|| json_response(503, &json!({}))));
    // The server does not take the access token any more.
    let step = login(config(), MCP, None, Some(&session)).unwrap();
    world.saved.borrow_mut().clear();
    let _visit = world.until_user(step).unwrap().unwrap();
    let saved = world.saved.borrow().last().cloned().unwrap();
    assert_eq!(saved.account.unfinished_logins, 1);
    assert_eq!(saved.tokens.unwrap().refresh_token.unwrap().expose(), "r1");
    // A store that cannot count keeps nobody out.
    world.saves.set(false);
    let step = login(config(), MCP, None, Some(&session)).unwrap();
    assert!(world.until_user(step).unwrap().is_ok());
}

/// SEC-240: each way in which servers say that they have forgotten a client.
#[test]
fn a_forgotten_client_is_replaced_at_the_second_login() {
    let at_token: [(u16, Value); 5] = [
        (400, json!({"error": "unauthorized_client"})),
        (422, json!({"message": "Unrecognized client_id"})),
        (404, json!("Not Found")),
        (403, json!("<html>")),
        (401, json!({"detail": "x"})),
    ];
    for (status, body) in at_token {
        let mut world = World::new();
        run(&mut world, config()).unwrap();
        world.kept.as_mut().unwrap().tokens = None;
        world.interfere = Box::new(move |request| {
            let is_old = request.uri().path() == "/token"
                && form_of(request, "client_id").as_deref() == Some("c1");
            is_old.then(|| json_response(status, &body))
        });
        assert!(run(&mut world, config()).is_err());
        assert_eq!(run(&mut world, config()).unwrap(), "c2", "{status}");
    }
    for error in ["unauthorized_client", "invalid_client", "invalid_request", "server_error"] {
        let mut world = World::new();
        world.callback = callback_with(error);
        assert!(matches!(
            run(&mut world, config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Denied(_))
        ));
        // A registration of a minute ago gets a second chance, and no third.
        assert!(matches!(
            run(&mut world, config()).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Denied(_))
        ));
        world.callback = World::new().callback;
        assert_eq!(run(&mut world, config()).unwrap(), "c2", "{error}");
    }
    // One word is enough where it says so.
    let mut world = World::new();
    world.token = (401, json!({"error": "invalid_client"}));
    assert!(run(&mut world, config()).is_err());
    world.token = World::new().token;
    assert_eq!(run(&mut world, config()).unwrap(), "c2");
}

#[test]
fn tokens_and_a_denial_prove_that_the_server_knows_the_client() {
    let mut world = World::new();
    run(&mut world, config()).unwrap();
    world.kept.as_mut().unwrap().tokens = None;
    world.callback = callback_with("access_denied");
    for _ in 0..4 {
        let visit = leave(&mut world, config());
        assert_eq!(
            (query(visit.url(), "client_id").as_deref(), unfinished(&world)),
            (Some("c1"), 1)
        );
        let callback = (world.callback)(visit.url());
        let step = visit.resume(Callback::from_url(&callback), NOW).unwrap();
        assert!(matches!(
            world.until_user(step).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Denied(_))
        ));
        keep(&mut world);
        assert_eq!(unfinished(&world), 0);
    }
    // Of another server a denial proves nothing.
    world.callback = Box::new(|url| {
        let state = query(url, "state").unwrap();
        format!("/cb?error=access_denied&state={state}&iss=https://evil.example")
    });
    assert!(matches!(
        run(&mut world, config()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Callback(CallbackError::Rejected(_)))
    ));
    assert_eq!(unfinished(&world), 1);
    // A denial that comes after another process has registered anew is no word about its client.
    let mut world = World::new();
    let _ = leave(&mut world, config());
    let visit = leave(&mut world, config());
    let theirs = &mut world.kept.as_mut().unwrap().account;
    theirs.client = ClientCredentials::public(ClientId::parse("theirs").unwrap());
    let callback = callback_with("access_denied")(visit.url());
    let step = visit.resume(Callback::from_url(&callback), NOW).unwrap();
    assert!(matches!(
        world.until_user(step).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Denied(_))
    ));
    assert!(world.saved.borrow().is_empty());
    // A login, and a refresh as well.
    let mut world = World::new();
    world.token.1["refresh_token"] = json!("r1");
    abandoned(&mut world, config());
    assert_eq!(run(&mut world, config()).unwrap(), "c1");
    assert_eq!(
        (unfinished(&world), world.kept.as_ref().unwrap().account.unproven_since),
        (0, None)
    );
    let mut kept = world.kept.clone().unwrap();
    kept.account.unfinished_logins = 2;
    let session = Session::restore(kept).unwrap();
    world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.saved.borrow().last().unwrap().account.unfinished_logins, 0);
}

#[test]
fn a_registration_that_never_led_to_tokens_is_soon_replaced() {
    let hour = Account::UNPROVEN_LIFETIME.as_secs();
    for (age, client) in [(hour - 1, "c1"), (hour, "c2"), (7 * 86_400, "c2")] {
        let mut world = World::new();
        assert_eq!(abandoned(&mut world, config()), "c1");
        let kept = world.kept.as_mut().unwrap();
        assert_eq!(kept.account.unproven_since, Some(NOW));
        kept.account.unproven_since = Some(UnixTime::from_secs(NOW.as_secs() - age));
        assert_eq!(run(&mut world, config()).unwrap(), client);
        // One that did is, however old it is.
        assert_eq!(world.kept.as_ref().unwrap().account.unproven_since, None);
    }
}

#[test]
fn what_the_host_gave_is_the_hosts_to_replace() {
    let mut pre_registered = config();
    let own = ClientCredentials::public(ClientId::parse("own").unwrap());
    pre_registered.pre_registered.push((Issuer::parse("https://as.example").unwrap(), own));
    let mut with_document = config();
    let url = "https://client.example/meta.json";
    with_document.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
    for (config, id) in [(pre_registered, "own"), (with_document, url)] {
        let mut world = World::new();
        world.metadata.1["client_id_metadata_document_supported"] = json!(true);
        for _ in 0..4 {
            assert_eq!(abandoned(&mut world, config.clone()), id);
        }
        assert!(world.kept.is_none());
        assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
    }
    // What another client registered here earlier changes nothing about it.
    let mut world = World::new();
    abandoned(&mut world, config());
    abandoned(&mut world, config());
    world.metadata.1["client_id_metadata_document_supported"] = json!(true);
    let mut with_document = config();
    with_document.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
    assert_eq!(run(&mut world, with_document).unwrap(), url);
    assert_eq!(world.kept.unwrap().account.redirect_uri, None);
}

#[test]
fn a_client_that_cannot_register_anew_keeps_what_it_has() {
    let mut world = World::new();
    abandoned(&mut world, config());
    abandoned(&mut world, config());
    world.metadata.1.as_object_mut().unwrap().remove("registration_endpoint");
    assert_eq!(run(&mut world, config()).unwrap(), "c1");
}

#[test]
fn a_step_up_that_is_not_finished_relies_on_nothing_twice() {
    let mut world = World::new();
    world.token.1["refresh_token"] = json!("r1");
    let session = world.login(config()).unwrap();
    world.kept = Some(session.to_record());
    let scope = || ScopeSet::parse("read write").unwrap();
    let step_up = |world: &mut World| {
        world.sent.borrow_mut().clear();
        let challenge = BearerChallenge::default();
        let step = session.step_up(&config(), MCP, &challenge, scope(), NOW).unwrap();
        world.register.1["client_id"] = json!("c2");
        let visit = world.until_user(step).unwrap().unwrap();
        keep(world);
        (query(visit.url(), "client_id").unwrap(), world.sent().len())
    };
    // By what is known; then what the servers publish is read again, and as another client.
    assert_eq!(step_up(&mut world), ("c1".to_owned(), 0));
    let kept = world.kept.clone().unwrap();
    assert_eq!((kept.account.unfinished_logins, kept.tokens.is_some()), (1, true));
    assert_eq!(step_up(&mut world), ("c2".to_owned(), 3));
    // Another process that holds the first client's tokens takes up the new client.
    assert_eq!(step_up(&mut world).0, "c2");
    // Where the store cannot be read, it is made without a count.
    let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope(), NOW).unwrap();
    let Step::LoadCredentials(recall) = step else { panic!("a recall") };
    let _visit = world.until_user(recall.failed(NOW).unwrap()).unwrap().unwrap();
    assert!(world.saved.borrow().is_empty());
}

#[test]
fn records_of_earlier_versions_are_read_and_counted_on() {
    let mut world = World::new();
    abandoned(&mut world, config());
    let mut json = serde_json::to_value(world.kept.as_ref().unwrap()).unwrap();
    let members = json.as_object_mut().unwrap();
    for name in ["unfinished_logins", "unproven_since", "registered_scope"] {
        members.remove(name);
    }
    world.kept = Some(serde_json::from_value::<StoredCredentials>(json).unwrap());
    let shown: Vec<String> = (0..3).map(|_| abandoned(&mut world, config())).collect();
    assert_eq!(shown, ["c1", "c2", "c2"]);
}
