//! What a good token is worth: recognized at this resource, then granted what the operation needs.

use std::sync::Arc;

use oauth_types::{
    ClientId, Issuer, ResourceUri, ScopeSet, Thumbprint, TokenFacts, TokenType, UnixTime,
};
use scope_stepup::{ScopeOrder, check};

use crate::denial::{Denial, DenialReason};
use crate::principal::{Account, Principal};
use crate::resource::Resource;

/// A token that is good for this resource. What it may do here is not decided yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `authorize` says so"]
pub struct Recognized<'a> {
    resource: &'a Resource,
    facts: Arc<TokenFacts>,
}

impl<'a> Recognized<'a> {
    pub(crate) const fn new(resource: &'a Resource, facts: Arc<TokenFacts>) -> Self {
        Self { resource, facts }
    }

    #[cfg(feature = "dpop")]
    pub(crate) const fn resource(&self) -> &'a Resource {
        self.resource
    }

    /// The key that the token is bound to.
    #[cfg(feature = "dpop")]
    pub(crate) fn key(&self) -> Option<&Thumbprint> {
        self.facts.jkt.as_ref()
    }

    #[cfg(feature = "dpop")]
    pub(crate) fn account(&self) -> Account {
        Account::of(&self.facts)
    }

    /// The scheme that the token was shown in.
    fn used(&self) -> TokenType {
        if self.facts.jkt.is_some() { TokenType::Dpop } else { TokenType::Bearer }
    }

    /// A token that is good in the wrong hands.
    pub(crate) fn deny(&self, reason: DenialReason, hint: &ScopeSet) -> Denial {
        Denial::unauthorized(self.resource, Some(self.used()), reason, hint)
    }

    /// The second half of [`Presented::decide`](crate::Presented::decide): does the token grant what the operation needs?
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn authorize(
        self,
        required: &ScopeSet,
        order: &(impl ScopeOrder + ?Sized),
    ) -> Result<Granted, Denial> {
        // R-AUTH-4, R-AUTH-5
        check(&self.facts.scopes, required, order)
            .map_err(|missing| Denial::insufficient(self.resource, self.used(), &missing))?;
        Ok(Granted { facts: self.facts })
    }
}

/// A request that may in, and who makes it. Only [`Recognized::authorize`] makes one. It does not hold the
/// token: handlers have no use for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    facts: Arc<TokenFacts>,
}

impl Granted {
    /// The user; the client itself where no user is involved.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The client that the token was given to.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.facts.client_id
    }

    /// The authorization server that gave it.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.facts.issuer
    }

    /// What it grants.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.facts.scopes
    }

    /// The resources that it is for, this one among them.
    #[must_use]
    pub fn audience(&self) -> &[ResourceUri] {
        &self.facts.audience
    }

    /// When the token expires, for an answer that lasts.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.facts.expires_at
    }

    /// The key that the client proved to hold, if the token is bound to one (RFC 9449 §6).
    #[must_use]
    pub fn key(&self) -> Option<&Thumbprint> {
        self.facts.jkt.as_ref()
    }

    /// The principal, for binding what goes out and comes back: sessions, streams, tasks.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::of(&self.facts)
    }

    /// The user at their authorization server, for quotas: the same through every client.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::of(&self.facts)
    }

    /// Returns `true` if what a verifier says about the same token now still carries an answer that began with this
    /// grant and lasts: it is not expired, and nothing was taken from it.
    #[must_use]
    pub fn is_upheld_by(&self, facts: &TokenFacts, now: UnixTime) -> bool {
        let TokenFacts { issuer, client_id, subject, .. } = &*self.facts;
        let is_same = facts.issuer == *issuer
            && facts.client_id == *client_id
            && facts.subject == *subject
            && facts.jkt == self.facts.jkt;
        is_same
            && facts.expires_at.is_some_and(|end| now < end)
            && self.facts.audience.iter().all(|uri| facts.audience.contains(uri))
            && !self.facts.scopes.exceeds(&facts.scopes)
    }
}

impl Principal {
    /// The owner of what a request begins.
    pub(crate) fn of_request(granted: Option<&Granted>) -> Self {
        granted.map_or_else(Self::without_token, Granted::principal)
    }
}

impl Account {
    /// The account that a request counts for.
    pub(crate) fn of_request(granted: Option<&Granted>) -> Self {
        granted.map_or_else(Self::without_token, Granted::account)
    }
}
