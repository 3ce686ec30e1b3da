//! Consent pages that are being read: kept on this side, each answered once, by the user and the browser that were
//! asked.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use authorization_server::{ConsentError, NeedsConsent};
use oauth_types::{Secret, SecretDigest, UnixTime};

/// A page that waits for its answer.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) request: NeedsConsent,
    pub(crate) subject: String,
    browser: SecretDigest,
    until: UnixTime,
    number: u64,
}

/// A page whose answer is not heard yet. Where that comes to nothing, because the store or the login takes too long, the
/// page waits on, so that whoever answered can do it again.
#[must_use = "the page waits on until it is answered"]
pub(crate) struct Unanswered<'a> {
    consents: &'a Consents,
    transaction: SecretDigest,
    page: Option<Pending>,
}

impl Unanswered<'_> {
    /// From now on nobody waits for an answer.
    pub(crate) fn answered(mut self) {
        self.page = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            self.consents.waiting().put(self.transaction, page);
        }
    }
}

/// The pages that wait. A bound for each who is asked (a user or, before a login elsewhere, an address) keeps one from
/// pushing out the pages of all others.
#[derive(Default)]
pub(crate) struct Consents(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// By the digest of the secret that their form carries.
    pages: BTreeMap<SecretDigest, Pending>,
    /// By their number, which is their age.
    ages: BTreeMap<u64, SecretDigest>,
    users: BTreeMap<String, BTreeSet<u64>>,
    next: u64,
}

impl Consents {
    /// How long a user may take.
    const LIFETIME: Duration = Duration::from_secs(600);
    /// Most pages that wait at once; the oldest go first.
    const MAX: usize = 10_000;
    /// Most pages that wait for one user.
    const MAX_OF_USER: usize = 1_000;

    /// Keeps a request while its page is shown, and says which value the browser's cookie has to have: the one
    /// that it sent where another page of the same user waits under it, else the fresh one. So a value that
    /// somebody planted, or that another user had, is good for nothing.
    pub(crate) fn keep(
        &self,
        transaction: &Secret,
        (sent, fresh): (Option<&str>, Secret),
        (request, subject): (NeedsConsent, String),
        now: UnixTime,
    ) -> Secret {
        let mut waiting = self.waiting();
        waiting.expire(now);
        let known = sent.filter(|sent| waiting.knows(SecretDigest::of(sent), &subject));
        let browser = known.map_or(fresh, Secret::new);
        let own = waiting.users.get(&subject);
        let oldest = match own.filter(|own| own.len() >= Self::MAX_OF_USER) {
            Some(own) => own.first().copied(),
            None if waiting.pages.len() >= Self::MAX => waiting.ages.keys().next().copied(),
            None => None,
        };
        if let Some(number) = oldest {
            waiting.remove(number);
        }
        let (digest, until) = (browser.digest(), now.plus(Self::LIFETIME));
        waiting.insert(transaction.digest(), (request, subject), digest, until);
        browser
    }

    /// Takes the request that a form answers: once, and only for the user and the browser that were asked.
    pub(crate) fn take(
        &self,
        transaction: &Secret,
        browser: Option<&str>,
        is_whose: impl FnOnce(&str) -> bool,
        now: UnixTime,
    ) -> Result<(Pending, Unanswered<'_>), ConsentError> {
        let mut waiting = self.waiting();
        waiting.expire(now);
        let page = waiting.pages.get(&transaction.digest()).ok_or(ConsentError::Gone)?;
        // Somebody else's answer changes nothing.
        if !browser.is_some_and(|browser| page.browser.matches(browser)) {
            return Err(ConsentError::OtherBrowser);
        }
        if !is_whose(&page.subject) {
            return Err(ConsentError::OtherUser);
        }
        let number = page.number;
        let page = waiting.remove(number).ok_or(ConsentError::Gone)?;
        let transaction = transaction.digest();
        let unanswered = Unanswered { consents: self, transaction, page: Some(page.clone()) };
        Ok((page, unanswered))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn insert(
        &mut self,
        transaction: SecretDigest,
        (request, subject): (NeedsConsent, String),
        browser: SecretDigest,
        until: UnixTime,
    ) {
        let number = self.next;
        self.next = number.saturating_add(1);
        self.put(transaction, Pending { request, subject, browser, until, number });
    }

    fn put(&mut self, transaction: SecretDigest, page: Pending) {
        self.users.entry(page.subject.clone()).or_default().insert(page.number);
        self.ages.insert(page.number, transaction);
        self.pages.insert(transaction, page);
    }

    fn remove(&mut self, number: u64) -> Option<Pending> {
        let page = self.pages.remove(&self.ages.remove(&number)?)?;
        if let Some(own) = self.users.get_mut(&page.subject) {
            own.remove(&number);
            if own.is_empty() {
                self.users.remove(&page.subject);
            }
        }
        Some(page)
    }

    /// Forgets the pages whose time is over. All have the same, so these are the oldest.
    fn expire(&mut self, now: UnixTime) {
        while let Some((&number, key)) = self.ages.first_key_value()
            && self.pages.get(key).is_none_or(|page| now >= page.until)
        {
            self.remove(number);
        }
    }

    /// Whether a page of this user waits in the browser with this value.
    fn knows(&self, browser: SecretDigest, subject: &str) -> bool {
        let numbers = self.users.get(subject).into_iter().flatten();
        let mut keys = numbers.filter_map(|number| self.ages.get(number));
        keys.any(|key| self.pages.get(key).is_some_and(|page| page.browser == browser))
    }
}
