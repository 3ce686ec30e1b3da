//! A store that takes answers back: as a copy on another machine does that is behind, once it takes the first one's
//! place. The contract finds it out.

use std::mem::take;
use std::sync::{Mutex, PoisonError};

use authorization_server::store::{
    CodeRecord, ConsentRecord, CreateOutcome, FamilyId, NewFamily, OnceKind, RedeemOutcome,
    RotateOutcome, Rotation, StoreError,
};
use authorization_server::store_contract::{
    Broken, the_last_answer_before_a_restart_holds, what_is_over_stays_over_after_a_restart,
};
use authorization_server::{ClientRecord, MemoryStore, Store, delegate_store};
use client_auth::Replay;
use futures::FutureExt as _;
use futures::executor::block_on;
use oauth_types::{ClientId, SecretDigest, Subject, UnixTime};

type Change = Box<dyn Fn(&MemoryStore) + Send>;

/// Answers from one copy, and sends its changes to another later.
#[derive(Default)]
struct Replicated {
    first: MemoryStore,
    changes: Mutex<Vec<Change>>,
}

impl Replicated {
    fn change<T>(&self, change: impl Fn(&MemoryStore) -> Option<T> + Clone + Send + 'static) -> T {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let again = change.clone();
        changes.push(Box::new(move |store| drop(again(store))));
        change(&self.first).unwrap()
    }

    /// The copy takes the place of the first one, before this many changes have come to it.
    fn fail_over(self, lost: usize) -> Self {
        let changes = take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let copy = Self::default();
        let kept = changes.len().saturating_sub(lost);
        for change in changes.into_iter().take(kept) {
            change(&copy.first);
            copy.changes.lock().unwrap().push(change);
        }
        copy
    }
}

impl Store for Replicated {
    delegate_store!(
        |store| store.first,
        except create_client, delete_client, insert_code, redeem, insert_family, rotate, revoke_family, revoke_subject,
            put_consent, put_once, sweep
    );

    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        self.change(move |store| store.create_client(client.clone(), now).now_or_never())
    }
    async fn delete_client(&self, id: &ClientId, now: UnixTime) -> Result<(), StoreError> {
        let id = id.clone();
        self.change(move |store| store.delete_client(&id, now).now_or_never())
    }
    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        self.change(move |store| store.insert_code(code.clone()).now_or_never())
    }
    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        let digest = *digest;
        self.change(move |store| store.redeem(&digest, family.clone(), now).now_or_never())
    }
    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        self.change(move |store| store.insert_family(family.clone(), now).now_or_never())
    }
    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        self.change(move |store| store.rotate(rotation.clone(), now).now_or_never())
    }
    async fn revoke_family(&self, family: &FamilyId, now: UnixTime) -> Result<(), StoreError> {
        let family = *family;
        self.change(move |store| store.revoke_family(&family, now).now_or_never())
    }
    async fn revoke_subject(
        &self,
        subject: &Subject,
        client_id: Option<&ClientId>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (subject, id) = (subject.clone(), client_id.cloned());
        self.change(move |store| store.revoke_subject(&subject, id.as_ref(), now).now_or_never())
    }
    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.change(move |store| store.put_consent(consent.clone()).now_or_never())
    }
    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        let key = *key;
        self.change(move |store| store.put_once(kind, &key, until, now).now_or_never())
    }
    async fn sweep(&self, now: UnixTime, max: usize) -> Result<usize, StoreError> {
        self.change(move |store| store.sweep(now, max).now_or_never())
    }
}

/// What each case of a store that is opened again finds.
fn judged(fail_over: impl Fn(Replicated) -> Replicated + Copy) -> [Result<(), Broken>; 2] {
    let over = what_is_over_stays_over_after_a_restart(Replicated::default(), async |store| {
        fail_over(store)
    });
    let last = the_last_answer_before_a_restart_holds(Replicated::default(), async |store| {
        fail_over(store)
    });
    [block_on(over), block_on(last)]
}

/// SEC-205
#[test]
fn a_store_that_takes_back_its_last_answers_is_found_out() {
    assert_eq!(judged(|store| store.fail_over(0)), [Ok(()), Ok(())], "a copy that is not behind");
    for lost in 1..=8 {
        for outcome in judged(|store| store.fail_over(lost)) {
            assert!(outcome.is_err(), "{lost} answers are lost, and nobody saw it");
        }
    }
}

/// SEC-205
#[test]
fn each_kind_of_answer_that_is_taken_back_is_found_out() {
    // A store that fails over once: after the first, the second, ... time that it is opened again.
    let mut found = Vec::new();
    for at in 0..5 {
        let opened = Mutex::new(0);
        let outcome = block_on(the_last_answer_before_a_restart_holds(
            Replicated::default(),
            async |store| {
                let mut opened = opened.lock().unwrap();
                *opened += 1;
                store.fail_over(usize::from(*opened == at + 1))
            },
        ));
        found.push(outcome.unwrap_err());
    }
    for (number, one) in found.iter().enumerate() {
        assert!(found.iter().skip(number + 1).all(|other| other != one), "{one}");
    }
}
