//! Consent pages that are being read: kept on this side, each answered once, by the browser that was asked.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use authorization_server::{ConsentError, NeedsConsent};
use oauth_types::{Secret, SecretDigest, UnixTime};

/// A page that waits for its answer.
pub(crate) struct Pending {
    pub(crate) request: NeedsConsent,
    pub(crate) subject: String,
    browser: SecretDigest,
    until: UnixTime,
}

/// The pages that wait, by the digest of the secret that their form carries.
#[derive(Default)]
pub(crate) struct Consents(Mutex<BTreeMap<SecretDigest, Pending>>);

impl Consents {
    /// How long a user may take.
    const LIFETIME: Duration = Duration::from_secs(600);
    /// Most pages that wait at once; the oldest go first.
    const MAX: usize = 10_000;

    /// Keeps a request while its page is shown to this browser.
    pub(crate) fn keep(
        &self,
        transaction: &Secret,
        browser: &Secret,
        (request, subject): (NeedsConsent, String),
        now: UnixTime,
    ) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= Self::MAX {
            pages.retain(|_, page| now < page.until);
        }
        if pages.len() >= Self::MAX
            && let Some(oldest) =
                pages.iter().min_by_key(|(_, page)| page.until).map(|(key, _)| *key)
        {
            pages.remove(&oldest);
        }
        let until = now.plus(Self::LIFETIME);
        let page = Pending { request, subject, browser: browser.digest(), until };
        pages.insert(transaction.digest(), page);
    }

    /// Takes the request that a form answers: once, and only for the browser that was asked.
    pub(crate) fn take(
        &self,
        transaction: &Secret,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Pending, ConsentError> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = transaction.digest();
        let page = pages.get(&key).ok_or(ConsentError::Gone)?;
        // Another browser's answer changes nothing.
        if !browser.is_some_and(|browser| page.browser.matches(browser)) {
            return Err(ConsentError::OtherBrowser);
        }
        let page = pages.remove(&key).ok_or(ConsentError::Gone)?;
        if now >= page.until {
            return Err(ConsentError::Gone);
        }
        Ok(page)
    }
}
