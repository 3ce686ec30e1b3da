//! A login that succeeded, and what the host keeps of it: plain values that start nothing.
//!
//! The flows that begin with a session (refresh, step-up, another save) stand in [`flow`](crate::flow).

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
pub use record::{Account, Record, RecordKey, ServerEndpoints, Tokens};
pub(crate) use unsaved::Unsaved;

/// A record without tokens, of which no session can be made. It holds the record, for a login that uses the registration
/// again.
#[derive(Clone, Debug)]
pub struct RestoreError {
    record: Box<Record>,
}

impl RestoreError {
    /// Returns the record.
    #[must_use]
    pub fn into_record(self) -> Record {
        *self.record
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record has no tokens, because its login was not finished or has ended: log in again")
    }
}

impl core::error::Error for RestoreError {}

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
    unsaved: Option<Unsaved>,
}

impl Session {
    /// How long before its expiry a token is refreshed; for one of a short life after three quarters of it.
    pub const REFRESH_AHEAD: Duration = record::REFRESH_AHEAD;

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
    /// [`RestoreError`] when the record has no tokens: its login was not finished.
    pub fn restore(record: Record) -> Result<Self, RestoreError> {
        match record.tokens {
            Some(tokens) => {
                let client_refused = record.client_refused;
                Ok(Self { client_refused, ..Self::new(record.account, tokens) })
            }
            None => Err(RestoreError { record: Box::new(record) }),
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

    /// Returns `true` if a URL is on the resource's own origin.
    pub(crate) fn has_url(&self, url: &str) -> bool {
        self.origin.contains(url)
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

    /// Returns `true` if each request needs a [proof](Self::proof) of its own.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.tokens.token_type == TokenType::Dpop
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

    /// Returns the session after a refresh that failed: without its refresh token if the failure ends the grant
    /// ([`FlowError::ends_grant`]), and about to register anew where the server does not know the client any more
    /// ([`FlowError::ends_client`]). So the next 401 leads to a login, which knows what to ask for again. After any
    /// other failure the session keeps its tokens, and a later refresh may work. Where that failure is not
    /// [transient](FlowError::is_transient), a host should set [`Tried::refresh`](crate::Tried::refresh) and go on, so that the
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
        match error.refused_by_server() {
            Some(_) => self,
            None => self.with_expired_metadata(),
        }
    }

    /// The same session, whose next refresh or step-up reads the authorization server's metadata again: for a host
    /// whose step-up was not finished.
    #[must_use]
    pub fn with_expired_metadata(mut self) -> Self {
        self.account.server.read_at = None;
        self
    }
}
