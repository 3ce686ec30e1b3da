//! Model of renewals: two processes with one store, in schedules drawn from seeds.
//!
//! Each process has several callers and a user. Servers, store and user fail in every way. The time is tokio's, which
//! advances only while all tasks wait, so a schedule takes milliseconds and one seed always leads to one schedule. The
//! rules that must hold are the table in `rules.rs`.

mod random;
mod rules;
mod service;
mod store;
mod user;
mod world;

use core::time::Duration;
use std::sync::Arc;

use client_flow::ClientConfig;
use mcp_authz_http::GuardedClient;
use oauth_types::{RedirectUri, ResourceUri, UnixTime};
use scope_stepup::{Policy, WindowLimit};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Credentials, Login, Renewal};
use crate::client::AuthorizedClient;
use crate::clock::MODEL;
use crate::error::Error;
use crate::store::{CredentialStore as _, MemoryCredentials};
use random::Random;
use service::{SERVER, http_client};
use store::{Store, held};
use user::User;
use world::{Counts, PROCESSES, Settings, World};

/// Both processes with their shared store and server.
struct Schedule {
    world: Arc<World>,
    stored: Arc<MemoryCredentials>,
    server: ResourceUri,
    processes: [(AuthorizedClient, Renewal); PROCESSES],
}

impl Schedule {
    fn new(seed: u64, settings: Settings, inner: &GuardedClient) -> Self {
        let world = Arc::new(World::new(seed, settings));
        let stored = Arc::new(MemoryCredentials::default());
        let server = ResourceUri::canonical(SERVER).unwrap();
        let processes = [0, 1].map(|process| client(&world, &stored, &server, process, inner));
        Self { world, stored, server, processes }
    }

    /// Returns the numbers of the tokens in the memory of these processes.
    fn in_memory(&self, by: core::ops::Range<usize>) -> Vec<usize> {
        let sessions = self.processes[by].iter().filter_map(|(_, own)| {
            let session = own.holdings.with(|own, _| own.session.clone())?;
            held(&session.to_record())
        });
        sessions.collect()
    }

    /// Returns the numbers of the tokens in these processes' memory or in the store.
    async fn held(&self, by: core::ops::Range<usize>) -> Vec<usize> {
        let mut all = self.in_memory(by);
        let stored = self.stored.records(&self.server).await.unwrap();
        all.extend(stored.iter().filter_map(held));
        all
    }

    /// Waits until nothing is under way.
    async fn settles(&self) {
        loop {
            sleep(Duration::from_millis(5)).await;
            if self.world.lock().busy == 0 {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

fn client(
    world: &Arc<World>,
    stored: &Arc<MemoryCredentials>,
    server: &ResourceUri,
    process: usize,
    inner: &GuardedClient,
) -> (AuthorizedClient, Renewal) {
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
    let config = ClientConfig::new("Test", redirect_uri.clone());
    let user = User { world: Arc::clone(world), process, redirect_uri };
    let store = Store { world: Arc::clone(world), process, stored: Arc::clone(stored) };
    let login =
        Login { config, agent: Some(Box::new(user)), identity: None, store: Box::new(store) };
    let policy = Policy::default().with_window_limit(world.lock().settings.limit);
    let http = http_client(world, process, inner);
    let credentials = Credentials::Login(Box::new(login));
    let renewal = Renewal::new(http.clone(), server.clone(), credentials, policy);
    let deadline = AuthorizedClient::RESPONSE_DEADLINE;
    (AuthorizedClient::of(http, server.clone(), renewal.clone(), deadline), renewal)
}

/// Action of a caller or user.
#[derive(Clone, Copy, Debug)]
enum Action {
    Call(&'static str),
    LogIn,
    LogOut { forgets: bool },
    Cancel,
    Flush,
}

impl Action {
    fn draw(random: &mut Random, settings: Settings) -> Self {
        match random.below(16) {
            0 if settings.user_logs_out => Self::LogOut { forgets: random.once_in(3) },
            1 if settings.user_cancels => Self::Cancel,
            2 if settings.user_logs_in => Self::LogIn,
            3 => Self::Flush,
            draw => Self::Call(["read", "read", "write", "erase"][(draw % 4) as usize]),
        }
    }

    async fn run(self, schedule: &Schedule, process: usize) {
        let (world, client) = (&schedule.world, &schedule.processes[process].0);
        let outcome = match self {
            Self::Call(tool) => {
                let since = world.lock().note(process, &format!("wants {tool}"));
                let body = json!({"method": "tools/call", "params": {"name": tool}}).to_string();
                let call = client.execute(client.post(SERVER).body(body).build().unwrap());
                let outcome = timeout(Duration::from_secs(7200), call).await;
                let mut own = world.lock();
                own.note(process, &format!("{tool}: {outcome:?}"));
                match outcome {
                    Err(_) => own.violated("a call does not end"),
                    Ok(Err(Error::LoginEnded)) => own.heard_of_the_end(process, since),
                    Ok(Err(Error::TooManyWindows(_))) => own.count.too_many_windows += 1,
                    Ok(Err(Error::RetryLimitReached | Error::Stopped | Error::Panicked)) => {
                        own.violated("a call ends in a way that has no cause");
                    }
                    Ok(_) => {}
                }
                return;
            }
            Self::LogIn => {
                let (since, login) = {
                    let mut own = world.lock();
                    let login = own.login_begins(process);
                    (own.note(process, "wants to log in"), login)
                };
                let outcome = timeout(Duration::from_secs(7200), client.log_in()).await;
                let mut own = world.lock();
                own.login_ends(process, login);
                match &outcome {
                    Err(_) => own.violated("a login does not end"),
                    Ok(Err(Error::LoginEnded)) => own.heard_of_the_end(process, since),
                    _ => {}
                }
                outcome.unwrap_or(Ok(()))
            }
            Self::LogOut { forgets } => {
                let own = process..process + 1;
                // Logins of the other process are unknown while the store cannot be read, and stay (`end.rs`).
                let loads_fail = world.lock().settings.loads_fail;
                let known =
                    if loads_fail { schedule.in_memory(own) } else { schedule.held(own).await };
                world.lock().log_out(process, &known);
                if forgets { client.forget().await } else { client.log_out().await }
            }
            Self::Cancel => {
                world.lock().cancel(process);
                client.cancel_login();
                Ok(())
            }
            Self::Flush => {
                let outcome = client.flush().await;
                if matches!(outcome, Err(Error::Flow(_))) {
                    world.lock().violated("a flush ends by a failure that is not the store's");
                }
                outcome
            }
        };
        world.lock().note(process, &format!("{self:?}: {outcome:?}"));
    }
}

/// Runs a schedule of four phases.
async fn run(schedule: Arc<Schedule>) {
    for _ in 0..4 {
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        let actions = 1 + schedule.world.lock().random.below(6);
        for _ in 0..actions {
            let (process, action, wait, cancelled) = {
                let mut own = schedule.world.lock();
                let settings = own.settings;
                let process = usize::try_from(own.random.below(2)).unwrap();
                let action = Action::draw(&mut own.random, settings);
                let most =
                    [1, 2000, 30_000, 400_000][usize::try_from(own.random.below(4)).unwrap()];
                let cancelled = own.random.once_in(5).then(|| own.random.below(400_000));
                (process, action, own.random.below(most), cancelled)
            };
            let running = Arc::clone(&schedule);
            let task = tokio::spawn(async move {
                sleep(Duration::from_millis(wait)).await;
                action.run(&running, process).await;
            });
            // Only callers give up early; a logout always runs to its end.
            if let (Some(cancelled), Action::Call(_)) = (cancelled, action) {
                let abort = task.abort_handle();
                drop(tokio::spawn(async move {
                    sleep(Duration::from_millis(wait + cancelled)).await;
                    abort.abort();
                }));
            }
            tasks.push(task);
        }
        for task in tasks {
            if task.await.is_err_and(|error| error.is_panic()) {
                schedule.world.lock().violated("the model panics");
            }
        }
        schedule.settles().await;
        let held = schedule.held(0..PROCESSES).await;
        let pause = {
            let mut own = schedule.world.lock();
            own.quiet(&held);
            [0, 5, 100, 3000][usize::try_from(own.random.below(4)).unwrap()]
        };
        sleep(Duration::from_secs(pause)).await;
    }
}

/// Returns the failures that may occur in the schedule of a seed.
fn settings(seed: u64) -> Settings {
    let mut random = Random::new(seed.wrapping_mul(31));
    let windows = [0, 1, 2, 3, 30, 30][usize::try_from(random.below(6)).unwrap()];
    Settings {
        saves_fail: random.once_in(2),
        loads_fail: random.once_in(4),
        servers_fail: random.once_in(2),
        grants_end: random.once_in(3),
        users_refuse: random.once_in(2),
        user_logs_in: random.once_in(2),
        user_logs_out: random.once_in(2),
        user_cancels: random.once_in(3),
        lifetime: [40, 600, 4000][usize::try_from(random.below(3)).unwrap()],
        limit: WindowLimit::new(windows, Duration::from_secs(4000)),
    }
}

/// Runs the schedules of these seeds, and returns the counts of their events.
fn explore<F: Future<Output = ()>>(
    seeds: core::ops::Range<u64>,
    settings: impl Fn(u64) -> Settings,
    run: impl Fn(Arc<Schedule>) -> F,
) -> Counts {
    let inner = GuardedClient::builder().build().unwrap();
    let mut all = Counts::default();
    for seed in seeds {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let counts = runtime.block_on(async {
            MODEL.set(Some((UnixTime::from_secs(1_000_000), Instant::now())));
            let schedule = Arc::new(Schedule::new(seed, settings(seed), &inner));
            run(Arc::clone(&schedule)).await;
            let own = schedule.world.lock();
            if let Some(rule) = &own.violated {
                panic!("seed {seed}: {rule}\n{:?}\n{}", own.settings, own.log.join("\n"));
            }
            own.count
        });
        all = all + counts;
    }
    MODEL.set(None);
    all
}

/// Returns settings without failures, with a budget of windows that is never spent.
fn calm(_: u64) -> Settings {
    let limit = WindowLimit::new(30, Duration::from_secs(600));
    Settings { lifetime: 600, limit, ..Settings::default() }
}

/// C-TOKEN-6, SEC-241, SEC-244, SEC-245
#[test]
fn renewals_of_two_processes_keep_their_rules() {
    let met = explore(0..500, settings, run);
    // The schedules have met the events that they are for.
    assert!(met.refreshes > 100 && met.step_ups > 100 && met.failed_saves > 100, "{met:?}");
    assert!(
        met.ended > 5 && met.from_another_process > 20 && met.too_many_windows > 100,
        "{met:?}"
    );
}

/// C-TOKEN-6, SEC-241, SEC-244, SEC-245
#[test]
#[ignore = "takes minutes: `cargo xtask interleavings`"]
fn many_more_schedules_keep_the_rules() {
    explore(500..10_000, settings, run);
}

/// SEC-245
#[test]
fn a_login_that_is_ended_before_its_window_opens_none() {
    let met = explore(0..150, calm, async |schedule: Arc<Schedule>| {
        let calling = Arc::clone(&schedule);
        let call = tokio::spawn(async move { Action::Call("read").run(&calling, 0).await });
        let wait = schedule.world.lock().random.below(4000);
        sleep(Duration::from_millis(wait)).await;
        let forgets = schedule.world.lock().random.once_in(2);
        Action::LogOut { forgets }.run(&schedule, 0).await;
        call.await.unwrap();
        let mut own = schedule.world.lock();
        own.count.quiet += usize::from(own.count.windows == 0);
    });
    // Logins were ended both before and after their window opened.
    assert!(met.quiet > 20 && met.ended > 20, "{met:?}");
}

/// SEC-245
#[test]
fn a_request_after_the_end_of_a_login_begins_another() {
    let met = explore(0..100, calm, async |schedule: Arc<Schedule>| {
        let calls = [0, 1].map(|_| Arc::clone(&schedule));
        let [first, second] = calls.map(|schedule| async move {
            Action::Call("read").run(&schedule, 0).await;
        });
        let first = tokio::spawn(first);
        let wait = schedule.world.lock().random.below(4000);
        sleep(Duration::from_millis(wait)).await;
        Action::Cancel.run(&schedule, 0).await;
        // The request comes while the ended login is still under way, and must not fail with it.
        second.await;
        first.await.unwrap();
    });
    assert!(met.windows > 100, "{met:?}");
}

/// SEC-240, SEC-245
#[test]
fn to_forget_a_server_removes_the_registration_beside_a_logout() {
    explore(0..150, calm, async |schedule: Arc<Schedule>| {
        Action::Call("read").run(&schedule, 0).await;
        let both = [false, true].map(|forgets| {
            let schedule = Arc::clone(&schedule);
            tokio::spawn(async move {
                schedule.world.delay().await;
                Action::LogOut { forgets }.run(&schedule, 0).await;
            })
        });
        for task in both {
            task.await.unwrap();
        }
        let stored = schedule.stored.records(&schedule.server).await.unwrap();
        if !stored.is_empty() {
            schedule.world.lock().violated("a registration is left that the user has forgotten");
        }
    });
}
