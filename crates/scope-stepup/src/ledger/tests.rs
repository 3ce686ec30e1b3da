//! Tests of decisions about further steps, and of their limits.

use super::*;
use crate::policy::Limit;

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn challenge(scope: &str) -> BearerChallenge {
    BearerChallenge::new().with_scope(set(scope))
}

/// Decides for a token that was requested and granted `held`.
fn decide(
    ledger: &Ledger,
    held: &str,
    asked: &str,
    policy: &Policy,
    can_refresh: bool,
) -> Decision {
    let (operation, challenge, held) = (Operation::tool("t"), challenge(asked), set(held));
    let situation = StepUpContext::new(&operation, &challenge)
        .with_requested(&held)
        .with_granted(&held)
        .with_can_refresh(can_refresh);
    ledger.decide(&situation, policy)
}

fn gave_up(decision: Decision) -> InsufficientScope {
    match decision {
        Decision::GiveUp(error) => *error,
        other => panic!("{other:?}"),
    }
}

fn attempt(decision: Decision) -> (String, Attempt) {
    match decision {
        Decision::Reauthorize { scope, attempt } => (scope.as_str().to_owned(), attempt),
        other => panic!("{other:?}"),
    }
}

/// C-SCOPE-4, SEC-162
#[test]
fn the_union_of_requested_granted_and_challenged() {
    let (operation, challenge) = (Operation::tool("t"), challenge("c a"));
    let (requested, granted) = (set("a b"), set("a"));
    let situation = StepUpContext::new(&operation, &challenge)
        .with_requested(&requested)
        .with_granted(&granted)
        .with_can_refresh(true);
    let decision = Ledger::new().decide(&situation, &Policy::default());
    assert_eq!(attempt(decision).0, "a b c");
}

/// C-SCOPE-5, SEC-160
#[test]
fn held_scopes_lead_to_a_refresh_or_to_nothing() {
    let ledger = Ledger::new();
    assert_eq!(decide(&ledger, "a b", "b", &Policy::default(), true), Decision::Refresh);
    let error = gave_up(decide(&ledger, "a b", "b", &Policy::default(), false));
    assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::AlreadyHeld, 0));
}

/// C-SCOPE-6, SEC-158
#[test]
fn attempts_are_bounded_and_counted_when_they_start() {
    for (asked, allowed) in [(0, 0), (1, 1), (3, 3), (4, 3), (255, 3)] {
        let policy = Policy::default().with_limit(Limit::new(asked));
        let mut ledger = Ledger::new();
        for _ in 0..allowed {
            let (_, unused) = attempt(decide(&ledger, "a", "b", &policy, true));
            drop(unused);
            let (_, attempt) = attempt(decide(&ledger, "a", "b", &policy, true));
            drop(ledger.start(attempt));
        }
        let error = gave_up(decide(&ledger, "a", "b", &policy, true));
        assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::LimitReached, allowed));
    }
}

/// C-SCOPE-7
#[test]
fn one_operation_does_not_exhaust_another_and_success_clears() {
    let mut ledger = Ledger::new();
    let (_, attempt_) = attempt(decide(&ledger, "a", "b", &Policy::default(), true));
    let started = ledger.start(attempt_);
    let (operation, challenge) = (Operation::tool("other"), challenge("b"));
    let other = StepUpContext::new(&operation, &challenge);
    assert!(matches!(ledger.decide(&other, &Policy::default()), Decision::Reauthorize { .. }));
    assert_eq!(ledger.started(&Operation::tool("other")), None);
    assert_eq!(ledger.started(&Operation::tool("t")).as_ref(), Some(&started));
    started.succeeded(&mut ledger);
    assert_eq!(ledger, Ledger::new());
}

/// C-SCOPE-8, SEC-159
#[test]
fn modes_without_attempts_return_the_challenge_and_count_none() {
    for (policy, reason) in [
        (Policy::default().with_limit(Limit::new(0)), InsufficientScopeKind::LimitReached),
        (Policy::default().with_mode(StepUpMode::Manual), InsufficientScopeKind::Surfaced),
        (Policy::default().with_mode(StepUpMode::StaticToken), InsufficientScopeKind::NobodyToAsk),
    ] {
        let error = gave_up(decide(&Ledger::new(), "a", "b", &policy, true));
        assert_eq!((error.reason, error.attempts), (reason, 0));
        assert_eq!(error.required, Some(set("b")));
        assert!(!error.to_string().contains("again"), "{error}");
    }
}

/// SEC-160
#[test]
fn a_scope_the_user_left_out_is_not_asked_for_with_a_held_one() {
    // Requested a and b, granted a; now the server requires a.
    let (operation, challenge) = (Operation::tool("t"), challenge("a"));
    let (requested, granted) = (set("a b"), set("a"));
    let situation = StepUpContext::new(&operation, &challenge)
        .with_requested(&requested)
        .with_granted(&granted)
        .with_can_refresh(true);
    assert_eq!(Ledger::new().decide(&situation, &Policy::default()), Decision::Refresh);
    let situation = situation.with_can_refresh(false);
    let error = gave_up(Ledger::new().decide(&situation, &Policy::default()));
    assert_eq!(error.reason, InsufficientScopeKind::AlreadyHeld);
    // If the challenge names no scope, any scope that was not granted may be required.
    let silent = BearerChallenge::default();
    let situation = StepUpContext { challenge: &silent, ..situation };
    let decision = Ledger::new().decide(&situation, &Policy::default());
    assert_eq!(attempt(decision).0, "a b");
}

/// SEC-161
#[test]
fn the_host_trims_or_refuses_before_anybody_is_asked() {
    let ledger = Ledger::new();
    let trims = Policy::default().with_filter(|operation, scope| {
        assert_eq!(*operation, Operation::tool("t"));
        // Scopes that the filter adds are ignored.
        let kept = scope.filter(|one| one != "admin");
        kept.union(&set("everything")).ok()
    });
    assert_eq!(attempt(decide(&ledger, "a", "b admin", &trims, true)).0, "a b");
    let error = gave_up(decide(&ledger, "a", "admin", &trims, true));
    assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::NotAllowed, 0));
    assert_eq!(error.required, Some(set("admin")));
    let refuses = Policy::default().with_filter(|_, _| None);
    let error = gave_up(decide(&ledger, "a", "b", &refuses, true));
    assert_eq!(error.reason, InsufficientScopeKind::NotAllowed);
    // A refresh requests no scope, so the filter does not apply.
    assert_eq!(decide(&ledger, "a b", "b", &refuses, true), Decision::Refresh);
}

/// SEC-165
#[test]
fn a_declined_operation_is_not_asked_for_again() {
    let mut ledger = Ledger::new();
    let (_, attempt) = attempt(decide(&ledger, "a", "b", &Policy::default(), true));
    ledger.start(attempt).declined(&mut ledger);
    let error = gave_up(decide(&ledger, "a", "b", &Policy::default(), true));
    assert_eq!(error.reason, InsufficientScopeKind::Declined);
}

/// SEC-161
#[test]
fn a_union_beyond_the_bounds_is_refused() {
    let many: Vec<String> = (0..128).map(|n| format!("s{n}")).collect();
    let error = gave_up(decide(&Ledger::new(), "a", &many.join(" "), &Policy::default(), true));
    assert_eq!(error.reason, InsufficientScopeKind::TooManyScopes);
}

/// SEC-252
#[test]
fn the_ledger_is_bounded_whatever_the_names_are_long() {
    let mut ledger = Ledger::new();
    for n in 0..6000 {
        let name = format!("{n}{}", "x".repeat(500));
        drop(ledger.start(Attempt { key: digest(&Operation::tool(&name)) }));
    }
    assert_eq!(ledger.operations.len(), Ledger::MAX_OPERATIONS);
    // Only a digest and the counts are stored.
    assert!(size_of::<([u8; 32], Account)>() <= 34);
}

#[test]
fn operations_are_told_apart_and_a_part_decides_like_the_whole() {
    let operations = [
        Operation::new("tools/call", None),
        Operation::new("tools/call", Some("")),
        Operation::new("tools/call", Some("a")),
        Operation::new("tools/calla", None),
        Operation::new("tools/calla", Some("")),
    ];
    for declined in &operations {
        let mut ledger = Ledger::new();
        ledger.start(Attempt { key: digest(declined) }).declined(&mut ledger);
        for other in &operations {
            let part = ledger.part(other);
            assert_eq!(ledger.get(other).declined, other == declined);
            assert_eq!(part.get(other), ledger.get(other));
            assert_eq!(part.is_empty(), other != declined);
        }
    }
}
