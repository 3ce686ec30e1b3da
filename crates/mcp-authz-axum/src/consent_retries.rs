//! Answers to consent pages that were taken here but led to no reply, so that the user may send them again.
//!
//! An answer counts once. If the store failed or took too long after this process was the first to take it, the same
//! answer is accepted again; a login that fails does so before the answer is taken. If the store did not say whether the answer was the first, it is refused,
//! because another process may have acted on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use authorization_server::store::OnceKind;
use authorization_server::{FirstUse, NeedsConsent, PageError, Replay, Store};
use oauth_types::{SecretDigest, UnixTime};

/// Most answers that are remembered; for those beyond, the user begins at the client again.
const MAX: usize = 10_000;

/// Unanswered consent answers, by their key in the store, with their expiry (exclusive).
#[derive(Default)]
pub(crate) struct ConsentRetries(Mutex<BTreeMap<SecretDigest, UnixTime>>);

/// Consent answer that was taken and has no reply yet.
#[must_use = "say when it is answered"]
pub(crate) struct Taken<'a> {
    pub(crate) request: NeedsConsent<'a>,
    pub(crate) guard: ReplyGuard<'a>,
}

/// Guard that remembers a consent answer unless a reply is sent.
#[must_use = "say when it is answered"]
pub(crate) struct ReplyGuard<'a> {
    retries: &'a ConsentRetries,
    key: SecretDigest,
    until: Option<UnixTime>,
}

impl ConsentRetries {
    /// Takes a consent answer that is the first, or whose earlier use led to no reply.
    pub(crate) async fn take<'a>(
        &'a self,
        answer: FirstUse<NeedsConsent<'a>>,
        store: &impl Store,
        now: UnixTime,
    ) -> Result<Taken<'a>, PageError> {
        let (key, until) = (*answer.key(), answer.until());
        let is_again = {
            let mut answers = self.answers();
            answers.retain(|_, until| now < *until);
            answers.remove(&key).is_some()
        };
        let mut guard = ReplyGuard { retries: self, key, until: is_again.then_some(until) };
        let outcome = store.put_once(OnceKind::Answer, &key, until, now).await;
        let replay = outcome.map_err(PageError::store)?;
        // This process took the first one and could not reply to it, so the same answer counts again.
        let request = answer.resume(if is_again { Replay::Fresh } else { replay })?;
        guard.until = Some(until);
        Ok(Taken { request, guard })
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<SecretDigest, UnixTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplyGuard<'_> {
    /// Forgets the consent answer, because it has a reply.
    pub(crate) fn replied(mut self) {
        self.until = None;
    }
}

impl Drop for ReplyGuard<'_> {
    fn drop(&mut self) {
        let Some(until) = self.until else { return };
        let mut answers = self.retries.answers();
        if answers.len() < MAX {
            answers.insert(self.key, until);
        }
    }
}
