//! What a renewal does, in a task of its own.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{ClientConfig, Record, Session, Step, login};
use http::HeaderValue;
use oauth_types::ResourceUri;
use scope_stepup::{Attempt, Policy, Started};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::holdings::{Ended, Holdings, Wanted, holds_tokens_of};
use crate::ambient::{monotonic, now};
use crate::drive::Host;
use crate::error::{Error, TooManyWindows};
use crate::flight::Renewable;
use crate::http_client::HttpClient;
use crate::identity::IdentitySource;
use crate::store::CredentialStore;
use crate::user_agent::UserAgent;

/// Time between two looks at the store while a browser is open.
const LOOK: Duration = Duration::from_secs(2);

/// Where tokens come from.
pub(crate) enum Credentials {
    Login(Box<Login>),
    /// One token, got elsewhere.
    Fixed(HeaderValue),
}

/// A client that gets tokens by itself.
pub(crate) struct Login {
    pub(crate) config: ClientConfig,
    pub(crate) agent: Option<Box<dyn UserAgent>>,
    pub(crate) identity: Option<Box<dyn IdentitySource>>,
    pub(crate) store: Box<dyn CredentialStore>,
}

/// Numbers that rise when the user ends what is under way. A renewal that began under others ends unused.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    /// Ends everything.
    pub(super) logouts: u64,
    /// Ends logins and step-ups.
    pub(super) cancellations: u64,
}

/// What every renewal needs.
pub(super) struct Common {
    pub(super) http: HttpClient,
    pub(super) server: ResourceUri,
    pub(super) credentials: Credentials,
    pub(super) policy: Policy,
    /// Held while tokens are exchanged and saved, and not while a browser is open.
    pub(super) exchange: Arc<tokio::sync::Mutex<()>>,
    pub(super) epoch: watch::Sender<Epoch>,
    /// The beginning of the time that windows are counted by.
    pub(super) started: Instant,
}

impl Common {
    /// What a flow may use; `None` for a client that has none.
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

    /// What an earlier run of this client, and of no other, has left in the store.
    pub(super) async fn restored(&self) -> Result<Option<Session>, Error> {
        let Credentials::Login(own) = &self.credentials else { return Ok(None) };
        let kept = own.store.find(&self.server).await.map_err(Error::Store)?;
        let kept = kept.filter(|record| own.config.owns(record));
        Ok(kept.and_then(|record| Session::restore(record).ok()))
    }

    /// Carries a renewal out; a step-up needs the `attempt` that the ledger permits.
    pub(super) async fn work(
        &self,
        wanted: &Wanted,
        attempt: Option<Attempt>,
        from: Option<Arc<Session>>,
        holdings: &Renewable<Holdings, Wanted, Error>,
        epoch: Epoch,
    ) -> Ended {
        if matches!(wanted, Wanted::Restore) {
            let session = self.restored().await.unwrap_or_else(|error| {
                warn!(%error, "stored credentials are not available");
                None
            });
            return Ended::new(Ok(session), from);
        }
        let Some(host) = self.host() else {
            return Ended::new(Err(Error::Unauthorized.into()), from);
        };
        let from_ = from.clone();
        let mut flow =
            Flow { common: self, holdings, wanted, from: from_, epoch, attempt, started: None };
        let driven = host.drive(&mut flow).await;
        let started = flow.started;
        match driven {
            Ok((session, turn)) => {
                Ended { started, _turn: Some(turn), ..Ended::new(Ok(session), from) }
            }
            Err(failure) => Ended { started, ..Ended::new(Err(failure), from) },
        }
    }
}

/// One renewal, as the loop that carries it out asks about it.
pub(crate) struct Flow<'a> {
    pub(super) common: &'a Common,
    pub(super) holdings: &'a Renewable<Holdings, Wanted, Error>,
    pub(super) wanted: &'a Wanted,
    /// The session when it was asked for.
    pub(super) from: Option<Arc<Session>>,
    pub(super) epoch: Epoch,
    /// What the ledger permits of a step-up, until it begins.
    pub(super) attempt: Option<Attempt>,
    /// The attempt that was made.
    pub(super) started: Option<Started>,
}

impl Flow<'_> {
    /// The first step towards what is wanted, from what is held now; `None` when there is nothing to do any more.
    pub(crate) fn begin(&mut self) -> Result<Option<Step>, Error> {
        self.check()?;
        let Credentials::Login(by) = &self.common.credentials else {
            return Err(Error::Unauthorized);
        };
        let config = &by.config;
        let server = self.common.server.as_str();
        let session = self.holdings.with(|own, _| own.session.clone());
        let step = match (self.wanted, session.as_deref(), self.attempt.take()) {
            (Wanted::FreshToken, Some(session), _) => {
                // Somebody has brought other tokens meanwhile.
                if !self.from.as_ref().is_some_and(|from| holds_tokens_of(session, from)) {
                    return Ok(None);
                }
                session.refresh(config)?
            }
            (Wanted::Login { challenge, .. }, session, _) => {
                info!("the server asks for a login");
                login(config.clone(), server, challenge.as_ref(), session)?
            }
            (Wanted::Scope { operation, scope, challenge }, Some(session), Some(attempt)) => {
                // It opens a window where a user stands behind the client, and is no attempt where it may not.
                if by.agent.is_some() {
                    self.may_open_window()?;
                }
                info!(%operation, %scope, "the operation needs more scope");
                let step = session.step_up(config, server, challenge, scope.clone(), now())?;
                // Counted when it is made, and not before.
                self.started = Some(self.holdings.with(|own, _| own.ledger.start(attempt)));
                step
            }
            _ => return Err(Error::Unauthorized),
        };
        Ok(Some(step))
    }

    /// Ends a renewal that the user has ended.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_over() { Err(Error::LoginEnded) } else { Ok(()) }
    }

    fn is_over(&self) -> bool {
        let now = self.common.epoch();
        let is_cancelled =
            self.wanted.needs_user() && now.cancellations != self.epoch.cancellations;
        is_cancelled || now.logouts != self.epoch.logouts
    }

    /// Returns when the user has ended the renewal.
    pub(crate) async fn ended(&self) {
        let mut epoch = self.common.epoch.subscribe();
        while !self.is_over() {
            if epoch.changed().await.is_err() {
                return core::future::pending().await;
            }
        }
    }

    /// Returns the session of a login that another program, which shares the store, has finished while this one waits
    /// for its user. A login that the user asked for goes on.
    pub(crate) async fn brought(&self) -> Session {
        if !matches!(self.wanted, Wanted::Login { .. }) || self.wanted.is_by_user() {
            return core::future::pending().await;
        }
        // What the store held when it could first be read.
        let mut before = None;
        loop {
            let kept = self.common.restored().await;
            // What the user logged out of is still there.
            let unforgotten = self.holdings.with(|own, _| own.unforgotten.clone());
            let is_forgotten = |session: &Session| {
                unforgotten.as_ref().is_some_and(|own| own.covers(&session.to_record()))
            };
            match (kept, &before) {
                // A store that cannot be read has nothing new.
                (Err(_), _) => {}
                (Ok(kept), None) => before = Some(kept),
                (Ok(Some(session)), Some(before)) if !is_forgotten(&session) => {
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

    /// Asks the budget of windows; what the user asks for is within it.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyWindows`] until the next window may open.
    pub(crate) fn may_open_window(&self) -> Result<(), Error> {
        if self.wanted.is_by_user() {
            return Ok(());
        }
        let (limit, time) = (self.common.policy.window_limit(), self.time());
        let Some(wait) = self.holdings.with(|own, _| own.windows.wait(limit, time)) else {
            return Ok(());
        };
        let seconds = Duration::from_secs(wait.as_secs().saturating_add(1));
        Err(Error::TooManyWindows(TooManyWindows { limit, until: now().plus(seconds) }))
    }

    /// Counts the window that opens now.
    pub(crate) fn opened_window(&self) {
        let time = self.time();
        self.holdings.with(|own, _| own.windows.opened(time));
    }

    /// What a login may know of a record, where the store has not forgotten yet what the user logged out of.
    pub(crate) fn known(&self, kept: Option<Record>) -> Option<Record> {
        let kept = kept?;
        match self.holdings.with(|own, _| own.unforgotten.clone()) {
            Some(unforgotten) if unforgotten.covers(&kept) => unforgotten.rest(kept),
            _ => Some(kept),
        }
    }
}
