//! Results of the access decision: a recognized token, then a granted request.

use std::sync::Arc;

use oauth_types::{
    AccessTokenInfo, ClaimError, ClientId, Issuer, ResourceUri, ScopeSet, Subject, Thumbprint,
    TokenType, UnixTime,
};
use scope_stepup::{ScopeHierarchy, check};
use serde::de::DeserializeOwned;

use crate::denial::{Denial, DenialReason};
use crate::principal::{Account, Principal};
use crate::resource::Resource;

/// Token that is valid for this resource; its scopes are not checked yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `authorize` says so"]
pub struct Recognized<'a> {
    resource: &'a Resource,
    facts: Arc<AccessTokenInfo>,
}

impl<'a> Recognized<'a> {
    pub(crate) const fn new(resource: &'a Resource, facts: Arc<AccessTokenInfo>) -> Self {
        Self { resource, facts }
    }

    #[cfg(feature = "dpop")]
    pub(crate) const fn resource(&self) -> &'a Resource {
        self.resource
    }

    /// Returns the thumbprint of the key that the token is bound to.
    #[cfg(feature = "dpop")]
    pub(crate) fn key(&self) -> Option<&Thumbprint> {
        self.facts.jkt.as_ref()
    }

    #[cfg(feature = "dpop")]
    pub(crate) fn account(&self) -> Account {
        Account::of(&self.facts)
    }

    /// Returns the authentication scheme that the token was presented in.
    fn used(&self) -> TokenType {
        if self.facts.jkt.is_some() { TokenType::Dpop } else { TokenType::Bearer }
    }

    /// Denies the request, although the token is valid.
    pub(crate) fn deny(&self, reason: DenialReason, hint: &ScopeSet) -> Denial {
        Denial::unauthorized(self.resource, Some(self.used()), reason, hint)
    }

    /// Checks the scopes of the token: the second half of [`Presented::decide`](crate::Presented::decide).
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response (403), which names all scopes that the operation needs.
    pub fn authorize(
        self,
        required: &ScopeSet,
        order: &(impl ScopeHierarchy + ?Sized),
    ) -> Result<AuthInfo, Denial> {
        // R-AUTH-4, R-AUTH-5
        check(&self.facts.scopes, required, order)
            .map_err(|missing| Denial::insufficient(self.resource, self.used(), &missing))?;
        Ok(AuthInfo { facts: self.facts })
    }
}

/// Granted request, with the verified facts of its token.
///
/// Only [`Recognized::authorize`] creates one. The token itself is not included, because handlers do not need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthInfo {
    facts: Arc<AccessTokenInfo>,
}

impl AuthInfo {
    /// Returns the user, or the client itself if no user is involved.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.facts.subject
    }

    /// Returns the client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.facts.client_id
    }

    /// Returns the authorization server that issued the token.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.facts.issuer
    }

    /// Returns the scopes of the token.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.facts.scopes
    }

    /// Returns the audience of the token, which includes this resource.
    #[must_use]
    pub fn audience(&self) -> &[ResourceUri] {
        &self.facts.audience
    }

    /// Returns the expiry time of the token, for responses that outlast the request.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.facts.expires_at
    }

    /// Returns the thumbprint of the key of the client, if the token is bound to one (RFC 9449 §6).
    #[must_use]
    pub fn key(&self) -> Option<&Thumbprint> {
        self.facts.jkt.as_ref()
    }

    /// Returns a further claim of the token as this type, if the verifier passes it on.
    ///
    /// Verifiers do so for the claims that `with_extra_claims` names, such as
    /// [`Introspection::with_extra_claims`](crate::Introspection::with_extra_claims). A claim grants nothing by itself;
    /// its meaning is the host's.
    ///
    /// ```
    /// use oauth_types::ClaimError;
    /// use resource_server::AuthInfo;
    ///
    /// /// Returns `true` if the user belongs to the group of administrators.
    /// fn is_admin(granted: &AuthInfo) -> Result<bool, ClaimError> {
    ///     match granted.claim::<Vec<String>>("groups") {
    ///         Ok(groups) => Ok(groups.iter().any(|group| group == "admins")),
    ///         Err(ClaimError::Absent) => Ok(false),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claim is absent, has another type, or was too large to store.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<T, ClaimError> {
        self.facts.claims.get(name)
    }

    /// Returns the principal: the owner of sessions, streams and tasks.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::of(&self.facts)
    }

    /// Returns the account: the key of quotas, the same for every client of a user.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::of(&self.facts)
    }

    /// Returns `true` if a long-lived response under this grant may continue.
    ///
    /// `facts` are the current facts about the same token. It must have the same issuer, client, subject, key and
    /// [further claims](Self::claim), must not have expired, and must not have lost a scope or an audience. Claims count,
    /// because a handler may have opened a stream for a member of a group.
    #[must_use]
    pub fn is_upheld_by(&self, facts: &AccessTokenInfo, now: UnixTime) -> bool {
        let AccessTokenInfo { issuer, client_id, subject, .. } = &*self.facts;
        let is_same = facts.issuer == *issuer
            && facts.client_id == *client_id
            && facts.subject == *subject
            && facts.jkt == self.facts.jkt
            && facts.claims == self.facts.claims;
        is_same
            && facts.expires_at.is_some_and(|end| now < end)
            && self.facts.audience.iter().all(|uri| facts.audience.contains(uri))
            && !self.facts.scopes.exceeds(&facts.scopes)
    }
}

impl Principal {
    /// Returns the owner of the session or stream that a request begins.
    pub(crate) fn of_request(granted: Option<&AuthInfo>) -> Self {
        granted.map_or_else(Self::without_token, AuthInfo::principal)
    }
}

impl Account {
    /// Returns the account that a request counts against.
    pub(crate) fn of_request(granted: Option<&AuthInfo>) -> Self {
        granted.map_or_else(Self::without_token, AuthInfo::account)
    }
}
