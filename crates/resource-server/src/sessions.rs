//! Sessions that are open, counted by user: nobody opens them without a bound, and nobody ends those of others.
//!
//! Whose a session is stands in its identifier ([`HandleSeal`](crate::HandleSeal)). This table only counts, so forgetting
//! an entry takes a session from nobody.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderValue, Uri};
use oauth_types::UnixTime;

use crate::principal::Account;
use crate::{Denial, Granted};

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
pub struct EndedSession {
    /// The session, as the service calls it.
    pub id: HeaderValue,
    /// The place where it was opened, and where the service ends it.
    pub uri: Uri,
    /// The grant that opened it; `None` without a token.
    pub opened_by: Option<Granted>,
}

impl OpenSessions {
    /// Time after which an unused session makes room for a new one.
    pub const IDLE: Duration = Duration::from_secs(10 * 60);

    /// A table of at most this many sessions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            order: BTreeMap::new(),
            own: BTreeMap::new(),
            count: 0,
            capacity,
        }
    }

    /// Checks that a request may open one session more; `None` is one without a token.
    ///
    /// # Errors
    ///
    /// [`Denial`] with 429 beyond the user's share, and with 503 when all places are taken and nobody gives one up.
    pub fn check_room(&self, granted: Option<&Granted>, now: UnixTime) -> Result<(), Denial> {
        self.room(&Account::of_request(granted), granted.is_some(), now).map(drop)
    }

    /// The session that has to go for a new one.
    fn room(
        &self,
        account: &Account,
        has_token: bool,
        now: UnixTime,
    ) -> Result<Option<Used>, Denial> {
        let own = self.own.get(account);
        let share = self.capacity.div_ceil(10);
        let idle = |used: &Used| now.since(used.0);
        let wait =
            |used: Option<&Used>| Self::IDLE.saturating_sub(used.map_or(Duration::ZERO, idle));
        if let Some(own) = own.filter(|own| own.len() >= share) {
            // Callers without a token cannot be told apart: the longest unused goes, and no newcomer waits.
            let oldest = own.first().filter(|oldest| !has_token || idle(oldest) >= Self::IDLE);
            return oldest
                .map(|oldest| Some(*oldest))
                .ok_or_else(|| Denial::too_many_sessions(wait(own.first())));
        }
        if self.sessions.len() < self.capacity {
            return Ok(None);
        }
        let oldest = self.order.keys().next();
        if let Some(oldest) = oldest.filter(|oldest| idle(oldest) >= Self::IDLE) {
            return Ok(Some(*oldest));
        }
        // A few users who take all places give up theirs, not the newcomer.
        let own = own.map_or(0, BTreeSet::len);
        let largest = self.own.values().max_by_key(|sessions| sessions.len());
        let largest = largest.filter(|sessions| sessions.len() > own + 1);
        let given_up = largest.and_then(BTreeSet::first);
        given_up.map(|used| Some(*used)).ok_or_else(|| Denial::sessions_full(wait(oldest)))
    }

    /// Notes the session that the response to a request for `uri` names, which its service has opened or goes on with.
    /// Returns the session that was let go for it.
    ///
    /// # Errors
    ///
    /// [`Denial`] as of [`check_room`](Self::check_room), when it is one too many: the service has to end it.
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
