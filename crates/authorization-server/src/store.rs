//! What is stored, and the operations that change it: each one transaction, each answered by an outcome.
//!
//! There is no "find, then later consume": what happens exactly once is one operation with a precondition.
//! Only digests of codes, tokens and secrets are stored. Time is an argument.

mod body;
mod delegate;
mod once;
mod outcomes;
mod records;
pub mod rows;

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use client_auth::Replay;
use oauth_types::{ClientId, Issuer, SecretDigest, Subject, TokenFacts, UnixTime};

pub use once::OnceKind;
pub(crate) use once::SweepClock;
pub use outcomes::{CreateOutcome, RedeemOutcome, RotateOutcome};
pub use records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, FamilyId, FamilyRecord, Generation,
    NewAccess, NewFamily, Rotation,
};

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

/// Where an authorization server keeps what outlives a request.
///
/// Every method is one transaction: a crash leaves either all of it or nothing. An answer comes only after the
/// change is durable. Methods may be called from many tasks and, with a shared store, from many machines at
/// once. Texts are kept to the last byte, whatever is in them.
///
/// Whoever writes one proves it with the cases of the feature `store_contract`. A reference to a store and an
/// [`Arc`] of one are stores too; a wrapper that changes a few methods takes the rest from
/// [`delegate_store!`](crate::delegate_store!).
pub trait Store: Send + Sync {
    /// The client with this identifier, [forgotten](ClientRecord::is_forgotten) ones included.
    fn read_client(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<ClientRecord>, StoreError>> + Send;

    /// Stores a client whose identifier is not taken, if there is room: forgotten clients take none, once a
    /// [sweep](Self::sweep) would remove them. A full store notes the time as sweeps do, so that a clock that has just
    /// jumped ahead takes no client from those who come back to it.
    ///
    /// Clients that registered themselves and never got a token take at most half of the room
    /// ([`ClientRecord::max_unused`]). Where they have filled it, or where the whole store is full, the one of them
    /// that would be forgotten first makes room. No other client does.
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

    /// Marks a code as used if it is unused and has not expired, stores the family, and keeps its client for as long
    /// as the family may need it and [a time longer](NewFamily::client_needed_until). A store may leave
    /// [`unused_until`](ClientRecord::unused_until) as it is where that moves it by less than a day. If the code was
    /// used before, revokes the family that came from it: the caller has made sure that everything else about the
    /// request is right, so that nobody but the holder of the verifier can cause this.
    fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> impl Future<Output = Result<RedeemOutcome, StoreError>> + Send;

    /// Stores a family that no code stands for: of a client that acts for itself, or by an identity provider's word.
    /// Its client is kept as by [`redeem`](Self::redeem). A family that is stored already stays as it is.
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
        subject: &Subject,
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
    /// exactly one gets [`Replay::Fresh`]. A key whose time is over may be forgotten, because what it stands for has
    /// expired. But the clock by which it had may have run ahead, so each [kind](OnceKind) has a rule of its own for
    /// when it is forgotten, and for what was [seen](Replay::Seen) since.
    fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> impl Future<Output = Result<Replay, StoreError>> + Send;

    /// Removes at most `max` rows that have expired and that nothing needs any more, forgotten clients included;
    /// how many it removed, and 0 only when none is left. The host calls it beside requests, none of which waits for it.
    /// A family is needed to its last day and by every token of it that has not expired, a used code as long as its
    /// family. A forgotten client goes as late as [an answer](OnceKind) does, so that a clock that runs ahead for less
    /// takes no client from those who come back to it.
    fn sweep(
        &self,
        now: UnixTime,
        max: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
