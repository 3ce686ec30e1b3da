//! Tests of the credentials and gates of a client after each outcome.

use client_flow::{DiscoveryError, FlowError, FlowStage, StoredCredentials};
use http::StatusCode;
use oauth_types::{ErrorResponse, Secret};
use scope_stepup::{Decision, InsufficientScopeKind, Policy, StepUpContext};
use serde_json::json;

use super::*;
use crate::flight::{Join, Renewable};

fn login() -> Goal {
    Goal::login(None)
}

fn land(
    own: &mut Holdings,
    outcome: Result<Option<Session>, Error>,
    goal: &Goal,
) -> Result<(), Error> {
    let from = own.session.clone();
    own.land(RenewalResult::new(outcome.map_err(Failure::from), from), goal)
}

fn step_up(tool: &str) -> Goal {
    Goal::ScopeOfOthers(Operation::tool(tool))
}

fn holdings() -> Holdings {
    let record: StoredCredentials = serde_json::from_value(json!({
        "resource": "https://rs.example/mcp",
        "server": {
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "iss_advertised": true,
        },
        "client": {"client_id": "c", "method": "none"},
        "tokens": {"access_token": "at", "refresh_token": "rt", "expires_at": 1000},
    }))
    .unwrap();
    let session = Session::restore(record).unwrap();
    Holdings { session: Some(Arc::new(session)), ..Holdings::default() }
}

/// Returns the ledger's decision if the tool `t` needs the scope `s`.
fn decide(own: &Holdings) -> Decision {
    let challenge = BearerChallenge::new().with_scope(ScopeSet::parse("s").unwrap());
    let operation = Operation::tool("t");
    own.ledger.decide(&StepUpContext::new(&operation, &challenge), &Policy::default())
}

/// Starts a step-up of the tool `t`.
fn started(own: &mut Holdings) -> Started {
    match decide(own) {
        Decision::Reauthorize { attempt, .. } => own.ledger.start(attempt),
        other => panic!("{other:?}"),
    }
}

fn refresh_token(own: &Holdings) -> Option<&str> {
    own.session.as_ref()?.tokens().refresh_token.as_ref().map(|token| token.expose())
}

fn answered(status: u16) -> Error {
    let status = StatusCode::from_u16(status).unwrap();
    Error::Flow(FlowError::new(FlowStage::Refresh, FlowErrorKind::Status(status)))
}

fn refused(code: &str) -> FlowError {
    let body = json!({"error": code}).to_string();
    let answer = ErrorResponse::from_json(body.as_bytes()).unwrap();
    FlowError::new(FlowStage::Refresh, FlowErrorKind::Refused(answer))
}

/// C-TOKEN-8
#[test]
fn users_are_asked_one_by_one_and_a_refresh_waits_for_none() {
    let asking = [login(), step_up("a"), step_up("b")];
    for one in &asking {
        assert!(asking.iter().all(|other| one.excludes(other)));
        assert!(!one.excludes(&Goal::FreshToken) && !Goal::FreshToken.excludes(one));
    }
    assert!(Goal::FreshToken.excludes(&Goal::FreshToken));
}

/// C-SCOPE-5
#[test]
fn a_refresh_is_no_news_to_a_step_up() {
    assert!(!step_up("a").is_helped_by(&Goal::FreshToken));
    assert!(step_up("a").is_helped_by(&login()) && step_up("a").is_helped_by(&step_up("b")));
    for one in [Goal::FreshToken, login()] {
        for other in [Goal::FreshToken, login(), step_up("a")] {
            assert!(one.is_helped_by(&other));
        }
    }
}

#[test]
fn a_failure_concerns_those_who_want_the_same() {
    assert!(Goal::FreshToken.shares_failure(&Goal::FreshToken));
    assert!(login().shares_failure(&login()) && step_up("a").shares_failure(&login()));
    assert!(step_up("a").shares_failure(&step_up("a")));
    assert!(!step_up("a").shares_failure(&step_up("b")));
    assert!(!login().shares_failure(&step_up("a")));
    assert!(!login().shares_failure(&Goal::FreshToken));
    assert!(!Goal::FreshToken.shares_failure(&login()));
}

/// C-TOKEN-7: the error is one of the token endpoint.
#[test]
fn only_an_oauth_error_ends_the_refresh_token() {
    let mut own = holdings();
    assert!(land(&mut own, Err(answered(503)), &Goal::FreshToken).is_err());
    assert_eq!(refresh_token(&own), Some("rt"));
    assert!(!own.refreshes.is_open(monotonic()));
    // The session is kept without its refresh token, so that the next 401 leads to a login.
    let mut own = holdings();
    land(&mut own, Err(Error::Flow(refused("invalid_grant"))), &Goal::FreshToken).unwrap();
    assert_eq!(refresh_token(&own), None);
    assert!(own.session.is_some() && own.refreshes.is_open(monotonic()));
    // A login may help here, and so may a later refresh.
    let issuer = oauth_types::Issuer::parse("https://as.example").unwrap();
    for kept in [
        answered(404),
        Error::Flow(refused("invalid_scope")),
        Error::Flow(DiscoveryError::NoServerMetadata { issuer }.into()),
    ] {
        let mut own = holdings();
        land(&mut own, Err(kept), &Goal::FreshToken).unwrap();
        assert_eq!(refresh_token(&own), Some("rt"));
        assert!(!own.refreshes.is_open(monotonic()));
    }
    // In a login, only `invalid_client` ends the refresh token.
    for (code, kept) in [("invalid_grant", Some("rt")), ("invalid_client", None)] {
        let mut own = holdings();
        assert!(land(&mut own, Err(Error::Flow(refused(code))), &login()).is_err());
        assert_eq!(refresh_token(&own), kept, "{code}");
    }
}

#[test]
fn a_late_refresh_error_leaves_the_tokens_of_a_newer_login() {
    let mut own = holdings();
    let from = own.session.clone();
    let mut newer = from.as_ref().unwrap().to_record();
    newer.tokens.as_mut().unwrap().access_token = Secret::new("newer");
    own.session = Some(Arc::new(Session::restore(newer).unwrap()));
    let refused = Failure::from(Error::Flow(refused("invalid_grant")));
    own.land(RenewalResult::new(Err(refused), from), &Goal::FreshToken).unwrap();
    assert_eq!(refresh_token(&own), Some("rt"));
    assert!(own.refusal(&Goal::FreshToken, monotonic()).is_none());
}

/// SEC-245
#[test]
fn a_logout_ends_the_login_that_was_saved_while_it_waited() {
    let mut own = holdings();
    let mut newer = own.session.as_ref().unwrap().to_record();
    newer.tokens.as_mut().unwrap().access_token = Secret::new("newer");
    let session = Session::restore(newer.clone()).unwrap();
    own.log_out(Logout::Tokens);
    assert!(!own.pending_logout.as_ref().unwrap().covers(&newer), "it is another login");
    let result = RenewalResult { is_over: true, ..RenewalResult::new(Ok(Some(session)), None) };
    assert!(own.land(result, &login()).is_err());
    assert!(own.pending_logout.as_ref().unwrap().covers(&newer));
}

#[test]
fn a_logout_forgets_what_the_user_declined() {
    let mut own = holdings();
    let started = started(&mut own);
    started.declined(&mut own.ledger);
    assert!(!own.ledger.is_empty());
    own.log_out(Logout::Tokens);
    assert!(own.ledger.is_empty());
}

/// SEC-165: another failure is not.
#[test]
fn a_declined_step_up_is_noted_for_its_operation() {
    for (failed, reason) in [
        (VisitError::Declined, InsufficientScopeKind::Declined),
        (VisitError::Timeout, InsufficientScopeKind::LimitReached),
    ] {
        let mut own = holdings();
        let (started, from) = (Some(started(&mut own)), own.session.clone());
        let result =
            RenewalResult { started, ..RenewalResult::new(Err(Error::Visit(failed).into()), from) };
        let goal = Goal::Scope {
            operation: Operation::tool("t"),
            scope: ScopeSet::parse("s").unwrap(),
            challenge: BearerChallenge::default(),
        };
        assert!(own.land(result, &goal).is_err());
        let Decision::GiveUp(error) = decide(&own) else { panic!("one attempt was made") };
        assert_eq!((error.reason, error.attempts), (reason, 1));
    }
}

/// C-TOKEN-8
#[test]
fn a_step_up_that_failed_brings_no_other_tokens() {
    let session = Session::clone(holdings().session.unwrap().as_ref());
    let before = session.clone();
    assert!(holds_tokens_of(&session.clone().with_expired_metadata(), &before));
    let mut record = session.to_record();
    record.tokens.as_mut().unwrap().access_token = Secret::new("at-2");
    assert!(!holds_tokens_of(&Session::restore(record).unwrap(), &before));
}

#[test]
fn an_old_record_brings_no_ended_session_back() {
    let (mut own, kept) = (Holdings::default(), holdings().session.unwrap());
    let restored = || Ok(Some(Session::clone(&kept)));
    land(&mut own, restored(), &Goal::Restore).unwrap();
    assert!(own.session.take().is_some() && own.is_restored);
    land(&mut own, restored(), &Goal::Restore).unwrap();
    assert!(own.session.is_none());
}

/// SEC-244
#[test]
fn a_user_who_declines_or_stays_away_is_left_alone_for_a_while() {
    for failed in [VisitError::Declined, VisitError::Timeout] {
        let mut own = holdings();
        let before = monotonic();
        assert!(land(&mut own, Err(Error::Visit(failed)), &login()).is_err());
        assert!(own.refusal(&login(), before + RESPITE - Duration::from_secs(1)).is_some());
        assert!(own.refusal(&login(), monotonic() + RESPITE).is_none());
        // A login that the user asks for is not delayed.
        let by_user = Goal::Login { challenge: None, by_user: true };
        assert!(own.refusal(&by_user, before).is_none());
        // A user who has logged in after all has agreed.
        let session = own.session.as_deref().cloned();
        land(&mut own, Ok(session), &by_user).unwrap();
        assert!(own.refusal(&login(), before).is_none());
    }
}

/// SEC-243: they are refused, or expire at once.
#[test]
fn tokens_that_never_work_are_not_renewed_at_once() {
    let mut own = holdings();
    let session = || Session::clone(holdings().session.unwrap().as_ref());
    land(&mut own, Ok(Some(session())), &login()).unwrap();
    assert!(own.refusal(&login(), monotonic()).is_some(), "not accepted yet");
    let held = own.session.clone();
    own.note(held.as_ref(), StatusCode::UNAUTHORIZED);
    assert!(own.refusal(&login(), monotonic()).is_some());
    own.note(held.as_ref(), StatusCode::OK);
    assert!(own.refusal(&login(), monotonic()).is_none());
    // These tokens expired in 1970, so the refresh brought none that last.
    land(&mut own, Ok(Some(session())), &Goal::FreshToken).unwrap();
    let held = own.session.clone();
    own.note(held.as_ref(), StatusCode::OK);
    assert!(own.refusal(&Goal::FreshToken, monotonic()).is_some());
    // A 401 of the server itself opens the gate.
    own.note(held.as_ref(), StatusCode::UNAUTHORIZED);
    assert!(own.refusal(&Goal::FreshToken, monotonic()).is_none());
}

/// SEC-252
#[test]
fn failures_of_many_operations_are_remembered_for_a_few() {
    let own: Renewable<(), Goal, Error> = Renewable::new(());
    let named = |count: u64| step_up(&format!("{count}{}", "x".repeat(1000)));
    for count in 0..6000 {
        let goal = named(count);
        let begin = |(): &()| Ok(async { Err(Error::Unauthorized) });
        let landed = own.renew(
            count,
            goal,
            begin,
            futures::executor::block_on,
            |(), outcome: Result<(), Error>| outcome,
        );
        assert!(matches!(landed, Join::Wait(..)));
    }
    let is_remembered = |count: &u64| own.news(0, &named(*count)).is_some();
    assert_eq!((0..6000).filter(is_remembered).collect::<Vec<_>>(), Vec::from_iter(5968..6000));
}

/// SEC-245
#[test]
fn what_was_begun_before_the_user_logged_out_brings_nothing() {
    let mut own = holdings();
    let session = Session::clone(own.session.as_ref().unwrap());
    own.log_out(Logout::Tokens);
    for goal in [login(), Goal::FreshToken] {
        let result =
            RenewalResult { is_over: true, ..RenewalResult::new(Ok(Some(session.clone())), None) };
        let landed = own.land(result, &goal);
        assert!(matches!(landed, Err(Error::LoginEnded)));
        assert!(own.session.is_none());
    }
}
