//! What is stored: clients, codes, consents, and families with their tokens.

use core::time::Duration;

use client_auth::Registered;
use oauth_types::{
    ClientId, ClientMetadata, CodeChallenge, Entropy, GrantType, Issuer, RedirectUri, ResourceUri,
    ScopeSet, SecretDigest, Subject, Thumbprint, TokenFacts, UnixTime,
};
use serde::{Deserialize, Serialize};

/// A registered client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientRecord {
    /// Its identifier.
    pub client_id: ClientId,
    /// How it authenticates.
    pub authentication: Registered,
    /// Where its users may come back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it said about itself, as far as it was accepted; without its redirect URIs and keys, which stand above.
    pub metadata: ClientMetadata,
    /// When it registered.
    pub registered_at: UnixTime,
    /// Time from which on the client is forgotten, unless it gets a token before (inclusive). `None` for clients that
    /// stay, as those of the operator do.
    ///
    /// Each token moves it on: see [`NewFamily::client_needed_until`].
    pub unused_until: Option<UnixTime>,
    /// `true` if the operator put the client into the store, so that its redirect URIs and `metadata.scope` are the
    /// operator's word; `false` if it registered itself, or if a record from before this member does not say.
    ///
    /// No other member stands for this one: a client that stays is not the operator's because of that.
    #[serde(default)]
    pub of_operator: bool,
}

impl ClientRecord {
    /// Time for which a client that registered itself is kept after the end of its last grant: 30 days.
    ///
    /// Its users may come back to it, and many programs do not register anew.
    pub const KEPT_AFTER_GRANT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Most clients that registered themselves and never got a token, in a store that takes `max_clients`: half.
    #[must_use]
    pub const fn max_unused(max_clients: usize) -> usize {
        max_clients.div_ceil(2)
    }

    /// Returns `true` if the client got no token in the time that it had: it is unknown from then on, swept or not.
    #[must_use]
    pub fn is_forgotten(&self, now: UnixTime) -> bool {
        self.unused_until.is_some_and(|until| now >= until)
    }

    /// A client that acts for itself, within these scopes, put into the store by the operator.
    #[must_use]
    pub fn for_itself(
        client_id: ClientId,
        authentication: Registered,
        scopes: ScopeSet,
        now: UnixTime,
    ) -> Self {
        Self::by_operator(GrantType::ClientCredentials, client_id, authentication, scopes, now)
    }

    /// A client that acts for an enterprise's users by the word of its identity provider, within these scopes, put
    /// into the store by the operator. The provider's assertions name it by this identifier.
    #[must_use]
    pub fn for_enterprise(
        client_id: ClientId,
        authentication: Registered,
        scopes: ScopeSet,
        now: UnixTime,
    ) -> Self {
        Self::by_operator(GrantType::JwtBearer, client_id, authentication, scopes, now)
    }

    fn by_operator(
        grant: GrantType,
        client_id: ClientId,
        authentication: Registered,
        scopes: ScopeSet,
        now: UnixTime,
    ) -> Self {
        let mut metadata = ClientMetadata::new(&[]);
        metadata.grant_types = Some(vec![grant]);
        metadata.token_endpoint_auth_method = Some(authentication.method.clone());
        metadata.scope = Some(scopes);
        let (redirect_uris, registered_at, unused_until) = (Vec::new(), now, None);
        Self {
            client_id,
            authentication,
            redirect_uris,
            metadata,
            registered_at,
            unused_until,
            of_operator: true,
        }
    }
}

/// An authorization code that was given out, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodeRecord {
    /// The digest of the code.
    pub digest: SecretDigest,
    /// Whom it was given to.
    pub client_id: ClientId,
    /// Where it was sent.
    pub redirect_uri: RedirectUri,
    /// What its verifier has to match.
    pub challenge: CodeChallenge,
    /// What its tokens will be for.
    pub resource: ResourceUri,
    /// What they will grant.
    pub scopes: ScopeSet,
    /// Who agreed.
    pub subject: Subject,
    /// When it expires; at this second it has.
    pub expires_at: UnixTime,
    /// The key that has to be held by whoever redeems it, if any (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// The family that it was redeemed for.
    pub redeemed: Option<FamilyId>,
}

/// What a user agreed to, so that the same is not asked again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConsentRecord {
    /// The digest of user, client, redirect URI and resource.
    pub key: SecretDigest,
    /// Who agreed.
    pub subject: Subject,
    /// Who may have it.
    pub client_id: ClientId,
    /// What may be granted.
    pub scopes: ScopeSet,
    /// What the client said about itself then: [`ClientRecord::metadata_digest`].
    pub metadata: SecretDigest,
    /// Until when nobody is asked again; at this second somebody is.
    pub until: UnixTime,
}

/// All tokens that come from one authorization. They live and die together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FamilyId([u8; 16]);

impl FamilyId {
    /// A fresh identifier.
    #[must_use]
    pub fn new(entropy: Entropy<16>) -> Self {
        Self(entropy.into_bytes())
    }

    /// An identifier that a store or token kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// How often a family's refresh token has been rotated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Generation(u64);

impl Generation {
    /// A generation by its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number; the first is 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A family to be created when a code is redeemed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewFamily {
    /// Its identifier.
    pub id: FamilyId,
    /// Whose it is.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: Subject,
    /// What its tokens are for.
    pub resource: ResourceUri,
    /// The most that they grant.
    pub scopes: ScopeSet,
    /// When it ends, however often it is used.
    pub expires_at: UnixTime,
    /// When it ends if it is not used.
    pub idle_until: UnixTime,
    /// The key that its refresh tokens are bound to, if to any (RFC 9449 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// Its first access token.
    pub access: NewAccess,
}

impl NewFamily {
    /// A family that ends with its first token, grants the scopes of that, and is bound to no key.
    #[must_use]
    pub fn new(
        id: FamilyId,
        client_id: ClientId,
        subject: Subject,
        resource: ResourceUri,
        access: NewAccess,
    ) -> Self {
        Self {
            id,
            client_id,
            subject,
            resource,
            scopes: access.scopes.clone(),
            expires_at: access.expires_at,
            idle_until: access.expires_at,
            jkt: None,
            access,
        }
    }

    /// Returns the time until which the family and its first token may be used.
    #[must_use]
    pub fn needed_until(&self) -> UnixTime {
        self.expires_at.max(self.access.expires_at)
    }

    /// Returns the time until which a client that registered itself is kept because of this family:
    /// [`ClientRecord::KEPT_AFTER_GRANT`] beyond its end.
    ///
    /// What a store writes into [`ClientRecord::unused_until`], unless a later time stands there, or `None`.
    #[must_use]
    pub fn client_needed_until(&self) -> UnixTime {
        self.needed_until().plus(ClientRecord::KEPT_AFTER_GRANT)
    }
}

/// An access token to be stored, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewAccess {
    /// The digest of the token.
    pub digest: SecretDigest,
    /// What it grants.
    pub scopes: ScopeSet,
    /// When it expires; at this second it has.
    pub expires_at: UnixTime,
    /// The key that it is bound to, if to any (RFC 9449 §6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
}

impl NewAccess {
    /// A token that is bound to no key.
    #[must_use]
    pub const fn new(digest: SecretDigest, scopes: ScopeSet, expires_at: UnixTime) -> Self {
        Self { digest, scopes, expires_at, jkt: None }
    }
}

/// A family as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FamilyRecord {
    /// Whose it is.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: Subject,
    /// What its tokens are for.
    pub resource: ResourceUri,
    /// The most that they grant.
    pub scopes: ScopeSet,
    /// When it ends, however often it is used.
    pub expires_at: UnixTime,
    /// When it ends if it is not used.
    pub idle_until: UnixTime,
    /// The generation of its live refresh token.
    pub generation: Generation,
    /// When that generation came to be.
    pub rotated_at: UnixTime,
    /// The key that its refresh tokens are bound to, if to any (RFC 9449 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl FamilyRecord {
    /// The record of a family that is stored now, for a store that keeps records as they are.
    #[must_use]
    pub fn new(family: NewFamily, now: UnixTime) -> Self {
        Self {
            client_id: family.client_id,
            subject: family.subject,
            resource: family.resource,
            scopes: family.scopes,
            expires_at: family.expires_at,
            idle_until: family.idle_until,
            generation: Generation::new(0),
            rotated_at: now,
            jkt: family.jkt,
            revoked: false,
        }
    }
}

/// What is known about a live access token, its family included.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccessRecord {
    /// The family it belongs to.
    pub family: FamilyId,
    /// Whom it was given to.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: Subject,
    /// What it is for.
    pub resource: ResourceUri,
    /// What it grants.
    pub scopes: ScopeSet,
    /// When it expires.
    pub expires_at: UnixTime,
    /// The key that it is bound to, if to any (RFC 9449 §6). It is worth nothing to whoever does not prove that they
    /// hold that key: never let one in as a bearer token.
    pub jkt: Option<Thumbprint>,
}

impl AccessRecord {
    /// What a resource server has to know about the token; the store is that of this issuer.
    #[must_use]
    pub fn into_facts(self, issuer: Issuer) -> TokenFacts {
        TokenFacts::new(self.subject, self.client_id, issuer)
            .with_scopes(self.scopes)
            .with_audience([self.resource])
            .with_expires_at(self.expires_at)
            .with_jkt(self.jkt)
    }
}

/// A refresh: what is presented, and what is to come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// The family.
    pub family: FamilyId,
    /// The generation that the presented token carries.
    pub presented: Generation,
    /// The access token that comes with the successor.
    pub access: NewAccess,
    /// When the family ends if it is not used again.
    pub idle_until: UnixTime,
    /// How long after a rotation its predecessor may be presented again.
    pub grace: Duration,
}

impl Rotation {
    /// A refresh with the token of this generation.
    #[must_use]
    pub const fn new(
        family: FamilyId,
        presented: Generation,
        access: NewAccess,
        idle_until: UnixTime,
        grace: Duration,
    ) -> Self {
        Self { family, presented, access, idle_until, grace }
    }
}
