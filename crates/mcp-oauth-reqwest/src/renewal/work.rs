//! What a renewal does, in a task of its own.

use std::sync::Arc;

use client_flow::{ClientConfig, Session, Step, login};
use http::HeaderValue;
use oauth_types::ResourceUri;
use scope_stepup::Policy;
use tracing::{info, warn};

use super::holdings::{Holdings, Outcome, Wanted};
use crate::drive::{Host, Turn};
use crate::flight::Renewable;
use crate::{CredentialStore, Error, IdentitySource, UserAgent};

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

/// What every renewal needs.
pub(super) struct Common {
    pub(super) http: reqwest::Client,
    pub(super) server: ResourceUri,
    pub(super) credentials: Credentials,
    pub(super) policy: Policy,
    /// Held while tokens are exchanged and saved, and not while a browser is open.
    pub(super) exchange: Arc<tokio::sync::Mutex<()>>,
}

impl Common {
    /// The first step towards what is wanted; `None` to look into the store.
    pub(super) fn begin(&self, own: &mut Holdings, wanted: &Wanted) -> Result<Option<Step>, Error> {
        let Credentials::Login(login_by) = &self.credentials else {
            return Err(Error::Unauthorized);
        };
        let config = &login_by.config;
        let server = self.server.as_str();
        let session = own.session.as_deref();
        let step = match (wanted, session) {
            (Wanted::Restore, _) => return Ok(None),
            (Wanted::FreshToken, Some(session)) => session.refresh(config)?,
            (Wanted::Login(challenge), session) => {
                info!(server, "the server asks for a login");
                login(config.clone(), server, challenge.as_ref(), session)?
            }
            (Wanted::Scope { operation, scope, attempt, challenge }, Some(session)) => {
                info!(server, %operation, %scope, "the operation needs more scope");
                let step = session.step_up(config, server, challenge, scope.clone())?;
                own.ledger.started(attempt.clone());
                step
            }
            (Wanted::FreshToken | Wanted::Scope { .. } | Wanted::ScopeOfOthers(_), _) => {
                return Err(Error::Unauthorized);
            }
        };
        Ok(Some(step))
    }

    /// Carries a renewal out. What it holds others off with is handed back, to be held until it has landed.
    pub(super) async fn work(
        &self,
        step: Option<Step>,
        from: Option<Arc<Session>>,
        holdings: &Renewable<Holdings, Wanted, Error>,
    ) -> (Outcome, Option<Turn>) {
        let Credentials::Login(own) = &self.credentials else { return (Ok(None), None) };
        let host = Host {
            http: &self.http,
            agent: own.agent.as_deref(),
            identity: own.identity.as_deref(),
            store: &*own.store,
            server: &self.server,
            exchange: &self.exchange,
        };
        let Some(step) = step else {
            let kept = own.store.find(&self.server).await.unwrap_or_else(|error| {
                warn!(%error, "stored credentials are not available");
                None
            });
            let kept = kept.filter(|record| own.config.owns(record));
            return (Ok(kept.and_then(|record| Session::restore(record).ok())), None);
        };
        let is_current = || {
            let same = |own: &Arc<Session>, from| Arc::ptr_eq(own, from);
            holdings.with(|own, _| match (&own.session, &from) {
                (Some(own), Some(from)) => same(own, from),
                (own, from) => own.is_none() && from.is_none(),
            })
        };
        match host.drive(step, &is_current).await {
            Ok((session, turn)) => (Ok(session), Some(turn)),
            Err(error) => (Err(error), None),
        }
    }
}
