//! Refreshes with the tokens of an earlier run, and failures that a later run has to know.

use client_flow::{FlowError, FlowErrorKind, FlowStage, Session, Step, login};
use oauth_types::{Secret, UnixTime};
use serde_json::json;

use crate::restart::{after_a_login, expired};
use crate::world::*;

/// C-TOKEN-2
#[test]
fn a_confidential_client_refreshes_after_a_restart() {
    let mut world = World::new();
    world.register.1["client_secret"] = json!("s3cret");
    world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    world.token.1["refresh_token"] = json!("r1");
    let session = world.login(config()).unwrap();
    world.kept = Some(expired(&session));
    world.sent.borrow_mut().clear();
    world.token.1["access_token"] = json!("at2");
    let again = world.login(config()).unwrap();
    assert_eq!(again.tokens().access_token.expose(), "at2");
    assert_eq!(world.token_form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(world.token_form("client_secret").as_deref(), Some("s3cret"));
    // By its record alone, without looking anything up.
    world.sent.borrow_mut().clear();
    let restored = Session::restore(expired(&session)).unwrap();
    world.kept = None;
    world.drive(restored.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.sent(), ["POST https://as.example/token"]);
}

/// C-TOKEN-7, SEC-183
#[test]
fn a_dead_refresh_token_is_tried_once_in_all_runs() {
    let (mut world, session) = after_a_login();
    world.kept = Some(expired(&session));
    world.interfere = Box::new(|request| {
        let is_refresh = request.uri().path() == "/token"
            && form_of(request, "grant_type").as_deref() == Some("refresh_token");
        is_refresh.then(|| json_response(400, &json!({"error": "invalid_grant"})))
    });
    world.callback = World::new().callback;
    // The refresh, then a login for all that was asked for before.
    let again = world.login(config()).unwrap();
    assert_eq!(again.tokens().requested.as_ref().unwrap().as_str(), "read write");
    assert_eq!(world.token_requests(), 2);
    // What was saved in between knows the scopes and no token.
    let saved = world.saved.borrow();
    let forgotten = &saved[saved.len() - 2];
    assert!(forgotten.tokens.is_none() && !forgotten.client_refused);
    assert_eq!(forgotten.asked.as_ref().unwrap().as_str(), "read write");
    let forgotten = forgotten.clone();
    drop(saved);
    // A run that ended there does not try it again, and asks for the same.
    world.kept = Some(forgotten);
    world.sent.borrow_mut().clear();
    world.prm.1["scopes_supported"] = json!(["read"]);
    let again = world.login(config()).unwrap();
    assert_eq!(again.tokens().requested.as_ref().unwrap().as_str(), "read write");
    assert_eq!(world.token_requests(), 1);
}

/// C-TOKEN-7
#[test]
fn a_session_forgets_what_the_server_refused_in_its_store_too() {
    for (error, ends_client) in [("invalid_grant", false), ("invalid_client", true)] {
        let (mut world, session) = after_a_login();
        world.saved.borrow_mut().clear();
        world.token = (400, json!({ "error": error }));
        let refused = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
        assert!(refused.ends_grant() && refused.ends_client() == ends_client, "{refused:?}");
        let saved = world.saved.borrow_mut().pop().unwrap();
        assert!(saved.tokens.is_none() && saved.client_refused == ends_client);
        // The next login registers anew only where the client itself was refused.
        (world.token, world.callback) = (World::new().token, World::new().callback);
        world.kept = Some(saved);
        world.sent.borrow_mut().clear();
        world.drive(login(config(), MCP, None, Some(&session)).unwrap()).unwrap();
        let registered = world.sent().iter().any(|line| line.ends_with("/register"));
        assert_eq!(registered, ends_client, "{error}");
    }
    // Where not even that can be kept, what the server said is the error all the same.
    let (mut world, session) = after_a_login();
    world.token = (400, json!({"error": "invalid_grant"}));
    world.saves.set(false);
    let refused = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
    assert!(matches!(refused.kind(), FlowErrorKind::Refused(_)));
}

/// SEC-182
#[test]
fn what_passes_ends_nothing() {
    for (status, body) in [
        (503, json!({})),
        (500, json!({"error": "server_error"})),
        (400, json!({"error": "temporarily_unavailable"})),
        (429, json!("slow down")),
        (200, json!("<html>")),
    ] {
        let (mut world, session) = after_a_login();
        world.saved.borrow_mut().clear();
        world.token = (status, body.clone());
        let error = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
        assert!(!error.ends_grant(), "{body}");
        assert!(world.saved.borrow().is_empty(), "{body}");
        // The same token again.
        world.token = World::new().token;
        world.drive(session.refresh(&config()).unwrap()).unwrap();
        assert_eq!(world.token_form("refresh_token").as_deref(), Some("r1"));
    }
}

/// C-TOKEN-8, SEC-181, SEC-184
#[test]
fn another_process_has_refreshed_already() {
    let (mut world, session) = after_a_login();
    let newer = world.drive(session.refresh(&config()).unwrap()).unwrap();
    world.kept = Some(newer.to_record());
    world.sent.borrow_mut().clear();
    // This process still holds the old tokens: r1 is not sent a second time.
    let adopted = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(adopted.tokens().access_token.expose(), "at2");
    assert!(world.sent().is_empty());
    // Where those are old as well, theirs is the refresh token that counts.
    world.kept = Some(expired(&newer));
    world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("r2"));
}

/// SEC-141
#[test]
fn metadata_is_read_again_after_a_day_and_not_before() {
    let (world, session) = after_a_login();
    let refresh_of = |age: u64, world: &World| {
        let mut record = session.to_record();
        record.account.server.read_at = Some(UnixTime::from_secs(NOW.as_secs() - age));
        world.sent.borrow_mut().clear();
        world.drive(Session::restore(record).unwrap().refresh(&config()).unwrap())
    };
    refresh_of(86_399, &world).unwrap();
    assert_eq!(world.sent(), ["POST https://as.example/token"]);
    let mut world = world;
    world.metadata.1["token_endpoint"] = json!("https://as.example/token2");
    world.interfere = Box::new(|request| {
        let is_new = request.uri().path() == "/token2";
        is_new.then(|| json_response(200, &json!({"access_token": "n", "token_type": "Bearer"})))
    });
    let moved = refresh_of(86_400, &world).unwrap();
    assert_eq!(world.sent()[1], "POST https://as.example/token2");
    assert_eq!(moved.account().server.read_at, Some(NOW));
    // C-DISC-7, C-DISC-12: nothing is sent where it cannot be read or is another's.
    for broken in [
        (503, json!({})),
        (200, json!("<html>")),
        (200, metadata("https://evil.example")),
        (404, json!({})),
    ] {
        world.metadata = broken.clone();
        let error = refresh_of(86_400, &world).unwrap_err();
        assert!(!error.ends_grant(), "{broken:?}");
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{broken:?}");
    }
}

#[test]
fn a_lasting_failure_means_login_and_a_passing_one_retry() {
    for (status, body, passes, is_kept) in [
        (200, json!({"error": "bad_refresh_token"}), false, false),
        (400, json!({"error": "invalid_grant"}), false, false),
        (400, json!({"error": "invalid_request"}), false, true),
        (404, json!({}), false, true),
        (302, json!({}), false, true),
        (200, json!({"token": 1}), false, true),
        (400, json!({"error": "slow_down"}), true, true),
        (429, json!({}), true, true),
        (502, json!("<html>"), true, true),
    ] {
        let (mut world, session) = after_a_login();
        world.token = (status, body.clone());
        let error = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
        assert_eq!(error.is_transient(), passes, "{body} {error:?}");
        let after = session.clone().after(&error);
        assert_eq!(after.tokens().refresh_token.is_some(), is_kept, "{body}");
        // Nor does a restart lock anybody out.
        world.kept = Some(expired(&session));
        world.interfere = Box::new(move |request| {
            let is_refresh = request.uri().path() == "/token"
                && form_of(request, "grant_type").as_deref() == Some("refresh_token");
            is_refresh.then(|| json_response(status, &body))
        });
        (world.token, world.callback) = (World::new().token, World::new().callback);
        assert_eq!(world.login(config()).is_err(), passes);
    }
}

#[test]
fn what_another_process_cannot_refresh_is_taken_as_it_is() {
    let (mut world, session) = after_a_login();
    let mut kept = expired(&session);
    let tokens = kept.tokens.as_mut().unwrap();
    (tokens.access_token, tokens.refresh_token) = (Secret::new("theirs"), None);
    world.kept = Some(kept);
    let adopted = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(adopted.tokens().access_token.expose(), "theirs");
    assert!(world.sent().is_empty());
}

/// C-TOKEN-7
#[test]
fn a_grant_that_another_process_saw_end_is_not_tried_again() {
    let (mut world, session) = after_a_login();
    world.kept = Some(session.logged_out());
    world.sent.borrow_mut().clear();
    let ended = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
    assert!(matches!(ended.kind(), FlowErrorKind::NoRefreshToken), "{ended:?}");
    assert!(world.sent().is_empty() && !ended.is_transient());
}

#[test]
fn a_refused_client_is_remembered_as_refused() {
    let (mut world, session) = after_a_login();
    world.token = (401, json!({"error": "invalid_client"}));
    let refused = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
    let session = session.after(&refused);
    let again = Session::restore(session.to_record()).unwrap();
    for kept in [session.logged_out(), session.to_record(), again.logged_out()] {
        assert!(kept.client_refused);
    }
}

/// C-TOKEN-8
#[test]
fn without_a_look_at_the_store_no_refresh_token_is_sent() {
    let (_, session) = after_a_login();
    let Step::LoadCredentials(recall) = session.refresh(&config()).unwrap() else {
        panic!("a recall")
    };
    assert!(matches!(
        recall.failed(NOW).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::NotLoaded)
    ));
    assert!(FlowError::new(FlowStage::Refresh, FlowErrorKind::NotLoaded).is_transient());
}

/// SEC-141: the token endpoint gave no OAuth error.
#[test]
fn metadata_is_read_again_after_an_unexplained_failure() {
    for (status, body, is_read_again) in [
        (503, json!({}), true),
        (404, json!({}), true),
        (400, json!({"error": "temporarily_unavailable"}), false),
    ] {
        let (mut world, session) = after_a_login();
        world.token = (status, body);
        let error = world.drive(session.refresh(&config()).unwrap()).unwrap_err();
        let session = session.after(&error);
        assert_eq!(session.account().server.read_at.is_none(), is_read_again, "{status}");
        if error.is_transient() {
            world.token = World::new().token;
            world.sent.borrow_mut().clear();
            let session = world.drive(session.refresh(&config()).unwrap()).unwrap();
            let reads = world.sent().iter().filter(|line| line.starts_with("GET ")).count();
            assert_eq!(reads, usize::from(is_read_again));
            assert_eq!(session.account().server.read_at, Some(NOW));
        }
    }
}
