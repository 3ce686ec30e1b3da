//! Stored credentials: the record that the host keeps about a server, and its use by a login or refresh.
//!
//! | a login continues with, in this order | requirement |
//! |---|---|
//! | tokens that another run or process obtained, if they belong to this client and were not refused | C-DISC-8 |
//! | their refresh token, once; after a permanent failure the login continues | C-TOKEN-7 |
//! | credentials that are pre-registered for this very issuer; without a user, no others | C-REG-1, C-REG-5 |
//! | the stored registration with this issuer, if it is still usable | C-DISC-8 |
//! | this client's metadata document, where the server supports that | C-REG-1, C-REG-2, C-REG-6 |
//! | a registration (`flow/registration.rs`) | C-REG-1 |
//!
//! The record keeps the refresh token unless an OAuth error of the token endpoint ended the grant. A stored
//! registration is usable if its secret is valid, the redirect URI is the same, and the server has not forgotten it
//! (`session/attempt.rs`).

use core::fmt;

use oauth_types::{AuthorizationServerMetadata, ProtectedResourceMetadata, UnixTime};

use crate::error::{FlowError, FlowErrorKind};
use crate::flow::attempt::{Denied, begin};
use crate::flow::authorization::authorize;
use crate::flow::redeem::Redeeming;
use crate::flow::refresh::Refreshing;
use crate::flow::registration::{SaveAt, register};
use crate::flow::saving::Saving;
use crate::flow::step::Step;
use crate::flow::step_up::SteppingUp;
use crate::goal::{Goal, Login, Wanted};
use crate::scope::initial_scope;
use crate::session::{CredentialKey, ServerEndpoints, Session, StoredCredentials, Tokens};
use crate::stage::FlowStage;
use crate::token::TokenRequest;

/// Requests the record about this authorization server and resource from the host.
#[derive(Clone)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct LoadCredentials(Asking);

/// Flow that requests the record.
#[derive(Clone)]
enum Asking {
    Login(Box<Login>),
    Refresh(Box<Refreshing>),
    StepUp(Box<SteppingUp>),
    Denied(Box<Denied>),
    SaveCredentials(Box<Saving>),
}

impl LoadCredentials {
    pub(crate) fn login(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        metadata: AuthorizationServerMetadata,
        server: ServerEndpoints,
    ) -> Step {
        let login = Login { goal, resource, metadata, server };
        Step::LoadCredentials(Box::new(Self(Asking::Login(Box::new(login)))))
    }

    pub(crate) fn refresh(refreshing: Refreshing) -> Step {
        Step::LoadCredentials(Box::new(Self(Asking::Refresh(Box::new(refreshing)))))
    }

    pub(crate) fn step_up(stepping_up: SteppingUp) -> Step {
        Step::LoadCredentials(Box::new(Self(Asking::StepUp(Box::new(stepping_up)))))
    }

    pub(crate) fn denied(denied: Denied) -> Step {
        Step::LoadCredentials(Box::new(Self(Asking::Denied(Box::new(denied)))))
    }

    pub(crate) fn save(session: Session) -> Step {
        let saving = Saving { session, has_failed: false };
        Step::LoadCredentials(Box::new(Self(Asking::SaveCredentials(Box::new(saving)))))
    }

    /// Loads what the store holds instead of a session that it failed to save.
    pub(crate) fn not_saved(session: Session) -> Step {
        let saving = Saving { session, has_failed: true };
        Step::LoadCredentials(Box::new(Self(Asking::SaveCredentials(Box::new(saving)))))
    }

    /// Returns the key of the record to load.
    #[must_use]
    pub fn key(&self) -> CredentialKey {
        match &self.0 {
            Asking::Login(login) => CredentialKey {
                issuer: login.server.issuer.clone(),
                resource: login.resource.resource.clone(),
            },
            Asking::Refresh(refreshing) => refreshing.account().key(),
            Asking::StepUp(stepping_up) => stepping_up.account().key(),
            Asking::Denied(denied) => denied.account.key(),
            Asking::SaveCredentials(saving) => saving.session.account().key(),
        }
    }

    /// Continues with the record under that key, or `None`.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the client has no way to register with this server, or no refresh token.
    pub fn resume(self, kept: Option<StoredCredentials>, now: UnixTime) -> Result<Step, FlowError> {
        // C-REG-5: a record of another issuer is ignored, even if the host returns one.
        let key = self.key();
        let kept = kept.filter(|record| record.account.key() == key);
        match self.0 {
            Asking::Login(login) => login.resume(kept, now),
            Asking::Refresh(refreshing) => refreshing.resume(kept, now),
            Asking::StepUp(stepping_up) => stepping_up.resume(kept, now),
            Asking::Denied(denied) => denied.resume(kept),
            Asking::SaveCredentials(saving) => saving.resume(kept),
        }
    }

    /// Continues when the record cannot be loaded.
    ///
    /// A login continues without the record. A refresh token is not sent where another process may have used it; one
    /// that was [never saved](Session::is_saved) is known to this process alone.
    ///
    /// # Errors
    ///
    /// [`FlowErrorKind::NotLoaded`] for a refresh of a saved session; otherwise as
    /// [`resume`](Self::resume).
    pub fn failed(self, now: UnixTime) -> Result<Step, FlowError> {
        match self.0 {
            Asking::Login(login) => login.resume(None, now),
            Asking::Refresh(refreshing) => refreshing.unread(now),
            Asking::StepUp(stepping_up) => stepping_up.uncounted(),
            Asking::Denied(denied) => denied.resume(None),
            Asking::SaveCredentials(saving) => Ok(saving.failed()),
        }
    }
}

impl fmt::Debug for LoadCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recall").field(&self.key()).finish()
    }
}

impl Login {
    fn resume(self, kept: Option<StoredCredentials>, now: UnixTime) -> Result<Step, FlowError> {
        if let Some(step) = self.take_up(kept.as_ref(), now)? {
            return Ok(step);
        }
        let asked = kept.as_ref().and_then(StoredCredentials::asks_again);
        let save_at = match &kept {
            Some(StoredCredentials { tokens: Some(_), .. }) => SaveAt::Tokens,
            _ => SaveAt::Registration,
        };
        let scope = initial_scope(&self.goal, &self.resource, &self.metadata, asked.as_ref());
        let scope =
            scope.map_err(|error| FlowErrorKind::Scope(error).at(FlowStage::Authorization))?;
        let kept = kept.filter(|record| self.relies_on(&record.account, scope.as_ref(), now));
        let Some(client) = self.client(kept.as_ref(), now)? else {
            return register(self, scope, save_at);
        };
        let config = &self.goal.config;
        let account = self.account(client, kept.as_ref().map(|record| &record.account));
        match kept.filter(|kept| kept.account.client.client_id() == account.client.client_id()) {
            Some(kept) if config.registered_itself(&account) => begin(kept, account, config, scope),
            _ => authorize(account, config, scope),
        }
    }

    /// Continues with tokens that another run or process obtained, except those that were refused.
    fn take_up(
        &self,
        kept: Option<&StoredCredentials>,
        now: UnixTime,
    ) -> Result<Option<Step>, FlowError> {
        let (Wanted::First { refused, .. }, Some(record)) = (&self.goal.wanted, kept) else {
            return Ok(None);
        };
        let is_new =
            |tokens: &&Tokens| !refused.iter().any(|old| old.matches(tokens.access_token.expose()));
        let tokens = record.tokens.as_ref().filter(is_new);
        let Some(tokens) = tokens.filter(|_| self.goal.config.owns(record)) else {
            return Ok(None);
        };
        let client = match self.client(kept, now)? {
            Some(client) if client.client_id() == record.account.client.client_id() => client,
            _ => return Ok(None),
        };
        let account = self.account(client, Some(&record.account));
        if !tokens.have_expired(now) {
            let session = Session::new(account, tokens.clone());
            return Ok(Some(Step::Ready(Box::new(session))));
        }
        let Some(refresh_token) = &tokens.refresh_token else { return Ok(None) };
        let keys = self.goal.config.keys.clone();
        let request = TokenRequest::refresh(account, keys, tokens, refresh_token);
        // Tried once: the login that continues after a failure does not use them again.
        let mut login = self.clone();
        if let Wanted::First { refused, .. } = &mut login.goal.wanted {
            refused.push(tokens.access_token.clone());
        }
        let login = LoadCredentials(Asking::Login(Box::new(login)));
        Redeeming::start_or_else(request, login, record.clone()).map(Some)
    }
}
