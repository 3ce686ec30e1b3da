//! Whose session is this? An `Mcp-Session-Id` belongs to whoever opened it.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName};
use oauth_types::{ClientId, Issuer, SecretDigest, TokenFacts};

use crate::{Denial, Granted};

/// Who makes a request: a user through a client at an authorization server, none of which says enough alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Principal(SecretDigest);

impl Principal {
    pub(crate) fn of(facts: &TokenFacts) -> Self {
        Self::new(&facts.issuer, &facts.client_id, &facts.subject)
    }

    /// All that present no token together. No text of a principal is empty.
    fn without_token() -> Self {
        Self(SecretDigest::of(""))
    }

    fn of_request(granted: Option<&Granted>) -> Self {
        granted.map_or_else(Self::without_token, Granted::principal)
    }

    pub(crate) fn new(issuer: &Issuer, client_id: &ClientId, subject: &str) -> Self {
        // Lengths before the texts, so that no two triples read the same.
        let (issuer, client_id) = (issuer.as_str(), client_id.as_str());
        let text = format!("{} {} {issuer}{client_id}{subject}", issuer.len(), client_id.len());
        Self(SecretDigest::of(&text))
    }
}

/// Which principal opened which session. Bounded: the oldest are forgotten, and their sessions end. One principal has a
/// tenth of them at most, so that nobody ends those of others.
#[derive(Clone, Debug)]
pub struct SessionBindings {
    owners: BTreeMap<SecretDigest, (Principal, u64)>,
    /// The sessions by when they were opened: the lowest number is the oldest.
    order: BTreeMap<u64, SecretDigest>,
    /// Which of them are whose.
    own: BTreeMap<Principal, BTreeSet<u64>>,
    opened: u64,
    capacity: usize,
}

/// Session that a request without a token names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamedSession {
    /// The request names no session, or the owners of sessions are not known.
    None,
    /// The session was opened without a token.
    WithoutToken,
    /// The session belongs to a principal, or is unknown.
    Foreign,
}

static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

impl SessionBindings {
    /// Bindings for at most this many sessions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            owners: BTreeMap::new(),
            order: BTreeMap::new(),
            own: BTreeMap::new(),
            opened: 0,
            capacity,
        }
    }

    /// Whether these headers name a session at all. Those that do not ask for nothing here.
    #[must_use]
    pub fn concern(headers: &HeaderMap) -> bool {
        headers.contains_key(&SESSION_ID)
    }

    /// Whether this request may use the session that it names, if it names one. A session that was opened without a
    /// token belongs to no principal, because its streams and its identifier may be known to others: a client that
    /// has logged in begins a new one.
    ///
    /// # Errors
    ///
    /// [`Denial`], the same for somebody else's session and for one that nobody opened.
    pub fn check(&self, headers: &HeaderMap, granted: &Granted) -> Result<(), Denial> {
        if !Self::concern(headers) {
            return Ok(());
        }
        let principal = granted.principal();
        if !self.is_owner(headers, &principal) {
            return Err(Denial::foreign_session());
        }
        Ok(())
    }

    /// Finds the session that a request without a token names, for
    /// [`OperationScopes::admit_without_token`](crate::OperationScopes::admit_without_token).
    #[must_use]
    pub fn session_without_token(&self, headers: &HeaderMap) -> NamedSession {
        if !Self::concern(headers) {
            NamedSession::None
        } else if self.is_owner(headers, &Principal::without_token()) {
            NamedSession::WithoutToken
        } else {
            NamedSession::Foreign
        }
    }

    fn is_owner(&self, headers: &HeaderMap, principal: &Principal) -> bool {
        let found = key(headers).and_then(|id| self.owners.get(&id));
        found.is_some_and(|(owner, _)| owner == principal)
    }

    /// Notes the session that a response opens, if it opens one: `None` for a request without a token. A session that
    /// is known stays its owner's. Those without a token have a tenth of all sessions together.
    pub fn opened<'a>(&mut self, response: &HeaderMap, granted: impl Into<Option<&'a Granted>>) {
        let Some(id) = key(response).filter(|id| !self.owners.contains_key(id)) else { return };
        self.insert(id, Principal::of_request(granted.into()));
    }

    fn insert(&mut self, id: SecretDigest, owner: Principal) {
        let own = self.own.get(&owner);
        let oldest = match own.filter(|own| own.len() >= self.capacity.div_ceil(10)) {
            Some(own) => own.first().copied(),
            None if self.order.len() >= self.capacity => self.order.keys().next().copied(),
            None => None,
        };
        if let Some(id) = oldest.and_then(|oldest| self.order.get(&oldest).copied()) {
            self.remove(&id);
        }
        self.own.entry(owner.clone()).or_default().insert(self.opened);
        self.owners.insert(id, (owner, self.opened));
        self.order.insert(self.opened, id);
        self.opened = self.opened.saturating_add(1);
    }

    /// Forgets the session that a request ended.
    pub fn closed(&mut self, request: &HeaderMap) {
        if let Some(id) = key(request) {
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &SecretDigest) {
        let Some((owner, opened)) = self.owners.remove(id) else { return };
        self.order.remove(&opened);
        if let Some(own) = self.own.get_mut(&owner) {
            own.remove(&opened);
            if own.is_empty() {
                self.own.remove(&owner);
            }
        }
    }
}

/// The one session that headers name. IDs are as good as secrets, so only their digests are kept; they are visible ASCII
/// (MCP, session management).
fn key(headers: &HeaderMap) -> Option<SecretDigest> {
    let mut ids = headers.get_all(&SESSION_ID).iter();
    let (id, None) = (ids.next()?, ids.next()) else { return None };
    id.to_str().ok().map(SecretDigest::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(issuer: &str, client: &str, subject: &str) -> Principal {
        let issuer = Issuer::parse(&format!("https://{issuer}.example")).unwrap();
        Principal::new(&issuer, &ClientId::parse(client).unwrap(), subject)
    }

    #[test]
    fn sec_157_a_principal_is_issuer_client_and_subject_and_no_two_read_alike() {
        let alice = principal("as", "c", "alice");
        assert_eq!(alice, principal("as", "c", "alice"));
        for (issuer, client, subject) in [
            ("other", "c", "alice"),
            ("as", "d", "alice"),
            ("as", "c", "bob"),
            ("as", "ca", "lice"),
        ] {
            assert_ne!(alice, principal(issuer, client, subject), "{issuer} {client} {subject}");
        }
    }

    #[test]
    fn sec_215_whoever_opens_many_sessions_ends_their_own_oldest() {
        let mut bindings = SessionBindings::new(100);
        let (alice, mallory) = (principal("as", "c", "alice"), principal("as", "c", "mallory"));
        bindings.insert(SecretDigest::of("alice"), alice);
        for at in 0..1000 {
            bindings.insert(SecretDigest::of(&format!("mallory {at}")), mallory.clone());
        }
        assert!(bindings.owners.contains_key(&SecretDigest::of("alice")));
        assert!(bindings.owners.contains_key(&SecretDigest::of("mallory 999")));
        assert!(!bindings.owners.contains_key(&SecretDigest::of("mallory 989")));
        assert_eq!((bindings.owners.len(), bindings.order.len(), bindings.own.len()), (11, 11, 2));
        for at in 0..1000 {
            let other = principal("as", "c", &at.to_string());
            bindings.insert(SecretDigest::of(&format!("other {at}")), other);
        }
        assert_eq!(
            (bindings.owners.len(), bindings.order.len(), bindings.own.len()),
            (100, 100, 100)
        );
    }
}
