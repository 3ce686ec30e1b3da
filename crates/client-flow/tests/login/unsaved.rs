//! A store that fails to save.

use client_flow::{FlowError, FlowErrorKind, Session, Step, StoredCredentials, login};
use oauth_types::{BearerChallenge, ScopeSet};
use serde_json::json;

use crate::world::*;

/// A server that rotates: each answer has tokens of its own.
fn issues(world: &mut World, number: u8) {
    world.token.1["access_token"] = json!(format!("at{number}"));
    world.token.1["refresh_token"] = json!(format!("rt{number}"));
}

/// A session whose second pair of tokens could not be saved.
fn after_a_save_that_failed() -> (World, Session) {
    let mut world = World::new();
    issues(&mut world, 1);
    let session = world.login(config()).unwrap();
    assert!(session.is_saved());
    world.kept = world.saved.borrow().last().cloned();
    world.saves.set(false);
    issues(&mut world, 2);
    let session = world.drive(session.refresh(&config()).unwrap()).unwrap();
    issues(&mut world, 3);
    (world, session)
}

fn access_token(record: Option<&StoredCredentials>) -> &str {
    record.unwrap().tokens.as_ref().unwrap().access_token.expose()
}

/// C-TOKEN-6, SEC-241
#[test]
fn tokens_that_could_not_be_saved_are_used_and_saved_again() {
    let (mut world, session) = after_a_save_that_failed();
    assert!(!session.is_saved());
    assert_eq!(session.tokens().access_token.expose(), "at2");
    // The store fails once more, and nothing changes.
    let session = world.drive(session.save()).unwrap();
    assert!(!session.is_saved());
    world.saves.set(true);
    let saved = world.drive(session.save()).unwrap();
    assert!(saved.is_saved());
    world.kept = world.saved.borrow().last().cloned();
    assert_eq!(access_token(world.kept.as_ref()), "at2");
    // A save that had worked after all is no news.
    assert!(world.drive(session.save()).unwrap().is_saved());
    assert_eq!(world.token_requests(), 2);
}

/// C-TOKEN-6, SEC-241
#[test]
fn a_spent_refresh_token_is_not_sent_again() {
    let (mut world, session) = after_a_save_that_failed();
    // The store still holds `rt1`.
    let third = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("rt2"));
    assert!(!third.is_saved() && third.tokens().access_token.expose() == "at3");
    issues(&mut world, 4);
    // Nor by a refresh after a second failure, and the first save that works comes before it.
    world.saves.set(true);
    world.saved.borrow_mut().clear();
    let fourth = world.drive(third.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("rt3"));
    assert!(fourth.is_saved());
    let saved = world.saved.borrow();
    let saved: Vec<&str> = saved.iter().map(|record| access_token(Some(record))).collect();
    assert_eq!(saved, ["at3", "at4"]);
}

/// C-TOKEN-6, SEC-241
#[test]
fn a_login_takes_up_no_tokens_that_were_replaced() {
    let (world, session) = after_a_save_that_failed();
    let before = world.token_requests();
    // The server refuses `at2`; the store still holds `at1`, by its clock a good token.
    let step = login(config(), MCP, None, Some(&session)).unwrap();
    assert!(world.until_user(step).unwrap().is_ok(), "the user is asked");
    assert_eq!(world.token_requests(), before);
    // Nor does a step-up put them back.
    world.saves.set(true);
    let scope = ScopeSet::parse("read write").unwrap();
    let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope, NOW).unwrap();
    let _visit = world.until_user(step).unwrap().unwrap();
    assert_eq!(access_token(world.saved.borrow().last()), "at2");
}

/// C-DISC-8, SEC-241: it is taken up instead.
#[test]
fn a_later_save_of_another_process_is_not_overwritten() {
    let (mut world, session) = after_a_save_that_failed();
    world.saves.set(true);
    let mut theirs = world.kept.clone().unwrap();
    theirs.tokens.as_mut().unwrap().access_token = oauth_types::Secret::new("theirs");
    world.kept = Some(theirs);
    world.saved.borrow_mut().clear();
    let taken = world.drive(session.save()).unwrap();
    assert_eq!(taken.tokens().access_token.expose(), "theirs");
    let taken = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(taken.tokens().access_token.expose(), "theirs");
    assert!(world.saved.borrow().is_empty());
    // Another process ended the grant: it is not refreshed, and nothing is left to save.
    world.kept.as_mut().unwrap().tokens = None;
    let refreshed = world.drive(session.refresh(&config()).unwrap());
    assert!(matches!(
        refreshed.as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::NoRefreshToken)
    ));
    for removes in [false, true] {
        world.kept = world.kept.take().filter(|_| !removes);
        let ended = world.drive(session.save()).unwrap();
        assert!(ended.is_saved() && ended.tokens().refresh_token.is_none());
        assert!(world.saved.borrow().is_empty());
    }
}

/// C-SCOPE-5, SEC-245: another process removed them.
#[test]
fn the_count_of_a_step_up_brings_no_removed_tokens_back() {
    let (mut world, session) = after_a_save_that_failed();
    world.saves.set(true);
    let session = world.drive(session.save()).unwrap();
    assert!(session.is_saved());
    world.kept = None;
    world.saved.borrow_mut().clear();
    let scope = ScopeSet::parse("read write").unwrap();
    let step = session.step_up(&config(), MCP, &BearerChallenge::default(), scope, NOW).unwrap();
    let _visit = world.until_user(step).unwrap().unwrap();
    assert!(world.saved.borrow().is_empty());
}

/// C-TOKEN-6, SEC-241
#[test]
fn a_login_and_its_registration_go_on_from_memory() {
    let mut world = World::new();
    world.saves.set(false);
    issues(&mut world, 1);
    let session = world.login(config()).unwrap();
    assert!(!session.is_saved());
    // What is kept is a registration without tokens: the login saved nothing else.
    world.kept = Some(session.logged_out());
    issues(&mut world, 2);
    let second = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("rt1"));
    world.saves.set(true);
    let saved = world.drive(second.save()).unwrap();
    assert!(saved.is_saved());
    assert_eq!(access_token(world.saved.borrow().last()), "at2");
}

/// C-TOKEN-6, SEC-241
#[test]
fn an_unsaved_login_is_not_given_up_for_an_older_record() {
    let mut world = World::new();
    issues(&mut world, 1);
    world.login(config()).unwrap();
    world.kept = world.saved.borrow().last().cloned();
    // The user logs in again while the store neither saves nor loads.
    issues(&mut world, 2);
    world.saves.set(false);
    world.loads.set(false);
    let session = world.login(config()).unwrap();
    assert!(!session.is_saved());
    let session = world.drive(session.save()).unwrap();
    world.saves.set(true);
    world.loads.set(true);
    world.saved.borrow_mut().clear();
    let saved = world.drive(session.save()).unwrap();
    assert!(saved.is_saved());
    assert_eq!(saved.tokens().access_token.expose(), "at2");
    assert_eq!(access_token(world.saved.borrow().last()), "at2");
}

/// C-DISC-8
#[test]
fn a_step_up_that_registers_and_is_abandoned_keeps_the_tokens() {
    registers_and_is_abandoned(|session| {
        let scope = ScopeSet::parse("read write").unwrap();
        session.step_up(&config(), MCP, &BearerChallenge::default(), scope, NOW).unwrap()
    });
}

/// C-DISC-8, C-TOKEN-8
///
/// Another process, whose tokens these have replaced, would else send a spent refresh token.
#[test]
fn a_login_that_registers_and_is_abandoned_keeps_the_tokens() {
    registers_and_is_abandoned(|session| login(config(), MCP, None, Some(session)).unwrap());
}

fn registers_and_is_abandoned(begin: impl Fn(&Session) -> Step) {
    let mut world = World::new();
    issues(&mut world, 1);
    let session = world.login(config()).unwrap();
    let record = world.saved.borrow().last().cloned().unwrap();
    world.saved.borrow_mut().clear();
    // Two logins were left unfinished: the client registers anew.
    let mut kept = record;
    kept.account.unfinished_logins = 2;
    world.kept = Some(kept);
    world.register.1["client_id"] = json!("c2");
    let visit = world.until_user(begin(&session)).unwrap().unwrap();
    assert!(world.sent().last().unwrap().ends_with("/register"));
    // The user leaves here: what was held is held after a restart.
    assert!(world.saved.borrow().iter().all(|record| record.tokens.is_some()));
    // A user who comes back brings the tokens, and with them the new registration.
    issues(&mut world, 2);
    let callback = (world.callback)(visit.url());
    let step = visit.resume(iss_validate::Callback::from_url(&callback), NOW).unwrap();
    let stepped = world.drive(step).unwrap();
    assert_eq!(stepped.account().client.client_id().as_str(), "c2");
    let saved = world.saved.borrow().last().cloned().unwrap();
    assert_eq!(saved.account.client.client_id().as_str(), "c2");
    assert_eq!(access_token(Some(&saved)), "at2");
}

/// SEC-245
#[test]
fn a_session_says_which_logins_the_store_may_hold() {
    let (world, session) = after_a_save_that_failed();
    let first = oauth_types::Secret::new("at1").digest();
    // A refresh keeps the login, also through the store.
    assert_eq!(session.tokens().login(), first);
    let kept = serde_json::to_value(session.to_record()).unwrap();
    let restored = Session::restore(serde_json::from_value(kept).unwrap()).unwrap();
    assert_eq!(restored.stored_logins().unwrap(), [first]);
    assert_eq!(session.stored_logins().unwrap(), [first, first], "its own, and `at1` itself");
    let third = world.drive(session.refresh(&config()).unwrap()).unwrap();
    assert_eq!(third.tokens().access_token.expose(), "at3");
    assert_eq!(third.stored_logins().unwrap(), [first, first]);
}

/// SEC-245
#[test]
fn an_unreadable_store_says_nothing_about_logins() {
    let mut world = World::new();
    issues(&mut world, 1);
    world.saves.set(false);
    world.loads.set(false);
    assert_eq!(world.login(config()).unwrap().stored_logins(), None);
}

/// It is given back.
#[test]
fn a_record_without_tokens_restores_no_session() {
    let session = World::new().login(config()).unwrap();
    let error = Session::restore(session.logged_out()).unwrap_err();
    assert!(error.to_string().contains("log in again"), "{error}");
    assert_eq!(error.into_record().key(), session.to_record().key());
}
