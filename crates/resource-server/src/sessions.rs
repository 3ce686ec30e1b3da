//! Table of open sessions, with limits for each user and for all users together.
//!
//! A session identifier itself is bound to its owner ([`HandleSeal`](crate::HandleSeal)). This table only counts
//! sessions, so a lost entry does not end a session.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderValue, Uri};
use oauth_types::UnixTime;

use crate::auth_info::AuthInfo;
use crate::denial::Denial;
use crate::principal::Account;

/// Open sessions of a service, in a limited number of places.
///
/// One user at an authorization server occupies at most a tenth of the places, through all clients together; so do all
/// requests without a token together. When all places are in use, a new session replaces one that was unused for
/// [`IDLE`](Self::IDLE), or else the longest unused one of the user with the most sessions, if the other user has at
/// least two fewer.
#[derive(Clone)]
pub struct OpenSessions {
    sessions: BTreeMap<HeaderValue, Entry>,
    /// All sessions, the longest unused first.
    order: BTreeMap<Used, HeaderValue>,
    /// Sessions by account.
    own: BTreeMap<Account, BTreeSet<Used>>,
    /// Places reserved by account, for pending requests that may open a session.
    reserved: BTreeMap<Account, usize>,
    count: u64,
    capacity: usize,
}

/// Time of the last use, and a counter that orders uses within one second.
type Used = (UnixTime, u64);

#[derive(Clone)]
struct Entry {
    account: Account,
    opened_by: Option<AuthInfo>,
    uri: Uri,
    used: Used,
}

/// Session that the table has removed, which the service should end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedSession {
    /// The session identifier of the service.
    pub id: HeaderValue,
    /// The URI at which the session was opened, and at which the service ends it.
    pub uri: Uri,
    /// The grant that opened the session; `None` without a token.
    pub opened_by: Option<AuthInfo>,
}

impl EndedSession {
    /// Creates an ended session that was opened at this URI without a token.
    #[must_use]
    pub const fn new(id: HeaderValue, uri: Uri) -> Self {
        Self { id, uri, opened_by: None }
    }

    /// Sets the grant that opened the session.
    #[must_use]
    pub fn with_opened_by(mut self, granted: impl Into<Option<AuthInfo>>) -> Self {
        self.opened_by = granted.into();
        self
    }
}

impl OpenSessions {
    /// Time after which an unused session may be replaced by a new one.
    pub const IDLE: Duration = Duration::from_secs(10 * 60);
    /// Retry time for a user whose abandoned requests have reserved a full share of places.
    const ABANDONED: Duration = Duration::from_secs(60);

    /// Creates a table for at most `capacity` sessions.
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

    /// Reserves a place for a session that a request may open; `granted` is `None` without a token.
    ///
    /// The place counts as a session until [`release`](Self::release), so that concurrent requests cannot exceed the
    /// limits.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 429 if the user's share is full, and with 503 if all places are in use and no session can be
    /// replaced.
    pub fn reserve(
        &mut self,
        granted: Option<&AuthInfo>,
        now: UnixTime,
    ) -> Result<Account, Denial> {
        self.room(&Account::of_request(granted), granted, now)?;
        Ok(self.reserve_for_abandoned(granted))
    }

    /// Reserves a place without a limit, for a request whose client disconnected.
    ///
    /// Such a request may still open a session.
    pub fn reserve_for_abandoned(&mut self, granted: Option<&AuthInfo>) -> Account {
        let account = Account::of_request(granted);
        *self.reserved.entry(account.clone()).or_default() += 1;
        account
    }

    /// Checks that a user has fewer reserved places than their share.
    ///
    /// This is for requests that may or may not open a session.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 429 if the reserved places fill the share.
    pub fn check_reserved(&self, granted: Option<&AuthInfo>) -> Result<(), Denial> {
        if self.reserved.is_empty()
            || self.reserved_by(&Account::of_request(granted)) < self.share()
        {
            return Ok(());
        }
        Err(Denial::too_many_sessions(Self::ABANDONED))
    }

    /// Releases a reserved place after the response; call [`opened`](Self::opened) next if it names a session.
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

    /// Returns the session that a new one replaces; `None` if a place is free.
    fn room(
        &self,
        account: &Account,
        granted: Option<&AuthInfo>,
        now: UnixTime,
    ) -> Result<Option<Used>, Denial> {
        let own = self.own.get(account);
        let own_count = own.map_or(0, BTreeSet::len).saturating_add(self.reserved_by(account));
        let idle = |used: &Used| now.saturating_duration_since(used.0);
        let wait =
            |used: Option<&Used>| Self::IDLE.saturating_sub(used.map_or(Duration::ZERO, idle));
        if let Some(excess) = own_count.checked_sub(self.share()) {
            // The oldest sessions are counted against the reserved places, and one more must make room for this
            // session. Callers without a token are indistinguishable, so their longest unused session is replaced at
            // once.
            let last = own.and_then(|own| own.iter().nth(excess));
            let may_go = last.is_some_and(|last| granted.is_none() || idle(last) >= Self::IDLE);
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
        // If a few users occupy all places, one of them loses a session in favor of the new user.
        let largest = self.own.values().max_by_key(|sessions| sessions.len());
        let largest = largest.filter(|sessions| sessions.len() > own_count + excess + 1);
        let given_up = largest.and_then(BTreeSet::first);
        given_up.map(|used| Some(*used)).ok_or_else(|| Denial::sessions_full(wait(oldest)))
    }

    /// Records the session that a response to a request for `uri` names.
    ///
    /// The service has opened this session or continues it. Returns the session that it replaces, if any.
    ///
    /// # Errors
    ///
    /// [`Denial`] as for [`reserve`](Self::reserve) if the session exceeds a limit; the service must then end it.
    pub fn opened(
        &mut self,
        id: &HeaderValue,
        uri: &Uri,
        granted: Option<&AuthInfo>,
        now: UnixTime,
    ) -> Result<Option<EndedSession>, Denial> {
        if self.touch(id, now) {
            return Ok(None);
        }
        let account = Account::of_request(granted);
        let oldest = self.room(&account, granted, now)?;
        let oldest = oldest.and_then(|oldest| self.order.get(&oldest).cloned());
        let ended = oldest.and_then(|id| {
            let Entry { uri, opened_by, .. } = self.remove(&id)?;
            Some(EndedSession { id, uri, opened_by })
        });
        let (opened_by, uri, used) = (granted.cloned(), uri.clone(), self.used(now));
        self.insert(id.clone(), Entry { account, opened_by, uri, used });
        Ok(ended)
    }

    /// Records a use of a session; returns `true` if the session is in the table.
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

    /// Marks a session that the service may have ended, in a response to a request for `uri`.
    ///
    /// The session counts as the longest unused one and is replaced first, with a `DELETE`. A 404 alone does not remove
    /// it, because it may have another cause.
    pub fn doubted(&mut self, id: &HeaderValue, uri: &Uri) {
        if self.sessions.get(id).is_some_and(|entry| entry.uri.path() == uri.path())
            && let Some(entry) = self.remove(id)
        {
            let used = self.used(UnixTime::from_secs(0));
            self.insert(id.clone(), Entry { used, ..entry });
        }
    }

    /// Removes a session that the service has ended, in a response to a request for `uri`.
    ///
    /// The response counts only if it comes from the path at which the session was opened.
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
