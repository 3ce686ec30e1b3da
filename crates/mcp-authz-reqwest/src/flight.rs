//! A shared value that is renewed by one at a time, however many ask.
//!
//! Whoever finds the value wanting says which version of it they used. If another has renewed it since, they use
//! that; if somebody is renewing it, they wait for the outcome; else they start. The work goes on when the one
//! who started it gives up.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use futures::channel::oneshot;
use futures::future::{FutureExt as _, Shared};

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A value with a version, and what is under way to renew it: at most one of each kind `K`.
pub(crate) struct Renewable<T, K, E>(Arc<Mutex<State<T, K, E>>>);

struct State<T, K, E> {
    value: T,
    /// Rises with every landing, whether it brought something or not.
    version: u64,
    /// What has brought something, and at which version: one each of those that exclude each other.
    changes: Vec<(K, u64)>,
    under_way: Vec<(K, Landing<K, E>)>,
    /// What has failed since something was brought, at which version and how: one each of those that share their
    /// failures, and of them the latest [`MAX_FAILURES`].
    failures: VecDeque<(K, u64, E)>,
}

/// Failures that are remembered for those who come late. Kinds and errors may be large, and as many as a server has
/// operations; a caller whose failure is forgotten tries again.
const MAX_FAILURES: usize = 32;

/// How a renewal ended; cancelled when it was torn down and never did.
pub(crate) type Landing<K, E> = Shared<oneshot::Receiver<Result<(), (K, E)>>>;

/// Two kinds of renewal that cannot be under way together, and whom a failure concerns.
pub(crate) trait Kind: Clone + Send + Sync + 'static {
    /// Whether `self` has to wait for `other`.
    fn excludes(&self, other: &Self) -> bool;
    /// Whether who wants `self` need not try when `other` has just failed.
    fn shares_failure(&self, other: &Self) -> bool;
    /// Whether who wants `self` has to look again when `other` has brought something.
    fn is_helped_by(&self, other: &Self) -> bool;
}

/// What to do for a renewal.
pub(crate) enum Join<K: Clone, E: Clone> {
    /// Look at the value again: it is another one, by this renewal.
    Changed(K),
    /// It was tried meanwhile and failed.
    Failed(E),
    /// Wait for this renewal, then look again.
    Wait(K, Landing<K, E>),
}

impl<T, K: Kind, E: Clone> State<T, K, E> {
    /// What has happened, or is about to, since that version was seen.
    fn news(&self, seen: u64, kind: &K) -> Option<Join<K, E>> {
        if let Some((own, landing)) = self.under_way.iter().find(|(own, _)| kind.excludes(own)) {
            return Some(Join::Wait(own.clone(), landing.clone()));
        }
        let helps = |(own, at): &&(K, u64)| *at > seen && kind.is_helped_by(own);
        if let Some((own, _)) = self.changes.iter().find(helps) {
            return Some(Join::Changed(own.clone()));
        }
        // Somebody else's failure is no reason not to try.
        let is_ours = |(own, at, _): &&(K, u64, E)| *at > seen && kind.shares_failure(own);
        let (.., error) = self.failures.iter().rev().find(is_ours)?;
        Some(Join::Failed(error.clone()))
    }

    /// Notes how a renewal has ended. In one go: who has seen what it brought does not wait for it.
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
        // No change is left half made, so a panic elsewhere carries no news.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the value, or changes it without renewing it. Nothing else happens meanwhile.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut T, u64) -> R) -> R {
        let mut state = self.lock();
        let State { value, version, .. } = &mut *state;
        look(value, *version)
    }

    /// What concerns one who wants this and has seen that version: nothing, when it is for them to act.
    pub(crate) fn news(&self, seen: u64, kind: &K) -> Option<Join<K, E>> {
        self.lock().news(seen, kind)
    }

    /// Joins what is under way, or starts what `begin` makes of the value, unless that refuses. `land` changes the
    /// value by the outcome of the work and says how it ended.
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

/// Work under way. Also when it is torn down it is so no longer, and another may start: before anybody hears.
struct Flight<T, K: Kind, E> {
    own: Renewable<T, K, E>,
    kind: K,
    /// `None` once it has landed.
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
