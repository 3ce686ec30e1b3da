//! State of a schedule: settings, tokens, codes, and the events of each process.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use core::time::Duration;
use tokio::task::Id;
use tokio::time::Instant;

use scope_stepup::WindowLimit;

use super::random::Random;

/// Processes that share a store.
pub(super) const PROCESSES: usize = 2;

/// Failures and user actions that may occur in a schedule.
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
    /// Lifetime of access tokens, in seconds.
    pub(super) lifetime: u64,
    pub(super) limit: WindowLimit,
}

/// Tokens of one token response.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) grant: usize,
    pub(super) scope: String,
    pub(super) until: Instant,
    /// Event of their arrival; 0 while they are on their way.
    pub(super) arrived: u64,
    pub(super) by: usize,
}

/// Grant with its chain of refresh tokens.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// Number of the only valid refresh token.
    pub(super) current: usize,
    pub(super) has_ended: bool,
    /// `true` if the grant may be lost.
    ///
    /// The user logged out, a response was lost, or the store lost the replacement of a token.
    pub(super) is_excused: bool,
}

/// Authorization code of a callback.
pub(super) struct Code {
    pub(super) scope: String,
    pub(super) process: usize,
    /// Event at which its window opened.
    pub(super) since: u64,
    pub(super) is_sent: bool,
}

/// Event at which a task was first seen.
#[derive(Clone, Copy)]
pub(super) struct Born(pub(super) u64);

#[derive(Default)]
pub(super) struct Process {
    /// Refresh tokens whose responses this process has received.
    pub(super) spent: HashSet<usize>,
    /// Tokens that the process knew at a logout.
    pub(super) forbidden: HashSet<usize>,
    pub(super) logouts: Vec<u64>,
    pub(super) cancellations: Vec<u64>,
    /// Opening times of windows.
    pub(super) windows: Vec<Instant>,
    /// Start and end of each login that the user asked for.
    pub(super) logins: Vec<(Instant, Option<Instant>)>,
    pub(super) is_open: bool,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) settings: Settings,
    /// Number of events so far.
    pub(super) event: u64,
    /// Number of exchanges, store accesses, lock holders and windows.
    pub(super) busy: usize,
    pub(super) grants: Vec<Grant>,
    pub(super) issued: Vec<Issued>,
    pub(super) codes: Vec<Code>,
    pub(super) clients: usize,
    pub(super) processes: [Process; PROCESSES],
    pub(super) tasks: HashMap<Id, Born>,
    /// Event at which each process last saved tokens.
    pub(super) saved: [u64; PROCESSES],
    pub(super) log: Vec<String>,
    /// First violated rule.
    pub(super) violated: Option<String>,
    pub(super) count: Counts,
}

/// Counts of the events that schedules have met.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) windows: usize,
    pub(super) refreshes: usize,
    pub(super) ended: usize,
    pub(super) from_another_process: usize,
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
            from_another_process: self.from_another_process + other.from_another_process,
            failed_saves: self.failed_saves + other.failed_saves,
            too_many_windows: self.too_many_windows + other.too_many_windows,
            step_ups: self.step_ups + other.step_ups,
            quiet: self.quiet + other.quiet,
        }
    }
}

pub(super) struct World(Mutex<State>);

/// Work in progress, counted until it is dropped.
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

    /// Waits for a drawn delay: none, one turn of another task, or some time.
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
