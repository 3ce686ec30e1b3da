//! Single flight: a shared value with at most one renewal of a kind at a time.
//!
//! A caller whose value does not suffice passes the version that it has used. If a renewal has succeeded since, the
//! caller uses its value. If one is under way, the caller waits for its outcome. Otherwise the caller starts one, which
//! goes on when the caller is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use futures::channel::oneshot;
use futures::future::{FutureExt as _, Shared};

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared value with a version, and at most one renewal under way of each kind `K`.
pub(crate) struct Renewable<T, K, E>(Arc<Mutex<State<T, K, E>>>);

struct State<T, K, E> {
    value: T,
    /// Number of renewals that have ended, successful or not.
    version: u64,
    /// Latest successful renewals with their versions.
    ///
    /// One of each set of kinds that exclude each other.
    changes: Vec<(K, u64)>,
    under_way: Vec<(K, Landing<K, E>)>,
    /// Failures since the last success, with their versions and errors.
    ///
    /// One of each set of kinds that share their failures; of these, the latest [`MAX_FAILURES`].
    failures: VecDeque<(K, u64, E)>,
}

/// Maximum number of failures that are kept for late callers.
///
/// Kinds and errors may be large, and a server may have any number of operations. A caller whose failure has been
/// dropped tries again.
const MAX_FAILURES: usize = 32;

/// Outcome of a renewal; cancelled if its task was dropped before the end.
pub(crate) type Landing<K, E> = Shared<oneshot::Receiver<Result<(), (K, E)>>>;

/// Relations between kinds of renewals.
pub(crate) trait Kind: Clone + Send + Sync + 'static {
    /// Returns `true` if `self` has to wait for the end of `other`.
    fn excludes(&self, other: &Self) -> bool;
    /// Returns `true` if a failure of `other` makes a try of `self` pointless.
    fn shares_failure(&self, other: &Self) -> bool;
    /// Returns `true` if a success of `other` may have brought what `self` is for.
    fn is_helped_by(&self, other: &Self) -> bool;
}

/// Next action of a caller that needs a renewal.
pub(crate) enum Join<K: Clone, E: Clone> {
    /// Look at the value again: this renewal has changed it.
    Changed(K),
    /// Give up: a renewal has failed meanwhile, or may not begin.
    Failed(E),
    /// Wait for this renewal, then look again.
    Wait(K, Landing<K, E>),
}

impl<T, K: Kind, E: Clone> State<T, K, E> {
    /// Returns the renewal under way, or the latest outcome since the version `seen`.
    fn news(&self, seen: u64, kind: &K) -> Option<Join<K, E>> {
        if let Some((own, landing)) = self.under_way.iter().find(|(own, _)| kind.excludes(own)) {
            return Some(Join::Wait(own.clone(), landing.clone()));
        }
        let helps = |(own, at): &&(K, u64)| *at > seen && kind.is_helped_by(own);
        if let Some((own, _)) = self.changes.iter().find(helps) {
            return Some(Join::Changed(own.clone()));
        }
        // Failures of other kinds do not keep this one from being tried.
        let is_ours = |(own, at, _): &&(K, u64, E)| *at > seen && kind.shares_failure(own);
        let (.., error) = self.failures.iter().rev().find(is_ours)?;
        Some(Join::Failed(error.clone()))
    }

    /// Records the outcome of a renewal.
    ///
    /// This happens under one lock, so that a caller that has seen the new value does not wait for the renewal that
    /// brought it.
    fn landed(&mut self, kind: &K, landed: &Result<(), E>) {
        self.under_way.retain(|(own, _)| !kind.excludes(own));
        self.version += 1;
        match landed {
            Ok(()) => {
                self.changes.retain(|(own, _)| !own.excludes(kind));
                self.changes.push((kind.clone(), self.version));
                self.failures.clear();
            }
            Err(error) => {
                let is_same = |own: &K| own.shares_failure(kind) && kind.shares_failure(own);
                self.failures.retain(|(own, ..)| !is_same(own));
                if self.failures.len() >= MAX_FAILURES {
                    self.failures.pop_front();
                }
                self.failures.push_back((kind.clone(), self.version, error.clone()));
            }
        }
    }
}

impl<T, K, E> Clone for Renewable<T, K, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, K, E> Renewable<T, K, E>
where
    T: Send + 'static,
    K: Kind,
    E: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(value: T) -> Self {
        let state = State {
            value,
            version: 0,
            changes: Vec::new(),
            under_way: Vec::new(),
            failures: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State<T, K, E>> {
        // Every change under the lock is complete, so the value of a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives access to the value and its version under the lock, without a renewal.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut T, u64) -> R) -> R {
        let mut state = self.lock();
        let State { value, version, .. } = &mut *state;
        look(value, *version)
    }

    /// Returns the news since the version `seen`; `None` if the caller has to renew.
    pub(crate) fn news(&self, seen: u64, kind: &K) -> Option<Join<K, E>> {
        self.lock().news(seen, kind)
    }

    /// Joins a renewal under way, or starts the work that `begin` makes of the value.
    ///
    /// If `begin` refuses, its error is returned. `land` applies the outcome of the work to the value, and returns
    /// whether the renewal succeeded.
    pub(crate) fn renew<W, O>(
        &self,
        seen: u64,
        kind: K,
        begin: impl FnOnce(&T) -> Result<W, E>,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
        land: impl FnOnce(&mut T, O) -> Result<(), E> + Send + 'static,
    ) -> Join<K, E>
    where
        W: Future<Output = O> + Send + 'static,
        O: Send,
    {
        let mut state = self.lock();
        if let Some(news) = state.news(seen, &kind) {
            return news;
        }
        let work = match begin(&state.value) {
            Ok(work) => work,
            Err(error) => return Join::Failed(error),
        };
        let (sender, receiver) = oneshot::channel();
        let landing = receiver.shared();
        state.under_way.push((kind.clone(), landing.clone()));
        drop(state);
        let flight = Flight { own: self.clone(), kind: kind.clone(), sender: Some(sender) };
        spawn(Box::pin(async move {
            let outcome = work.await;
            flight.land(|value| land(value, outcome));
        }));
        Join::Wait(kind, landing)
    }
}

/// Renewal under way.
///
/// A dropped one is removed before its waiters are woken, so that the first of them can start another.
struct Flight<T, K: Kind, E> {
    own: Renewable<T, K, E>,
    kind: K,
    /// Channel to the waiters; `None` once the outcome is applied.
    sender: Option<oneshot::Sender<Result<(), (K, E)>>>,
}

impl<T, K, E> Flight<T, K, E>
where
    T: Send + 'static,
    K: Kind,
    E: Clone + Send + Sync + 'static,
{
    fn land(mut self, land: impl FnOnce(&mut T) -> Result<(), E>) {
        let mut state = self.own.lock();
        let landed = land(&mut state.value);
        state.landed(&self.kind, &landed);
        drop(state);
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(landed.map_err(|error| (self.kind.clone(), error)));
        }
    }
}

impl<T, K: Kind, E> Drop for Flight<T, K, E> {
    fn drop(&mut self) {
        if self.sender.is_some() {
            let mut state = self.own.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.under_way.retain(|(own, _)| !self.kind.excludes(own));
        }
    }
}
