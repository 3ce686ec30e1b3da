//! The client is who it says, at every endpoint that asks: at once or, when it sent an assertion, after the store
//! has said that the assertion is new.

use core::fmt;

use client_auth::{
    Authenticated, CheckReplay, ClientAuthError, Presented, Reason, Registered, Replay, Verified,
};
use oauth_types::{SecretDigest, UnixTime};

use crate::token::unauthenticated;
use crate::{ClientRecord, Config, Refusal, Store, StoreError};

/// How a request goes on once its client is checked.
#[derive(Debug)]
#[must_use = "the request goes on only when the step is taken"]
pub enum ClientChecked<'a, T> {
    /// The client is who it says.
    Done(T),
    /// It is, if its assertion was not used before.
    CheckReplay(ReplayCheck<'a, T>),
}

impl<T> ClientChecked<'_, T> {
    /// Goes on, asking the store about an assertion where the client sent one.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the assertion was used before, or the store failed.
    pub async fn first_use(self, store: &impl Store, now: UnixTime) -> Result<T, Refusal> {
        match self {
            Self::Done(next) => Ok(next),
            Self::CheckReplay(step) => {
                let outcome = store.put_once(step.key(), step.until(), now).await;
                step.resume(outcome)
            }
        }
    }
}

/// The operation to carry out: [`Store::put_once`].
#[must_use = "carry the operation out, then resume with its outcome"]
pub struct ReplayCheck<'a, T> {
    step: CheckReplay,
    next: Next<'a, T>,
}

type Next<'a, T> = Box<dyn FnOnce(Authenticated) -> Result<T, Refusal> + Send + 'a>;

impl<T> ReplayCheck<'_, T> {
    /// What to remember.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        self.step.key()
    }

    /// Until when.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.step.until()
    }

    /// Goes on with the outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the assertion was used before, or the store failed.
    pub fn resume(self, outcome: Result<Replay, StoreError>) -> Result<T, Refusal> {
        // A-AUTHN-9
        let client = self.step.resume(outcome.map_err(Refusal::store)?).map_err(unauthenticated)?;
        (self.next)(client)
    }
}

impl<T> fmt::Debug for ReplayCheck<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayCheck").field("until", &self.until()).finish_non_exhaustive()
    }
}

/// Verifies what a request presented, and goes on with the client.
pub(crate) fn authenticate<'a, T>(
    config: &'a Config,
    presented: Presented,
    client: Option<&ClientRecord>,
    now: UnixTime,
    next: impl FnOnce(Authenticated) -> Result<T, Refusal> + Send + 'a,
) -> Result<ClientChecked<'a, T>, Refusal> {
    let client = client.filter(|client| client.client_id == *presented.client_id());
    let client = client.filter(|client| !client.is_forgotten(now));
    let registered = client.map(|client| &client.authentication);
    authenticate_as(config, presented, registered, now, |client| {
        // A-AUTHN-4, A-META-4: a method that is no longer taken is nobody's. The reply is that of a wrong secret.
        if !config.auth_methods.contains(client.method()) {
            return Err(unauthenticated(ClientAuthError::new(Reason::WrongMethod)));
        }
        next(client)
    })
}

/// The same for one whose registration is at hand.
pub(crate) fn authenticate_as<'a, T>(
    config: &Config,
    presented: Presented,
    registered: Option<&Registered>,
    now: UnixTime,
    next: impl FnOnce(Authenticated) -> Result<T, Refusal> + Send + 'a,
) -> Result<ClientChecked<'a, T>, Refusal> {
    // Older clients address their assertions to the token endpoint, at whichever endpoint they show them.
    let audience = [config.issuer.as_str(), config.token.as_str()];
    match presented.verify(registered, &audience, now).map_err(unauthenticated)? {
        Verified::Done(client) => next(client).map(ClientChecked::Done),
        Verified::CheckReplay(step) => {
            Ok(ClientChecked::CheckReplay(ReplayCheck { step, next: Box::new(next) }))
        }
    }
}
