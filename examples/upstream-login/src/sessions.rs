//! Sessions of logged-in users, each identified by a secret in the cookie of the browser.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_authz_axum::User;
use oauth_types::{Secret, SecretDigest};
use tokio::time::Instant;

use crate::login::random;

/// Sessions of this process.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<SecretDigest, Session>>);

struct Session {
    user: User,
    until: Instant,
}

impl Sessions {
    const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
    /// Maximum number of sessions of one user; a further one ends that user's oldest.
    const OF_USER: usize = 16;

    /// Begins a session with a fresh secret.
    pub(crate) fn begin(&self, user: User) -> anyhow::Result<Secret> {
        let (key, now) = (random::<32>()?.into_secret(), Instant::now());
        let mut all = self.lock();
        all.retain(|_, session| now < session.until);
        let own = || all.iter().filter(|(_, session)| session.user.subject == user.subject);
        if own().count() >= Self::OF_USER {
            let oldest = own().min_by_key(|(_, session)| session.until).map(|(key, _)| *key);
            oldest.and_then(|key| all.remove(&key));
        }
        all.insert(key.digest(), Session { user, until: now + Self::LIFETIME });
        Ok(key)
    }

    pub(crate) fn user(&self, key: &str) -> Option<User> {
        let all = self.lock();
        let session = all.get(&SecretDigest::of(key))?;
        (Instant::now() < session.until).then(|| session.user.clone())
    }

    pub(crate) fn end(&self, key: &str) {
        self.lock().remove(&SecretDigest::of(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretDigest, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}
