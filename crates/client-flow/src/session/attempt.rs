//! Login attempts: number of failures of a registration before the client registers anew.
//!
//! An authorization server that has forgotten a client often cannot tell the client: it shows the user an error page
//! (RFC 6749 §4.1.2.1), and no callback arrives. Every login with a registration is therefore counted in the record
//! before the browser opens, and the count survives crashes, restarts and other processes.
//!
//! | event | count of unfinished logins |
//! |---|---|
//! | the client has registered | 0: its first login is not counted |
//! | the browser is about to open for a remembered registration | one more, saved first; unchanged without a record |
//! | the token endpoint issues tokens, for a code or a refresh token | 0, because the server knew the client |
//! | `access_denied` in the callback of the right server | 0, because the server knew the client |
//! | no callback, another error in it, a failed code exchange | unchanged |
//!
//! One login with a remembered registration may end without tokens; the second one registers anew. So a registration
//! that the server has forgotten costs one error page. A registration that never led to tokens is used for at most an
//! hour, because servers remove clients that were registered and never used. `invalid_client` at the token endpoint
//! ends a registration at once. Pre-registered clients and metadata documents are not counted, because the host
//! replaces them.

use core::time::Duration;

use oauth_types::{ScopeSet, UnixTime};

use super::Account;

impl Account {
    /// Number of consecutive logins that a remembered registration may leave unfinished.
    ///
    /// Then the client registers anew.
    pub const MAX_UNFINISHED_LOGINS: u8 = 1;
    /// Time after which a registration that never led to tokens is replaced.
    pub const UNPROVEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// Returns the account with one more login counted.
    pub(crate) fn attempted(mut self) -> Self {
        self.unfinished_logins = self.unfinished_logins.saturating_add(1);
        self
    }

    /// Returns the account after the server issued tokens to the client.
    pub(crate) fn proven(mut self) -> Self {
        (self.unfinished_logins, self.unproven_since) = (0, None);
        self
    }

    /// Returns the account of a client that was registered at `now`.
    ///
    /// Its first login is not counted, because the server knows the client, and a user who closes the page once is no
    /// reason to register anew.
    pub(crate) fn registered(mut self, now: UnixTime) -> Self {
        (self.unfinished_logins, self.unproven_since) = (0, Some(now));
        self
    }

    /// Returns `true` if the client did not register for fewer scopes, to which some servers hold it.
    pub(crate) fn may_ask_for(&self, scope: Option<&ScopeSet>) -> bool {
        let registered = self.registered_scope.as_ref();
        registered.zip(scope).is_none_or(|(registered, scope)| !scope.exceeds(registered))
    }

    /// Returns `true` if the client should register anew, because the server may have forgotten it.
    pub(crate) fn is_doubtful(&self, now: UnixTime) -> bool {
        let is_unproven = |since| now.saturating_duration_since(since) >= Self::UNPROVEN_LIFETIME;
        self.unfinished_logins >= Self::MAX_UNFINISHED_LOGINS
            || self.unproven_since.is_some_and(is_unproven)
    }
}
