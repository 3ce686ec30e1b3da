//! Rows of a durable store: an index of columns, and a body that only this crate reads.
//!
//! The store must understand the [index](CodeIndex) and keeps the [body](RecordBody) as it is.
//!
//! A store writes the members of the index into columns and the text of `body()` into another one, and reads the record
//! back with `from_row`. Index structs are exhaustive on purpose: every store has to store, search or compare a new
//! member, so a store that does not know it must not compile. All other facts are added to the body, without a change
//! to any store.
//!
//! ```
//! use authorization_server::store::rows::{CodeIndex, RecordBody};
//! use authorization_server::store::{CodeRecord, StoreError};
//!
//! /// A row: columns that the store searches, and the text that it only keeps.
//! fn to_row(code: CodeRecord) -> Result<(CodeIndex, String), StoreError> {
//!     let body = code.body()?.as_str().to_owned();
//!     let CodeRecord { digest, client_id, subject, expires_at, redeemed, .. } = code;
//!     Ok((CodeIndex { digest, client_id, subject, expires_at, redeemed }, body))
//! }
//!
//! fn from_row((index, body): (CodeIndex, String)) -> Result<CodeRecord, StoreError> {
//!     CodeRecord::from_row(index, &RecordBody::from_stored(body))
//! }
//! ```

use std::borrow::Cow;

use oauth_types::{
    ClientId, CodeChallenge, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};

pub use super::body::RecordBody;
use super::body::{ClientBody, CodeBody, ConsentBody, GrantBody, Version};
use super::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, FamilyId, FamilyRecord, Generation,
    NewAccess, NewFamily, StoreError,
};

/// Index of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a store that forgets a member must not compile")]
pub struct ClientIndex {
    /// Client identifier.
    pub client_id: ClientId,
    /// Time from which on the client is forgotten: [`ClientRecord::unused_until`].
    pub unused_until: Option<UnixTime>,
    /// `true` if the operator stored the client: [`ClientRecord::of_operator`].
    pub of_operator: bool,
}

impl ClientRecord {
    /// Returns the facts to keep beside the index.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the facts are longer than [`RecordBody::MAX_BYTES`].
    pub fn body(&self) -> Result<RecordBody, StoreError> {
        RecordBody::write(&ClientBody {
            v: Version,
            authentication: Cow::Borrowed(&self.authentication),
            redirect_uris: Cow::Borrowed(&self.redirect_uris),
            metadata: Cow::Borrowed(&self.metadata),
            registered_at: self.registered_at,
        })
    }

    /// Reads a client that a store kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the body is damaged, [`StoreError::Unavailable`] if it is of a later release and must
    /// not be misread.
    pub fn from_row(index: ClientIndex, body: &RecordBody) -> Result<Self, StoreError> {
        let ClientIndex { client_id, unused_until, of_operator } = index;
        let body: ClientBody<'_> = body.read()?;
        Ok(Self {
            client_id,
            authentication: body.authentication.into_owned(),
            redirect_uris: body.redirect_uris.into_owned(),
            metadata: body.metadata.into_owned(),
            registered_at: body.registered_at,
            unused_until,
            of_operator,
        })
    }
}

/// Index of a code.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a store that forgets a member must not compile")]
pub struct CodeIndex {
    /// Digest of the code.
    pub digest: SecretDigest,
    /// Client that it was issued to.
    pub client_id: ClientId,
    /// Resource owner who consented.
    pub subject: Subject,
    /// Expiry time (exclusive): valid while `now < expires_at`.
    pub expires_at: UnixTime,
    /// Family that the code was redeemed for, if it is used.
    pub redeemed: Option<FamilyId>,
}

impl CodeRecord {
    /// Creates a code that is bound to no key.
    #[must_use]
    pub fn new(
        index: CodeIndex,
        redirect_uri: RedirectUri,
        challenge: CodeChallenge,
        resource: ResourceUri,
        scopes: ScopeSet,
    ) -> Self {
        let CodeIndex { digest, client_id, subject, expires_at, redeemed } = index;
        Self {
            digest,
            client_id,
            redirect_uri,
            challenge,
            resource,
            scopes,
            subject,
            expires_at,
            jkt: None,
            redeemed,
        }
    }

    /// Returns the facts to keep beside the index.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the facts are longer than [`RecordBody::MAX_BYTES`].
    pub fn body(&self) -> Result<RecordBody, StoreError> {
        RecordBody::write(&CodeBody {
            v: Version,
            redirect_uri: Cow::Borrowed(&self.redirect_uri),
            challenge: Cow::Borrowed(&self.challenge),
            resource: Cow::Borrowed(&self.resource),
            scopes: Cow::Borrowed(&self.scopes),
            jkt: self.jkt.map(Into::into),
        })
    }

    /// Reads a code that a store kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the body is damaged, [`StoreError::Unavailable`] if it is of a later release and must
    /// not be misread.
    pub fn from_row(index: CodeIndex, body: &RecordBody) -> Result<Self, StoreError> {
        let CodeIndex { digest, client_id, subject, expires_at, redeemed } = index;
        let body: CodeBody<'_> = body.read()?;
        Ok(Self {
            digest,
            client_id,
            redirect_uri: body.redirect_uri.into_owned(),
            challenge: body.challenge.into_owned(),
            resource: body.resource.into_owned(),
            scopes: body.scopes.into_owned(),
            subject,
            expires_at,
            jkt: body.jkt.map(Into::into),
            redeemed,
        })
    }
}

/// Index of a family.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a store that forgets a member must not compile")]
pub struct FamilyIndex {
    /// Client that the family belongs to.
    pub client_id: ClientId,
    /// Subject of the tokens: the resource owner, or the client itself in the client credentials grant.
    pub subject: Subject,
    /// Audience of the tokens (RFC 8707).
    pub resource: ResourceUri,
    /// Absolute end of the family (exclusive), even if it is used.
    pub expires_at: UnixTime,
    /// End of the family without a further refresh (exclusive).
    pub idle_until: UnixTime,
    /// Generation of the current refresh token.
    pub generation: Generation,
    /// Time of the last rotation, or of the family's creation.
    pub rotated_at: UnixTime,
    /// `true` once the family is revoked.
    pub revoked: bool,
}

impl NewFamily {
    /// Returns the facts of the family to keep beside its index.
    ///
    /// The facts of its first token are a body of their own: [`NewAccess::body`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the facts are longer than [`RecordBody::MAX_BYTES`].
    pub fn body(&self) -> Result<RecordBody, StoreError> {
        let (scopes, jkt) = (Cow::Borrowed(&self.scopes), self.jkt.map(Into::into));
        RecordBody::write(&GrantBody { v: Version, scopes, jkt })
    }
}

impl NewAccess {
    /// Returns the facts to keep beside the digest, the family and the expiry time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the facts are longer than [`RecordBody::MAX_BYTES`].
    pub fn body(&self) -> Result<RecordBody, StoreError> {
        let (scopes, jkt) = (Cow::Borrowed(&self.scopes), self.jkt.map(Into::into));
        RecordBody::write(&GrantBody { v: Version, scopes, jkt })
    }
}

impl FamilyRecord {
    /// Reads a family that a store kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the body is damaged, [`StoreError::Unavailable`] if it is of a later release and must
    /// not be misread.
    pub fn from_row(index: FamilyIndex, body: &RecordBody) -> Result<Self, StoreError> {
        let body: GrantBody<'_> = body.read()?;
        Ok(Self {
            client_id: index.client_id,
            subject: index.subject,
            resource: index.resource,
            scopes: body.scopes.into_owned(),
            expires_at: index.expires_at,
            idle_until: index.idle_until,
            generation: index.generation,
            rotated_at: index.rotated_at,
            jkt: body.jkt.map(Into::into),
            revoked: index.revoked,
        })
    }
}

/// Index of an access token, joined with that of its family.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a store that forgets a member must not compile")]
pub struct AccessIndex {
    /// Family that the token belongs to.
    pub family: FamilyId,
    /// Client of the family.
    pub client_id: ClientId,
    /// Subject of the tokens: the resource owner, or the client itself in the client credentials grant.
    pub subject: Subject,
    /// Audience of the token (RFC 8707).
    pub resource: ResourceUri,
    /// Expiry time of the token (exclusive): valid while `now < expires_at`.
    pub expires_at: UnixTime,
}

impl AccessRecord {
    /// Reads an access token that a store kept, with the body of its family and its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a body is damaged, [`StoreError::Unavailable`] if it is of a later release and must
    /// not be misread.
    pub fn from_rows(
        index: AccessIndex,
        family: &RecordBody,
        access: &RecordBody,
    ) -> Result<Self, StoreError> {
        let AccessIndex { family: id, client_id, subject, resource, expires_at } = index;
        // Read too, because a later version of the family may restrict each of its tokens.
        let _: GrantBody<'_> = family.read()?;
        let body: GrantBody<'_> = access.read()?;
        Ok(Self {
            family: id,
            client_id,
            subject,
            resource,
            scopes: body.scopes.into_owned(),
            expires_at,
            jkt: body.jkt.map(Into::into),
        })
    }
}

/// Index of a consent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a store that forgets a member must not compile")]
pub struct ConsentIndex {
    /// Digest of user, client, redirect URI and resource.
    pub key: SecretDigest,
    /// Resource owner who consented.
    pub subject: Subject,
    /// Client that was granted access.
    pub client_id: ClientId,
    /// End of the consent (exclusive): the user is not asked again while `now < until`.
    pub until: UnixTime,
}

impl ConsentRecord {
    /// Returns the facts to keep beside the index.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the facts are longer than [`RecordBody::MAX_BYTES`].
    pub fn body(&self) -> Result<RecordBody, StoreError> {
        let (scopes, metadata) = (Cow::Borrowed(&self.scopes), self.metadata.into());
        RecordBody::write(&ConsentBody { v: Version, scopes, metadata })
    }

    /// Reads a consent that a store kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the body is damaged, [`StoreError::Unavailable`] if it is of a later release and must
    /// not be misread.
    pub fn from_row(index: ConsentIndex, body: &RecordBody) -> Result<Self, StoreError> {
        let ConsentIndex { key, subject, client_id, until } = index;
        let body: ConsentBody<'_> = body.read()?;
        let (scopes, metadata) = (body.scopes.into_owned(), body.metadata.into());
        Ok(Self { key, subject, client_id, scopes, metadata, until })
    }
}

#[cfg(test)]
mod tests;
