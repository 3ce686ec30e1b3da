//! Client side: decide what a 403 leads to, and count.
//!
//! | question, in this order | requirement | decision |
//! |---|---|---|
//! | does the host want to see the challenge itself, or hold a fixed token? | C-SCOPE-8 | `GiveUp(Surfaced)`, `GiveUp(NobodyToAsk)` |
//! | did the user decline this operation before? | C-SCOPE-6 | `GiveUp(Declined)` |
//! | is the union of scopes within bounds? | C-SCOPE-4 | `GiveUp(TooManyScopes)` |
//! | does the grant cover what is needed? then only a fresh token may help, once | C-SCOPE-5 | `Refresh`, else `GiveUp(AlreadyHeld)` |
//! | does the host allow to ask for more than is held? | | `GiveUp(NotAllowed)` |
//! | is an attempt for this operation left? | C-SCOPE-6, C-SCOPE-7, C-SCOPE-8 | `GiveUp(LimitReached)` |
//! | then ask for what the host allows of the union | C-SCOPE-4 | `Reauthorize` |
//!
//! An attempt is counted once: [`Ledger::decide`] permits an [`Attempt`], [`Ledger::start`] counts it and returns a
//! [`Started`], and only that tells how it ended.
//!
//! | the attempt | call |
//! |---|---|
//! | was not made: nothing opened | drop the [`Attempt`] |
//! | starts now | [`Ledger::start`] |
//! | failed, or its end is unknown | drop the [`Started`] |
//! | the user declined | [`Started::declined`] |
//! | the operation went through | [`Started::succeeded`] |

use std::collections::BTreeMap;

use oauth_types::{BearerChallenge, ScopeSet, SecretDigest};

use crate::insufficient::{GaveUp, InsufficientScope};
use crate::operation::Operation;
use crate::policy::{Mode, Policy};

/// What is known when a request was refused with `insufficient_scope`.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl<'a> Situation<'a> {
    /// A refused operation of a request without a token.
    #[must_use]
    pub const fn new(operation: &'a Operation, challenge: &'a BearerChallenge) -> Self {
        Self { operation, challenge, requested: None, granted: None, can_refresh: false }
    }

    /// Sets the scopes that the token was requested with.
    #[must_use]
    pub fn with_requested(mut self, requested: impl Into<Option<&'a ScopeSet>>) -> Self {
        self.requested = requested.into();
        self
    }

    /// Sets the scopes that the token grants: those requested, where the token response omitted `scope`
    /// (C-TOKEN-5).
    #[must_use]
    pub fn with_granted(mut self, granted: impl Into<Option<&'a ScopeSet>>) -> Self {
        self.granted = granted.into();
        self
    }

    /// Sets whether a refresh is possible and has not been tried for this request yet.
    #[must_use]
    pub const fn with_can_refresh(mut self, can_refresh: bool) -> Self {
        self.can_refresh = can_refresh;
        self
    }
}

/// What comes next.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each decision")]
pub enum Decision {
    /// The grant covers it; a fresh token may carry it.
    Refresh,
    /// Ask the user, for all of this at once. A refresh cannot widen (RFC 6749 §6).
    Reauthorize {
        /// What to request.
        scope: ScopeSet,
        /// Hand it to [`Ledger::start`] when the authorization really starts.
        attempt: Attempt,
    },
    /// Stop, and tell the host.
    GiveUp(Box<InsufficientScope>),
}

/// Permission for one more authorization; counted only when it is handed to [`Ledger::start`].
///
/// It cannot be cloned, because one permission starts one authorization.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "hand it to `Ledger::start` when the authorization starts"]
pub struct Attempt {
    key: Key,
}

/// Attempts that the [`Ledger`] has counted for one operation, until their end is told.
///
/// A value that is dropped leaves them counted as failed. It borrows nothing, so that a host may keep it while a
/// browser is open; and it is told to the ledger that returned it.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "an attempt counts as failed until its success is told"]
pub struct Started {
    key: Key,
}

impl Started {
    /// Tells that the operation went through, with a 2xx: its attempts are forgotten. Any other response tells
    /// nothing, so that a server which answers with an error now and then grants no further attempts by that.
    pub fn succeeded(self, ledger: &mut Ledger) {
        ledger.operations.remove(&self.key);
    }

    /// Tells that the user declined: the operation is not asked for again.
    pub fn declined(self, ledger: &mut Ledger) {
        ledger.account(self.key).declined = true;
    }
}

/// Digest of an operation, because names come from the server and may be long.
type Key = [u8; 32];

/// What one resource's operations have cost so far. Keep one for each resource: scopes of one are never
/// requested for another.
///
/// # Examples
///
/// ```
/// use oauth_types::{BearerChallenge, ScopeSet};
/// use scope_stepup::{Decision, Ledger, Operation, Policy, Situation};
///
/// let challenge = BearerChallenge::new().with_scope(ScopeSet::parse("files:write")?);
/// let operation = Operation::tool("write-file");
/// let situation = Situation::new(&operation, &challenge);
/// let (mut ledger, policy) = (Ledger::new(), Policy::default());
/// let Decision::Reauthorize { attempt, .. } = ledger.decide(&situation, &policy) else { panic!() };
/// let started = ledger.start(attempt);
/// // The user agrees, the request is sent again, and its response is a 2xx.
/// started.succeeded(&mut ledger);
/// assert!(ledger.is_empty());
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    operations: BTreeMap<Key, Account>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Account {
    attempts: u8,
    declined: bool,
}

impl Ledger {
    /// Operations that are remembered at most, in 34 bytes each; beyond it any others are forgotten, so that a server
    /// with endless tool names cannot fill the memory.
    const MAX_OPERATIONS: usize = 1024;

    /// An empty ledger.
    #[must_use]
    pub const fn new() -> Self {
        Self { operations: BTreeMap::new() }
    }

    /// What the refusal leads to. Pure: asking twice changes nothing.
    pub fn decide(&self, situation: &Situation<'_>, policy: &Policy) -> Decision {
        let account = self.get(situation.operation);
        let give_up = |reason| Decision::GiveUp(Box::new(self.insufficient(situation, reason)));
        match policy.mode {
            Mode::Automatic => {}
            Mode::Surface => return give_up(GaveUp::Surfaced),
            Mode::Fixed => return give_up(GaveUp::NobodyToAsk),
        }
        if account.declined {
            return give_up(GaveUp::Declined);
        }
        let Some(union) = union(situation) else {
            return give_up(GaveUp::TooManyScopes);
        };
        let empty = ScopeSet::empty();
        let granted = situation.granted.unwrap_or(&empty);
        // What the challenge names is what is needed; without it, all that was ever asked for.
        if !situation.challenge.scope.as_ref().unwrap_or(&union).exceeds(granted) {
            // C-SCOPE-5; a challenge for what is held opens no browser.
            if situation.can_refresh {
                return Decision::Refresh;
            }
            return give_up(GaveUp::AlreadyHeld);
        }
        // Trimmed to what is held already, the answer would be the same.
        let Some(scope) =
            policy.allowed(situation.operation, union).filter(|own| own.exceeds(granted))
        else {
            return give_up(GaveUp::NotAllowed);
        };
        // C-SCOPE-6, C-SCOPE-7, C-SCOPE-8
        if account.attempts >= policy.limit.get() {
            return give_up(GaveUp::LimitReached);
        }
        let attempt = Attempt { key: digest(situation.operation) };
        Decision::Reauthorize { scope, attempt }
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
            attempts: self.get(situation.operation).attempts,
            reason,
        }
    }

    /// Counts an attempt whose authorization starts now.
    pub fn start(&mut self, attempt: Attempt) -> Started {
        let Attempt { key } = attempt;
        let account = self.account(key);
        account.attempts = account.attempts.saturating_add(1);
        Started { key }
    }

    /// Returns what is counted for an operation; `None` if nothing is, so that there is no success to tell.
    ///
    /// It is for a host whose requests share what an authorization brings: the request that goes through is often
    /// another one than the request whose refusal led to the attempt.
    ///
    /// ```
    /// use scope_stepup::{Ledger, Operation};
    ///
    /// fn answered_with_2xx(ledger: &mut Ledger, operation: &Operation) {
    ///     if let Some(started) = ledger.started(operation) {
    ///         started.succeeded(ledger);
    ///     }
    /// }
    /// # answered_with_2xx(&mut Ledger::new(), &Operation::tool("t"));
    /// ```
    #[must_use]
    pub fn started(&self, operation: &Operation) -> Option<Started> {
        let key = digest(operation);
        self.operations.contains_key(&key).then_some(Started { key })
    }

    /// Returns the part of the ledger about one operation, which decides about it as the whole does: for a host that
    /// shares the ledger and asks [`decide`](Self::decide), with the filter of its policy, outside its lock.
    #[must_use]
    pub fn part(&self, operation: &Operation) -> Self {
        let key = digest(operation);
        let own = self.operations.get(&key).map(|account| (key, *account));
        Self { operations: own.into_iter().collect() }
    }

    /// Returns `true` if nothing is counted: then no success has to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn get(&self, operation: &Operation) -> Account {
        self.operations.get(&digest(operation)).copied().unwrap_or_default()
    }

    fn account(&mut self, key: Key) -> &mut Account {
        while self.operations.len() >= Self::MAX_OPERATIONS && !self.operations.contains_key(&key) {
            self.operations.pop_first();
        }
        self.operations.entry(key).or_default()
    }
}

/// Digest of an operation. The length of the method keeps its name apart.
fn digest(operation: &Operation) -> Key {
    let (method, name) = (operation.method(), operation.name());
    let text = match name {
        Some(name) => [&*method.len().to_string(), " ", method, name].concat(),
        None => method.to_owned(),
    };
    *SecretDigest::of(&text).as_bytes()
}

/// Requested, granted and challenged scopes, each once, in first-seen order; `None` past the bounds.
fn union(situation: &Situation<'_>) -> Option<ScopeSet> {
    // C-SCOPE-4
    let sets = [situation.requested, situation.granted, situation.challenge.scope.as_ref()];
    sets.into_iter().flatten().try_fold(ScopeSet::empty(), |union, set| union.union(set).ok())
}

#[cfg(test)]
mod tests;
