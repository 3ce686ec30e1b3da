//! What is stored, and the operations that change it: each one transaction, each answered by an outcome.
//!
//! There is no "find, then later consume": what happens exactly once is one operation with a precondition.
//! Only digests of codes, tokens and secrets are stored. Time is an argument.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use client_auth::{Registered, Replay};
use oauth_types::{
    ClientId, ClientMetadata, CodeChallenge, Entropy, GrantType, Issuer, RedirectUri, ResourceUri,
    ScopeSet, SecretDigest, Thumbprint, TokenFacts, UnixTime,
};
use serde::{Deserialize, Serialize};

/// The store could not do it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was changed; try again.
    Unavailable,
    /// The change may or may not have been made. To repeat the same operation is safe.
    UnknownOutcome,
    /// What is stored cannot be read.
    Corrupt,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the store is not available",
            Self::UnknownOutcome => "the store did not say whether it made the change",
            Self::Corrupt => "what is stored cannot be read",
        })
    }
}

impl core::error::Error for StoreError {}

/// A registered client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    /// When it is forgotten unless it gets a token before; at this second it is. `None` for one that stays: it
    /// got one, or the operator put it into the store.
    pub unused_until: Option<UnixTime>,
}

impl ClientRecord {
    /// Whether it never got a token in the time that it had: nobody knows it any more, swept or not.
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
        Self { client_id, authentication, redirect_uris, metadata, registered_at, unused_until }
    }
}

/// An authorization code that was given out, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    pub subject: String,
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
pub struct ConsentRecord {
    /// The digest of user, client, redirect URI and resource.
    pub key: SecretDigest,
    /// Who agreed.
    pub subject: String,
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
    pub const fn new(entropy: &Entropy<16>) -> Self {
        Self(*entropy.as_bytes())
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
pub struct NewFamily {
    /// Its identifier.
    pub id: FamilyId,
    /// Whose it is.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: String,
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

/// An access token to be stored, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// A family as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FamilyRecord {
    /// Whose it is.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: String,
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

/// What is known about a live access token, its family included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRecord {
    /// The family it belongs to.
    pub family: FamilyId,
    /// Whom it was given to.
    pub client_id: ClientId,
    /// Who agreed.
    pub subject: String,
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
        TokenFacts {
            subject: self.subject,
            client_id: self.client_id,
            issuer,
            scopes: self.scopes,
            audience: vec![self.resource],
            expires_at: Some(self.expires_at),
            jkt: self.jkt,
        }
    }
}

/// A refresh: what is presented, and what is to come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
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

/// What became of a new client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateOutcome {
    /// It is stored.
    Created,
    /// Its identifier is taken.
    Duplicate,
    /// There is no room for more clients.
    QuotaReached,
}

/// What became of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RedeemOutcome {
    /// It is used now, and its family and first access token are stored.
    Redeemed,
    /// It was used before. The family that came from it is revoked now (RFC 6749 §4.1.2).
    AlreadyUsed(FamilyId),
    /// It has expired.
    Expired,
    /// There is no such code.
    Missing,
}

/// What became of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotateOutcome {
    /// The next generation is live, and its access token is stored.
    Rotated,
    /// The presented generation was rotated a moment ago: its successor is live already, and another access
    /// token is stored with it.
    GraceReplay,
    /// An older generation was presented, or one that never was, as after the store was set back to a copy. The family
    /// is revoked now.
    Reused,
    /// The family was revoked before.
    Revoked,
    /// The family has expired.
    Expired,
    /// There is no such family.
    Missing,
}

/// Where an authorization server keeps what outlives a request.
///
/// Every method is one transaction: a crash leaves either all of it or nothing. An answer comes only after the
/// change is durable. Methods may be called from many tasks and, with a shared store, from many machines at
/// once. Texts are kept to the last byte, whatever is in them.
///
/// Whoever writes one proves it with the cases of the feature `store_contract`.
pub trait Store: Send + Sync {
    /// The client with this identifier, [forgotten](ClientRecord::is_forgotten) ones included.
    fn read_client(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<ClientRecord>, StoreError>> + Send;

    /// Stores a client whose identifier is not taken, if there is room: forgotten clients take none, and no
    /// other client makes any.
    fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// Removes a client, if it is stored, with its codes and consents, and revokes all its families. For the operator.
    /// One that is known by a document can come back.
    fn delete_client(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Stores a code. Its digest is of 256 random bits, so it is never taken: what is stored already stays as it is, used
    /// or not.
    fn insert_code(&self, code: CodeRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The code with this digest, used ones included.
    fn read_code(
        &self,
        digest: &SecretDigest,
    ) -> impl Future<Output = Result<Option<CodeRecord>, StoreError>> + Send;

    /// Marks a code as used if it is unused and has not expired, stores the family, and keeps its client for
    /// good: [`unused_until`](ClientRecord::unused_until) is `None` from now on. If it was used before, revokes
    /// the family that came from it: the caller has made sure that everything else about the request is right,
    /// so that nobody but the holder of the verifier can cause this.
    fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> impl Future<Output = Result<RedeemOutcome, StoreError>> + Send;

    /// Stores a family that no code stands for: of a client that acts for itself, or by an identity provider's word.
    /// Its client is kept for good. A family that is stored already stays as it is.
    fn insert_family(
        &self,
        family: NewFamily,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The family with this identifier, revoked and expired ones included.
    fn read_family(
        &self,
        family: &FamilyId,
    ) -> impl Future<Output = Result<Option<FamilyRecord>, StoreError>> + Send;

    /// Moves a family on by one generation if the presented one is live. Exactly one of many concurrent calls
    /// gets [`Rotated`](RotateOutcome::Rotated).
    fn rotate(
        &self,
        rotation: Rotation,
        now: UnixTime,
    ) -> impl Future<Output = Result<RotateOutcome, StoreError>> + Send;

    /// Ends a family and all its tokens at once.
    fn revoke_family(
        &self,
        family: &FamilyId,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes a user's codes and consents and revokes the families they agreed to: all of them when the user is
    /// disabled, those of one client when the user does not trust it any more. For the operator and their pages.
    fn revoke_subject(
        &self,
        subject: &str,
        client_id: Option<&ClientId>,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What is known about an access token that has not expired and whose family is not revoked.
    fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<AccessRecord>, StoreError>> + Send;

    /// The same as [`access`](Self::access), as a resource server in the same process asks for every request. A store that
    /// keeps its records in memory shares what it made of them, so that nothing is copied; others have nothing to do here.
    fn token_facts(
        &self,
        digest: &SecretDigest,
        issuer: &Issuer,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Arc<TokenFacts>>, StoreError>> + Send {
        async move {
            let record = self.access(digest, now).await?;
            Ok(record.map(|record| Arc::new(record.into_facts(issuer.clone()))))
        }
    }

    /// What the user agreed to under this key, what is over included.
    fn read_consent(
        &self,
        key: &SecretDigest,
    ) -> impl Future<Output = Result<Option<ConsentRecord>, StoreError>> + Send;

    /// Remembers what a user agreed to, in place of what stands under the same key.
    fn put_consent(
        &self,
        consent: ConsentRecord,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Remembers a key until a time, and tells whether it was there. Of many concurrent calls with one key,
    /// exactly one gets [`Replay::Fresh`]. A key whose time is over may be forgotten: what it stands for has
    /// expired. But the clock by which it had may have run ahead: once a key was forgotten, each that ends when it did,
    /// or earlier, was [seen](Replay::Seen).
    fn put_once(
        &self,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> impl Future<Output = Result<Replay, StoreError>> + Send;

    /// Removes at most `max` rows that have expired and that nothing needs any more, forgotten clients included;
    /// how many it removed, and 0 only when none is left. The host calls it beside requests, none of which waits for it.
    /// A family is needed to its last day and by every token of it that has not expired, a used code as long as its
    /// family.
    fn sweep(
        &self,
        now: UnixTime,
        max: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
