//! A reqwest client that logs in, refreshes and steps up by itself.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client_flow::{ClientConfig, FlowError, Session, Tried, Verdict, judge, login};
use http::header::AUTHORIZATION;
use oauth_types::{BearerChallenge, Origin, ResourceUri, ScopeSet};
use reqwest::{Request, Response};
use scope_stepup::{Attempt, Ledger, Operation, Policy};
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
    config: ClientConfig,
    policy: Policy,
    agent: Box<dyn UserAgent>,
    store: Box<dyn CredentialStore>,
    state: Mutex<State>,
    /// Held by the one renewal under way; nobody who has a good token waits for it.
    renewal: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    ledger: Ledger,
    /// How many renewals have ended, and how the last one did.
    renewals: u64,
    last_failure: Option<(Wanted, Error)>,
}

/// What a renewal is to bring: requests that want the same share one.
#[derive(Clone, PartialEq, Eq)]
enum Wanted {
    FreshToken,
    Login(Option<ScopeSet>),
    Scope(ScopeSet),
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
            config,
            policy,
            agent: Box::new(agent),
            store: Box::new(store),
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
                // A failed early refresh is no obstacle yet: the token may still be good.
                let _ = shared.renew(seen, Wanted::FreshToken, None, None).await;
                continue;
            }
            let mut attempt = request.try_clone().ok_or(Error::BodyNotReplayable)?;
            let token = session.as_ref().and_then(|own| own.authorization(attempt.url().as_str()));
            attempt.headers_mut().remove(AUTHORIZATION);
            attempt.headers_mut().extend(token.map(|value| (AUTHORIZATION, value)));
            let response =
                shared.http.execute(attempt).await.map_err(|error| Error::of_http(&error))?;
            let answer = (response.status(), response.headers());
            let verdict = {
                let state = shared.lock();
                let session = session.as_deref();
                judge(session, &state.ledger, &shared.policy, &operation, tried, answer)
            };
            let (wanted, challenge, attempt) = match verdict {
                Verdict::Accepted => {
                    shared.lock().ledger.succeeded(&operation);
                    return Ok(response);
                }
                Verdict::Refresh => {
                    tried.refresh = true;
                    (Wanted::FreshToken, None, None)
                }
                Verdict::Login { challenge, held } => {
                    tried.login = true;
                    info!(server = %shared.server, "the server asks for a login");
                    (Wanted::Login(held), challenge, None)
                }
                Verdict::StepUp { scope, attempt } => {
                    info!(%operation, %scope, "the operation needs more scope");
                    (Wanted::Scope(scope), None, Some(attempt))
                }
                Verdict::Unauthorized => return Err(Error::Unauthorized),
                Verdict::GiveUp(error) => return Err(Error::InsufficientScope(error)),
            };
            match shared.renew(seen, wanted.clone(), challenge, attempt).await {
                Ok(()) => {}
                Err(error) => {
                    let said_no = matches!(
                        error,
                        Error::Flow(FlowError::Denied(_)) | Error::Visit(VisitFailed::Declined)
                    );
                    if said_no && matches!(wanted, Wanted::Scope(_)) {
                        shared.lock().ledger.declined(&operation);
                    }
                    return Err(error);
                }
            }
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

    /// Brings what is wanted, unless somebody else has done so since `seen`. The flow runs in a task of
    /// its own, so that a caller who gives up does not tear it down half way.
    async fn renew(
        self: &Arc<Self>,
        seen: u64,
        wanted: Wanted,
        challenge: Option<BearerChallenge>,
        attempt: Option<Attempt>,
    ) -> Result<(), Error> {
        // C-TOKEN-8
        let guard = Arc::clone(&self.renewal).lock_owned().await;
        let session = {
            let mut state = self.lock();
            if state.renewals != seen {
                match &state.last_failure {
                    None => return Ok(()),
                    Some((same, error)) if *same == wanted => return Err(error.clone()),
                    Some(_) => {}
                }
            }
            if let Some(attempt) = attempt {
                state.ledger.started(attempt);
            }
            state.session.clone()
        };
        let mut held = None;
        let step = match (&wanted, session) {
            (Wanted::FreshToken, Some(session)) => {
                let step = session.refresh()?;
                held = Some(Session::clone(&session));
                step
            }
            (Wanted::Scope(scope), Some(session)) => {
                session.reauthorize(&self.config, scope.clone())
            }
            (Wanted::Login(held), _) => {
                let config = self.config.clone();
                login(config, self.server.as_str(), challenge.as_ref(), held.clone())?
            }
            (Wanted::FreshToken | Wanted::Scope(_), None) => return Err(Error::Unauthorized),
        };
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _guard = guard;
            let host = Host { http: &shared.http, agent: &*shared.agent, store: &*shared.store };
            let mut outcome = host.drive(step).await;
            if let (Err(Error::Flow(error)), Some(held)) = (&outcome, held)
                && error.ends_grant()
            {
                outcome = Ok(held.without_refresh_token());
            }
            let mut state = shared.lock();
            state.renewals += 1;
            match outcome {
                Ok(session) => {
                    state.session = Some(Arc::new(session));
                    state.last_failure = None;
                    Ok(())
                }
                Err(error) => {
                    state.last_failure = Some((wanted, error.clone()));
                    Err(error)
                }
            }
        });
        task.await.map_err(|_| Error::Stopped)?
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
