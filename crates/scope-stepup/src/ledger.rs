//! Client side of step-up: decisions after a 403 with `insufficient_scope`, and the count of attempts.
//!
//! | question, in this order | requirement | decision |
//! |---|---|---|
//! | does the host handle the challenge? | C-SCOPE-8 | `GiveUp(Surfaced)` |
//! | is the token a fixed one? | C-SCOPE-8 | `GiveUp(NobodyToAsk)` |
//! | did the user decline this operation before? | C-SCOPE-6 | `GiveUp(Declined)` |
//! | is the union of scopes out of bounds? | C-SCOPE-4 | `GiveUp(TooManyScopes)` |
//! | is all that is needed granted? a fresh token may help, once | C-SCOPE-5 | `Refresh`, else `GiveUp(AlreadyHeld)` |
//! | does the host forbid to request more than is granted? | | `GiveUp(NotAllowed)` |
//! | are the attempts for this operation used up? | C-SCOPE-6, C-SCOPE-7, C-SCOPE-8 | `GiveUp(LimitReached)` |
//! | otherwise: request what the host allows of the union | C-SCOPE-4 | `Reauthorize` |
//!
//! An attempt is counted once: [`Ledger::decide`] permits an [`Attempt`], and [`Ledger::start`] counts it and returns
//! a [`Started`], through which its outcome is reported.
//!
//! | the attempt | call |
//! |---|---|
//! | is not made: nothing opens | drop the [`Attempt`] |
//! | starts now | [`Ledger::start`] |
//! | failed, or its outcome is unknown | drop the [`Started`] |
//! | was declined by the user | [`Started::declined`] |
//! | let the operation succeed | [`Started::succeeded`] |

use std::collections::BTreeMap;

use oauth_types::{BearerChallenge, ScopeSet, SecretDigest};

use crate::insufficient::{InsufficientScope, InsufficientScopeKind};
use crate::operation::Operation;
use crate::policy::{Policy, StepUpMode};

/// Context of a request that was refused with `insufficient_scope`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepUpContext<'a> {
    /// Refused operation.
    pub operation: &'a Operation,
    /// Challenge of the resource server.
    pub challenge: &'a BearerChallenge,
    /// Scopes that the token was requested with, if any.
    pub requested: Option<&'a ScopeSet>,
    /// Scopes that the token grants.
    ///
    /// If the token response omitted `scope`, these are the requested ones (C-TOKEN-5).
    pub granted: Option<&'a ScopeSet>,
    /// `true` if a refresh is possible and has not been tried for this request yet.
    pub can_refresh: bool,
}

impl<'a> StepUpContext<'a> {
    /// Creates the context of an operation that was refused without a token.
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

    /// Sets the scopes that the token grants.
    ///
    /// If the token response omitted `scope`, these are the requested ones (C-TOKEN-5).
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

/// Decision of [`Ledger::decide`] about a refused operation.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each decision")]
pub enum Decision {
    /// Refresh: the grant covers the operation, and a fresh token may carry the scopes.
    Refresh,
    /// Start a new authorization for all of these scopes.
    ///
    /// A refresh cannot widen a grant (RFC 6749 §6).
    Reauthorize {
        /// Scopes to request.
        scope: ScopeSet,
        /// Permission to pass to [`Ledger::start`] when the authorization starts.
        attempt: Attempt,
    },
    /// Stop, and return the error to the host.
    GiveUp(Box<InsufficientScope>),
}

/// Permission for one more authorization, counted when it is passed to [`Ledger::start`].
///
/// The type is not `Clone`, because one permission starts one authorization.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "hand it to `Ledger::start` when the authorization starts"]
pub struct Attempt {
    key: Key,
}

/// Attempts that the [`Ledger`] has counted for one operation, until their outcome is reported.
///
/// A value that is dropped leaves them counted as failed. The type borrows nothing, so that a host can keep it while
/// a browser is open. Report the outcome to the ledger that returned it.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "an attempt counts as failed until its success is told"]
pub struct Started {
    key: Key,
}

impl Started {
    /// Reports that the operation succeeded with a 2xx, which removes its attempts from the count.
    ///
    /// Do not report any other response: a server that sometimes responds with an error must not gain further
    /// attempts.
    pub fn succeeded(self, ledger: &mut Ledger) {
        ledger.operations.remove(&self.key);
    }

    /// Reports that the user declined, so that the operation is not requested again.
    pub fn declined(self, ledger: &mut Ledger) {
        ledger.account(self.key).declined = true;
    }
}

/// Digest of an operation, because names come from the server and may be long.
type Key = [u8; 32];

/// Attempts and refusals of the operations of one resource.
///
/// Keep one ledger for each resource, because scopes of one are never requested for another.
///
/// # Examples
///
/// ```
/// use oauth_types::{BearerChallenge, ScopeSet};
/// use scope_stepup::{Decision, Ledger, Operation, Policy, StepUpContext};
///
/// let challenge = BearerChallenge::new().with_scope(ScopeSet::parse("files:write")?);
/// let operation = Operation::tool("write-file");
/// let situation = StepUpContext::new(&operation, &challenge);
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
    /// Most operations that are counted, in 34 bytes each.
    ///
    /// Beyond it arbitrary others are forgotten, so that a server with endless tool names cannot fill the memory.
    const MAX_OPERATIONS: usize = 1024;

    /// Creates an empty ledger.
    #[must_use]
    pub const fn new() -> Self {
        Self { operations: BTreeMap::new() }
    }

    /// Returns the next step for a refused operation, without changing the ledger.
    pub fn decide(&self, situation: &StepUpContext<'_>, policy: &Policy) -> Decision {
        let account = self.get(situation.operation);
        let give_up = |reason| Decision::GiveUp(Box::new(self.insufficient(situation, reason)));
        match policy.mode {
            StepUpMode::Automatic => {}
            StepUpMode::Manual => return give_up(InsufficientScopeKind::Surfaced),
            StepUpMode::StaticToken => return give_up(InsufficientScopeKind::NobodyToAsk),
        }
        if account.declined {
            return give_up(InsufficientScopeKind::Declined);
        }
        let Some(union) = union(situation) else {
            return give_up(InsufficientScopeKind::TooManyScopes);
        };
        let empty = ScopeSet::empty();
        let granted = situation.granted.unwrap_or(&empty);
        // The challenge names the needed scopes; without them, all that was ever requested may be needed.
        if !situation.challenge.scope.as_ref().unwrap_or(&union).exceeds(granted) {
            // C-SCOPE-5: a challenge for granted scopes opens no browser.
            if situation.can_refresh {
                return Decision::Refresh;
            }
            return give_up(InsufficientScopeKind::AlreadyHeld);
        }
        // Requesting no more than the granted scopes would not change the response.
        let Some(scope) =
            policy.allowed(situation.operation, union).filter(|own| own.exceeds(granted))
        else {
            return give_up(InsufficientScopeKind::NotAllowed);
        };
        // C-SCOPE-6, C-SCOPE-7, C-SCOPE-8
        if account.attempts >= policy.limit.get() {
            return give_up(InsufficientScopeKind::LimitReached);
        }
        let attempt = Attempt { key: digest(situation.operation) };
        Decision::Reauthorize { scope, attempt }
    }

    /// Creates the error for this context, with the number of attempts that were started.
    #[must_use]
    pub fn insufficient(
        &self,
        situation: &StepUpContext<'_>,
        reason: InsufficientScopeKind,
    ) -> InsufficientScope {
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
    #[expect(clippy::needless_pass_by_value, reason = "an attempt is counted once")]
    pub fn start(&mut self, attempt: Attempt) -> Started {
        let Attempt { key } = attempt;
        let account = self.account(key);
        account.attempts = account.attempts.saturating_add(1);
        Started { key }
    }

    /// Returns the counted attempts of an operation; `None` if there are none, and so no success to report.
    ///
    /// This is for a host whose requests share the result of an authorization, because the request that succeeds is
    /// often not the one whose refusal led to the attempt.
    ///
    /// # Examples
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

    /// Returns the part of the ledger for one operation, which leads to the same decisions about it.
    ///
    /// A host that shares the ledger can call [`decide`](Self::decide), with the filter of its policy, outside its
    /// lock.
    #[must_use]
    pub fn part(&self, operation: &Operation) -> Self {
        let key = digest(operation);
        let own = self.operations.get(&key).map(|account| (key, *account));
        Self { operations: own.into_iter().collect() }
    }

    /// Returns `true` if no attempt is counted, so that there is no success to report.
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

/// Returns the digest of an operation; the length of the method separates it from the name.
fn digest(operation: &Operation) -> Key {
    let (method, name) = (operation.method(), operation.name());
    let text = match name {
        Some(name) => [&*method.len().to_string(), " ", method, name].concat(),
        None => method.to_owned(),
    };
    *SecretDigest::of(&text).as_bytes()
}

/// Returns requested, granted and challenged scopes, each once; `None` beyond the bounds.
///
/// The order is that of first appearance.
fn union(situation: &StepUpContext<'_>) -> Option<ScopeSet> {
    // C-SCOPE-4
    let sets = [situation.requested, situation.granted, situation.challenge.scope.as_ref()];
    sets.into_iter().flatten().try_fold(ScopeSet::empty(), |union, set| union.union(set).ok())
}

#[cfg(test)]
mod tests;
