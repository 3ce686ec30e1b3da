//! What a schedule keeps in mind.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use core::time::Duration;
use tokio::task::Id;
use tokio::time::Instant;

use scope_stepup::WindowLimit;

use super::random::Random;

/// Processes that share a store.
pub(super) const PROCESSES: usize = 2;

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) saves_fail: bool,
    pub(super) loads_fail: bool,
    pub(super) servers_fail: bool,
    pub(super) grants_end: bool,
    pub(super) users_refuse: bool,
    pub(super) user_logs_in: bool,
    pub(super) user_logs_out: bool,
    pub(super) user_cancels: bool,
    /// Seconds for which an access token lasts.
    pub(super) lifetime: u64,
    pub(super) limit: WindowLimit,
}

/// The tokens of one answer.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) grant: usize,
    pub(super) scope: String,
    pub(super) until: Instant,
    /// In the order of their arrival; 0 while they are on their way.
    pub(super) arrived: u64,
    pub(super) by: usize,
}

/// A family of refresh tokens.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The number of the only refresh token that is good.
    pub(super) current: usize,
    pub(super) has_ended: bool,
    /// Nothing is owed any more: the user logged out, an answer was lost, or the store lost what replaced a token.
    pub(super) is_excused: bool,
}

/// A code that came back in a callback.
pub(super) struct Code {
    pub(super) scope: String,
    pub(super) process: usize,
    /// When its window opened.
    pub(super) since: u64,
    pub(super) is_sent: bool,
}

/// A task of a process that was seen outside.
#[derive(Clone, Copy)]
pub(super) struct Born(pub(super) u64);

#[derive(Default)]
pub(super) struct Process {
    /// Refresh tokens whose answers this process has seen.
    pub(super) spent: HashSet<usize>,
    /// Tokens that it knew when its user logged out.
    pub(super) forbidden: HashSet<usize>,
    pub(super) logouts: Vec<u64>,
    pub(super) cancellations: Vec<u64>,
    /// When windows opened.
    pub(super) windows: Vec<Instant>,
    /// Calls by which the user asked for a login: from when until when.
    pub(super) logins: Vec<(Instant, Option<Instant>)>,
    pub(super) is_open: bool,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) settings: Settings,
    /// Rises with everything that happens.
    pub(super) event: u64,
    /// Exchanges, looks at the store, turns and windows under way.
    pub(super) busy: usize,
    pub(super) grants: Vec<Grant>,
    pub(super) issued: Vec<Issued>,
    pub(super) codes: Vec<Code>,
    pub(super) clients: usize,
    pub(super) processes: [Process; PROCESSES],
    pub(super) tasks: HashMap<Id, Born>,
    /// When each process saved tokens last.
    pub(super) saved: [u64; PROCESSES],
    pub(super) log: Vec<String>,
    /// The first rule that was violated.
    pub(super) violated: Option<String>,
    pub(super) count: Counts,
}

/// How much of everything the schedules have met.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) windows: usize,
    pub(super) refreshes: usize,
    pub(super) ended: usize,
    pub(super) brought: usize,
    pub(super) failed_saves: usize,
    pub(super) too_many_windows: usize,
    pub(super) step_ups: usize,
    pub(super) quiet: usize,
}

impl core::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            refreshes: self.refreshes + other.refreshes,
            ended: self.ended + other.ended,
            brought: self.brought + other.brought,
            failed_saves: self.failed_saves + other.failed_saves,
            too_many_windows: self.too_many_windows + other.too_many_windows,
            step_ups: self.step_ups + other.step_ups,
            quiet: self.quiet + other.quiet,
        }
    }
}

pub(super) struct World(Mutex<State>);

/// Something under way.
pub(super) struct Busy(pub(super) std::sync::Arc<World>);

impl Busy {
    pub(super) fn new(world: &std::sync::Arc<World>) -> Self {
        world.lock().busy += 1;
        Self(std::sync::Arc::clone(world))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}

impl World {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        Self(Mutex::new(State {
            random: Random::new(seed),
            settings,
            event: 0,
            busy: 0,
            grants: Vec::new(),
            issued: Vec::new(),
            codes: Vec::new(),
            clients: 0,
            processes: Default::default(),
            tasks: HashMap::new(),
            saved: [0; PROCESSES],
            log: Vec::new(),
            violated: None,
            count: Counts::default(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the schedule says: not at all, for another task, or for some time.
    pub(super) async fn delay(&self) {
        let draw = self.lock().random.below(8);
        match draw {
            0..3 => {}
            3 => tokio::task::yield_now().await,
            _ => {
                let most = [20, 200, 2000, 15_000][usize::try_from(draw - 4).unwrap()];
                let wait = 1 + self.lock().random.below(most);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }
}
