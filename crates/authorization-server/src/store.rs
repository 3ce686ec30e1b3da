//! Storage interface of the authorization server: the [`Store`] trait, its records and its outcomes.
//!
//! Every operation is one transaction with an outcome. Whatever may happen only once, such as the redemption of a code,
//! is one operation with a precondition, never a read and a later write. Only digests of codes, tokens and secrets are
//! stored. Time is an argument.

mod body;
mod delegate;
mod dyn_store;
mod family_id;
mod once;
mod outcomes;
mod records;
pub mod rows;

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use client_auth::Replay;
use oauth_types::{AccessTokenInfo, ClientId, Issuer, SecretDigest, Subject, UnixTime};

pub use dyn_store::DynStore;
pub use family_id::{FamilyId, Generation};
pub use once::OnceKind;
pub(crate) use once::SweepClock;
pub use outcomes::{CreateOutcome, RedeemOutcome, RotateOutcome};
pub use records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, FamilyRecord, NewAccess, NewFamily,
    Rotation,
};

/// Error of an operation of a [`Store`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The store changed nothing; the operation can be tried again.
    Unavailable,
    /// The change may or may not have been made. Repeating the same operation is safe.
    UnknownOutcome,
    /// The stored data cannot be read.
    Corrupt,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => {
                "the store is not available, and changed nothing: try again, and let the operator check the database \
                 if that lasts"
            }
            Self::UnknownOutcome => {
                "the store did not say whether it made the change: repeat the same operation, which is safe"
            }
            Self::Corrupt => {
                "what is stored cannot be read: the operator has to check the database, and to restore a backup if \
                 it is damaged"
            }
        })
    }
}

impl core::error::Error for StoreError {}

/// Storage for everything of an authorization server that outlives a request.
///
/// Every method is one transaction: after a crash, either all of it is stored or nothing. A method answers only after
/// its change is durable. Methods may be called from many tasks and, with a shared store, from many machines at once.
/// Texts are kept byte for byte, whatever they contain.
///
/// Test an implementation with the cases of the feature `store_contract`. References to a store and [`Arc`]s of one are
/// stores too, and a [`DynStore`] holds any. A wrapper that changes a few methods takes the others from
/// [`delegate_store!`](crate::delegate_store!).
pub trait Store: Send + Sync {
    /// Returns the client with this identifier, [forgotten](ClientRecord::is_forgotten) ones included.
    fn read_client(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<ClientRecord>, StoreError>> + Send;

    /// Stores a client, if its identifier is not taken and there is room.
    ///
    /// Forgotten clients take no room once a [sweep](Self::sweep) would remove them. A full store notes the time as
    /// sweeps do, so that a clock that has just jumped ahead removes no client whose users may return.
    ///
    /// Clients that registered themselves and never got a token take at most half of the room
    /// ([`ClientRecord::max_unused`]). If they have filled it, or if the whole store is full, the one of them that
    /// would be forgotten first is removed. Other clients stay.
    fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// Removes a client, if it is stored, with its codes and consents, and revokes all its families.
    ///
    /// For the operator. A client that is known by a client ID metadata document can come back.
    fn delete_client(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Stores an authorization code.
    ///
    /// A code has 256 random bits, so a digest that is stored already is that of the same code, which stays as it is,
    /// used or not.
    fn insert_code(&self, code: CodeRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the code with this digest, redeemed ones included.
    fn read_code(
        &self,
        digest: &SecretDigest,
    ) -> impl Future<Output = Result<Option<CodeRecord>, StoreError>> + Send;

    /// Redeems a code that is unused and has not expired: marks it as used and stores its family.
    ///
    /// The client is kept for as long as the family may need it and [a time longer](NewFamily::client_needed_until). A
    /// store may leave [`unused_until`](ClientRecord::unused_until) as it is where that moves it by less than a day.
    ///
    /// If the code was used before, the family that came from it is revoked (RFC 6749 §4.1.2). The caller has checked
    /// everything else about the request, so that only the holder of the code verifier can cause this.
    fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> impl Future<Output = Result<RedeemOutcome, StoreError>> + Send;

    /// Stores a family without a code: of the client credentials grant, or of an identity assertion.
    ///
    /// The client is kept as by [`redeem`](Self::redeem). A family that is stored already stays as it is.
    fn insert_family(
        &self,
        family: NewFamily,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the family with this identifier, revoked and expired ones included.
    fn read_family(
        &self,
        family: &FamilyId,
    ) -> impl Future<Output = Result<Option<FamilyRecord>, StoreError>> + Send;

    /// Advances a family by one generation, if the presented generation is the current one.
    ///
    /// Exactly one of many concurrent calls gets [`Rotated`](RotateOutcome::Rotated).
    fn rotate(
        &self,
        rotation: Rotation,
        now: UnixTime,
    ) -> impl Future<Output = Result<RotateOutcome, StoreError>> + Send;

    /// Revokes a family and all its tokens at once.
    fn revoke_family(
        &self,
        family: &FamilyId,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes a user's codes and consents, and revokes the user's families.
    ///
    /// With a client, only the entries of that client. For the operator's pages: a disabled user needs the call without
    /// a client, and a user's distrust of one application the call with it.
    fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the record of an access token that has not expired, unless its family is revoked.
    fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<AccessRecord>, StoreError>> + Send;

    /// Returns the facts about the token that [`access`](Self::access) finds.
    ///
    /// A resource server in the same process calls this for every request. A store that keeps its records in memory can
    /// share these facts, so that nothing is copied; other stores use this default.
    fn access_token_info(
        &self,
        digest: &SecretDigest,
        issuer: &Issuer,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Arc<AccessTokenInfo>>, StoreError>> + Send {
        async move {
            let record = self.access(digest, now).await?;
            Ok(record.map(|record| Arc::new(record.into_facts(issuer.clone()))))
        }
    }

    /// Returns the consent under this key, ended ones included.
    fn read_consent(
        &self,
        key: &SecretDigest,
    ) -> impl Future<Output = Result<Option<ConsentRecord>, StoreError>> + Send;

    /// Stores a consent, in place of the one under the same key.
    fn put_consent(
        &self,
        consent: ConsentRecord,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Remembers a key until a time, and returns whether it was seen before.
    ///
    /// Of many concurrent calls with one key, exactly one gets [`Replay::Fresh`]. A key may be forgotten when its time
    /// is over, because what it stands for has expired. The clock by which it expired may have run ahead, so each
    /// [kind](OnceKind) has its own rule for when a key is forgotten, and for which keys count as [seen](Replay::Seen)
    /// after that.
    fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> impl Future<Output = Result<Replay, StoreError>> + Send;

    /// Removes at most `max` expired rows that nothing needs any more, forgotten clients included.
    ///
    /// Returns the number of removed rows, 0 only if none is left. The host calls it beside requests, which must not
    /// wait for it. A family is needed until it has ended and all its tokens have expired, and a redeemed code for as
    /// long as its family. A forgotten client is removed as late as [an answer](OnceKind), so that a clock that runs
    /// ahead for less removes no client whose users may return.
    fn sweep(
        &self,
        now: UnixTime,
        max: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
