//! Whatever a server answers and a user decides: attempts stay below the limit, deciding changes nothing, what is asked
//! for is what was held and challenged, and the error says how often was really asked.

#![no_main]

use arbitrary::Arbitrary;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{BearerChallenge, ScopeSet};
use scope_stepup::{Decision, Ledger, Limit, Operation, Policy, StepUpContext};

#[derive(Arbitrary, Debug)]
struct Event<'a> {
    second_operation: bool,
    challenge: &'a str,
    requested: Option<&'a str>,
    granted: Option<&'a str>,
    can_refresh: bool,
    outcome: Outcome,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Outcome {
    NotStarted,
    Started,
    Declined,
    Succeeded,
}

fuzz_target!(|input: (u8, Vec<Event<'_>>)| {
    let (limit, events) = input;
    let policy = Policy::default().with_limit(Limit::new(limit));
    let mut ledger = Ledger::new();
    let (mut started, mut declined) = ([0_u8; 2], [false; 2]);
    for event in events {
        let at = usize::from(event.second_operation);
        let operation = Operation::tool(["one", "two"][at]);
        let line = format!("Bearer error=\"insufficient_scope\", {}", event.challenge);
        let Ok(value) = HeaderValue::from_str(&line) else { continue };
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
        let challenge = BearerChallenge::from_headers(&headers).unwrap_or_default();
        let [requested, granted] =
            [event.requested, event.granted].map(|text| ScopeSet::parse(text?).ok());
        let situation = StepUpContext::new(&operation, &challenge)
            .with_requested(requested.as_ref())
            .with_granted(granted.as_ref())
            .with_can_refresh(event.can_refresh);
        let decision = ledger.decide(&situation, &policy);
        assert_eq!(ledger.decide(&situation, &policy), decision, "deciding changes nothing");
        match decision {
            Decision::Refresh => assert!(event.can_refresh && !declined[at]),
            Decision::Reauthorize { scope, attempt } => {
                assert!(started[at] < Limit::new(limit).get() && !declined[at]);
                assert!(scope.exceeds(granted.as_ref().unwrap_or(&ScopeSet::empty())));
                let sources = [&requested, &granted, &challenge.scope];
                let known = |one: &str| {
                    sources.iter().any(|set| set.as_ref().is_some_and(|set| set.contains(one)))
                };
                assert!(scope.iter().all(known));
                for set in sources.into_iter().flatten() {
                    assert!(!set.exceeds(&scope), "a scope got lost");
                }
                if !matches!(event.outcome, Outcome::NotStarted) {
                    drop(ledger.start(attempt));
                    started[at] += 1;
                }
            }
            Decision::GiveUp(error) => {
                assert_eq!(error.attempts, started[at]);
                assert_eq!(error.required, challenge.scope);
            }
        }
        let counted = ledger.started(&operation);
        assert_eq!(counted.is_some(), started[at] > 0, "the end of what was not started is told");
        match (event.outcome, counted) {
            (Outcome::Declined, Some(counted)) => {
                counted.declined(&mut ledger);
                declined[at] = true;
            }
            (Outcome::Succeeded, Some(counted)) => {
                counted.succeeded(&mut ledger);
                (started[at], declined[at]) = (0, false);
            }
            _ => {}
        }
    }
});
