//! A login that succeeded: a plain value that the host keeps.

use core::time::Duration;

use client_auth::NoUsableMethod;
use http::HeaderValue;
use oauth_types::{BearerChallenge, FormWriter, Origin, ScopeSet, UnixTime};

use crate::authorization::authorize;
use crate::discovery::login_for;
use crate::exchange::Then;
use crate::token::Redeeming;
use crate::{Account, ClientConfig, Exchange, FlowError, Purpose, Record, Step, Tokens};

/// Who we are at a server, and the tokens we hold there.
#[derive(Clone, Debug)]
pub struct Session {
    account: Account,
    tokens: Tokens,
}

impl Session {
    /// How long before its expiry a token is refreshed.
    pub const REFRESH_AHEAD: Duration = Duration::from_secs(30);

    pub(crate) const fn new(account: Account, tokens: Tokens) -> Self {
        Self { account, tokens }
    }

    /// Goes on with a record that a store kept.
    ///
    /// # Errors
    ///
    /// The record itself, when it has no tokens: its login was not finished.
    pub fn restore(record: Record) -> Result<Self, Box<Record>> {
        match record.tokens {
            Some(tokens) => Ok(Self { account: record.account, tokens }),
            None => Err(Box::new(record)),
        }
    }

    /// What a store keeps of it.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record { account: self.account.clone(), tokens: Some(self.tokens.clone()) }
    }

    /// Who we are where.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// What we hold.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The `Authorization` header for a request to `url`, marked sensitive. `None` when the URL does
    /// not belong to the resource's origin: the token is for nobody else.
    #[must_use]
    pub fn authorization(&self, url: &str) -> Option<HeaderValue> {
        // C-TOKEN-9
        if Origin::of(url).ok()? != self.account.resource.origin() {
            return None;
        }
        self.tokens.access_token.header_value("Bearer ")
    }

    /// Whether to refresh before the next request: the token is about to expire and can be refreshed.
    #[must_use]
    pub fn is_stale(&self, now: UnixTime) -> bool {
        let ends = |at| now.plus(Self::REFRESH_AHEAD) >= at;
        self.tokens.refresh_token.is_some() && self.tokens.expires_at.is_some_and(ends)
    }

    /// Starts a refresh: new tokens for the same grant, at the server that gave the old ones.
    ///
    /// # Errors
    ///
    /// [`FlowError::NoRefreshToken`] when there is none.
    pub fn refresh(&self) -> Result<Step, FlowError> {
        let Some(refresh_token) = &self.tokens.refresh_token else {
            return Err(FlowError::NoRefreshToken);
        };
        let mut form = FormWriter::new();
        form.append("grant_type", "refresh_token")
            .append("refresh_token", refresh_token.expose())
            // C-AUTHZ-3
            .append("resource", self.account.resource.as_str());
        let mut headers = http::HeaderMap::new();
        let unsigned = |_| FlowError::Credentials(NoUsableMethod::KeyMissing);
        self.account.client.attach(&mut headers, &mut form).map_err(unsigned)?;
        let endpoint = &self.account.server.token_endpoint;
        let then = Then::Tokens(Redeeming::refresh(self.account.clone(), &self.tokens));
        Exchange::post_form(Purpose::Refresh, endpoint, headers, form, then)
    }

    /// The same session without a refresh token that the server has refused for good
    /// ([`FlowError::ends_grant`]). It still knows which scopes to ask for again.
    #[must_use]
    pub fn without_refresh_token(mut self) -> Self {
        // C-TOKEN-7
        self.tokens.refresh_token = None;
        self
    }

    /// Starts a step-up: a new authorization for all of `scope`, because a refresh cannot widen a grant
    /// (RFC 6749 §6). It is made at the same server, unless `challenge` names other metadata of the resource
    /// than the login was made by; then everything is found out and checked anew.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when there is nobody to authorize at that server, or `server_url` is none.
    pub fn step_up(
        &self,
        config: &ClientConfig,
        server_url: &str,
        challenge: &BearerChallenge,
        scope: ScopeSet,
    ) -> Result<Step, FlowError> {
        let own = self.account.resource.origin();
        // C-DISC-1: on another origin it proves nothing.
        let named = challenge.resource_metadata.as_ref().filter(|url| url.origin() == own);
        match named.filter(|url| self.account.resource_metadata.as_ref() != Some(url)) {
            Some(named) => login_for(config.clone(), server_url, named, scope),
            // C-SCOPE-5
            None => authorize(self.account.clone(), config, Some(scope)),
        }
    }
}
