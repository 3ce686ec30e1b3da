//! A store that tells what it was given, and in which everybody of a crowd has looked before anybody changes anything.
//! Whoever redeems or refreshes can be cut off right before the change, and right after it.

use core::future::poll_fn;
use core::task::Poll;
use std::sync::{Arc, Barrier, Mutex};

use authorization_server::store::{
    AccessRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, NewFamily, OnceKind,
    RedeemOutcome, RotateOutcome, Rotation, StoreError,
};
use authorization_server::{ClientRecord, Config, MemoryStore, Store, delegate_store};
use client_auth::Replay;
use oauth_types::{SecretDigest, UnixTime};
use serde_json::{Value, json};

use crate::server::*;

/// What became of codes and refresh tokens, in the order in which the store answered.
#[derive(Default)]
pub(crate) struct Seen {
    /// All that was to be stored or looked up, as JSON.
    pub(crate) given: Vec<String>,
    /// The families that codes were to be redeemed for.
    pub(crate) redeemed: Vec<(FamilyId, RedeemOutcome)>,
    pub(crate) rotated: Vec<RotateOutcome>,
}

pub(crate) struct Watched {
    inner: MemoryStore,
    redeemers: Barrier,
    rotators: Barrier,
    seen: Mutex<Seen>,
}

impl Watched {
    /// A server on such a store: so many redeem at once, and so many refresh, each in a thread of its own.
    pub(crate) fn server(
        config: Config,
        (redeemers, rotators): (usize, usize),
    ) -> (Server<Self>, Arc<Self>) {
        let watched = Arc::new(Self {
            inner: MemoryStore::default(),
            redeemers: Barrier::new(redeemers),
            rotators: Barrier::new(rotators),
            seen: Mutex::default(),
        });
        (server_on(&watched, config), watched)
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
    }

    fn given(&self, what: &Value) {
        self.note(|seen| seen.given.push(what.to_string()));
    }
}

/// Is pending once: whoever polls may give up here.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Store for Watched {
    delegate_store!(
        |store| store.inner,
        except create_client, insert_code, read_code, redeem, insert_family, rotate, read_consent, put_consent, access,
            put_once
    );

    async fn create_client(
        &self,
        client: ClientRecord,
        now: UnixTime,
    ) -> Result<CreateOutcome, StoreError> {
        self.given(&json!(client));
        self.inner.create_client(client, now).await
    }

    async fn insert_code(&self, code: CodeRecord) -> Result<(), StoreError> {
        self.given(&json!(code));
        self.inner.insert_code(code).await
    }

    async fn read_code(&self, digest: &SecretDigest) -> Result<Option<CodeRecord>, StoreError> {
        self.given(&json!(digest));
        self.inner.read_code(digest).await
    }

    async fn redeem(
        &self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
    ) -> Result<RedeemOutcome, StoreError> {
        self.redeemers.wait();
        self.given(&json!([digest, family]));
        let id = family.id;
        yield_now().await;
        let outcome = self.inner.redeem(digest, family, now).await?;
        yield_now().await;
        self.note(|seen| seen.redeemed.push((id, outcome)));
        Ok(outcome)
    }

    async fn insert_family(&self, family: NewFamily, now: UnixTime) -> Result<(), StoreError> {
        self.given(&json!(family));
        self.inner.insert_family(family, now).await
    }

    async fn rotate(&self, rotation: Rotation, now: UnixTime) -> Result<RotateOutcome, StoreError> {
        self.rotators.wait();
        self.given(&json!([rotation.family, rotation.presented, rotation.access]));
        yield_now().await;
        let outcome = self.inner.rotate(rotation, now).await?;
        yield_now().await;
        self.note(|seen| seen.rotated.push(outcome));
        Ok(outcome)
    }

    async fn read_consent(&self, key: &SecretDigest) -> Result<Option<ConsentRecord>, StoreError> {
        self.given(&json!(key));
        self.inner.read_consent(key).await
    }

    async fn put_consent(&self, consent: ConsentRecord) -> Result<(), StoreError> {
        self.given(&json!(consent));
        self.inner.put_consent(consent).await
    }

    async fn access(
        &self,
        digest: &SecretDigest,
        now: UnixTime,
    ) -> Result<Option<AccessRecord>, StoreError> {
        self.given(&json!(digest));
        self.inner.access(digest, now).await
    }

    async fn put_once(
        &self,
        kind: OnceKind,
        key: &SecretDigest,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Replay, StoreError> {
        self.given(&json!(key));
        self.inner.put_once(kind, key, until, now).await
    }
}
