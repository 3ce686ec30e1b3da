//! A shared value that is renewed by one at a time, however many ask.
//!
//! Whoever finds the value wanting says which version of it they used. If another has renewed it since, they use
//! that; if somebody is renewing it, they wait for the outcome; else they start. The work goes on when the one
//! who started it gives up.

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
    /// The version that last brought something.
    changed: u64,
    under_way: Vec<(K, Landing<E>)>,
    /// How the last one ended, if it failed.
    failure: Option<(K, E)>,
}

/// `Err(None)` when the work was torn down and never ended.
type Landing<E> = Shared<oneshot::Receiver<Result<(), E>>>;

/// Two kinds of renewal that cannot be under way together, and whom a failure concerns.
pub(crate) trait Kind: Clone + Send + 'static {
    /// Whether `self` has to wait for `other`.
    fn excludes(&self, other: &Self) -> bool;
    /// Whether who wants `self` need not try when `other` has just failed.
    fn shares_failure(&self, other: &Self) -> bool;
}

/// What to do for a renewal.
pub(crate) enum Join<E> {
    /// Look at the value again: it is another one.
    Changed,
    /// It was tried meanwhile and failed.
    Failed(E),
    /// Wait, then look again.
    Wait(Landing<E>),
}

impl<T, K: Kind, E: Clone> State<T, K, E> {
    /// What has happened, or is about to, since that version was seen.
    fn news(&self, seen: u64, kind: &K) -> Option<Join<E>> {
        if let Some((_, landing)) = self.under_way.iter().find(|(own, _)| kind.excludes(own)) {
            return Some(Join::Wait(landing.clone()));
        }
        if self.changed > seen {
            return Some(Join::Changed);
        }
        // Somebody else's failure is no reason not to try.
        let is_ours = |own: &K| self.version > seen && kind.shares_failure(own);
        let (_, error) = self.failure.as_ref().filter(|(own, _)| is_ours(own))?;
        Some(Join::Failed(error.clone()))
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
        let state = State { value, version: 0, changed: 0, under_way: Vec::new(), failure: None };
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
    pub(crate) fn news(&self, seen: u64, kind: &K) -> Option<Join<E>> {
        self.lock().news(seen, kind)
    }

    /// Joins what is under way, or starts what `begin` makes of the value. `land` changes the value by the
    /// outcome of the work and says how it ended.
    pub(crate) fn renew<W, O>(
        &self,
        seen: u64,
        kind: K,
        begin: impl FnOnce(&mut T) -> Result<W, E>,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
        land: impl FnOnce(&mut T, O) -> Result<(), E> + Send + 'static,
    ) -> Join<E>
    where
        W: Future<Output = O> + Send + 'static,
        O: Send,
    {
        let mut state = self.lock();
        if let Some(news) = state.news(seen, &kind) {
            return news;
        }
        let work = match begin(&mut state.value) {
            Ok(work) => work,
            Err(error) => return Join::Failed(error),
        };
        let (sender, receiver) = oneshot::channel();
        let landing = receiver.shared();
        state.under_way.push((kind.clone(), landing.clone()));
        drop(state);
        let own = self.clone();
        let flight = Flight { own: self.clone(), kind: kind.clone() };
        spawn(Box::pin(async move {
            let outcome = work.await;
            let mut state = own.lock();
            let landed = land(&mut state.value, outcome);
            state.version += 1;
            if landed.is_ok() {
                state.changed = state.version;
            }
            state.failure = landed.as_ref().err().map(|error| (kind, error.clone()));
            drop(state);
            drop(flight);
            let _ = sender.send(landed);
        }));
        Join::Wait(landing)
    }
}

/// Work under way. Also when it is torn down it is so no longer, and another may start.
struct Flight<T, K: Kind, E> {
    own: Renewable<T, K, E>,
    kind: K,
}

impl<T, K: Kind, E> Drop for Flight<T, K, E> {
    fn drop(&mut self) {
        let mut state = self.own.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way.retain(|(own, _)| !self.kind.excludes(own));
    }
}
