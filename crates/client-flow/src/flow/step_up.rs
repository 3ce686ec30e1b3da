//! Step-up: a new authorization for more scopes than a grant has.

use oauth_types::{BearerChallenge, ScopeSet, UnixTime};

use crate::config::ClientConfig;
use crate::error::FlowError;
use crate::flow::attempt::begin;
use crate::flow::authorization::authorize;
use crate::flow::discovery::login_for;
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::step::Step;
use crate::session::{Account, Session, StoredCredentials};

impl Session {
    /// Starts a step-up: a new authorization for all of `scope`.
    ///
    /// A refresh cannot widen a grant (RFC 6749 §6). The authorization takes place at the same server, unless
    /// `challenge` names other metadata of the resource than the login used, the data about server or client is out of
    /// date, or the last step-up was not finished; then everything is discovered and checked anew.
    ///
    /// A host whose store is shared holds the store's lock from [`Step::LoadCredentials`] to [`Step::SaveCredentials`],
    /// and releases it while a browser is open.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the server has no authorization endpoint that the client may use, or when `server_url` is
    /// invalid.
    pub fn step_up(
        &self,
        config: &ClientConfig,
        server_url: &str,
        challenge: &BearerChallenge,
        scope: ScopeSet,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        // C-DISC-1: metadata on another origin proves nothing.
        let is_own = |url: &&oauth_types::EndpointUrl| self.has_url(url.as_str());
        let named = challenge.resource_metadata.as_ref().filter(is_own);
        let known = self.account().resource_metadata.as_ref();
        let account = config.current(self.account().clone());
        let is_current = config.is_current(&self.logged_out(), now);
        match named.filter(|url| known != Some(url)) {
            // C-SCOPE-5
            None if is_current && config.registered_itself(&account) => {
                Ok(SteppingUp::step(self.clone(), config, server_url, scope))
            }
            None if is_current => authorize(account, config, Some(scope)),
            named => login_for(config.clone(), server_url, named.or(known), scope),
        }
    }
}

/// Step-up of a self-registered client, before its authorization request.
#[derive(Clone)]
pub(crate) struct SteppingUp {
    session: Session,
    config: ClientConfig,
    server_url: Box<str>,
    scope: ScopeSet,
}

impl SteppingUp {
    pub(crate) fn step(
        session: Session,
        config: &ClientConfig,
        server_url: &str,
        scope: ScopeSet,
    ) -> Step {
        LoadCredentials::step_up(Self {
            session,
            config: config.clone(),
            server_url: server_url.into(),
            scope,
        })
    }

    pub(crate) const fn account(&self) -> &Account {
        self.session.account()
    }

    pub(crate) fn resume(
        self,
        kept: Option<StoredCredentials>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let is_kept = kept.is_some();
        let mut record = kept.unwrap_or_else(|| self.session.to_record());
        if self.session.supersedes(Some(&record)) {
            // C-TOKEN-6: repeats the failed save.
            record.tokens = Some(self.session.tokens().clone());
        }
        let account = self.config.current(record.account.clone());
        let is_ours = account.client.client_id() == self.account().client.client_id();
        let is_trusted = account.unfinished_logins == 0 && account.may_ask_for(Some(&self.scope));
        if is_ours && is_trusted && self.config.is_current(&record, now) {
            // C-SCOPE-5
            return match is_kept {
                true => begin(record, account, &self.config, Some(self.scope)),
                // A count must not restore tokens that another process has removed.
                false => authorize(account, &self.config, Some(self.scope)),
            };
        }
        // After a failed step-up, data that was read before is not relied on.
        let known = self.account().resource_metadata.clone();
        login_for(self.config, &self.server_url, known.as_ref(), self.scope)
    }

    /// Continues without a count, because the record cannot be loaded.
    pub(crate) fn uncounted(self) -> Result<Step, FlowError> {
        let account = self.config.current(self.account().clone());
        authorize(account, &self.config, Some(self.scope))
    }
}
