//! What a renewal does, in a task of its own.

use std::sync::Arc;

use client_flow::{ClientConfig, Session, Step, login};
use http::HeaderValue;
use oauth_types::ResourceUri;
use scope_stepup::Policy;
use tracing::{info, warn};

use super::holdings::{Holdings, Outcome, Wanted, holds_tokens_of};
use crate::ambient::now;
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

    /// What an earlier run of this client, and of no other, has left in the store.
    pub(super) async fn restored(&self) -> Result<Option<Session>, Error> {
        let Credentials::Login(own) = &self.credentials else { return Ok(None) };
        let kept = own.store.find(&self.server).await.map_err(Error::Store)?;
        let kept = kept.filter(|record| own.config.owns(record));
        Ok(kept.and_then(|record| Session::restore(record).ok()))
    }

    /// The first step towards what is wanted, from what is held now; `None` when there is nothing to do any more.
    fn begin(
        &self,
        own: &mut Holdings,
        wanted: &Wanted,
        from: Option<&Arc<Session>>,
    ) -> Result<Option<Step>, Error> {
        let Credentials::Login(by) = &self.credentials else {
            return Err(Error::Unauthorized);
        };
        let config = &by.config;
        let server = self.server.as_str();
        let step = match (wanted, own.session.as_deref()) {
            (Wanted::FreshToken, Some(session)) => {
                // Somebody has brought other tokens meanwhile.
                if !from.is_some_and(|from| holds_tokens_of(session, from)) {
                    return Ok(None);
                }
                session.refresh(config)?
            }
            (Wanted::Login(challenge), session) => {
                info!("the server asks for a login");
                login(config.clone(), server, challenge.as_ref(), session)?
            }
            (Wanted::Scope { operation, scope, attempt, challenge }, Some(session)) => {
                info!(%operation, %scope, "the operation needs more scope");
                let step = session.step_up(config, server, challenge, scope.clone(), now())?;
                // Counted when it is made, and not before.
                own.ledger.started(attempt.clone());
                step
            }
            _ => return Err(Error::Unauthorized),
        };
        Ok(Some(step))
    }

    /// Carries a renewal out. What it holds others off with is handed back, to be held until it has landed.
    pub(super) async fn work(
        &self,
        wanted: &Wanted,
        from: Option<Arc<Session>>,
        holdings: &Renewable<Holdings, Wanted, Error>,
    ) -> (Outcome, Option<Turn>) {
        if matches!(wanted, Wanted::Restore) {
            let session = self.restored().await.unwrap_or_else(|error| {
                warn!(%error, "stored credentials are not available");
                None
            });
            return (Ok(session), None);
        }
        let Some(host) = self.host() else { return (Err(Error::Unauthorized), None) };
        let begin = || holdings.with(|own, _| self.begin(own, wanted, from.as_ref()));
        match host.drive(&begin).await {
            Ok((session, turn)) => (Ok(session), Some(turn)),
            Err(error) => (Err(error), None),
        }
    }
}
