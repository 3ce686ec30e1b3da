//! Stored records: clients, authorization codes, consents, and families with their tokens.

use core::time::Duration;

use client_auth::ClientAuthRecord;
use oauth_types::{
    AccessTokenInfo, ClientId, ClientMetadata, CodeChallenge, GrantType, Issuer, RedirectUri,
    ResourceUri, ScopeSet, SecretDigest, Subject, Thumbprint, UnixTime,
};
use serde::{Deserialize, Serialize};

use super::family_id::{FamilyId, Generation};

/// Registered client, or one that the operator stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientRecord {
    /// Client identifier.
    pub client_id: ClientId,
    /// Client authentication (RFC 6749 §2.3).
    pub authentication: ClientAuthRecord,
    /// Redirect URIs (RFC 6749 §3.1.2).
    pub redirect_uris: Vec<RedirectUri>,
    /// Accepted client metadata (RFC 7591 §2), without redirect URIs and keys (see above).
    pub metadata: ClientMetadata,
    /// Time of registration.
    pub registered_at: UnixTime,
    /// Time from which on (inclusive) the client is forgotten, unless it gets a token before.
    ///
    /// `None` for clients that stay, such as those of the operator.
    ///
    /// Each token postpones it: see [`NewFamily::client_needed_until`].
    pub unused_until: Option<UnixTime>,
    /// `true` if the operator stored the client, and chose its redirect URIs and `metadata.scope`.
    ///
    /// `false` if it registered itself, or if the record is older than this member.
    ///
    /// No other member implies this one: a client that stays is not necessarily the operator's.
    #[serde(default)]
    pub of_operator: bool,
}

impl ClientRecord {
    /// Time for which a client that registered itself is kept after the end of its last grant: 30 days.
    ///
    /// Users may return to the client, and many programs do not register again.
    pub const KEPT_AFTER_GRANT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Returns the most self-registered clients without a token: half of `max_clients`, rounded up.
    #[must_use]
    pub const fn max_unused(max_clients: usize) -> usize {
        max_clients.div_ceil(2)
    }

    /// Returns `true` if `now >= unused_until`: the client is unknown from then on, swept or not.
    #[must_use]
    pub fn is_forgotten(&self, now: UnixTime) -> bool {
        self.unused_until.is_some_and(|until| now >= until)
    }

    /// Creates the operator's client for the client credentials grant (RFC 6749 §4.4), with these scopes.
    #[must_use]
    pub fn client_credentials(
        client_id: ClientId,
        authentication: ClientAuthRecord,
        scopes: ScopeSet,
        now: UnixTime,
    ) -> Self {
        Self::by_operator(GrantType::ClientCredentials, client_id, authentication, scopes, now)
    }

    /// Creates the operator's client for identity assertions (ID-JAG), with these scopes.
    ///
    /// The client acts for an enterprise's users. The assertions of the identity provider name it by this identifier.
    #[must_use]
    pub fn id_jag(
        client_id: ClientId,
        authentication: ClientAuthRecord,
        scopes: ScopeSet,
        now: UnixTime,
    ) -> Self {
        Self::by_operator(GrantType::JwtBearer, client_id, authentication, scopes, now)
    }

    fn by_operator(
        grant: GrantType,
        client_id: ClientId,
        authentication: ClientAuthRecord,
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

/// Issued authorization code, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodeRecord {
    /// Digest of the code.
    pub digest: SecretDigest,
    /// Client that it was issued to.
    pub client_id: ClientId,
    /// Redirect URI that the code was sent to.
    pub redirect_uri: RedirectUri,
    /// PKCE challenge that the verifier has to match (RFC 7636 §4.6).
    pub challenge: CodeChallenge,
    /// Audience of the tokens (RFC 8707).
    pub resource: ResourceUri,
    /// Scopes of the tokens.
    pub scopes: ScopeSet,
    /// Resource owner who consented.
    pub subject: Subject,
    /// Expiry time (exclusive): valid while `now < expires_at`.
    pub expires_at: UnixTime,
    /// DPoP key to be proven when the code is redeemed, if it is bound to one (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// Family that the code was redeemed for, if it is used.
    pub redeemed: Option<FamilyId>,
}

/// Consent of a user to a client, so that the user is not asked again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConsentRecord {
    /// Digest of user, client, redirect URI and resource.
    pub key: SecretDigest,
    /// Resource owner who consented.
    pub subject: Subject,
    /// Client that was granted access.
    pub client_id: ClientId,
    /// Scopes that may be granted.
    pub scopes: ScopeSet,
    /// Digest of the client's metadata at the time of the consent: [`ClientRecord::metadata_digest`].
    pub metadata: SecretDigest,
    /// End of the consent (exclusive): the user is not asked again while `now < until`.
    pub until: UnixTime,
}

/// Family to be stored, when a code is redeemed or by a grant without a code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewFamily {
    /// Identifier of the family.
    pub id: FamilyId,
    /// Client that the family belongs to.
    pub client_id: ClientId,
    /// Subject of the tokens: the resource owner, or the client itself in the client credentials grant.
    pub subject: Subject,
    /// Audience of the tokens (RFC 8707).
    pub resource: ResourceUri,
    /// Scopes that the tokens grant at most.
    pub scopes: ScopeSet,
    /// Absolute end of the family (exclusive), even if it is used.
    pub expires_at: UnixTime,
    /// End of the family without a further refresh (exclusive).
    pub idle_until: UnixTime,
    /// DPoP key that the refresh tokens are bound to, if any (RFC 9449 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// First access token of the family.
    pub access: NewAccess,
}

impl NewFamily {
    /// Creates a family that ends with its first token, grants that token's scopes, and is bound to no key.
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

    /// Returns the end of the family or of its first token, whichever is later.
    #[must_use]
    pub fn needed_until(&self) -> UnixTime {
        self.expires_at.max(self.access.expires_at)
    }

    /// Returns the time until which a client that registered itself is kept because of this family.
    ///
    /// This is [`ClientRecord::KEPT_AFTER_GRANT`] beyond [`needed_until`](Self::needed_until). A store writes it into
    /// [`ClientRecord::unused_until`], unless that is later or `None`.
    #[must_use]
    pub fn client_needed_until(&self) -> UnixTime {
        self.needed_until().saturating_add(ClientRecord::KEPT_AFTER_GRANT)
    }
}

/// Access token to be stored, by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewAccess {
    /// Digest of the token.
    pub digest: SecretDigest,
    /// Scopes of the token.
    pub scopes: ScopeSet,
    /// Expiry time (exclusive): valid while `now < expires_at`.
    pub expires_at: UnixTime,
    /// DPoP key that the token is bound to, if any (RFC 9449 §6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
}

impl NewAccess {
    /// Creates a token that is bound to no key.
    #[must_use]
    pub const fn new(digest: SecretDigest, scopes: ScopeSet, expires_at: UnixTime) -> Self {
        Self { digest, scopes, expires_at, jkt: None }
    }
}

/// Family as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FamilyRecord {
    /// Client that the family belongs to.
    pub client_id: ClientId,
    /// Subject of the tokens: the resource owner, or the client itself in the client credentials grant.
    pub subject: Subject,
    /// Audience of the tokens (RFC 8707).
    pub resource: ResourceUri,
    /// Scopes that the tokens grant at most.
    pub scopes: ScopeSet,
    /// Absolute end of the family (exclusive), even if it is used.
    pub expires_at: UnixTime,
    /// End of the family without a further refresh (exclusive).
    pub idle_until: UnixTime,
    /// Generation of the current refresh token.
    pub generation: Generation,
    /// Time of the last rotation, or of the family's creation.
    pub rotated_at: UnixTime,
    /// DPoP key that the refresh tokens are bound to, if any (RFC 9449 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// `true` once the family is revoked.
    pub revoked: bool,
}

impl FamilyRecord {
    /// Creates the record of a family that is stored now, for a store that keeps records as they are.
    #[must_use]
    pub fn new(family: NewFamily, now: UnixTime) -> Self {
        let (record, _) = Self::split(family, now);
        record
    }

    /// Splits a family that is stored now into its record and its first access token.
    pub(crate) fn split(family: NewFamily, now: UnixTime) -> (Self, NewAccess) {
        let record = Self {
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
        };
        (record, family.access)
    }
}

/// Live access token, with the facts of its family.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccessRecord {
    /// Family that the token belongs to.
    pub family: FamilyId,
    /// Client that it was issued to.
    pub client_id: ClientId,
    /// Subject of the tokens: the resource owner, or the client itself in the client credentials grant.
    pub subject: Subject,
    /// Audience of the token (RFC 8707).
    pub resource: ResourceUri,
    /// Scopes of the token.
    pub scopes: ScopeSet,
    /// Expiry time (exclusive): valid while `now < expires_at`.
    pub expires_at: UnixTime,
    /// DPoP key that the token is bound to, if any (RFC 9449 §6).
    ///
    /// Such a token requires proof of possession of the key: a resource server must not accept it as a bearer token.
    pub jkt: Option<Thumbprint>,
}

impl AccessRecord {
    /// Returns the facts about the token for a resource server; `issuer` is that of the store.
    #[must_use]
    pub fn into_facts(self, issuer: Issuer) -> AccessTokenInfo {
        AccessTokenInfo::new(self.subject, self.client_id, issuer)
            .with_scopes(self.scopes)
            .with_audience([self.resource])
            .with_expires_at(self.expires_at)
            .with_jkt(self.jkt)
    }
}

/// Refresh: the presented refresh token, and what is stored if it is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// Family of the presented token.
    pub family: FamilyId,
    /// Generation of the presented token.
    pub presented: Generation,
    /// Access token that is issued with the successor.
    pub access: NewAccess,
    /// End of the family without a further refresh (exclusive).
    pub idle_until: UnixTime,
    /// Time after a rotation in which the rotated token may be presented again.
    pub grace: Duration,
}

impl Rotation {
    /// Creates a refresh with the token of this generation.
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
