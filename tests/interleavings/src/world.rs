//! Callers as `renewal` has them, and renewals whose end a test decides.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};

use crate::flight::{Join, Kind, Renewable};
use crate::sync::Arc;

/// What a renewal is to bring: the adapter's own, without what it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Refresh,
    Login,
    StepUp(u8),
}

impl Wanted {
    const fn needs_user(self) -> bool {
        !matches!(self, Self::Refresh)
    }

    const fn operation(self) -> Option<u8> {
        match self {
            Self::StepUp(operation) => Some(operation),
            Self::Refresh | Self::Login => None,
        }
    }
}

impl Kind for Wanted {
    fn excludes(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
    }

    fn is_helped_by(&self, other: &Self) -> bool {
        self.operation().is_none() || other.needs_user()
    }

    fn shares_failure(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
            && other.operation().is_none_or(|failed| self.operation() == Some(failed))
    }
}

/// Number of completed renewals of each kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) refreshes: usize,
    pub(crate) grants: usize,
}

/// End of a caller without the renewal that it wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// A renewal of this kind failed.
    Failed(Wanted),
    /// The awaited renewal was torn down.
    Stopped,
    /// No renewal that would have helped was running.
    NoNews,
}

/// What becomes of the work of the renewal that is the n-th to begin, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Lands,
    Fails,
    /// Another task tears it down, at any point or too late.
    TornDown,
    /// The runtime drops it instead of starting it.
    NeverStarted,
}

/// One value and those who want something of it. What a test looks at is mirrored behind `std`'s own locks, at
/// which nobody is interrupted: each scheduling point more multiplies the orders.
#[derive(Clone)]
pub(crate) struct World {
    shared: Arc<Shared>,
    /// Every task has a clone of it.
    running: Arc<oneshot::Sender<()>>,
}

struct Shared {
    value: Renewable<Held, Wanted, Wanted>,
    fate: fn(Wanted, usize) -> Fate,
    log: Mutex<Log>,
}

#[derive(Clone, Default)]
struct Log {
    version: u64,
    under_way: Vec<Wanted>,
    seen: Seen,
}

/// What there is to see of a world.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) held: Held,
    /// The renewals that were begun, in their order.
    pub(crate) begun: Vec<Wanted>,
    /// `true` if two renewals ran at the same time.
    pub(crate) had_two: bool,
    /// Ends of the callers that were not cancelled.
    pub(crate) ends: Vec<(Wanted, Result<(), End>)>,
}

/// Runs it to its end.
pub(crate) fn run(fate: fn(Wanted, usize) -> Fate, start: impl FnOnce(&World)) -> Seen {
    let (running, over) = oneshot::channel();
    let value = Renewable::new(Held::default());
    let shared = Arc::new(Shared { value, fate, log: Mutex::default() });
    let world = World { shared: Arc::clone(&shared), running: Arc::new(running) };
    start(&world);
    drop(world);
    let _cancelled = block_on(over);
    let value = shared.value.with(|held, version| (*held, version));
    let log = shared.log();
    assert_eq!(value, (log.seen.held, log.version));
    log.seen.clone()
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let running = Arc::clone(&self.running);
        spawn(async move {
            task.await;
            drop(running);
        })
    }

    /// A caller who renews until it is enough, and again where what it waited for was torn down.
    pub(crate) fn caller(
        &self,
        wanted: Wanted,
        is_enough: impl Fn(Held) -> bool + Send + Sync + 'static,
    ) -> JoinHandle<()> {
        let world = self.clone();
        self.spawn(async move {
            let mut stops = 0;
            let end = loop {
                match world.want(wanted, &is_enough).await {
                    Err(End::Stopped) if stops == 0 => stops += 1,
                    end => break end,
                }
            };
            world.shared.log().seen.ends.push((wanted, end));
        })
    }

    /// A caller who has seen the first version, however late it comes.
    pub(crate) fn early_caller(&self, wanted: Wanted) {
        let world = self.clone();
        drop(self.spawn(async move {
            let end = world.renew(0, wanted).await;
            world.shared.log().seen.ends.push((wanted, end));
        }));
    }

    /// One who has nothing left to try and hopes for others: the loop of `Renewal::unless_news`.
    pub(crate) fn bystander(&self, wanted: Wanted) {
        let world = self.clone();
        drop(self.spawn(async move {
            let mut waits = 0;
            let end = loop {
                match world.shared.value.news(0, &wanted) {
                    Some(Join::Changed(_)) => break Ok(()),
                    Some(Join::Failed(by)) => break Err(End::Failed(by)),
                    Some(Join::Wait(_, landing)) => drop(landing.await),
                    None => break Err(End::NoNews),
                }
                waits += 1;
                assert!(waits <= world.shared.log().seen.begun.len(), "one end was heard of twice");
            };
            world.shared.log().seen.ends.push((wanted, end));
        }));
    }

    /// Gives a task up, at any point or too late.
    pub(crate) fn give_up(&self, task: &JoinHandle<()>) {
        let handle = task.abort_handle();
        drop(self.spawn(async move { handle.abort() }));
    }

    async fn want(&self, wanted: Wanted, is_enough: impl Fn(Held) -> bool) -> Result<(), End> {
        let mut seen = None;
        loop {
            let (held, version) = {
                let log = self.shared.log();
                (log.seen.held, log.version)
            };
            if is_enough(held) {
                return Ok(());
            }
            assert!(seen.is_none_or(|seen| version > seen), "sent back to what was not enough");
            seen = Some(version);
            self.renew(version, wanted).await?;
        }
    }

    /// The loop of `Renewal::renew`.
    async fn renew(&self, seen: u64, wanted: Wanted) -> Result<(), End> {
        loop {
            match self.join(seen, wanted) {
                Join::Changed(_) => return Ok(()),
                Join::Failed(by) => return Err(End::Failed(by)),
                Join::Wait(_, landing) => match landing.await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err((own, by))) if wanted.shares_failure(&own) => {
                        return Err(End::Failed(by));
                    }
                    Ok(Err(_)) => {}
                    Err(_) => return Err(End::Stopped),
                },
            }
        }
    }

    fn join(&self, seen: u64, wanted: Wanted) -> Join<Wanted, Wanted> {
        let fate = Cell::new(Fate::Lands);
        let begin = |_: &Held| {
            let fated = (self.shared.fate)(wanted, self.shared.log().seen.begun.len());
            fate.set(fated);
            let under_way = UnderWay::new(self, wanted);
            Ok(async move {
                if fated == Fate::TornDown {
                    yield_now().await;
                }
                drop(under_way);
                if fated == Fate::Fails { Err(wanted) } else { Ok(()) }
            })
        };
        let start = |work| match fate.get() {
            Fate::NeverStarted => drop(work),
            Fate::TornDown => self.give_up(&self.spawn(work)),
            Fate::Lands | Fate::Fails => drop(self.spawn(work)),
        };
        let shared = Arc::clone(&self.shared);
        let land = move |held: &mut Held, outcome: Result<(), Wanted>| {
            if outcome.is_ok() {
                let landed =
                    if wanted.needs_user() { &mut held.grants } else { &mut held.refreshes };
                *landed += 1;
            }
            let mut log = shared.log();
            (log.seen.held, log.version) = (*held, log.version + 1);
            outcome
        };
        self.shared.value.renew(seen, wanted, begin, start, land)
    }
}

/// Work that has begun and was neither done nor dropped.
struct UnderWay(World, Wanted);

impl UnderWay {
    fn new(world: &World, wanted: Wanted) -> Self {
        let mut log = world.shared.log();
        let is_alone = !log.under_way.iter().any(|other| wanted.excludes(other));
        assert!(is_alone, "{wanted:?} begun beside {:?}", log.under_way);
        log.seen.begun.push(wanted);
        log.under_way.push(wanted);
        log.seen.had_two |= log.under_way.len() > 1;
        Self(world.clone(), wanted)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.shared.log().under_way.retain(|own| *own != self.1);
    }
}
