//! Credentials and gates of a client, and their changes by each renewal.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{FlowErrorKind, Session};
use http::{HeaderValue, StatusCode};
use oauth_types::{AuthorizationErrorCode, BearerChallenge, ScopeSet};
use scope_stepup::{Ledger, Operation, Started, Windows};
use tokio::time::Instant;
use tracing::warn;

use super::end::{Logout, PendingLogout};
use super::gate::Gate;
use crate::clock::{monotonic, now};
use crate::drive::{Failure, Turn};
use crate::error::Error;
use crate::flight::Kind;
use crate::store::StoreError;
use crate::user_agent::VisitError;

/// Minimum wait after a user declined or did not return from the browser.
const RESPITE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Holdings {
    pub(super) session: Option<Arc<Session>>,
    pub(super) ledger: Ledger,
    /// `true` once the store was asked for the credentials of an earlier run.
    pub(super) is_restored: bool,
    /// Latest DPoP nonce of the server (RFC 9449 §8).
    pub(super) nonce: Option<HeaderValue>,
    /// `true` once the server has accepted the session's token.
    pub(super) is_proven: bool,
    /// Logout that the store has not carried out yet.
    pub(super) pending_logout: Option<PendingLogout>,
    /// Gate of refreshes.
    pub(super) refreshes: Gate,
    /// Gate of logins, and of step-ups after a failure that concerns every operation.
    pub(super) logins: Gate,
    /// Gate of repeated saves.
    pub(super) saves: Gate,
    pub(super) windows: Windows,
}

/// Kind and goal of a renewal.
#[derive(Clone)]
pub(super) enum Goal {
    Restore,
    FreshToken,
    Login {
        challenge: Option<BearerChallenge>,
        /// `true` if the user asked for it, so that no gate and no budget delays it.
        by_user: bool,
    },
    /// Step-up for an operation.
    Scope {
        operation: Operation,
        scope: ScopeSet,
        challenge: BearerChallenge,
    },
    /// More scope for an operation whose own attempts are used up.
    ///
    /// Another operation's step-up, or a login, may bring it.
    ScopeOfOthers(Operation),
}

impl Goal {
    pub(super) const fn login(challenge: Option<BearerChallenge>) -> Self {
        Self::Login { challenge, by_user: false }
    }

    pub(super) const fn is_by_user(&self) -> bool {
        matches!(self, Self::Login { by_user: true, .. })
    }

    pub(super) const fn needs_user(&self) -> bool {
        self.operation().is_some() || matches!(self, Self::Login { .. })
    }

    /// Returns the operation of a step-up.
    const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Scope { operation, .. } | Self::ScopeOfOthers(operation) => Some(operation),
            _ => None,
        }
    }

    /// Returns `true` if both are for one operation, or `other` is for none.
    pub(super) fn is_for(&self, other: &Self) -> bool {
        other.operation().is_none() || self.operation() == other.operation()
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

impl Kind for Goal {
    /// Returns `true` if both wait for the user, or neither does.
    ///
    /// A refresh does not wait for the user, so it may run beside a login or step-up.
    fn excludes(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
    }

    /// Returns `true`, except for a step-up after a refresh, which adds no scope.
    fn is_helped_by(&self, other: &Self) -> bool {
        self.operation().is_none() || other.needs_user()
    }

    /// Returns `true` if the failure of `other` applies to `self`.
    ///
    /// The failure of a step-up applies to its operation; that of a login also to step-ups.
    fn shares_failure(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
            && other.operation().is_none_or(|failed| self.operation() == Some(failed))
    }
}

/// Outcome of a renewal; `None` if nothing was to be changed.
pub(super) type Outcome = Result<Option<Session>, Failure>;

/// Result of a renewal, before it is applied.
pub(super) struct RenewalResult {
    pub(super) outcome: Outcome,
    /// Session at the start of the renewal.
    pub(super) from: Option<Arc<Session>>,
    /// Attempt of a step-up.
    pub(super) started: Option<Started>,
    /// `true` if the user has logged out since the start.
    pub(super) is_over: bool,
    /// Lock that is held until the result is applied.
    pub(super) _turn: Option<Turn>,
}

impl RenewalResult {
    /// Creates the result of a renewal that began with `from` and counted no attempt.
    pub(super) const fn new(outcome: Outcome, from: Option<Arc<Session>>) -> Self {
        Self { outcome, from, started: None, is_over: false, _turn: None }
    }
}

impl Holdings {
    /// Returns the error of a renewal that may not begin yet.
    pub(super) fn refusal(&self, goal: &Goal, now: Instant) -> Option<Error> {
        match goal {
            Goal::Restore => None,
            Goal::FreshToken => self.refreshes.refusal(now),
            goal if goal.is_by_user() => None,
            _ => self.logins.refusal(now),
        }
    }

    /// Records if a response accepts the token that its request was sent with.
    pub(super) fn note(&mut self, held: Option<&Arc<Session>>, status: StatusCode) {
        let (Some(held), Some(own)) = (held, &self.session) else { return };
        if !Arc::ptr_eq(held, own) {
            return;
        }
        if status != StatusCode::UNAUTHORIZED {
            if !self.is_proven {
                self.is_proven = true;
                self.logins.open();
                // A token that expires at once does not prove that refreshes help.
                if !own.is_stale(now()) {
                    self.refreshes.open();
                }
            }
        } else if self.is_proven {
            // The server accepted the token before, so the refusal is a new reason to refresh.
            self.refreshes.wake();
        }
    }

    /// Returns `true` if the store lacks something and may be tried again now.
    pub(super) fn takes_another_save(&mut self, now: Instant) -> bool {
        let is_due = self.is_unsaved() && self.saves.is_open(now);
        if is_due {
            // The gate stays closed until the outcome is known.
            self.saves.fail(Error::Store(StoreError), None, now);
        }
        is_due
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.pending_logout.is_some() || self.session.as_ref().is_some_and(|own| !own.is_saved())
    }

    /// Replaces the session by its saved form, unless the tokens have changed.
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

    /// Removes the session from memory; the caller removes it from the store next.
    pub(super) fn log_out(&mut self, extent: Logout) {
        self.is_restored = true;
        self.is_proven = false;
        // The next user may answer otherwise, so recorded attempts and refusals are dropped.
        self.ledger = Ledger::default();
        let logout = PendingLogout::new(self.session.take().as_deref(), extent);
        self.pending_logout = Some(logout.after(self.pending_logout.take()));
    }

    /// Applies the outcome of a renewal.
    ///
    /// A renewal that began before a logout changes no credentials.
    pub(super) fn land(&mut self, result: RenewalResult, goal: &Goal) -> Result<(), Error> {
        let RenewalResult { outcome, from, started, is_over, _turn } = result;
        // A login or logout since then is newer than the stored credentials.
        if matches!(goal, Goal::Restore) && self.is_restored {
            return Ok(());
        }
        if is_over {
            if let (Ok(Some(session)), Some(pending_logout)) = (&outcome, &mut self.pending_logout)
            {
                pending_logout.note_login(session);
            }
            return Err(Error::LoginEnded);
        }
        self.is_restored = true;
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(session)) => {
                self.renewed(session, goal);
                Ok(())
            }
            Err(failure) => {
                // After any other failure the ledger still has the attempt, and the request that succeeds reports it.
                if let Some(started) = started
                    && is_declined(&failure.error)
                {
                    started.declined(&mut self.ledger);
                }
                self.failed(failure, goal, from.as_deref())
            }
        }
    }

    fn renewed(&mut self, session: Session, goal: &Goal) {
        let at = monotonic();
        self.is_proven = false;
        if session.is_saved() {
            self.saves.open();
            // A login has replaced the record that was to be removed.
            let key = session.account().key();
            let is_replaced = |own: &PendingLogout| own.key.as_ref().is_none_or(|own| *own == key);
            if goal.needs_user() && self.pending_logout.as_ref().is_some_and(is_replaced) {
                self.pending_logout = None;
            }
        } else {
            warn!("the tokens could not be saved: they are used from memory and saved again later");
            self.saves.fail(Error::Store(StoreError), None, at);
        }
        match goal {
            Goal::FreshToken => self.refreshes.rest(at),
            Goal::Login { by_user: false, .. } => {
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
        goal: &Goal,
        from: Option<&Session>,
    ) -> Result<(), Error> {
        let Failure { error, retry_after } = failure;
        // The user has ended the renewal, so no gate is closed.
        if matches!(error, Error::LoginEnded) {
            return Err(error);
        }
        let is_refresh = matches!(goal, Goal::FreshToken);
        // A login has brought other tokens meanwhile, so the failure concerns tokens that are no longer held.
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
            // One such failure is enough: the next 401 leads to a login for every request.
            leads_to_login = is_refresh && !flow.is_transient();
            if flow.ends_grant() {
                warn!(%error, "the server does not refresh the tokens any more");
                if is_refresh {
                    return Ok(());
                }
            }
        } else if let (Goal::Scope { .. }, Some(held), false) =
            (goal, &self.session, is_declined(&error))
        {
            // The authorization endpoint may have moved, so the next step-up fetches the metadata again.
            self.session = Some(Arc::new(Session::clone(held).with_expired_metadata()));
        }
        let at = monotonic();
        match goal {
            Goal::FreshToken => {
                warn!(%error, "the tokens could not be refreshed and are kept");
                self.refreshes.fail(error.clone(), retry_after, at);
                if is_unreachable(&error) {
                    self.refreshes.shorten();
                }
            }
            Goal::Scope { .. } if is_declined(&error) || !concerns_all(&error) => {}
            // The server may have removed the registration, and the next login registers anew.
            Goal::Login { .. } if is_refusal(&error) && retry_after.is_none() => {
                self.logins.fail_leniently(error.clone(), at);
            }
            _ => match &error {
                Error::TooManyWindows(error) => {
                    let wait = error.until.saturating_duration_since(now());
                    self.logins.hold(Error::TooManyWindows(*error), wait, at);
                }
                error => {
                    let respite = (is_declined(error) || is_away(error)).then_some(RESPITE);
                    self.logins.fail(error.clone(), retry_after.max(respite), at);
                    if is_unreachable(error) {
                        self.logins.shorten();
                    }
                }
            },
        }
        if leads_to_login { Ok(()) } else { Err(error) }
    }

    /// Returns `true` if a refresh has failed in a way that only a login mends.
    ///
    /// This holds until the gate of refreshes opens.
    pub(super) fn needs_login(&self, now: Instant) -> bool {
        let failure = self.refreshes.failure(now);
        failure.is_some_and(|error| matches!(error, Error::Flow(flow) if !flow.is_transient()))
    }
}

/// Returns `true` if the user declined.
fn is_declined(error: &Error) -> bool {
    match error {
        Error::Flow(flow) => matches!(
            flow.kind(),
            FlowErrorKind::Denied(answer) if answer.code == AuthorizationErrorCode::AccessDenied
        ),
        error => matches!(error, Error::Visit(VisitError::Declined)),
    }
}

/// Returns `true` if no server answered.
fn is_unreachable(error: &Error) -> bool {
    matches!(error, Error::Flow(flow) if matches!(flow.kind(), FlowErrorKind::Transport(_)))
}

/// Returns `true` if the server refused a login that the user had not declined.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Flow(flow) if !flow.is_transient()) && !is_declined(error)
}

/// Returns `true` if the user did not return from the browser.
const fn is_away(error: &Error) -> bool {
    matches!(error, Error::Visit(VisitError::Timeout))
}

/// Returns `true` if other step-ups and logins would fail for the same reason.
fn concerns_all(error: &Error) -> bool {
    match error {
        Error::Flow(flow) => flow.is_transient(),
        Error::TooManyWindows(_) => true,
        error => is_away(error),
    }
}

/// Returns `true` if both sessions hold the same access token.
pub(super) fn holds_tokens_of(session: &Session, other: &Session) -> bool {
    session.tokens().access_token.matches(other.tokens().access_token.expose())
}

#[cfg(test)]
mod tests;
