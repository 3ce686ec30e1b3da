//! Sessions that are open, counted by user: nobody opens them without a bound, and nobody ends those of others.
//!
//! Whose a session is stands in its identifier ([`HandleSeal`](crate::HandleSeal)). This table only counts, so forgetting
//! an entry takes a session from nobody.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderValue, Uri};
use oauth_types::UnixTime;

use crate::denial::Denial;
use crate::granted::Granted;
use crate::principal::Account;

/// The sessions that a service holds, in a bounded number of places.
///
/// A user at an authorization server has a tenth of the places at most, through all their clients; requests without a
/// token have a tenth together. When all are taken, the user with the most sessions gives up the longest unused one for
/// a user with at least two fewer.
#[derive(Clone)]
pub struct OpenSessions {
    sessions: BTreeMap<HeaderValue, Entry>,
    /// All of them, the longest unused first.
    order: BTreeMap<Used, HeaderValue>,
    /// Those of each account.
    own: BTreeMap<Account, BTreeSet<Used>>,
    /// Places of requests that may open a session and are not answered yet.
    reserved: BTreeMap<Account, usize>,
    count: u64,
    capacity: usize,
}

/// When a session was used last; the number tells uses of one second apart.
type Used = (UnixTime, u64);

#[derive(Clone)]
struct Entry {
    account: Account,
    opened_by: Option<Granted>,
    uri: Uri,
    used: Used,
}

/// A session that the table has let go, which the service should end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedSession {
    /// The session, as the service calls it.
    pub id: HeaderValue,
    /// The place where it was opened, and where the service ends it.
    pub uri: Uri,
    /// The grant that opened it; `None` without a token.
    pub opened_by: Option<Granted>,
}

impl EndedSession {
    /// A session that was opened at this place, without a token.
    #[must_use]
    pub const fn new(id: HeaderValue, uri: Uri) -> Self {
        Self { id, uri, opened_by: None }
    }

    /// Sets the grant that opened it.
    #[must_use]
    pub fn with_opened_by(mut self, granted: impl Into<Option<Granted>>) -> Self {
        self.opened_by = granted.into();
        self
    }
}

impl OpenSessions {
    /// Time after which an unused session makes room for a new one.
    pub const IDLE: Duration = Duration::from_secs(10 * 60);
    /// Time after which a user comes again whose abandoned requests have a whole share of places.
    const ABANDONED: Duration = Duration::from_secs(60);

    /// A table of at most this many sessions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            order: BTreeMap::new(),
            own: BTreeMap::new(),
            reserved: BTreeMap::new(),
            count: 0,
            capacity,
        }
    }

    /// Reserves the place of a session that a request opens; `None` is one without a token. The place counts as a session
    /// until [`release`](Self::release), so that no number of requests at once opens more than there is room for.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 429 beyond the user's share, and with 503 when all places are taken and nobody gives one up.
    pub fn reserve(&mut self, granted: Option<&Granted>, now: UnixTime) -> Result<Account, Denial> {
        self.room(&Account::of_request(granted), granted.is_some(), now)?;
        Ok(self.reserve_for_abandoned(granted))
    }

    /// Reserves a place beyond any share, for a request that lost its client and may still open a session.
    pub fn reserve_for_abandoned(&mut self, granted: Option<&Granted>) -> Account {
        let account = Account::of_request(granted);
        *self.reserved.entry(account.clone()).or_default() += 1;
        account
    }

    /// Checks that a user has fewer reserved places than their share: for requests of which it is not known whether they
    /// open a session.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 429 otherwise.
    pub fn check_reserved(&self, granted: Option<&Granted>) -> Result<(), Denial> {
        if self.reserved.is_empty()
            || self.reserved_by(&Account::of_request(granted)) < self.share()
        {
            return Ok(());
        }
        Err(Denial::too_many_sessions(Self::ABANDONED))
    }

    /// Gives a reserved place back: its request has opened no session, or the one that is [noted](Self::opened) next.
    pub fn release(&mut self, account: &Account) {
        if let Some(count) = self.reserved.get_mut(account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.reserved.remove(account);
            }
        }
    }

    fn reserved_by(&self, account: &Account) -> usize {
        self.reserved.get(account).copied().unwrap_or_default()
    }

    const fn share(&self) -> usize {
        self.capacity.div_ceil(10)
    }

    /// The session that has to go for a new one.
    fn room(
        &self,
        account: &Account,
        has_token: bool,
        now: UnixTime,
    ) -> Result<Option<Used>, Denial> {
        let own = self.own.get(account);
        let own_count = own.map_or(0, BTreeSet::len).saturating_add(self.reserved_by(account));
        let idle = |used: &Used| now.since(used.0);
        let wait =
            |used: Option<&Used>| Self::IDLE.saturating_sub(used.map_or(Duration::ZERO, idle));
        if let Some(excess) = own_count.checked_sub(self.share()) {
            // The oldest ones go for the places that are reserved already, and one more has to go for this one. Callers
            // without a token cannot be told apart: the longest unused goes, and no newcomer waits.
            let last = own.and_then(|own| own.iter().nth(excess));
            let may_go = last.is_some_and(|last| !has_token || idle(last) >= Self::IDLE);
            let oldest = own.and_then(BTreeSet::first).filter(|_| may_go);
            return oldest
                .map(|oldest| Some(*oldest))
                .ok_or_else(|| Denial::too_many_sessions(wait(last)));
        }
        let all: usize = self.reserved.values().sum::<usize>().saturating_add(self.sessions.len());
        let Some(excess) = all.checked_sub(self.capacity) else { return Ok(None) };
        let oldest = self.order.keys().next();
        if self.order.keys().nth(excess).is_some_and(|last| idle(last) >= Self::IDLE) {
            return Ok(oldest.copied());
        }
        // A few users who take all places give up theirs, not the newcomer.
        let largest = self.own.values().max_by_key(|sessions| sessions.len());
        let largest = largest.filter(|sessions| sessions.len() > own_count + excess + 1);
        let given_up = largest.and_then(BTreeSet::first);
        given_up.map(|used| Some(*used)).ok_or_else(|| Denial::sessions_full(wait(oldest)))
    }

    /// Notes the session that the response to a request for `uri` names, which its service has opened or goes on with.
    /// Returns the session that was let go for it.
    ///
    /// # Errors
    ///
    /// [`Denial`] as of [`reserve`](Self::reserve), when it is one too many: the service has to end it.
    pub fn opened(
        &mut self,
        id: &HeaderValue,
        uri: &Uri,
        granted: Option<&Granted>,
        now: UnixTime,
    ) -> Result<Option<EndedSession>, Denial> {
        if self.touch(id, now) {
            return Ok(None);
        }
        let account = Account::of_request(granted);
        let oldest = self.room(&account, granted.is_some(), now)?;
        let oldest = oldest.and_then(|oldest| self.order.get(&oldest).cloned());
        let ended = oldest.and_then(|id| {
            let Entry { uri, opened_by, .. } = self.remove(&id)?;
            Some(EndedSession { id, uri, opened_by })
        });
        let (opened_by, uri, used) = (granted.cloned(), uri.clone(), self.used(now));
        self.insert(id.clone(), Entry { account, opened_by, uri, used });
        Ok(ended)
    }

    /// Notes that a session is in use. Returns `true` if it is in the table.
    pub fn touch(&mut self, id: &HeaderValue, now: UnixTime) -> bool {
        match self.remove(id) {
            Some(entry) => {
                let used = self.used(now);
                self.insert(id.clone(), Entry { used, ..entry });
                true
            }
            None => false,
        }
    }

    /// Notes that the service may have ended a session, in its response to a request for `uri`: the session counts as
    /// unused and is the first to make room, by a `DELETE`. A 404 alone ends none, because it may mean something else.
    pub fn doubted(&mut self, id: &HeaderValue, uri: &Uri) {
        if self.sessions.get(id).is_some_and(|entry| entry.uri.path() == uri.path())
            && let Some(entry) = self.remove(id)
        {
            let used = self.used(UnixTime::from_secs(0));
            self.insert(id.clone(), Entry { used, ..entry });
        }
    }

    /// Forgets a session that the service has ended, in its response to a request for `uri`. Only the place where the
    /// session was opened knows that.
    pub fn closed(&mut self, id: &HeaderValue, uri: &Uri) {
        if self.sessions.get(id).is_some_and(|entry| entry.uri.path() == uri.path()) {
            self.remove(id);
        }
    }

    fn used(&mut self, now: UnixTime) -> Used {
        self.count = self.count.saturating_add(1);
        (now, self.count)
    }

    fn insert(&mut self, id: HeaderValue, entry: Entry) {
        self.own.entry(entry.account.clone()).or_default().insert(entry.used);
        self.order.insert(entry.used, id.clone());
        self.sessions.insert(id, entry);
    }

    fn remove(&mut self, id: &HeaderValue) -> Option<Entry> {
        let entry = self.sessions.remove(id)?;
        self.order.remove(&entry.used);
        if let Some(own) = self.own.get_mut(&entry.account) {
            own.remove(&entry.used);
            if own.is_empty() {
                self.own.remove(&entry.account);
            }
        }
        Some(entry)
    }
}

impl core::fmt::Debug for OpenSessions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OpenSessions({} of {})", self.sessions.len(), self.capacity)
    }
}
