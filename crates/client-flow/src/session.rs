//! Session: a successful login, and the values that the host stores of it.
//!
//! The flows that begin with a session (refresh, step-up, another save) are in [`flow`](crate::flow).

mod attempt;
mod record;
mod unsaved;

use core::fmt;
use core::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
#[cfg(feature = "dpop")]
use oauth_types::TokenType;
use oauth_types::{Origin, UnixTime};

use crate::error::FlowError;

pub(crate) use record::join;
pub use record::{Account, CredentialKey, ServerEndpoints, StoredCredentials, Tokens};
pub(crate) use unsaved::Unsaved;

/// Error of a record without tokens, from which no session can be restored.
///
/// It contains the record, for a login that uses the registration again.
#[derive(Clone, Debug)]
pub struct RestoreError {
    record: Box<StoredCredentials>,
}

impl RestoreError {
    /// Returns the record.
    #[must_use]
    pub fn into_record(self) -> StoredCredentials {
        *self.record
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record has no tokens, because its login was not finished or has ended: log in again")
    }
}

impl core::error::Error for RestoreError {}

/// Client account at a server, and the tokens that it holds there.
#[derive(Clone, Debug)]
pub struct Session {
    account: Account,
    tokens: Tokens,
    /// Computed once, for all requests.
    origin: Origin,
    /// `true` if the server no longer knows the client.
    client_refused: bool,
    authorization: Option<HeaderValue>,
    /// `None` once a store holds the tokens.
    unsaved: Option<Unsaved>,
}

impl Session {
    /// Time before its expiry at which a token is refreshed; a quarter of the lifetime of a short-lived token.
    pub const REFRESH_AHEAD: Duration = record::REFRESH_AHEAD;

    pub(crate) fn new(account: Account, tokens: Tokens) -> Self {
        let scheme = [tokens.token_type.as_str(), " "].concat();
        let authorization = tokens.access_token.header_value(&scheme);
        // The first clone makes the bytes shared, so that later clones allocate nothing.
        drop(authorization.clone());
        let origin = account.resource.origin();
        Self { account, tokens, origin, client_refused: false, authorization, unsaved: None }
    }

    /// Restores a session from a stored record.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the record has no tokens, because its login was not finished or its grant has ended.
    pub fn restore(record: StoredCredentials) -> Result<Self, RestoreError> {
        match record.tokens {
            Some(tokens) => {
                let client_refused = record.client_refused;
                Ok(Self { client_refused, ..Self::new(record.account, tokens) })
            }
            None => Err(RestoreError { record: Box::new(record) }),
        }
    }

    /// Returns the record to store.
    #[must_use]
    pub fn to_record(&self) -> StoredCredentials {
        StoredCredentials { tokens: Some(self.tokens.clone()), ..self.logged_out() }
    }

    /// Returns the record to store after a logout: the account without tokens.
    #[must_use]
    pub fn logged_out(&self) -> StoredCredentials {
        let client_refused = self.client_refused;
        StoredCredentials { client_refused, ..StoredCredentials::new(self.account.clone()) }
    }

    /// Returns the client's account at the server.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the tokens.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Returns `true` if a URL is on the resource's own origin.
    pub(crate) fn has_url(&self, url: &str) -> bool {
        self.origin.contains(url)
    }

    /// Returns the `Authorization` header for a request to `url`, marked sensitive.
    ///
    /// `None` when the URL is not on the resource's origin, because the token is for that resource only. Allocates
    /// nothing.
    #[must_use]
    pub fn authorization(&self, url: &str) -> Option<HeaderValue> {
        // C-TOKEN-9
        self.authorization.clone().filter(|_| self.origin.contains(url))
    }

    /// Sets the `Authorization` header of a request to `url`; returns `true` if it contains the token now.
    ///
    /// An existing `Authorization` header is removed, even where the token is not for that URL.
    pub fn authorize(&self, url: &str, headers: &mut HeaderMap) -> bool {
        headers.remove(AUTHORIZATION);
        let token = self.authorization(url);
        let is_ours = token.is_some();
        headers.extend(token.map(|value| (AUTHORIZATION, value)));
        is_ours
    }

    /// Returns `true` if each request needs its own DPoP [proof](Self::proof).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.tokens.token_type == TokenType::Dpop
    }

    /// Returns `true` if the tokens should be refreshed before the next request.
    ///
    /// The access token is about to expire, and a refresh token is held.
    #[must_use]
    pub fn is_stale(&self, now: UnixTime) -> bool {
        self.tokens.refresh_token.is_some() && self.tokens.are_stale(now)
    }

    /// Returns `true` if the access token has expired by the local clock: `now >= expires_at`.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.tokens.have_expired(now)
    }

    /// Returns the session after a failed refresh.
    ///
    /// Without its refresh token if the failure ends the grant ([`FlowError::ends_grant`]), and about to register anew
    /// if the server no longer knows the client ([`FlowError::ends_client`]). So the next 401 leads to a login, which
    /// requests the same scopes again. After any other failure the session keeps its tokens, and a later refresh may
    /// succeed. Where that failure is not [transient](FlowError::is_transient), a host should set
    /// [`Tried::refresh`](crate::Tried::refresh) and continue, so that the next 401 leads to a login all the same.
    ///
    /// Unless the failure is an OAuth error of the token endpoint, the server's metadata is fetched again before the
    /// next refresh or step-up, because an endpoint may have moved.
    ///
    /// A failed step-up changes nothing else of the session ([`with_expired_metadata`](Self::with_expired_metadata)),
    /// unless the failure ends the client.
    #[must_use]
    pub fn after(mut self, error: &FlowError) -> Self {
        // C-TOKEN-7
        if error.ends_grant() {
            self.tokens.refresh_token = None;
        }
        self.client_refused |= error.ends_client();
        match error.refused_by_server() {
            Some(_) => self,
            None => self.with_expired_metadata(),
        }
    }

    /// Returns the session with expired server metadata, for a host whose step-up was not finished.
    ///
    /// The next refresh or step-up fetches the authorization server's metadata again.
    #[must_use]
    pub fn with_expired_metadata(mut self) -> Self {
        self.account.server.read_at = None;
        self
    }
}
