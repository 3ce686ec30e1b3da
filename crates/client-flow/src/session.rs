//! A login that succeeded: a plain value that the host keeps.

use core::time::Duration;

#[cfg(feature = "dpop")]
use client_auth::SigningFailed;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
#[cfg(feature = "dpop")]
use oauth_types::TokenType;
use oauth_types::{BearerChallenge, Origin, ScopeSet, UnixTime};

use crate::attempt::SteppingUp;
use crate::authorization::authorize;
use crate::config::ClientConfig;
use crate::discovery::login_for;
use crate::error::FlowError;
use crate::recall::Recall;
use crate::record::{Account, Record, Tokens};
use crate::step::Step;
use crate::unsaved::Unsaved;

/// Who we are at a server, and the tokens we hold there.
#[derive(Clone, Debug)]
pub struct Session {
    account: Account,
    tokens: Tokens,
    /// Made once, for all requests.
    origin: Origin,
    /// The server does not know the client any more.
    client_refused: bool,
    authorization: Option<HeaderValue>,
    /// `None` once a store holds the tokens.
    pub(crate) unsaved: Option<Unsaved>,
}

impl Session {
    /// How long before its expiry a token is refreshed; for one of a short life after three quarters of it.
    pub const REFRESH_AHEAD: Duration = Duration::from_secs(30);

    pub(crate) fn new(account: Account, tokens: Tokens) -> Self {
        let scheme = [tokens.token_type.as_str(), " "].concat();
        let authorization = tokens.access_token.header_value(&scheme);
        // The first clone makes its bytes shared; the others then allocate nothing.
        drop(authorization.clone());
        let origin = account.resource.origin();
        Self { account, tokens, origin, client_refused: false, authorization, unsaved: None }
    }

    /// Goes on with a record that a store kept.
    ///
    /// # Errors
    ///
    /// The record itself, when it has no tokens: its login was not finished.
    pub fn restore(record: Record) -> Result<Self, Box<Record>> {
        match record.tokens {
            Some(tokens) => {
                let client_refused = record.client_refused;
                Ok(Self { client_refused, ..Self::new(record.account, tokens) })
            }
            None => Err(Box::new(record)),
        }
    }

    /// What a store keeps of it.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record { tokens: Some(self.tokens.clone()), ..self.logged_out() }
    }

    /// What a store keeps once the user has logged out: who we are, and no tokens.
    #[must_use]
    pub fn logged_out(&self) -> Record {
        let client_refused = self.client_refused;
        Record { client_refused, ..Record::new(self.account.clone()) }
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
    /// not belong to the resource's origin: the token is for nobody else. Allocates nothing.
    #[must_use]
    pub fn authorization(&self, url: &str) -> Option<HeaderValue> {
        // C-TOKEN-9
        self.authorization.clone().filter(|_| self.origin.contains(url))
    }

    /// Puts the token into the headers of a request to `url`, and nobody else's: a header that was there is taken
    /// out, also where the token is not for that URL. Says whether the token went in.
    pub fn authorize(&self, url: &str, headers: &mut HeaderMap) -> bool {
        headers.remove(AUTHORIZATION);
        let token = self.authorization(url);
        let is_ours = token.is_some();
        headers.extend(token.map(|value| (AUTHORIZATION, value)));
        is_ours
    }

    /// Whether each request needs a [proof](Self::proof) of its own.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.tokens.token_type == TokenType::Dpop
    }

    /// The `DPoP` header for one request, where the token is bound to the key of `config` (RFC 9449 §7); `None`
    /// for a bearer token, and for a URL that the token is not for. `nonce` is what the server's latest `DPoP-Nonce` said.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails.
    #[cfg(feature = "dpop")]
    pub fn proof(
        &self,
        config: &ClientConfig,
        request: (&http::Method, &str),
        nonce: Option<&HeaderValue>,
        now: UnixTime,
        entropy: oauth_types::Entropy<16>,
    ) -> Result<Option<HeaderValue>, SigningFailed> {
        let (method, url) = request;
        let is_bound = self.is_bound() && self.origin.contains(url);
        let Some(key) = config.keys.proof.as_ref().filter(|_| is_bound) else { return Ok(None) };
        // C-EXT-3
        let token = Some(&self.tokens.access_token);
        key.prove(method, url, token, nonce, now, entropy).map(Some)
    }

    /// Whether to refresh before the next request: the token is about to expire and can be refreshed.
    #[must_use]
    pub fn is_stale(&self, now: UnixTime) -> bool {
        self.tokens.refresh_token.is_some() && self.tokens.are_stale(now)
    }

    /// Whether the token has expired, by our clock.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.tokens.have_expired(now)
    }

    /// Starts a refresh: new tokens for the same grant, at the server that gave the old ones.
    ///
    /// It begins by looking up what is kept. Where another process has refreshed meanwhile, its tokens are
    /// taken and nothing is sent: a refresh token that is used twice ends the grant (RFC 9700 §4.14.2). A host
    /// whose store is shared keeps others out from here until the flow has ended.
    ///
    /// # Errors
    ///
    /// [`FlowError::NoRefreshToken`] when there is none.
    pub fn refresh(&self, config: &ClientConfig) -> Result<Step, FlowError> {
        if self.tokens.refresh_token.is_none() {
            return Err(FlowError::NoRefreshToken);
        }
        Ok(Recall::refresh(self.clone(), config))
    }

    /// Returns the session after a refresh that failed: without its refresh token if the failure ends the grant
    /// ([`FlowError::ends_grant`]), and about to register anew where the server does not know the client any more
    /// ([`FlowError::ends_client`]). So the next 401 leads to a login, which knows what to ask for again. After any
    /// other failure the session keeps its tokens, and a later refresh may work. Where that failure does not
    /// [pass](FlowError::passes), a host should set [`Tried::refresh`](crate::Tried::refresh) and go on, so that the
    /// next 401 leads to a login all the same.
    ///
    /// Unless the token endpoint refused by an OAuth error, the server's metadata is read again before the next
    /// refresh or step-up, because an endpoint may have moved.
    ///
    /// A step-up that failed changes nothing else of the session, unless the failure ends the client:
    /// [`with_expired_metadata`](Self::with_expired_metadata).
    #[must_use]
    pub fn after(mut self, error: &FlowError) -> Self {
        // C-TOKEN-7
        if error.ends_grant() {
            self.tokens.refresh_token = None;
        }
        self.client_refused |= error.ends_client();
        match error {
            FlowError::Token(_) => self,
            _ => self.with_expired_metadata(),
        }
    }

    /// The same session, whose next refresh or step-up reads the authorization server's metadata again: for a host
    /// whose step-up was not finished.
    #[must_use]
    pub fn with_expired_metadata(mut self) -> Self {
        self.account.server.read_at = None;
        self
    }

    /// Starts a step-up: a new authorization for all of `scope`, because a refresh cannot widen a grant
    /// (RFC 6749 §6). It is made at the same server, unless `challenge` names other metadata of the resource
    /// than the login was made by, what is known of server or client is out of date, or the last step-up was not
    /// finished; then everything is found out and checked anew.
    ///
    /// A host whose store is shared keeps others out from [`Step::Recall`] to [`Step::Save`], and not while a browser is
    /// open.
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
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        // C-DISC-1: on another origin it proves nothing.
        let is_own = |url: &&oauth_types::EndpointUrl| self.origin.contains(url.as_str());
        let named = challenge.resource_metadata.as_ref().filter(is_own);
        let known = self.account.resource_metadata.as_ref();
        let account = config.current(self.account.clone());
        let is_current = self.logged_out().is_current(config, now);
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
