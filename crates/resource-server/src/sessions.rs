//! Whose session is this? An `Mcp-Session-Id` belongs to whoever opened it.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use oauth_types::{ClientId, Issuer, SecretDigest};

use crate::{Denial, Granted};

/// Who makes a request: a user through a client at an authorization server, none of which says enough alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Principal(SecretDigest);

impl Principal {
    pub(crate) fn new(issuer: &Issuer, client_id: &ClientId, subject: &str) -> Self {
        // Lengths before the texts, so that no two triples read the same.
        let (issuer, client_id) = (issuer.as_str(), client_id.as_str());
        let text = format!("{} {} {issuer}{client_id}{subject}", issuer.len(), client_id.len());
        Self(SecretDigest::of(&text))
    }
}

/// Which principal opened which session. Bounded: the oldest are forgotten, and their sessions end.
#[derive(Clone, Debug)]
pub struct SessionBindings {
    owners: BTreeMap<SecretDigest, (Principal, u64)>,
    /// The sessions by when they were opened: the lowest number is the oldest.
    order: BTreeMap<u64, SecretDigest>,
    opened: u64,
    capacity: usize,
}

static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

impl SessionBindings {
    /// Bindings for at most this many sessions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { owners: BTreeMap::new(), order: BTreeMap::new(), opened: 0, capacity }
    }

    /// Whether these headers name a session at all. Those that do not ask for nothing here.
    #[must_use]
    pub fn concern(headers: &HeaderMap) -> bool {
        headers.contains_key(&SESSION_ID)
    }

    /// Whether this request may use the session that it names, if it names one.
    ///
    /// # Errors
    ///
    /// [`Denial`], the same for somebody else's session and for one that nobody opened.
    pub fn check(&self, headers: &HeaderMap, granted: &Granted) -> Result<(), Denial> {
        let mut ids = headers.get_all(&SESSION_ID).iter();
        let (Some(id), second) = (ids.next(), ids.next()) else { return Ok(()) };
        match self.owners.get(&key(id.as_bytes())) {
            Some((owner, _)) if second.is_none() && *owner == granted.principal() => Ok(()),
            _ => Err(Denial::foreign_session()),
        }
    }

    /// Notes the session that a response opens, if it opens one. A session that is known stays its owner's.
    pub fn opened(&mut self, response: &HeaderMap, granted: &Granted) {
        let Some(id) = response.get(&SESSION_ID) else { return };
        let id = key(id.as_bytes());
        if self.owners.contains_key(&id) {
            return;
        }
        while self.order.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.owners.remove(&oldest);
        }
        self.owners.insert(id, (granted.principal(), self.opened));
        self.order.insert(self.opened, id);
        self.opened = self.opened.saturating_add(1);
    }

    /// Forgets the session that a request ended.
    pub fn closed(&mut self, request: &HeaderMap) {
        let ended = request.get(&SESSION_ID).and_then(|id| self.owners.remove(&key(id.as_bytes())));
        if let Some((_, opened)) = ended {
            self.order.remove(&opened);
        }
    }
}

/// Session IDs are as good as secrets, so only their digests are kept.
fn key(id: &[u8]) -> SecretDigest {
    SecretDigest::of(&String::from_utf8_lossy(id))
}
