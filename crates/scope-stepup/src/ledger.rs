//! Client side: decide what a 403 leads to, and count.
//!
//! | question, in this order | requirement | decision |
//! |---|---|---|
//! | does the host want to see the challenge itself? | C-SCOPE-8 | `GiveUp(Surfaced)` |
//! | did the user decline this operation before? | C-SCOPE-6 | `GiveUp(Declined)` |
//! | is the union of scopes within bounds? | C-SCOPE-4 | `GiveUp(TooManyScopes)` |
//! | does the grant cover the union? then only a fresh token may help, once | C-SCOPE-5 | `Refresh`, else `GiveUp(AlreadyHeld)` |
//! | is an attempt for this operation left? | C-SCOPE-6, C-SCOPE-7, C-SCOPE-8 | `GiveUp(LimitReached)` |
//! | then ask for the union | C-SCOPE-4 | `Reauthorize` |

use std::collections::BTreeMap;

use oauth_types::{BearerChallenge, ScopeSet};

use crate::{GaveUp, InsufficientScope, Operation};

/// How many authorizations one operation may start: 0 to 3, by default 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Limit(u8);

impl Limit {
    /// The hard ceiling.
    pub const MAX: Self = Self(3);

    /// A limit of `attempts`; more than the ceiling counts as the ceiling. 0 means that the user is
    /// never asked.
    #[must_use]
    pub const fn new(attempts: u8) -> Self {
        if attempts > Self::MAX.0 { Self::MAX } else { Self(attempts) }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(1)
    }
}

/// Who acts on a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Mode {
    /// This client asks for what is missing.
    #[default]
    Automatic,
    /// The host gets the challenge as an error and decides.
    Surface,
}

/// What the host allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Who acts.
    pub mode: Mode,
    /// How often, per operation.
    pub limit: Limit,
}

/// What is known when a request was refused with `insufficient_scope`.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// What was refused.
    pub operation: &'a Operation,
    /// What the server said.
    pub challenge: &'a BearerChallenge,
    /// What the token was asked for with, when anything.
    pub requested: Option<&'a ScopeSet>,
    /// What the token grants. An omitted `scope` in the token response means what was requested: pass
    /// that (C-TOKEN-5).
    pub granted: Option<&'a ScopeSet>,
    /// Whether a refresh is possible and has not been tried for this request yet.
    pub can_refresh: bool,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Decision {
    /// The grant covers it; a fresh token may carry it.
    Refresh,
    /// Ask the user, for all of this at once. A refresh cannot widen (RFC 6749 §6).
    Reauthorize {
        /// What to request.
        scope: ScopeSet,
        /// Hand it to [`Ledger::started`] when the authorization really starts.
        attempt: Attempt,
    },
    /// Stop, and tell the host.
    GiveUp(Box<InsufficientScope>),
}

/// Permission for one more authorization; counted only when it is handed to [`Ledger::started`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Attempt {
    operation: Operation,
}

/// What one resource's operations have cost so far. Keep one for each resource: scopes of one are never
/// requested for another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    operations: BTreeMap<Operation, Account>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Account {
    attempts: u8,
    declined: bool,
}

impl Ledger {
    /// Operations that are remembered at most; beyond it the oldest by name are forgotten, so that a
    /// server with endless tool names cannot fill the memory.
    const MAX_OPERATIONS: usize = 1024;

    /// An empty ledger.
    #[must_use]
    pub const fn new() -> Self {
        Self { operations: BTreeMap::new() }
    }

    /// What the refusal leads to. Pure: asking twice changes nothing.
    pub fn decide(&self, situation: &Situation<'_>, policy: &Policy) -> Decision {
        let account = self.operations.get(situation.operation).copied().unwrap_or_default();
        let give_up = |reason| Decision::GiveUp(Box::new(self.insufficient(situation, reason)));
        if policy.mode == Mode::Surface {
            return give_up(GaveUp::Surfaced);
        }
        if account.declined {
            return give_up(GaveUp::Declined);
        }
        let Some(union) = union(situation) else {
            return give_up(GaveUp::TooManyScopes);
        };
        let empty = ScopeSet::empty();
        if !union.exceeds(situation.granted.unwrap_or(&empty)) {
            // C-SCOPE-5; a challenge for what is held opens no browser.
            if situation.can_refresh {
                return Decision::Refresh;
            }
            return give_up(GaveUp::AlreadyHeld);
        }
        // C-SCOPE-6, C-SCOPE-7, C-SCOPE-8
        if account.attempts >= policy.limit.0 {
            return give_up(GaveUp::LimitReached);
        }
        let attempt = Attempt { operation: situation.operation.clone() };
        Decision::Reauthorize { scope: union, attempt }
    }

    /// The typed error for this situation, with the number of attempts really made.
    #[must_use]
    pub fn insufficient(&self, situation: &Situation<'_>, reason: GaveUp) -> InsufficientScope {
        let challenge = situation.challenge;
        InsufficientScope {
            operation: situation.operation.clone(),
            required: challenge.scope.clone(),
            resource_metadata: challenge.resource_metadata.clone(),
            description: challenge.error_description.clone(),
            attempts: self.operations.get(situation.operation).map_or(0, |own| own.attempts),
            reason,
        }
    }

    /// An authorization for this attempt starts now.
    pub fn started(&mut self, attempt: Attempt) {
        let account = self.account(attempt.operation);
        account.attempts = account.attempts.saturating_add(1);
    }

    /// The user said no; the operation is not asked for again.
    pub fn declined(&mut self, operation: &Operation) {
        self.account(operation.clone()).declined = true;
    }

    /// The operation went through; it starts from nothing.
    pub fn succeeded(&mut self, operation: &Operation) {
        self.operations.remove(operation);
    }

    fn account(&mut self, operation: Operation) -> &mut Account {
        while self.operations.len() >= Self::MAX_OPERATIONS
            && !self.operations.contains_key(&operation)
        {
            self.operations.pop_first();
        }
        self.operations.entry(operation).or_default()
    }
}

/// Requested, granted and challenged scopes, each once, in first-seen order; `None` past the bounds.
fn union(situation: &Situation<'_>) -> Option<ScopeSet> {
    // C-SCOPE-4
    let sets = [situation.requested, situation.granted, situation.challenge.scope.as_ref()];
    sets.into_iter().flatten().try_fold(ScopeSet::empty(), |union, set| union.union(set).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn challenge(scope: &str) -> BearerChallenge {
        BearerChallenge { scope: Some(set(scope)), ..BearerChallenge::default() }
    }

    /// Decides for a token that was requested and granted `held`.
    fn decide(
        ledger: &Ledger,
        held: &str,
        asked: &str,
        policy: Policy,
        can_refresh: bool,
    ) -> Decision {
        let situation = Situation {
            operation: &Operation::tool("t"),
            challenge: &challenge(asked),
            requested: Some(&set(held)),
            granted: Some(&set(held)),
            can_refresh,
        };
        ledger.decide(&situation, &policy)
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

    #[test]
    fn c_scope_4_sec_162_the_union_of_requested_granted_and_challenged() {
        let situation = Situation {
            operation: &Operation::tool("t"),
            challenge: &challenge("c a"),
            requested: Some(&set("a b")),
            granted: Some(&set("a")),
            can_refresh: true,
        };
        let decision = Ledger::new().decide(&situation, &Policy::default());
        assert_eq!(attempt(decision).0, "a b c");
    }

    #[test]
    fn c_scope_5_sec_160_held_scopes_lead_to_a_refresh_or_to_nothing() {
        let ledger = Ledger::new();
        assert_eq!(decide(&ledger, "a b", "b", Policy::default(), true), Decision::Refresh);
        let error = gave_up(decide(&ledger, "a b", "b", Policy::default(), false));
        assert_eq!((error.reason, error.attempts), (GaveUp::AlreadyHeld, 0));
    }

    #[test]
    fn c_scope_6_sec_158_attempts_are_bounded_and_counted_when_they_start() {
        for (asked, allowed) in [(0, 0), (1, 1), (3, 3), (4, 3), (255, 3)] {
            let policy = Policy { limit: Limit::new(asked), ..Policy::default() };
            let mut ledger = Ledger::new();
            for _ in 0..allowed {
                let (_, unused) = attempt(decide(&ledger, "a", "b", policy, true));
                drop(unused);
                let (_, attempt) = attempt(decide(&ledger, "a", "b", policy, true));
                ledger.started(attempt);
            }
            let error = gave_up(decide(&ledger, "a", "b", policy, true));
            assert_eq!((error.reason, error.attempts), (GaveUp::LimitReached, allowed));
        }
    }

    #[test]
    fn c_scope_7_one_operation_does_not_exhaust_another_and_success_clears() {
        let mut ledger = Ledger::new();
        let (_, attempt_) = attempt(decide(&ledger, "a", "b", Policy::default(), true));
        ledger.started(attempt_);
        let other = Situation {
            operation: &Operation::tool("other"),
            challenge: &challenge("b"),
            requested: None,
            granted: None,
            can_refresh: false,
        };
        assert!(matches!(ledger.decide(&other, &Policy::default()), Decision::Reauthorize { .. }));
        ledger.succeeded(&Operation::tool("t"));
        assert_eq!(ledger, Ledger::new());
    }

    #[test]
    fn c_scope_8_sec_159_a_limit_of_zero_and_surface_mode_give_the_challenge_and_claim_nothing() {
        for (policy, reason) in [
            (Policy { limit: Limit::new(0), ..Policy::default() }, GaveUp::LimitReached),
            (Policy { mode: Mode::Surface, ..Policy::default() }, GaveUp::Surfaced),
        ] {
            let error = gave_up(decide(&Ledger::new(), "a", "b", policy, true));
            assert_eq!((error.reason, error.attempts), (reason, 0));
            assert_eq!(error.required, Some(set("b")));
            assert!(!error.to_string().contains("again"), "{error}");
        }
    }

    #[test]
    fn sec_165_a_declined_operation_is_not_asked_for_again() {
        let mut ledger = Ledger::new();
        ledger.declined(&Operation::tool("t"));
        let error = gave_up(decide(&ledger, "a", "b", Policy::default(), true));
        assert_eq!(error.reason, GaveUp::Declined);
    }

    #[test]
    fn sec_161_a_union_beyond_the_bounds_is_refused() {
        let many: Vec<String> = (0..128).map(|n| format!("s{n}")).collect();
        let error = gave_up(decide(&Ledger::new(), "a", &many.join(" "), Policy::default(), true));
        assert_eq!(error.reason, GaveUp::TooManyScopes);
    }

    #[test]
    fn the_ledger_is_bounded() {
        let mut ledger = Ledger::new();
        for n in 0..5000 {
            ledger.started(Attempt { operation: Operation::tool(&n.to_string()) });
        }
        assert_eq!(ledger.operations.len(), Ledger::MAX_OPERATIONS);
    }
}
