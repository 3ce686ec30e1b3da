//! Execution of one renewal in its task: restore, refresh, login or step-up.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{ClientConfig, Session, Step, StoredCredentials, login};
use http::HeaderValue;
use oauth_types::ResourceUri;
use scope_stepup::{Attempt, Policy, Started};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::holdings::{Goal, Holdings, RenewalResult, holds_tokens_of};
use crate::clock::{monotonic, now};
use crate::drive::Host;
use crate::error::{Error, TooManyWindows};
use crate::flight::Renewable;
use crate::http_client::HttpClient;
use crate::identity::IdentitySource;
use crate::store::CredentialStore;
use crate::user_agent::UserAgent;

/// Interval at which the store is read while a browser window is open.
const LOOK: Duration = Duration::from_secs(2);

/// Source of access tokens.
pub(crate) enum Credentials {
    Login(Box<Login>),
    /// Fixed `Authorization` header with a token that was obtained elsewhere.
    Fixed(HeaderValue),
}

/// Configuration and host callbacks of a client that obtains tokens itself.
pub(crate) struct Login {
    pub(crate) config: ClientConfig,
    pub(crate) agent: Option<Box<dyn UserAgent>>,
    pub(crate) identity: Option<Box<dyn IdentitySource>>,
    pub(crate) store: Box<dyn CredentialStore>,
}

/// Counters of the user's logouts and cancellations.
///
/// A renewal ends without effect once a counter that concerns it differs from the value at its start.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    /// Number of logouts; each ends every renewal.
    pub(super) logouts: u64,
    /// Number of cancellations; each ends logins and step-ups.
    pub(super) cancellations: u64,
}

/// Parts of a client that every renewal uses.
pub(super) struct Common {
    pub(super) http: HttpClient,
    pub(super) server: ResourceUri,
    pub(super) credentials: Credentials,
    pub(super) policy: Policy,
    /// Lock around exchanges and saves; released while a browser window is open.
    pub(super) exchange: Arc<tokio::sync::Mutex<()>>,
    pub(super) epoch: watch::Sender<Epoch>,
    /// Start of the time scale on which windows are counted.
    pub(super) started: Instant,
}

impl Common {
    /// Returns the callbacks for a flow; `None` for a client with a fixed token.
    pub(super) fn host(&self) -> Option<Host<'_>> {
        let Credentials::Login(own) = &self.credentials else { return None };
        Some(Host {
            http: &self.http,
            agent: own.agent.as_deref(),
            identity: own.identity.as_deref(),
            store: &*own.store,
            server: &self.server,
            exchange: &self.exchange,
        })
    }

    pub(super) fn epoch(&self) -> Epoch {
        *self.epoch.borrow()
    }

    /// Returns the session that an earlier run of this client left in the store.
    ///
    /// Records of other clients are ignored ([`ClientConfig::owns`]).
    pub(super) async fn restored(&self) -> Result<Option<Session>, Error> {
        let Credentials::Login(own) = &self.credentials else { return Ok(None) };
        let stored = own.store.find(&self.server).await.map_err(Error::Store)?;
        let stored = stored.filter(|record| own.config.owns(record));
        Ok(stored.and_then(|record| Session::restore(record).ok()))
    }

    /// Carries a renewal out; a step-up needs the `attempt` that the ledger permits.
    pub(super) async fn work(
        &self,
        goal: &Goal,
        attempt: Option<Attempt>,
        from: Option<Arc<Session>>,
        holdings: &Renewable<Holdings, Goal, Error>,
        epoch: Epoch,
    ) -> RenewalResult {
        if matches!(goal, Goal::Restore) {
            let session = self.restored().await.unwrap_or_else(|error| {
                warn!(%error, "stored credentials are not available");
                None
            });
            return RenewalResult::new(Ok(session), from);
        }
        let Some(host) = self.host() else {
            return RenewalResult::new(Err(Error::Unauthorized.into()), from);
        };
        let from_ = from.clone();
        let mut flow =
            Flow { common: self, holdings, goal, from: from_, epoch, attempt, started: None };
        let driven = host.drive(&mut flow).await;
        let started = flow.started;
        match driven {
            Ok((session, turn)) => RenewalResult {
                started,
                _turn: Some(turn),
                ..RenewalResult::new(Ok(session), from)
            },
            Err(failure) => RenewalResult { started, ..RenewalResult::new(Err(failure), from) },
        }
    }
}

/// State of one renewal, as `drive.rs` uses it.
pub(crate) struct Flow<'a> {
    pub(super) common: &'a Common,
    pub(super) holdings: &'a Renewable<Holdings, Goal, Error>,
    pub(super) goal: &'a Goal,
    /// Session at the start of the renewal.
    pub(super) from: Option<Arc<Session>>,
    pub(super) epoch: Epoch,
    /// Attempt that the ledger permits; taken when the step-up begins.
    pub(super) attempt: Option<Attempt>,
    /// Attempt that was started.
    pub(super) started: Option<Started>,
}

impl Flow<'_> {
    /// Returns the first step of the renewal, from the session that is held now.
    ///
    /// `None` when the renewal is no longer needed.
    pub(crate) fn begin(&mut self) -> Result<Option<Step>, Error> {
        self.check()?;
        let Credentials::Login(by) = &self.common.credentials else {
            return Err(Error::Unauthorized);
        };
        let config = &by.config;
        let server = self.common.server.as_str();
        let session = self.holdings.with(|own, _| own.session.clone());
        let step = match (self.goal, session.as_deref(), self.attempt.take()) {
            (Goal::FreshToken, Some(session), _) => {
                // Other tokens have arrived since the refresh was requested.
                if !self.from.as_ref().is_some_and(|from| holds_tokens_of(session, from)) {
                    return Ok(None);
                }
                session.refresh(config)?
            }
            (Goal::Login { challenge, .. }, session, _) => {
                info!("the server asks for a login");
                login(config.clone(), server, challenge.as_ref(), session)?
            }
            (Goal::Scope { operation, scope, challenge }, Some(session), Some(attempt)) => {
                // With a user agent, a step-up opens a window. Where the budget forbids that, no attempt is counted.
                if by.agent.is_some() {
                    self.may_open_window()?;
                }
                info!(%operation, %scope, "the operation needs more scope");
                let step = session.step_up(config, server, challenge, scope.clone(), now())?;
                // The attempt is counted here, because the step-up is certain to begin.
                self.started = Some(self.holdings.with(|own, _| own.ledger.start(attempt)));
                step
            }
            _ => return Err(Error::Unauthorized),
        };
        Ok(Some(step))
    }

    /// Checks that the user has not ended the renewal.
    ///
    /// # Errors
    ///
    /// [`Error::LoginEnded`] after a logout, or after a cancellation of a login or step-up.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_over() { Err(Error::LoginEnded) } else { Ok(()) }
    }

    fn is_over(&self) -> bool {
        let now = self.common.epoch();
        let is_cancelled = self.goal.needs_user() && now.cancellations != self.epoch.cancellations;
        is_cancelled || now.logouts != self.epoch.logouts
    }

    /// Waits until the user ends the renewal.
    pub(crate) async fn ended(&self) {
        let mut epoch = self.common.epoch.subscribe();
        while !self.is_over() {
            if epoch.changed().await.is_err() {
                return core::future::pending().await;
            }
        }
    }

    /// Waits for a session that another program saves to the shared store.
    ///
    /// Only a login that a request began is replaced in this way; for any other renewal the wait is endless.
    pub(crate) async fn session_of_another_program(&self) -> Session {
        if !matches!(self.goal, Goal::Login { .. }) || self.goal.is_by_user() {
            return core::future::pending().await;
        }
        // Content of the store at the first successful read.
        let mut before = None;
        loop {
            let stored = self.common.restored().await;
            // The store may still hold a session that the user logged out of.
            let pending_logout = self.holdings.with(|own, _| own.pending_logout.clone());
            let is_logged_out = |session: &Session| {
                pending_logout.as_ref().is_some_and(|own| own.covers(&session.to_record()))
            };
            match (stored, &before) {
                // The next read may succeed.
                (Err(_), _) => {}
                (Ok(stored), None) => before = Some(stored),
                (Ok(Some(session)), Some(before)) if !is_logged_out(&session) => {
                    let mut known = before.iter().chain(self.from.as_deref());
                    if !known.any(|known| holds_tokens_of(&session, known)) {
                        return session;
                    }
                }
                (Ok(_), Some(_)) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn time(&self) -> Duration {
        monotonic().saturating_duration_since(self.common.started)
    }

    /// Checks the budget of windows; a login that the user asks for is always allowed.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyWindows`] until the next window may open.
    pub(crate) fn may_open_window(&self) -> Result<(), Error> {
        if self.goal.is_by_user() {
            return Ok(());
        }
        let (limit, time) = (self.common.policy.window_limit(), self.time());
        let Some(wait) = self.holdings.with(|own, _| own.windows.wait(limit, time)) else {
            return Ok(());
        };
        let seconds = Duration::from_secs(wait.as_secs().saturating_add(1));
        Err(Error::TooManyWindows(TooManyWindows { limit, until: now().saturating_add(seconds) }))
    }

    /// Counts a window that opens now.
    pub(crate) fn opened_window(&self) {
        let time = self.time();
        self.holdings.with(|own, _| own.windows.opened(time));
    }

    /// Returns the part of a stored record that a login may use.
    ///
    /// Tokens that the user logged out of are left out, because the store may not have removed them yet.
    pub(crate) fn known(&self, stored: Option<StoredCredentials>) -> Option<StoredCredentials> {
        let stored = stored?;
        match self.holdings.with(|own, _| own.pending_logout.clone()) {
            Some(pending_logout) if pending_logout.covers(&stored) => pending_logout.rest(stored),
            _ => Some(stored),
        }
    }
}
