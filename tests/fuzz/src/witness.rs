//! A store that fails when it is told to, and a model beside it that is shown each change.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use arbitrary::Arbitrary;
use authorization_server::store::{
    AccessRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord, NewAccess,
    NewFamily, OnceKind, RedeemOutcome, RotateOutcome, Rotation, StoreError,
};
use authorization_server::{ClientRecord, MemoryStore, Store};
use client_auth::Replay;
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};

/// The call that fails, counted from the next one, and whether it does so before the change or after it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Fault {
    pub after: u8,
    pub is_committed: bool,
}

/// What came of the code that a user agreed to.
#[derive(Clone, Debug)]
pub struct Family {
    pub code: SecretDigest,
    pub new: NewFamily,
    pub generation: u64,
    pub rotated_at: UnixTime,
    pub idle_until: UnixTime,
    pub is_revoked: bool,
}

#[derive(Default)]
pub struct Model {
    pub codes: BTreeMap<SecretDigest, CodeRecord>,
    pub families: BTreeMap<FamilyId, Family>,
    used: BTreeMap<SecretDigest, FamilyId>,
    /// The family that got an access token since this was asked for last, and that token.
    pub issued: Option<(FamilyId, NewAccess)>,
    /// Whether a call failed since this was asked for last.
    pub has_failed: bool,
    fault: Option<Fault>,
}

/// The memory store, watched.
#[derive(Default)]
pub struct Witness {
    inner: MemoryStore,
    model: Mutex<Model>,
}

/// What a future is worth that waits for nothing.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

impl Witness {
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// Forgets what came of the last request, and makes one call of the next fail.
    pub fn expect(&self, fault: Option<Fault>) {
        let mut model = self.model();
        // No request makes more calls than four.
        model.fault = fault.map(|fault| Fault { after: fault.after % 4, ..fault });
        model.issued = None;
        model.has_failed = false;
    }

    /// What is known about an access token, whatever fails.
    pub fn row(&self, token: &SecretDigest, at: UnixTime) -> Option<AccessRecord> {
        now(self.inner.access(token, at)).unwrap()
    }

    /// The store has what the model has, unless it is swept away.
    pub fn agrees(&self) {
        for (id, own) in &self.model().families {
            let Some(stored) = now(self.inner.read_family(id)).unwrap() else { continue };
            assert_eq!(stored.revoked, own.is_revoked, "I3: revoked for one of both");
            assert_eq!(stored.generation.get(), own.generation, "I2: another live generation");
        }
    }

    async fn call<T>(
        &self,
        change: impl Future<Output = Result<T, StoreError>>,
        note: impl FnOnce(&mut Model, &T),
    ) -> Result<T, StoreError> {
        let strikes = self.model().strikes();
        if strikes == Some(false) {
            return Err(StoreError::Unavailable);
        }
        let outcome = change.await?;
        note(&mut self.model(), &outcome);
        if strikes == Some(true) { Err(StoreError::UnknownOutcome) } else { Ok(outcome) }
    }
}

impl Model {
    /// Whether this call fails, and after its change.
    fn strikes(&mut self) -> Option<bool> {
        let fault = self.fault.as_mut()?;
        if let Some(rest) = fault.after.checked_sub(1) {
            fault.after = rest;
            return None;
        }
        let is_committed = fault.is_committed;
        self.fault = None;
        self.has_failed = true;
        Some(is_committed)
    }

    fn redeemed(
        &mut self,
        digest: &SecretDigest,
        new: NewFamily,
        at: UnixTime,
        outcome: RedeemOutcome,
    ) {
        match outcome {
            RedeemOutcome::Redeemed => {
                let before = self.used.insert(*digest, new.id);
                assert!(before.is_none(), "I1: a second family of one code");
                let code = self.codes.get(digest).expect("I4: tokens of no code");
                assert!(at < code.expires_at, "an expired code was redeemed");
                let same = (&new.client_id, &new.subject, &new.resource)
                    == (&code.client_id, &code.subject, &code.resource);
                assert!(same, "I5: tokens for something else than was agreed to");
                assert!(!new.scopes.exceeds(&code.scopes), "I5: more than was agreed to");
                assert!(!new.access.scopes.exceeds(&code.scopes), "I5: more than was agreed to");
                self.issued = Some((new.id, new.access.clone()));
                let family = Family {
                    code: *digest,
                    generation: 0,
                    rotated_at: at,
                    idle_until: new.idle_until,
                    is_revoked: false,
                    new,
                };
                let id = family.new.id;
                assert!(self.families.insert(id, family).is_none(), "I1: a family twice");
            }
            RedeemOutcome::AlreadyUsed(id) => {
                assert_eq!(self.used.get(digest), Some(&id), "I1: it was another family");
                self.revoke(&id);
            }
            RedeemOutcome::Expired => {
                assert!(self.codes.get(digest).is_some_and(|code| at >= code.expires_at));
            }
            RedeemOutcome::Missing => {}
            _ => panic!("the model knows no {outcome:?}"),
        }
    }

    fn rotated(&mut self, rotation: &Rotation, at: UnixTime, outcome: RotateOutcome) {
        let Some(family) = self.families.get_mut(&rotation.family) else {
            assert_eq!(outcome, RotateOutcome::Missing, "I4: tokens of no family");
            return;
        };
        let presented = rotation.presented.get();
        let is_over = at >= family.new.expires_at || at >= family.idle_until;
        match outcome {
            RotateOutcome::Rotated | RotateOutcome::GraceReplay => {
                assert!(!family.is_revoked, "I3: a revoked family gives tokens");
                assert!(!is_over, "an expired family gives tokens");
                let exceeds = rotation.access.scopes.exceeds(&family.new.scopes);
                assert!(!exceeds, "I5: more than was agreed to");
                if outcome == RotateOutcome::Rotated {
                    assert_eq!(presented, family.generation, "I2: two live generations");
                    family.generation += 1;
                    family.rotated_at = at;
                    family.idle_until = rotation.idle_until;
                } else {
                    assert_eq!(presented + 1, family.generation, "I2: two live generations");
                    let age = at.saturating_duration_since(family.rotated_at);
                    assert!(age < rotation.grace, "I2: an old generation after its grace");
                }
                self.issued = Some((rotation.family, rotation.access.clone()));
            }
            RotateOutcome::Reused => {
                assert!(presented < family.generation, "the live generation is no reuse");
                family.is_revoked = true;
            }
            RotateOutcome::Revoked => assert!(family.is_revoked),
            RotateOutcome::Expired => assert!(is_over),
            RotateOutcome::Missing => assert!(at >= family.new.expires_at, "it was swept early"),
            _ => panic!("the model knows no {outcome:?}"),
        }
    }

    fn shown(&self, token: &SecretDigest, at: UnixTime, row: &AccessRecord) {
        let family = self.families.get(&row.family).expect("I4: a token of no family");
        assert!(!family.is_revoked, "I3: a token of a revoked family works");
        assert!(at < row.expires_at, "an expired token works");
        assert!(!row.scopes.exceeds(&family.new.scopes), "I5: more than was agreed to");
        let same = (&row.client_id, &row.subject, &row.resource)
            == (&family.new.client_id, &family.new.subject, &family.new.resource);
        assert!(same, "I5: {token:?} is for something else than was agreed to");
    }

    fn revoke(&mut self, id: &FamilyId) {
        if let Some(family) = self.families.get_mut(id) {
            family.is_revoked = true;
        }
    }

    /// Everything of this client, or of this user with it.
    fn revoke_all(&mut self, client: Option<&ClientId>, subject: Option<&Subject>) {
        let is_meant = |own: &ClientId, user: &Subject| {
            client.is_none_or(|client| client == own) && subject.is_none_or(|own| own == user)
        };
        self.codes.retain(|_, code| !is_meant(&code.client_id, &code.subject));
        for family in self.families.values_mut() {
            family.is_revoked |= is_meant(&family.new.client_id, &family.new.subject);
        }
    }
}

impl Store for Witness {
    async fn read_client(&self, id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        self.call(self.inner.read_client(id), |_, _| {}).await
    }

    async fn create_client(
        &self,
        client: ClientRecord,
        at: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        self.call(self.inner.create_client(client, at), |_, _| {}).await
    }

    async fn delete_client(&self, id: &ClientId, at: UnixTime) -> Result<(), StoreError> {
        let note = |model: &mut Model, (): &()| model.revoke_all(Some(id), None);
        self.call(self.inner.delete_client(id, at), note).await
    }

    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        let copy = code.clone();
        let note = |model: &mut Model, (): &()| drop(model.codes.insert(copy.digest, copy));
        self.call(self.inner.insert_code(code), note).await
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        self.call(self.inner.read_code(digest), |_, _| {}).await
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        at: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let copy = family.clone();
        let note = |model: &mut Model, outcome: &RedeemOutcome| {
            model.redeemed(digest, copy, at, *outcome);
        };
        self.call(self.inner.redeem(digest, family, at), note).await
    }

    async fn insert_family(&self, family: NewFamily, at: UnixTime) -> Result<(), StoreError> {
        let note = |_: &mut Model, (): &()| panic!("I4: a family of no code");
        self.call(self.inner.insert_family(family, at), note).await
    }

    async fn read_family(&self, family: &FamilyId) -> Result<Option<FamilyRecord>, StoreError> {
        self.call(self.inner.read_family(family), |_, _| {}).await
    }

    async fn rotate(&self, rotation: Rotation, at: UnixTime) -> Result<RotateOutcome, StoreError> {
        let copy = rotation.clone();
        let note = |model: &mut Model, outcome: &RotateOutcome| model.rotated(&copy, at, *outcome);
        self.call(self.inner.rotate(rotation, at), note).await
    }

    async fn revoke_family(&self, family: &FamilyId, at: UnixTime) -> Result<(), StoreError> {
        let note = |model: &mut Model, (): &()| model.revoke(family);
        self.call(self.inner.revoke_family(family, at), note).await
    }

    async fn revoke_subject(
        &self,
        subject: &Subject,
        client: Option<&ClientId>,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        let note = |model: &mut Model, (): &()| model.revoke_all(client, Some(subject));
        self.call(self.inner.revoke_subject(subject, client, at), note).await
    }

    async fn access(
        &self,
        token: &SecretDigest,
        at: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        let note = |model: &mut Model, row: &Option<AccessRecord>| {
            if let Some(row) = row {
                model.shown(token, at, row);
            }
        };
        self.call(self.inner.access(token, at), note).await
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        self.call(self.inner.read_consent(key), |_, _| {}).await
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.call(self.inner.put_consent(consent), |_, ()| {}).await
    }

    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        at: UnixTime,
    ) -> Result<Replay, StoreError> {
        self.call(self.inner.put_once(kind, key, until, at), |_, _| {}).await
    }

    async fn sweep(&self, at: UnixTime, max: usize) -> Result<usize, StoreError> {
        self.call(self.inner.sweep(at, max), |_, _| {}).await
    }
}
