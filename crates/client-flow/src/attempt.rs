//! Login attempts: how often a registration may fail before the client registers anew.
//!
//! An authorization server that has forgotten a client often cannot tell the client so: it shows the user an error
//! page (RFC 6749 §4.1.2.1), and no callback arrives. Every login by a registration is therefore counted in the
//! record before the browser opens, and the count survives crashes, restarts and other processes.
//!
//! | event | count of unfinished logins |
//! |---|---|
//! | the client has registered | 0: its first login is not counted |
//! | a login or step-up by a remembered registration is about to open the browser | one more, saved before the browser opens; not where nothing is kept |
//! | the token endpoint issues tokens, for a code or a refresh token | 0, because the server knew the client |
//! | `access_denied` in the callback of the right server | 0, because the server knew the client |
//! | no callback, another error in it, a failed code exchange | unchanged |
//!
//! A remembered registration is used by one login that does not end with tokens: the second one registers anew. So a
//! registration that the server has forgotten costs one page. A registration that never led to tokens is used for at
//! most an hour, because servers remove clients that were registered and never used. `invalid_client` at the token
//! endpoint ends it at once. Pre-registered clients and metadata documents are the host's to replace and are not
//! counted.

use core::time::Duration;

use iss_validate::AuthorizationError;
use oauth_types::{AuthorizationErrorCode, ScopeSet, UnixTime};

use crate::authorization::authorize;
use crate::config::ClientConfig;
use crate::discovery::login_for;
use crate::error::FlowError;
use crate::recall::Recall;
use crate::record::{Account, Record};
use crate::session::Session;
use crate::step::{Save, Step};

impl Account {
    /// Number of logins in a row that a remembered registration may leave unfinished before the client registers anew.
    pub const MAX_UNFINISHED_LOGINS: u8 = 1;
    /// Time after which a registration that never led to tokens is replaced.
    pub const UNPROVEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// The same account with one more login counted.
    fn attempted(mut self) -> Self {
        self.unfinished_logins = self.unfinished_logins.saturating_add(1);
        self
    }

    /// The same account after the server issued tokens to the client.
    pub(crate) fn proven(mut self) -> Self {
        (self.unfinished_logins, self.unproven_since) = (0, None);
        self
    }

    /// The account of a client that was registered just now. Its first login is not counted: the server knows the
    /// client, and a user who closes the page once is no reason to register anew.
    pub(crate) fn registered(mut self, now: UnixTime) -> Self {
        (self.unfinished_logins, self.unproven_since) = (0, Some(now));
        self
    }

    /// Returns `true` if the client did not register for less than this: some servers hold it to that.
    pub(crate) fn may_ask_for(&self, scope: Option<&ScopeSet>) -> bool {
        let registered = self.registered_scope.as_ref();
        registered.zip(scope).is_none_or(|(registered, scope)| !scope.exceeds(registered))
    }

    /// Returns `true` if the client registers anew where it can, because the server may have forgotten it.
    pub(crate) fn is_doubtful(&self, now: UnixTime) -> bool {
        let is_unproven = |since| now.since(since) >= Self::UNPROVEN_LIFETIME;
        self.unfinished_logins >= Self::MAX_UNFINISHED_LOGINS
            || self.unproven_since.is_some_and(is_unproven)
    }
}

/// Counts a login in the record, then goes on to the browser.
pub(crate) fn begin(
    kept: Record,
    account: Account,
    config: &ClientConfig,
    scope: Option<ScopeSet>,
) -> Result<Step, FlowError> {
    let account = account.attempted();
    // The tokens stay: a login that is not finished takes nothing away.
    let record = Record { account: account.clone(), ..kept };
    Ok(Save::step(record, authorize(account, config, scope)))
}

/// Ends a login that the right server refused.
pub(crate) fn denied(account: Account, error: AuthorizationError) -> Result<Step, FlowError> {
    let knows_client = error.code == AuthorizationErrorCode::AccessDenied;
    if knows_client && account.unfinished_logins > 0 {
        return Ok(Recall::denied(Denied { account, error }));
    }
    Err(FlowError::Denied(error))
}

/// A login that the user denied: the server knew the client, so the login is not counted.
#[derive(Clone)]
pub(crate) struct Denied {
    pub(crate) account: Account,
    error: AuthorizationError,
}

impl Denied {
    pub(crate) fn resume(self, kept: Option<Record>) -> Result<Step, FlowError> {
        let ours = self.account.client.client_id();
        let kept = kept.filter(|record| record.account.client.client_id() == ours);
        let error = FlowError::Denied(self.error);
        match kept {
            Some(mut record) if record.account.unfinished_logins > 0 => {
                record.account.unfinished_logins = 0;
                Ok(Save::step(record, Err(error)))
            }
            _ => Err(error),
        }
    }
}

/// A step-up of a client that registered itself, about to begin.
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
        Recall::step_up(Self {
            session,
            config: config.clone(),
            server_url: server_url.into(),
            scope,
        })
    }

    pub(crate) const fn account(&self) -> &Account {
        self.session.account()
    }

    pub(crate) fn resume(self, kept: Option<Record>, now: UnixTime) -> Result<Step, FlowError> {
        let is_kept = kept.is_some();
        let mut record = kept.unwrap_or_else(|| self.session.to_record());
        if self.session.supersedes(Some(&record)) {
            // C-TOKEN-6: the save that failed is made up for.
            record.tokens = Some(self.session.tokens().clone());
        }
        let account = self.config.current(record.account.clone());
        let is_ours = account.client.client_id() == self.account().client.client_id();
        let is_trusted = account.unfinished_logins == 0 && account.may_ask_for(Some(&self.scope));
        if is_ours && is_trusted && record.is_current(&self.config, now) {
            // C-SCOPE-5
            return match is_kept {
                true => begin(record, account, &self.config, Some(self.scope)),
                // No count brings tokens back that another process has removed.
                false => authorize(account, &self.config, Some(self.scope)),
            };
        }
        // After a step-up that failed nothing that was read before is relied on.
        let known = self.account().resource_metadata.clone();
        login_for(self.config, &self.server_url, known.as_ref(), self.scope)
    }

    /// Goes on without a count, because the record cannot be read.
    pub(crate) fn uncounted(self) -> Result<Step, FlowError> {
        let account = self.config.current(self.account().clone());
        authorize(account, &self.config, Some(self.scope))
    }
}
