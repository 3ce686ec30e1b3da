//! Answers to consent pages that this process was the first to take, and that came to nothing here, because the store or
//! the login failed or took too long: whoever gave one may give it again, though it counts once. Where the store did not
//! say whether an answer was the first, nobody may: it may have been heard elsewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use authorization_server::store::OnceKind;
use authorization_server::{FirstUse, NeedsConsent, PageError, Replay, Store};
use oauth_types::{SecretDigest, UnixTime};

/// Most answers that are remembered; those beyond have to begin at the client again.
const MAX: usize = 10_000;

/// By what the store remembers of each, and for as long.
#[derive(Default)]
pub(crate) struct Unheard(Mutex<BTreeMap<SecretDigest, UnixTime>>);

/// An answer that was taken, and of which nobody has heard yet.
#[must_use = "say when it is answered"]
pub(crate) struct Taken<'a> {
    pub(crate) request: NeedsConsent<'a>,
    pub(crate) hearing: Hearing<'a>,
}

/// Remembers an answer unless it is heard.
#[must_use = "say when it is answered"]
pub(crate) struct Hearing<'a> {
    unheard: &'a Unheard,
    key: SecretDigest,
    until: Option<UnixTime>,
}

impl Unheard {
    /// Takes an answer, if it is the first, or came to nothing before.
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
        let mut hearing = Hearing { unheard: self, key, until: is_again.then_some(until) };
        let outcome = store.put_once(OnceKind::Answer, &key, until, now).await;
        let replay = outcome.map_err(PageError::store)?;
        // This process took the first one and could tell nobody what came of it: then the same answer counts again.
        let request = answer.resume(if is_again { Replay::Fresh } else { replay })?;
        hearing.until = Some(until);
        Ok(Taken { request, hearing })
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<SecretDigest, UnixTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing<'_> {
    /// It is answered.
    pub(crate) fn heard(mut self) {
        self.until = None;
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        let Some(until) = self.until else { return };
        let mut answers = self.unheard.answers();
        if answers.len() < MAX {
            answers.insert(self.key, until);
        }
    }
}
