//! A reqwest client that logs in, refreshes and steps up by itself.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client_flow::{ClientConfig, FlowError, Session, Step, Tried, Verdict, judge, login};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use oauth_types::{BearerChallenge, Origin, ResourceUri, ScopeSet, Secret};
use reqwest::{Request, Response};
use scope_stepup::{Attempt, Ledger, Mode, Operation, Policy};
use tokio::sync::OwnedMutexGuard;
use tracing::info;

use crate::ambient::now;
use crate::drive::Host;
use crate::{CredentialStore, Error, MemoryCredentials, UserAgent, VisitFailed};

/// Sends requests to one MCP server, with a token for it.
///
/// Cheap to clone; all clones share one login. Many requests that meet the same obstacle cause one
/// refresh or one visit of the browser, and the others wait for its outcome. A login goes on when the
/// request that began it is dropped.
#[derive(Clone)]
pub struct AuthorizedClient(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    server: ResourceUri,
    credentials: Credentials,
    policy: Policy,
    state: Mutex<State>,
    /// Held by the one renewal under way; nobody who has a good token waits for it.
    renewal: Arc<tokio::sync::Mutex<()>>,
}

/// Where tokens come from.
enum Credentials {
    Login {
        config: ClientConfig,
        agent: Option<Box<dyn UserAgent>>,
        store: Box<dyn CredentialStore>,
    },
    /// One token, got elsewhere.
    Fixed(HeaderValue),
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    ledger: Ledger,
    /// How many renewals have ended, and how the last one failed, if it did.
    renewals: u64,
    last_failure: Option<Failure>,
}

/// A renewal that failed: its waiters hear of it and do not each try the same.
struct Failure {
    /// The operation whose step-up it was; a login or refresh is everybody's.
    only_for: Option<Operation>,
    error: Error,
}

impl Failure {
    fn concerns(&self, operation: &Operation) -> bool {
        self.only_for.as_ref().is_none_or(|only| only == operation)
    }
}

/// What a renewal is to bring.
enum Wanted {
    FreshToken,
    Login(Option<BearerChallenge>, Option<ScopeSet>),
    Scope(ScopeSet, Attempt, BearerChallenge),
}

impl AuthorizedClient {
    /// A client for the MCP server at `server_url` that introduces itself as `client_name`, sends users
    /// through `agent`, and keeps credentials in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Flow`] when the address is not https, nor http on a loopback host.
    pub fn new(server_url: &str, client_name: &str, agent: impl UserAgent) -> Result<Self, Error> {
        let config = ClientConfig::new(client_name, agent.redirect_uri().clone());
        Self::with(server_url, config, Policy::default(), agent, MemoryCredentials::default())
    }

    /// A client with everything said.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with(
        server_url: &str,
        config: ClientConfig,
        policy: Policy,
        agent: impl UserAgent,
        store: impl CredentialStore,
    ) -> Result<Self, Error> {
        let (agent, store) = (Some(Box::new(agent) as Box<dyn UserAgent>), Box::new(store));
        Self::of(server_url, policy, Credentials::Login { config, agent, store })
    }

    /// A client that acts for itself ([`ClientConfig::for_itself`]): no browser is ever opened.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_user(
        server_url: &str,
        config: ClientConfig,
        policy: Policy,
        store: impl CredentialStore,
    ) -> Result<Self, Error> {
        let (agent, store) = (None, Box::new(store));
        Self::of(server_url, policy, Credentials::Login { config, agent, store })
    }

    /// A client with a token that it got elsewhere. It shows that token and gets no other: a 401 is
    /// [`Error::Unauthorized`], a 403 about scope is [`Error::InsufficientScope`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::UnusableToken`] when the token cannot stand in a header.
    pub fn with_token(server_url: &str, token: &Secret) -> Result<Self, Error> {
        let token = token.header_value("Bearer ").ok_or(Error::UnusableToken)?;
        let policy = Policy::default().with_mode(Mode::Fixed);
        Self::of(server_url, policy, Credentials::Fixed(token))
    }

    fn of(server_url: &str, policy: Policy, credentials: Credentials) -> Result<Self, Error> {
        let server = ResourceUri::canonical(server_url).map_err(FlowError::ServerUrl)?;
        let http = reqwest::Client::builder()
            // C-TOKEN-1: neither a token nor a code follows a redirect.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|_| Error::HttpClient)?;
        Ok(Self(Arc::new(Shared {
            http,
            server,
            credentials,
            policy,
            state: Mutex::default(),
            renewal: Arc::default(),
        })))
    }

    /// The address of the server, in its canonical form.
    #[must_use]
    pub fn server_url(&self) -> &str {
        self.0.server.as_str()
    }

    /// A GET of `url`; send it with [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] when the URL cannot be parsed.
    pub fn get(&self, url: &str) -> Result<Request, Error> {
        self.0.http.get(url).build().map_err(|error| Error::of_http(&error))
    }

    /// Sends a request, with whatever has to happen before it is answered: a login, a refresh, a
    /// step-up. An answer that is neither a 401 nor a 403 about scope is returned as it is.
    ///
    /// # Errors
    ///
    /// [`Error`] when the request got no answer, or when what it needs is not to be had.
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        let shared = &self.0;
        if Origin::of(request.url().as_str()).ok() != Some(shared.server.origin()) {
            return Err(Error::ForeignOrigin);
        }
        let operation = operation(&request)?;
        let mut tried = Tried::default();
        loop {
            let (session, seen) = shared.current();
            if session.as_ref().is_some_and(|own| own.is_stale(now())) && !tried.refresh {
                tried.refresh = true;
                let turn = shared.turn().await;
                if shared.current().1 == seen {
                    // A failed early refresh is no obstacle yet: the token may still be good.
                    let _ = shared.renew(turn, &operation, Wanted::FreshToken).await;
                }
                continue;
            }
            let mut attempt = request.try_clone().ok_or(Error::BodyNotReplayable)?;
            let token = match &shared.credentials {
                Credentials::Fixed(token) => Some(token.clone()),
                Credentials::Login { .. } => {
                    session.as_ref().and_then(|own| own.authorization(attempt.url().as_str()))
                }
            };
            attempt.headers_mut().remove(AUTHORIZATION);
            attempt.headers_mut().extend(token.map(|value| (AUTHORIZATION, value)));
            let response =
                shared.http.execute(attempt).await.map_err(|error| Error::of_http(&error))?;
            let session = session.as_deref();
            let judge = |state: &State| {
                let answer = (response.status(), response.headers());
                judge(session, &state.ledger, &shared.policy, &operation, tried, answer)
            };
            if matches!(judge(&shared.lock()), Verdict::Accepted) {
                if response.status().is_success() {
                    shared.lock().ledger.succeeded(&operation);
                }
                return Ok(response);
            }
            // One renewal at a time. Whoever waited looks again at what has become of things since.
            let turn = shared.turn().await;
            let verdict = {
                let state = shared.lock();
                if state.renewals != seen {
                    match &state.last_failure {
                        // The answer was to an older token than the one there is now.
                        None => continue,
                        Some(failure) if failure.concerns(&operation) => {
                            return Err(failure.error.clone());
                        }
                        Some(_) => {}
                    }
                }
                judge(&state)
            };
            let wanted = match verdict {
                Verdict::Accepted => continue,
                Verdict::Refresh => {
                    tried.refresh = true;
                    Wanted::FreshToken
                }
                Verdict::Login { challenge, held } => {
                    tried.login = true;
                    Wanted::Login(challenge, held)
                }
                Verdict::StepUp { scope, attempt, challenge } => {
                    Wanted::Scope(scope, attempt, challenge)
                }
                Verdict::Unauthorized => return Err(Error::Unauthorized),
                Verdict::GiveUp(error) => return Err(Error::InsufficientScope(error)),
            };
            shared.renew(turn, &operation, wanted).await?;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No change is left half made, so a panic elsewhere carries no news.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, and a mark by which a later renewal is recognized.
    fn current(&self) -> (Option<Arc<Session>>, u64) {
        let state = self.lock();
        (state.session.clone(), state.renewals)
    }

    /// Waits until no renewal is under way, and keeps others from starting one.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.renewal).lock_owned().await
    }

    /// Brings what is wanted. The flow runs in a task of its own, so that a caller who gives up does not tear
    /// it down half way.
    async fn renew(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        operation: &Operation,
        wanted: Wanted,
    ) -> Result<(), Error> {
        // C-TOKEN-8
        let Some(step) = self.start(operation, &wanted)? else { return Err(Error::Unauthorized) };
        let (shared, operation) = (Arc::clone(self), operation.clone());
        let task = tokio::spawn(async move {
            let outcome = match &shared.credentials {
                Credentials::Login { agent, store, .. } => {
                    let host =
                        Host { http: &shared.http, agent: agent.as_deref(), store: &**store };
                    host.drive(step).await
                }
                Credentials::Fixed(_) => Err(Error::Unauthorized),
            };
            let outcome = shared.settle(outcome, operation, &wanted);
            drop(turn);
            outcome
        });
        task.await.map_err(|_| Error::Stopped)?
    }

    /// The first step towards what is wanted; `None` when there is no session to start from.
    fn start(&self, operation: &Operation, wanted: &Wanted) -> Result<Option<Step>, FlowError> {
        let Credentials::Login { config, .. } = &self.credentials else { return Ok(None) };
        let mut state = self.lock();
        match (wanted, state.session.clone()) {
            (Wanted::FreshToken, Some(session)) => session.refresh().map(Some),
            (Wanted::Login(challenge, held), _) => {
                info!(server = %self.server, "the server asks for a login");
                let server = self.server.as_str();
                login(config.clone(), server, challenge.as_ref(), held.clone()).map(Some)
            }
            (Wanted::Scope(scope, attempt, challenge), Some(session)) => {
                info!(%operation, %scope, "the operation needs more scope");
                state.ledger.started(attempt.clone());
                let server = self.server.as_str();
                session.step_up(config, server, challenge, scope.clone()).map(Some)
            }
            (Wanted::FreshToken | Wanted::Scope(..), None) => Ok(None),
        }
    }

    /// Keeps what a renewal came to.
    fn settle(
        &self,
        outcome: Result<Session, Error>,
        operation: Operation,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        state.renewals += 1;
        let error = match outcome {
            Ok(session) => {
                state.session = Some(Arc::new(session));
                state.last_failure = None;
                return Ok(());
            }
            Err(error) => error,
        };
        let is_refresh = matches!(wanted, Wanted::FreshToken);
        if let (Error::Flow(flow), true, Some(held)) = (&error, is_refresh, &state.session)
            && flow.ends_grant()
        {
            // Tried once: the next 401 leads to a login for all that was held.
            let held = Session::clone(held).without_refresh_token();
            state.session = Some(Arc::new(held));
            state.last_failure = None;
            return Ok(());
        }
        let is_step_up = matches!(wanted, Wanted::Scope(..));
        let said_no = matches!(
            error,
            Error::Flow(FlowError::Denied(_)) | Error::Visit(VisitFailed::Declined)
        );
        if is_step_up && said_no {
            state.ledger.declined(&operation);
        }
        let only_for = is_step_up.then_some(operation);
        state.last_failure = Some(Failure { only_for, error: error.clone() });
        Err(error)
    }
}

impl fmt::Debug for AuthorizedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedClient").field("server", &self.0.server).finish_non_exhaustive()
    }
}

/// What a request asks for, for counting: the operation in its JSON-RPC body, else method and path.
fn operation(request: &Request) -> Result<Operation, Error> {
    if let Some(body) = request.body() {
        let bytes = body.as_bytes().ok_or(Error::BodyNotReplayable)?;
        if let Ok(operations) = Operation::of_body(bytes)
            && let Some(first) = operations.into_iter().next()
        {
            return Ok(first);
        }
    }
    Ok(Operation::new(request.method().as_str(), Some(request.url().path())))
}
