//! Refreshes (RFC 6749 §6).
//!
//! A refresh fetches the metadata of its issuer again once a day. If that yields no metadata (a page, broken JSON,
//! another issuer, 404, 5xx), nothing is sent and the tokens are kept: a later refresh fetches it again. The remembered
//! token endpoint is not used instead, because the issuer may have left that host name, and the refresh token would go
//! to its new owner.

use oauth_types::UnixTime;

use crate::config::ClientConfig;
use crate::error::{FlowError, FlowErrorKind};
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::redeem::Redeeming;
use crate::flow::server::MetadataDiscovery;
use crate::flow::step::{SaveCredentials, Step};
use crate::session::{Account, ServerEndpoints, Session, StoredCredentials};
use crate::stage::FlowStage;
use crate::token::TokenRequest;

impl Session {
    /// Starts a refresh: new tokens for the same grant, from the server that issued the old ones.
    ///
    /// The flow begins by loading the record. Where another process has refreshed meanwhile, its tokens are used and
    /// nothing is sent, because a refresh token that is used twice ends the grant (RFC 9700 §4.14.2). A host whose
    /// store is shared holds the store's lock from here until the flow has ended.
    ///
    /// # Errors
    ///
    /// [`FlowErrorKind::NoRefreshToken`] when the session has no refresh token.
    pub fn refresh(&self, config: &ClientConfig) -> Result<Step, FlowError> {
        if self.tokens().refresh_token.is_none() {
            return Err(FlowErrorKind::NoRefreshToken.at(FlowStage::Refresh));
        }
        Ok(LoadCredentials::refresh(Refreshing { session: self.clone(), config: config.clone() }))
    }
}

/// Refresh before its first request.
#[derive(Clone)]
pub(crate) struct Refreshing {
    session: Session,
    config: ClientConfig,
}

impl Refreshing {
    pub(crate) const fn account(&self) -> &Account {
        self.session.account()
    }

    pub(crate) const fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(super) fn resume(
        self,
        kept: Option<StoredCredentials>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let own = &self.session.tokens().access_token;
        let is_newer = |kept: &Session| !own.matches(kept.tokens().access_token.expose());
        let kept = kept.filter(|record| self.config.owns(record));
        // C-TOKEN-6: the stored refresh token is used up, so the failed save is repeated first.
        if self.session.supersedes(kept.as_ref()) {
            let record = self.session.to_record();
            return Ok(SaveCredentials::step(record, self.send(now)));
        }
        // C-TOKEN-7: another process ended the grant, or learned of its end.
        let ours = self.account().client.client_id();
        let is_ended = |kept: &StoredCredentials| {
            kept.tokens.is_none() && kept.account.client.client_id() == ours
        };
        if kept.as_ref().is_some_and(is_ended) {
            return Err(FlowErrorKind::NoRefreshToken.at(FlowStage::Refresh));
        }
        let newer = kept.and_then(|record| Session::restore(record).ok()).filter(is_newer);
        let Some(newer) = newer else { return self.send(now) };
        // Another process has refreshed. Its tokens may lack a refresh token; the resource server then rejects them
        // after expiry.
        if !newer.tokens().are_stale(now) || newer.tokens().refresh_token.is_none() {
            return Ok(Step::Ready(Box::new(newer)));
        }
        Self { session: newer, ..self }.send(now)
    }

    fn send(self, now: UnixTime) -> Result<Step, FlowError> {
        if self.account().server.are_old(now) {
            return MetadataDiscovery::again(self);
        }
        let server = self.account().server.clone();
        self.at(server)
    }

    /// Continues at these endpoints of the same server.
    pub(crate) fn at(self, server: ServerEndpoints) -> Result<Step, FlowError> {
        let tokens = self.session.tokens();
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(FlowErrorKind::NoRefreshToken.at(FlowStage::Refresh));
        };
        let account = self.config.current(Account { server, ..self.account().clone() });
        let keys = self.config.keys.clone();
        let request = TokenRequest::refresh(account, keys, tokens, refresh_token);
        Redeeming::start(request.replacing(self.session.replaced()))
    }

    /// Continues without the record, which cannot be loaded.
    ///
    /// A refresh token is not sent where another process may have used it; one that was never saved is known to this
    /// process alone.
    pub(super) fn unread(self, now: UnixTime) -> Result<Step, FlowError> {
        match self.session.is_saved() {
            true => Err(FlowErrorKind::NotLoaded.at(FlowStage::Refresh)),
            false => self.send(now),
        }
    }
}
