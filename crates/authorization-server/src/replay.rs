//! What a request sent that counts once: a client's assertion (the client is who it says), and a proof of possession.
//! The request goes on after the store has said that it is new.

use core::fmt;

use client_auth::{
    Authenticated, ClientAuthError, Presented, Reason, Registered, Replay, Verified,
};
use oauth_types::{SecretDigest, UnixTime};

use crate::token::unauthenticated;
use crate::{ClientRecord, Config, OnceKind, Refusal, Store, StoreError};

/// The next step of a request, once what it sent is checked.
#[derive(Debug)]
#[must_use = "the request goes on only when the step is taken"]
pub enum ClientChecked<'a, T> {
    /// All that was sent is right.
    Done(T),
    /// It is, if it was not used before.
    CheckReplay(ReplayCheck<'a, T>),
}

impl<'a, T> ClientChecked<'a, T> {
    /// Goes on, asking the store about everything that the client sent and that counts once.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it was used before, or the store failed.
    pub async fn first_use(self, store: &impl Store, now: UnixTime) -> Result<T, Refusal> {
        let mut checked = self;
        loop {
            match checked {
                Self::Done(next) => return Ok(next),
                Self::CheckReplay(step) => {
                    let outcome =
                        store.put_once(OnceKind::TokenRequest, step.key(), step.until(), now).await;
                    checked = step.resume(outcome)?;
                }
            }
        }
    }

    /// Asks about a key before it goes on.
    pub(crate) fn once(
        key: SecretDigest,
        until: UnixTime,
        next: impl FnOnce(Replay) -> Result<Self, Refusal> + Send + 'a,
    ) -> Self {
        Self::CheckReplay(ReplayCheck { key, until, next: Box::new(next) })
    }
}

/// The operation to carry out: [`Store::put_once`] of a [token request](OnceKind::TokenRequest).
#[must_use = "carry the operation out, then resume with its outcome"]
pub struct ReplayCheck<'a, T> {
    key: SecretDigest,
    until: UnixTime,
    next: Next<'a, T>,
}

type Next<'a, T> = Box<dyn FnOnce(Replay) -> Result<ClientChecked<'a, T>, Refusal> + Send + 'a>;

impl<'a, T> ReplayCheck<'a, T> {
    /// What to remember.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        &self.key
    }

    /// Until when.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Goes on with the outcome, perhaps to the next thing that counts once.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it was used before, or the store failed.
    pub fn resume(
        self,
        outcome: Result<Replay, StoreError>,
    ) -> Result<ClientChecked<'a, T>, Refusal> {
        (self.next)(outcome.map_err(Refusal::store)?)
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
    next: impl FnOnce(Authenticated) -> Result<ClientChecked<'a, T>, Refusal> + Send + 'a,
) -> Result<ClientChecked<'a, T>, Refusal> {
    let client = client.filter(|client| client.client_id == *presented.client_id());
    let client = client.filter(|client| !client.is_forgotten(now));
    let registered = client.map(|client| client.authentication_for(&presented));
    authenticate_as(config, presented, registered.as_deref(), now, |client| {
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
    next: impl FnOnce(Authenticated) -> Result<ClientChecked<'a, T>, Refusal> + Send + 'a,
) -> Result<ClientChecked<'a, T>, Refusal> {
    // Older clients address their assertions to the token endpoint, at whichever endpoint they show them.
    let audience = [config.issuer.as_str(), config.token.as_str()];
    match presented.verify(registered, &audience, now).map_err(unauthenticated)? {
        Verified::Done(client) => next(client),
        // A-AUTHN-9
        Verified::CheckReplay(step) => {
            let (key, until) = (*step.key(), step.until());
            Ok(ClientChecked::once(key, until, |replay| {
                next(step.resume(replay).map_err(unauthenticated)?)
            }))
        }
    }
}
