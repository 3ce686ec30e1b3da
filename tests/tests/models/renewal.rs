//! Every sequence of refreshes, saves that fail, servers in trouble, logouts and restarts of two processes that share a
//! store, to a depth: no grant is lost that the server gave, and no process sends a refresh token that it knows is
//! spent.
//!
//! The authorization server is strict: a spent refresh token ends the grant at once. Each flow runs under the lock of
//! the store, as hosts run it.

use std::collections::HashSet;

use bytes::Bytes;
use client_flow::{ClientConfig, FlowError, FlowStage, Session, Step, StoredCredentials};
use http::{Request, Response, StatusCode};
use oauth_types::{FormPairs, RedirectUri, UnixTime};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
/// Actions of a sequence.
const DEPTH: usize = 6;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Action {
    /// Refreshes; `saves` if the store keeps what comes of it.
    Refresh {
        saves: bool,
    },
    /// Refreshes while the server answers 503.
    RefreshInTrouble,
    /// Makes up for a save that failed.
    Save {
        saves: bool,
    },
    /// Ends in order and starts again.
    Restart,
    LogOut,
}

const ACTIONS: [Action; 7] = [
    Action::Refresh { saves: true },
    Action::Refresh { saves: false },
    Action::RefreshInTrouble,
    Action::Save { saves: true },
    Action::Save { saves: false },
    Action::Restart,
    Action::LogOut,
];

#[derive(Clone)]
struct State {
    /// The number of the only refresh token that is good.
    current: u32,
    is_revoked: bool,
    store: StoredCredentials,
    processes: [Process; 2],
}

#[derive(Clone)]
struct Process {
    session: Option<Session>,
    /// Refresh tokens that the server took from this process.
    spent: Vec<u32>,
}

/// A flow under way, for the process that runs it.
struct World<'a> {
    state: &'a mut State,
    at: usize,
    saves: bool,
    is_in_trouble: bool,
    /// The refresh tokens that it sent.
    sent: Vec<u32>,
}

fn config() -> ClientConfig {
    ClientConfig::new("Test", RedirectUri::parse("http://127.0.0.1/cb").unwrap())
}

fn first() -> State {
    let record: StoredCredentials = serde_json::from_value(json!({
        "resource": "https://rs.example/mcp",
        "server": {"issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "iss_advertised": true, "read_at": 1_000_000},
        "client": {"client_id": "c", "method": "none"},
        "tokens": {"access_token": "at-0", "refresh_token": "rt-0", "expires_at": 1_000_600},
    }))
    .unwrap();
    let session = Session::restore(record.clone()).unwrap();
    let process = Process { session: Some(session), spent: Vec::new() };
    State { current: 0, is_revoked: false, store: record, processes: [process.clone(), process] }
}

/// The number of a refresh token.
fn number(text: &str) -> u32 {
    text.trim_start_matches("rt-").parse().unwrap()
}

fn held(record: &StoredCredentials) -> Option<u32> {
    let token = record.tokens.as_ref()?.refresh_token.as_ref()?;
    Some(number(token.expose()))
}

impl State {
    fn held_by(&self, process: &Process) -> Option<u32> {
        process.session.as_ref().and_then(|session| held(&session.to_record()))
    }

    fn name(&self) -> String {
        let of = |process: &Process| {
            let is_saved = process.session.as_ref().map(Session::is_saved);
            (self.held_by(process), is_saved, process.spent.clone())
        };
        let [one, other] = [0, 1].map(|at| of(&self.processes[at]));
        format!("{} {} {:?} {one:?} {other:?}", self.current, self.is_revoked, held(&self.store))
    }

    /// The state after an action; `None` where there is nothing to do.
    fn after(&self, at: usize, action: Action) -> Option<Self> {
        let mut next = self.clone();
        let session = self.processes[at].session.clone();
        let is_saved = session.as_ref().is_none_or(Session::is_saved);
        match action {
            Action::Restart => {
                if !is_saved || session.is_none() {
                    return None;
                }
                next.processes[at].session = Session::restore(self.store.clone()).ok();
            }
            Action::LogOut => {
                next.processes[at].session = None;
                next.store = next.store.logged_out();
            }
            Action::Save { saves } => {
                let session = session.filter(|_| !is_saved)?;
                next.run(at, &session, session.save(), saves, false);
            }
            Action::Refresh { saves } => {
                let session = session?;
                let step = session.refresh(&config()).ok()?;
                next.run(at, &session, step, saves, false);
            }
            Action::RefreshInTrouble => {
                let session = session?;
                let step = session.refresh(&config()).ok()?;
                next.run(at, &session, step, true, true);
            }
        }
        Some(next)
    }

    fn run(&mut self, at: usize, from: &Session, step: Step, saves: bool, is_in_trouble: bool) {
        let mut world = World { state: self, at, saves, is_in_trouble, sent: Vec::new() };
        let outcome = world.drive(step);
        assert!(world.sent.len() <= 1, "one refresh sends one token");
        let session = match outcome {
            Ok(session) => session,
            Err(error) => from.clone().after(&error),
        };
        self.processes[at].session = Some(session);
    }

    /// The best refresh token is somewhere, unless a user logged out.
    fn check(&self, path: &[(usize, Action)]) {
        if path.iter().any(|(_, action)| *action == Action::LogOut) {
            return;
        }
        let mut holders = self.processes.iter().map(|process| self.held_by(process));
        let is_held = holders.any(|number| number == Some(self.current));
        assert!(is_held || held(&self.store) == Some(self.current), "a grant was lost: {path:?}");
    }
}

impl World<'_> {
    fn drive(&mut self, mut step: Step) -> Result<Session, FlowError> {
        loop {
            step = match step {
                Step::SendRequest(exchange) => {
                    let response = self.answer(exchange.stage(), exchange.request());
                    exchange.resume(Ok(response), NOW)?
                }
                Step::LoadCredentials(recall) => {
                    recall.resume(Some(self.state.store.clone()), NOW)?
                }
                Step::SaveCredentials(save) if self.saves => {
                    self.state.store = save.record().clone();
                    save.saved()?
                }
                Step::SaveCredentials(save) => save.failed()?,
                Step::Ready(session) => return Ok(*session),
                other => panic!("no user is asked: {other:?}"),
            };
        }
    }

    fn answer(&mut self, purpose: FlowStage, request: &Request<Bytes>) -> Response<Bytes> {
        match purpose {
            FlowStage::ServerMetadata => reply(
                200,
                &json!({
                    "issuer": "https://as.example",
                    "authorization_endpoint": "https://as.example/authorize",
                    "token_endpoint": "https://as.example/token",
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            FlowStage::Refresh => self.refresh(request),
            other => panic!("{other}"),
        }
    }

    fn refresh(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let form = FormPairs::parse(request.body()).unwrap();
        let sent = number(form.value("refresh_token").unwrap().unwrap());
        self.sent.push(sent);
        let own = &mut self.state.processes[self.at];
        assert!(!own.spent.contains(&sent), "rt-{sent} is sent again by the same process");
        if self.is_in_trouble {
            return reply(503, &Value::Null);
        }
        if sent != self.state.current || self.state.is_revoked {
            self.state.is_revoked = true;
            return reply(400, &json!({"error": "invalid_grant"}));
        }
        own.spent.push(sent);
        self.state.current += 1;
        let number = self.state.current;
        reply(
            200,
            &json!({
                "access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"),
                "token_type": "bearer", "expires_in": 600,
            }),
        )
    }
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// Every sequence of these actions by so many processes, checked after each action. Returns how many states there are,
/// and in how many the grant was ended.
fn explore(processes: usize, actions: &[Action]) -> (usize, usize) {
    let mut seen = HashSet::new();
    let mut frontier = vec![(first(), Vec::new())];
    let mut ended = 0;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (state, path) in &frontier {
            for at in 0..processes {
                for &action in actions {
                    let Some(state) = state.after(at, action) else { continue };
                    let mut path = path.clone();
                    path.push((at, action));
                    if state.is_revoked {
                        ended += 1;
                        // Not by a process that knew better, which `refresh` asserts.
                        continue;
                    }
                    state.check(&path);
                    if seen.insert(state.name()) {
                        next.push((state, path));
                    }
                }
            }
        }
        frontier = next;
    }
    (seen.len(), ended)
}

/// C-TOKEN-6, SEC-241
#[test]
fn one_process_loses_no_grant_whatever_fails() {
    let (states, ended) = explore(1, &ACTIONS);
    assert_eq!(ended, 0, "a spent token was sent");
    assert!(states > 10, "{states}");
}

/// C-TOKEN-8, SEC-181
#[test]
fn two_processes_lose_no_grant_where_saves_work() {
    let actions = ACTIONS.map(|action| match action {
        Action::Refresh { .. } => Action::Refresh { saves: true },
        Action::Save { .. } => Action::Save { saves: true },
        other => other,
    });
    let (states, ended) = explore(2, &actions);
    assert_eq!(ended, 0, "a spent token was sent");
    assert!(states > 10, "{states}");
}

/// C-TOKEN-6, SEC-241
#[test]
fn two_processes_send_no_token_that_they_know_is_spent() {
    // The other process cannot know of a token that the store could not keep: it alone may end the grant.
    let (states, ended) = explore(2, &ACTIONS);
    assert!(states > 100 && ended > 0, "{states} {ended}");
}
