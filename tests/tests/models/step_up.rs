//! Every sequence of answers and outcomes, to a depth: step-up asks no more often than it may, every request ends,
//! and what one resource asks for never reaches the other.
//!
//! The states are explored breadth first and each is visited once, so that depth costs little.

use std::collections::{HashMap, HashSet};

use client_flow::{Session, StoredCredentials, Tried, Verdict, judge};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::ScopeSet;
use scope_stepup::{InsufficientScopeKind, Ledger, Limit, Operation, Policy};
use serde_json::json;

/// How many answers and outcomes a sequence has.
const DEPTH: usize = 8;

/// What a client knows of one resource.
#[derive(Clone, PartialEq, Debug, Default)]
struct Resource {
    session: Option<Held>,
    ledger: Ledger,
    /// Step-ups that were started for each operation since it last succeeded.
    prompts: [u8; 2],
}

impl Resource {
    fn succeed(&mut self, at: usize) {
        if let Some(started) = self.ledger.started(&operation(at)) {
            started.succeeded(&mut self.ledger);
        }
        self.prompts[at] = 0;
    }
}

#[derive(Clone, PartialEq, Debug)]
struct Held {
    requested: ScopeSet,
    granted: ScopeSet,
    can_refresh: bool,
}

/// A request under way.
#[derive(Clone, PartialEq, Debug)]
struct Request {
    resource: usize,
    operation: usize,
    tried: Tried,
    answers: usize,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct State {
    resources: [Resource; 2],
    request: Option<Request>,
}

/// Scopes of the resource at this place; nobody else's have its letter.
fn scopes(resource: usize, names: &str) -> ScopeSet {
    let letter = ["a", "b"][resource];
    let names: Vec<String> = names.split(' ').map(|name| format!("{letter}{name}")).collect();
    ScopeSet::parse(&names.join(" ")).unwrap()
}

fn operation(at: usize) -> Operation {
    Operation::tool(["one", "two"][at])
}

/// What the server may answer.
fn answers(resource: usize) -> Vec<(u16, Option<String>)> {
    let insufficient = |scope: Option<&str>| {
        let scope = scope.map(|names| format!(", scope=\"{}\"", scopes(resource, names)));
        format!("Bearer error=\"insufficient_scope\"{}", scope.unwrap_or_default())
    };
    vec![
        (200, None),
        (500, None),
        (401, None),
        (401, Some(format!("Bearer scope=\"{}\"", scopes(resource, "1")))),
        (403, None),
        (403, Some(insufficient(None))),
        (403, Some(insufficient(Some("1")))),
        (403, Some(insufficient(Some("1 2")))),
        (403, Some("Bearer error=\"insufficient_scope\", scope=\"x\\\"y\"".to_owned())),
    ]
}

struct Model {
    policy: Policy,
    limit: u8,
    sessions: HashMap<String, Session>,
}

impl Model {
    fn session(&mut self, held: &Held) -> Session {
        let record = || {
            let record = json!({
                "resource": "https://rs.example/mcp",
                "server": {"issuer": "https://as.example",
                    "authorization_endpoint": "https://as.example/authorize",
                    "token_endpoint": "https://as.example/token", "iss_advertised": true},
                "client": {"client_id": "c", "method": "none"},
                "tokens": {"access_token": "t", "expires_at": null,
                    "refresh_token": held.can_refresh.then_some("r"),
                    "requested": held.requested, "granted": held.granted},
            });
            Session::restore(serde_json::from_value::<StoredCredentials>(record).unwrap()).unwrap()
        };
        self.sessions.entry(format!("{held:?}")).or_insert_with(record).clone()
    }

    /// Every state that can come after this one.
    fn after(&mut self, state: &State) -> Vec<State> {
        let Some(request) = &state.request else {
            let begin = |(resource, operation)| State {
                request: Some(Request { resource, operation, tried: Tried::default(), answers: 0 }),
                ..state.clone()
            };
            return [(0, 0), (0, 1), (1, 0)].into_iter().map(begin).collect();
        };
        // A refresh, a login and each step-up, one answer after every one of them, and one before.
        assert!(request.answers <= 3 + usize::from(self.limit), "a request without end: {state:?}");
        let mut next = Vec::new();
        for (status, challenge) in answers(request.resource) {
            let own = &state.resources[request.resource];
            let session = own.session.as_ref().map(|held| self.session(held));
            let mut headers = HeaderMap::new();
            headers.extend(
                challenge.map(|line| (WWW_AUTHENTICATE, HeaderValue::from_str(&line).unwrap())),
            );
            let status = StatusCode::from_u16(status).unwrap();
            let verdict = judge(
                session.as_ref(),
                &own.ledger,
                &self.policy,
                &operation(request.operation),
                request.tried,
                (status, &headers),
            );
            self.follow(state, request, status, verdict, &mut next);
        }
        next
    }

    /// Every way in which what was decided can come out.
    fn follow(
        &self,
        state: &State,
        request: &Request,
        status: StatusCode,
        verdict: Verdict,
        next: &mut Vec<State>,
    ) {
        let at = request.resource;
        let mut ended = State { request: None, ..state.clone() };
        let answered = Request { answers: request.answers + 1, ..request.clone() };
        let mut on = State { request: Some(answered), ..state.clone() };
        match verdict {
            Verdict::UseNonce => panic!("no server here asks for one: {state:?}"),
            Verdict::Accepted => {
                if status.is_success() {
                    ended.resources[at].succeed(request.operation);
                }
                next.push(ended);
            }
            Verdict::Refresh => {
                assert!(!request.tried.refresh, "refreshed twice for one request");
                on.request.as_mut().unwrap().tried.refresh = true;
                next.push(on.clone());
                // The grant has ended.
                on.resources[at].session.as_mut().unwrap().can_refresh = false;
                next.push(on);
                next.push(ended);
            }
            Verdict::Login { .. } => {
                assert!(!request.tried.login, "logged in twice for one request");
                on.request.as_mut().unwrap().tried.login = true;
                next.extend(after_login(&on, at));
                next.push(ended);
            }
            Verdict::StepUp { scope, attempt, .. } => {
                own_scopes_only(at, &scope);
                let before = state.resources[at].session.as_ref().unwrap();
                asks_for_more(before, &scope);
                let own = &mut on.resources[at];
                let started = own.ledger.start(attempt);
                own.prompts[request.operation] += 1;
                assert!(own.prompts[request.operation] <= self.limit, "{state:?}");
                ended.resources = on.resources.clone();
                for granted in [scope.clone(), before.granted.clone()] {
                    let mut on = on.clone();
                    let held = Held { requested: scope.clone(), granted, ..before.clone() };
                    on.resources[at].session = Some(held);
                    next.push(on);
                }
                next.push(ended.clone());
                started.declined(&mut ended.resources[at].ledger);
                next.push(ended);
            }
            Verdict::Unauthorized => {
                assert!(request.tried.login);
                next.push(ended);
            }
            Verdict::GiveUp(error) => {
                let started = state.resources[at].prompts[request.operation];
                assert_eq!(error.attempts, started, "claims what was not: {state:?}");
                assert!(
                    error.reason != InsufficientScopeKind::LimitReached || started == self.limit
                );
                next.push(ended);
            }
        }
    }
}

/// A step-up asks for something that is not held, and for all that was asked for before.
fn asks_for_more(before: &Held, scope: &ScopeSet) {
    assert!(scope.exceeds(&before.granted), "asked for what is held: {before:?}");
    assert!(!before.requested.exceeds(scope), "lost a scope: {before:?}");
}

/// Every outcome of a login, which asks again for what was asked for before.
fn after_login(on: &State, at: usize) -> Vec<State> {
    let held = on.resources[at].session.as_ref();
    let held = held.map(|own| own.requested.union(&own.granted).unwrap());
    let requested = held.unwrap_or_default().union(&scopes(at, "0")).unwrap();
    own_scopes_only(at, &requested);
    let grants = [(requested.clone(), true), (requested.clone(), false), (scopes(at, "0"), true)];
    let after = grants.map(|(granted, can_refresh)| {
        let mut on = on.clone();
        let requested = requested.clone();
        on.resources[at].session = Some(Held { requested, granted, can_refresh });
        on
    });
    after.into()
}

#[track_caller]
fn own_scopes_only(resource: usize, asked: &ScopeSet) {
    let letter = ["a", "b"][resource];
    assert!(asked.iter().all(|scope| scope.starts_with(letter)), "{asked} at {resource}");
}

/// C-SCOPE-6, C-SCOPE-7, SEC-158, SEC-163
#[test]
fn every_sequence_is_bounded_and_keeps_to_its_resource() {
    for limit in 0..=3 {
        let policy = Policy::default().with_limit(Limit::new(limit));
        let mut model = Model { policy, limit, sessions: HashMap::new() };
        let mut seen = HashSet::new();
        let mut frontier = vec![State::default()];
        let mut most = 0;
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for state in &frontier {
                for state in model.after(state) {
                    most = most.max(state.resources[0].prompts[0]);
                    if seen.insert(format!("{state:?}")) {
                        next.push(state);
                    }
                }
            }
            frontier = next;
        }
        assert_eq!(most, limit, "the limit is reached, so it is what stops");
        assert!(seen.len() > 50, "{} states", seen.len());
    }
}
