//! What a client holds, and what becomes of it.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{FlowErrorKind, Session};
use http::{HeaderValue, StatusCode};
use oauth_types::{AuthorizationErrorCode, BearerChallenge, ScopeSet};
use scope_stepup::{Ledger, Operation, Started, Windows};
use tokio::time::Instant;
use tracing::warn;

use super::end::{Logout, Unforgotten};
use super::gate::Gate;
use crate::ambient::{monotonic, now};
use crate::drive::{Failure, Turn};
use crate::error::Error;
use crate::flight::Kind;
use crate::store::StoreError;
use crate::user_agent::VisitError;

/// Shortest time for which a user who said no, or did not come back, is left alone.
const RESPITE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Holdings {
    pub(super) session: Option<Arc<Session>>,
    pub(super) ledger: Ledger,
    /// Whether the store was asked what an earlier run left.
    pub(super) is_restored: bool,
    /// The latest nonce of the server, for proofs of possession.
    pub(super) nonce: Option<HeaderValue>,
    /// `true` once the server has accepted the session's token.
    pub(super) is_proven: bool,
    /// What the store may still hold after the user logged out.
    pub(super) unforgotten: Option<Unforgotten>,
    /// Refreshes.
    pub(super) refreshes: Gate,
    /// Logins, and step-ups that failed for a reason that concerns every operation.
    pub(super) logins: Gate,
    /// Saves that are made up for.
    pub(super) saves: Gate,
    pub(super) windows: Windows,
}

/// What a renewal is to bring.
#[derive(Clone)]
pub(super) enum Wanted {
    Restore,
    FreshToken,
    Login {
        challenge: Option<BearerChallenge>,
        /// The user asks for it, and not a request: no gate and no budget holds it up.
        by_user: bool,
    },
    /// For this operation.
    Scope {
        operation: Operation,
        scope: ScopeSet,
        challenge: BearerChallenge,
    },
    /// More scope for this operation, by somebody else: all its own attempts were made.
    ScopeOfOthers(Operation),
}

impl Wanted {
    pub(super) const fn login(challenge: Option<BearerChallenge>) -> Self {
        Self::Login { challenge, by_user: false }
    }

    pub(super) const fn is_by_user(&self) -> bool {
        matches!(self, Self::Login { by_user: true, .. })
    }

    pub(super) const fn needs_user(&self) -> bool {
        self.operation().is_some() || matches!(self, Self::Login { .. })
    }

    /// The operation that a step-up is for.
    const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Scope { operation, .. } | Self::ScopeOfOthers(operation) => Some(operation),
            _ => None,
        }
    }

    /// Whether it was done for what was wanted: a step-up is its operation's.
    pub(super) fn is_for(&self, wanted: &Self) -> bool {
        wanted.operation().is_none() || self.operation() == wanted.operation()
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::FreshToken => "refresh",
            Self::Login { .. } => "login",
            Self::Scope { .. } | Self::ScopeOfOthers(_) => "step-up",
        }
    }
}

impl Kind for Wanted {
    /// A refresh waits for no user: a login or step-up and a refresh may be under way together.
    fn excludes(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
    }

    /// A refresh widens no grant.
    fn is_helped_by(&self, other: &Self) -> bool {
        self.operation().is_none() || other.needs_user()
    }

    /// A step-up is its operation's own affair; a login or refresh is everybody's.
    fn shares_failure(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
            && other.operation().is_none_or(|failed| self.operation() == Some(failed))
    }
}

/// A session, or none where nothing was to be changed.
pub(super) type Outcome = Result<Option<Session>, Failure>;

/// A renewal that has ended and is about to land.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The session that it began with.
    pub(super) from: Option<Arc<Session>>,
    /// The attempt that it made, if it was a step-up.
    pub(super) started: Option<Started>,
    /// Set if it was begun before the user logged out.
    pub(super) is_over: bool,
    /// Held until it has landed.
    pub(super) _turn: Option<Turn>,
}

impl Ended {
    /// A renewal that began with the session `from`, without an attempt.
    pub(super) const fn new(outcome: Outcome, from: Option<Arc<Session>>) -> Self {
        Self { outcome, from, started: None, is_over: false, _turn: None }
    }
}

impl Holdings {
    /// Returns why a renewal may not begin yet.
    pub(super) fn refusal(&self, wanted: &Wanted, now: Instant) -> Option<Error> {
        match wanted {
            Wanted::Restore => None,
            Wanted::FreshToken => self.refreshes.refusal(now),
            wanted if wanted.is_by_user() => None,
            _ => self.logins.refusal(now),
        }
    }

    /// Notes what an answer says about the token that the request was sent with.
    pub(super) fn note(&mut self, held: Option<&Arc<Session>>, status: StatusCode) {
        let (Some(held), Some(own)) = (held, &self.session) else { return };
        if !Arc::ptr_eq(held, own) {
            return;
        }
        if status != StatusCode::UNAUTHORIZED {
            if !self.is_proven {
                self.is_proven = true;
                self.logins.open();
                // A token that expires at once proves nothing about the next refresh.
                if !own.is_stale(now()) {
                    self.refreshes.open();
                }
            }
        } else if self.is_proven {
            // The server took it before: this refusal is news.
            self.refreshes.wake();
        }
    }

    /// Returns `true` if the store lacks something that this client knows, and may be asked again now.
    pub(super) fn takes_another_save(&mut self, now: Instant) -> bool {
        let is_due = self.is_unsaved() && self.saves.is_open(now);
        if is_due {
            // Until it is known how it ends.
            self.saves.fail(Error::Store(StoreError), None, now);
        }
        is_due
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.unforgotten.is_some() || self.session.as_ref().is_some_and(|own| !own.is_saved())
    }

    /// Keeps a session that a save brought, unless it was replaced meanwhile.
    pub(super) fn resaved(&mut self, session: Session, from: &Session) {
        let is_current = self.session.as_ref().is_some_and(|own| holds_tokens_of(own, from));
        if is_current {
            self.is_proven &= holds_tokens_of(&session, from);
            if session.is_saved() {
                self.saves.open();
            }
            self.session = Some(Arc::new(session));
        }
    }

    /// Forgets the session in memory; the store is told next.
    pub(super) fn log_out(&mut self, extent: Logout) {
        self.is_restored = true;
        self.is_proven = false;
        // The next user decides anew.
        self.ledger = Ledger::default();
        let ended = Unforgotten::new(self.session.take().as_deref(), extent);
        self.unforgotten = Some(ended.after(self.unforgotten.take()));
    }

    /// Keeps the outcome of a renewal. One that was begun before the user logged out brings nothing.
    pub(super) fn land(&mut self, ended: Ended, wanted: &Wanted) -> Result<(), Error> {
        let Ended { outcome, from, started, is_over, _turn } = ended;
        // Whoever has logged in or out meanwhile knows better than what was kept before.
        if matches!(wanted, Wanted::Restore) && self.is_restored {
            return Ok(());
        }
        if is_over {
            if let (Ok(Some(session)), Some(unforgotten)) = (&outcome, &mut self.unforgotten) {
                unforgotten.note_login(session);
            }
            return Err(Error::LoginEnded);
        }
        self.is_restored = true;
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(session)) => {
                self.renewed(session, wanted);
                Ok(())
            }
            Err(failure) => {
                // Where it ended otherwise, the attempt is found again by the request that goes through.
                if let Some(started) = started
                    && said_no(&failure.error)
                {
                    started.declined(&mut self.ledger);
                }
                self.failed(failure, wanted, from.as_deref())
            }
        }
    }

    fn renewed(&mut self, session: Session, wanted: &Wanted) {
        let at = monotonic();
        self.is_proven = false;
        if session.is_saved() {
            self.saves.open();
            // A login has replaced what was to be forgotten.
            let key = session.account().key();
            let is_replaced = |own: &Unforgotten| own.key.as_ref().is_none_or(|own| *own == key);
            if wanted.needs_user() && self.unforgotten.as_ref().is_some_and(is_replaced) {
                self.unforgotten = None;
            }
        } else {
            warn!("the tokens could not be saved: they are used from memory and saved again later");
            self.saves.fail(Error::Store(StoreError), None, at);
        }
        match wanted {
            Wanted::FreshToken => self.refreshes.rest(at),
            Wanted::Login { by_user: false, .. } => {
                self.refreshes.open();
                self.logins.rest(at);
            }
            _ => {
                self.refreshes.open();
                self.logins.open();
            }
        }
        self.session = Some(Arc::new(session));
    }

    fn failed(
        &mut self,
        failure: Failure,
        wanted: &Wanted,
        from: Option<&Session>,
    ) -> Result<(), Error> {
        let Failure { error, retry_after } = failure;
        // The user has ended it, which is no reason to wait.
        if matches!(error, Error::LoginEnded) {
            return Err(error);
        }
        let is_refresh = matches!(wanted, Wanted::FreshToken);
        // A login has brought other tokens meanwhile: the failure is about tokens that are held no more.
        if let (true, Some(from), Some(held)) = (is_refresh, from, &self.session)
            && !holds_tokens_of(held, from)
        {
            return Ok(());
        }
        let mut leads_to_login = false;
        if let (Error::Flow(flow), Some(held)) = (&error, &self.session)
            && (flow.ends_client() || is_refresh)
        {
            self.session = Some(Arc::new(Session::clone(held).after(flow)));
            // Tried once: the next 401 leads to a login for all that was held.
            leads_to_login = is_refresh && !flow.is_transient();
            if flow.ends_grant() {
                warn!(%error, "the server does not refresh the tokens any more");
                if is_refresh {
                    return Ok(());
                }
            }
        } else if let (Wanted::Scope { .. }, Some(held), false) =
            (wanted, &self.session, said_no(&error))
        {
            // The page may have moved: the next step-up does not go there by what was read before.
            self.session = Some(Arc::new(Session::clone(held).with_expired_metadata()));
        }
        let at = monotonic();
        match wanted {
            Wanted::FreshToken => {
                warn!(%error, "the tokens could not be refreshed and are kept");
                self.refreshes.fail(error.clone(), retry_after, at);
                if is_unreachable(&error) {
                    self.refreshes.shorten();
                }
            }
            Wanted::Scope { .. } if said_no(&error) || !concerns_all(&error) => {}
            _ if let Error::TooManyWindows(error) = &error => {
                let wait = error.until.since(now());
                self.logins.hold(Error::TooManyWindows(*error), wait, at);
            }
            // The registration may be forgotten: the next login registers anew.
            Wanted::Login { .. } if is_refusal(&error) && retry_after.is_none() => {
                self.logins.fail_leniently(error.clone(), at);
            }
            _ => {
                let respite = (said_no(&error) || is_away(&error)).then_some(RESPITE);
                self.logins.fail(error.clone(), retry_after.max(respite), at);
                if is_unreachable(&error) {
                    self.logins.shorten();
                }
            }
        }
        if leads_to_login { Ok(()) } else { Err(error) }
    }

    /// Returns `true` if a refresh failed a short while ago in a way that only a login helps against.
    pub(super) fn needs_login(&self, now: Instant) -> bool {
        let failure = self.refreshes.failure(now);
        failure.is_some_and(|error| matches!(error, Error::Flow(flow) if !flow.is_transient()))
    }
}

/// Returns `true` if the user did not want to.
fn said_no(error: &Error) -> bool {
    match error {
        Error::Flow(flow) => matches!(
            flow.kind(),
            FlowErrorKind::Denied(answer) if answer.code == AuthorizationErrorCode::AccessDenied
        ),
        error => matches!(error, Error::Visit(VisitError::Declined)),
    }
}

/// Returns `true` if no server answered: the network may be back at any moment.
fn is_unreachable(error: &Error) -> bool {
    matches!(error, Error::Flow(flow) if matches!(flow.kind(), FlowErrorKind::Transport(_)))
}

/// Returns `true` if the server refused a login that the user did not refuse.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Flow(flow) if !flow.is_transient()) && !said_no(error)
}

/// Returns `true` if no user came back.
const fn is_away(error: &Error) -> bool {
    matches!(error, Error::Visit(VisitError::Timeout))
}

/// Returns `true` if a step-up failed for a reason that every other one and a login meets too.
fn concerns_all(error: &Error) -> bool {
    match error {
        Error::Flow(flow) => flow.is_transient(),
        Error::TooManyWindows(_) => true,
        error => is_away(error),
    }
}

/// Returns `true` if both sessions hold the same access token. A failed step-up changes the session and not its tokens.
pub(super) fn holds_tokens_of(session: &Session, other: &Session) -> bool {
    session.tokens().access_token.matches(other.tokens().access_token.expose())
}

#[cfg(test)]
mod tests;
