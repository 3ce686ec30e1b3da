//! Store that fails on request: at the next change, or at calls with given numbers.

use core::future::{pending, poll_fn};
use core::task::Poll;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use authorization_server::store::{
    AccessRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord, NewFamily,
    OnceKind, RedeemOutcome, RotateOutcome, Rotation, StoreError,
};
use authorization_server::{ClientRecord, MemoryStore, Store};
use client_auth::Replay;
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};

/// Way in which a store operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Failure before any change.
    Before,
    /// Failure after the change, which the caller cannot know of.
    After,
    /// Failure to read the stored data.
    Corrupt,
    /// Panic.
    Panic,
    /// Endless wait before any change.
    HangBefore,
    /// Endless wait after the change.
    HangAfter,
}

/// Changes that a store has made, even if it reported a failure.
#[derive(Clone, Default, Debug)]
pub struct Done {
    /// Number of redemptions of each code.
    pub redeemed: BTreeMap<SecretDigest, usize>,
    /// Number of rotations of each generation.
    pub rotated: BTreeMap<(FamilyId, u64), usize>,
    /// Families that were stored.
    pub families: Vec<FamilyId>,
}

/// Store, by default in memory, of which any call can be made to fail.
#[derive(Debug, Default)]
pub struct FaultyStore<S = MemoryStore> {
    inner: S,
    next: Mutex<Option<Fault>>,
    faults: Mutex<BTreeMap<usize, Fault>>,
    calls: AtomicUsize,
    pauses: AtomicBool,
    done: Mutex<Done>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Store> FaultyStore<S> {
    /// Creates a store whose calls with these numbers fail; the first is 0.
    pub fn new(inner: S, faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self {
            inner,
            next: Mutex::default(),
            faults: Mutex::new(faults.into_iter().collect()),
            calls: AtomicUsize::new(0),
            pauses: AtomicBool::new(false),
            done: Mutex::default(),
        }
    }

    /// Makes the next changing operation fail.
    pub fn fail_next(&self, fault: Fault) {
        *lock(&self.next) = Some(fault);
    }

    /// Makes every call wait for one more poll.
    ///
    /// A test then decides the order of calls.
    pub fn pause_before_calls(&self) {
        self.pauses.store(true, Ordering::SeqCst);
    }

    async fn pause(&self) {
        let mut is_polled = !self.pauses.load(Ordering::SeqCst);
        poll_fn(|_| {
            if std::mem::replace(&mut is_polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Returns the store inside, which does not fail.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns the changes so far.
    pub fn done(&self) -> Done {
        lock(&self.done).clone()
    }

    async fn read<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.pause().await;
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = lock(&self.faults).get(&number).copied();
        Self::run(fault, operation).await
    }

    async fn write<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.pause().await;
        let next = lock(&self.next).take();
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = next.or_else(|| lock(&self.faults).get(&number).copied());
        Self::run(fault, operation).await
    }

    async fn run<T>(
        fault: Option<Fault>,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match fault {
            None => operation.await,
            Some(Fault::Before) => Err(StoreError::Unavailable),
            Some(Fault::Corrupt) => Err(StoreError::Corrupt),
            #[expect(clippy::panic, reason = "what the store of somebody else may do")]
            Some(Fault::Panic) => panic!("canary: SELECT * FROM families"),
            Some(Fault::After) => operation.await.and(Err(StoreError::UnknownOutcome)),
            Some(Fault::HangBefore) => pending().await,
            Some(Fault::HangAfter) => {
                operation.await?;
                pending().await
            }
        }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    async fn read_client(&self, id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        self.read(self.inner.read_client(id)).await
    }
    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        self.write(self.inner.create_client(client, now)).await
    }
    async fn delete_client(&self, id: &ClientId, now: UnixTime) -> Result<(), StoreError> {
        self.write(self.inner.delete_client(id, now)).await
    }
    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        self.write(self.inner.insert_code(code)).await
    }
    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        self.read(self.inner.read_code(digest)).await
    }
    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let id = family.id;
        self.write(async {
            let outcome = self.inner.redeem(digest, family, now).await?;
            if outcome == RedeemOutcome::Redeemed {
                let mut done = lock(&self.done);
                *done.redeemed.entry(*digest).or_default() += 1;
                done.families.push(id);
            }
            Ok(outcome)
        })
        .await
    }
    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        let id = family.id;
        self.write(async {
            self.inner.insert_family(family, now).await?;
            lock(&self.done).families.push(id);
            Ok(())
        })
        .await
    }
    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        self.read(self.inner.read_family(family)).await
    }
    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        let spent = (rotation.family, rotation.presented.get());
        self.write(async {
            let outcome = self.inner.rotate(rotation, now).await?;
            if outcome == RotateOutcome::Rotated {
                *lock(&self.done).rotated.entry(spent).or_default() += 1;
            }
            Ok(outcome)
        })
        .await
    }
    async fn revoke_family(&self, family: &FamilyId, now: UnixTime) -> Result<(), StoreError> {
        self.write(self.inner.revoke_family(family, now)).await
    }
    async fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.write(self.inner.revoke_subject(subject, client_id, now)).await
    }
    async fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        self.read(self.inner.access(digest, now)).await
    }
    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        self.read(self.inner.read_consent(key)).await
    }
    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.write(self.inner.put_consent(consent)).await
    }
    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        self.write(self.inner.put_once(kind, key, until, now)).await
    }
    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        self.write(self.inner.sweep(now, max)).await
    }
}
