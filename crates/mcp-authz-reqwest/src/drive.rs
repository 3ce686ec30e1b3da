//! Driver of `client-flow`: carries out each step and resumes it with the answer.
//!
//! All decisions are made by the flow; this module only performs them.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use client_flow::{
    BrowserRequest, FlowError, SendRequest, Session, Step, StoredCredentials, TransportError,
};
use futures::future::{Either, select};
use iss_validate::Callback;
use mcp_authz_http::{HttpError, read_body};
use oauth_types::ResourceUri;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::{Instrument as _, Level, debug, debug_span, enabled, info, warn};

use crate::clock::{entropy, now};
use crate::error::{Error, chain, transport};
use crate::http_client::HttpClient;
use crate::identity::{IdentityError, IdentitySource};
use crate::renewal::Flow;
use crate::retry_after::retry_after;
use crate::store::{CredentialStore, StoreError, StoreLock};
use crate::user_agent::{UserAgent, VisitError};

/// Failure of a flow, with the wait that the server asks for (RFC 9110 §10.2.3).
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl From<FlowError> for Failure {
    fn from(error: FlowError) -> Self {
        Error::Flow(error).into()
    }
}

/// Callbacks and connections that a flow uses.
pub(crate) struct Host<'a> {
    pub(crate) http: &'a HttpClient,
    /// `None` for a client without a browser.
    pub(crate) agent: Option<&'a dyn UserAgent>,
    /// `None` for a client without identity assertions.
    pub(crate) identity: Option<&'a dyn IdentitySource>,
    pub(crate) store: &'a dyn CredentialStore,
    pub(crate) server: &'a ResourceUri,
    pub(crate) exchange: &'a Arc<Mutex<()>>,
}

/// Lock on exchanges and saves of tokens.
///
/// It excludes other renewals in this process, and other processes that share the store.
pub(crate) struct Turn {
    _process: OwnedMutexGuard<()>,
    _store: StoreLock,
}

/// Maximum time for one request of a flow.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Outcome of the wait for a user.
enum Visited {
    /// The URL that the browser came back to.
    Callback(String),
    /// Another program that shares the store has logged in.
    LoggedIn(Box<Session>),
}

impl Host<'_> {
    /// Begins a flow and carries out its steps until there is a session.
    ///
    /// The flow waits for the lock first. `None` if it is no longer needed by then. The lock is released while the
    /// user, or the host's code for choices and identities, is waited for.
    pub(crate) async fn drive(
        &self,
        flow: &mut Flow<'_>,
    ) -> Result<(Option<Session>, Turn), Failure> {
        let turn = self.turn().await?;
        let Some(step) = flow.begin()? else { return Ok((None, turn)) };
        let (session, turn) = self.carry_out(step, turn, flow).await?;
        Ok((Some(session), turn))
    }

    /// Carries out the steps of a flow that has begun.
    pub(crate) async fn carry_out(
        &self,
        mut step: Step,
        mut turn: Turn,
        flow: &Flow<'_>,
    ) -> Result<(Session, Turn), Failure> {
        loop {
            let span = debug_span!("step", kind = kind(&step));
            if step.leads_to_browser() {
                // Checked before the client registers: a login that cannot open a window must not leave a registration,
                // and does not count as a failure.
                self.agent.ok_or(Error::Visit(VisitError::NoBrowser))?;
                flow.may_open_window()?;
            }
            if matches!(step, Step::SendRequest(_) | Step::OpenBrowser(_)) {
                // An ended login opens no window, and no token is sent after a logout.
                flow.check()?;
            }
            step = match step {
                Step::OpenBrowser(visit) => {
                    drop(turn);
                    let visited = self.visit(&visit, flow).instrument(span).await?;
                    turn = self.turn().await?;
                    // The user may have logged out meanwhile; then the code is not redeemed.
                    flow.check()?;
                    match visited {
                        Visited::Callback(url) => visit.resume(Callback::from_url(&url), now())?,
                        Visited::LoggedIn(session) => return Ok((*session, turn)),
                    }
                }
                Step::ChooseServer(choose) => {
                    drop(turn);
                    let index = self.agent.map_or(0, |agent| agent.choose_server(choose.servers()));
                    turn = self.turn().await?;
                    choose.choose(index)?
                }
                Step::GetAssertion(identify) => {
                    let source = self.identity.ok_or(Error::Identity(IdentityError))?;
                    drop(turn);
                    let token = source.token(identify.reader()).await.map_err(Error::Identity)?;
                    turn = self.turn().await?;
                    flow.check()?;
                    identify.resume(&token)?
                }
                Step::Ready(session) => {
                    let scope = session.tokens().granted.as_ref().map(tracing::field::display);
                    let server = &session.account().server;
                    info!(issuer = %server.issuer, scope, "authorized");
                    if !server.profile.is_strict() {
                        warn!(
                            issuer = %server.issuer,
                            relaxed = %server.profile,
                            "checks are relaxed for this authorization server by its profile"
                        );
                    }
                    return Ok((*session, turn));
                }
                step => self.take(step, flow).instrument(span).await?,
            };
        }
    }

    /// Waits for the user, the end of the login, or a session of another program.
    async fn visit(&self, visit: &BrowserRequest, flow: &Flow<'_>) -> Result<Visited, Failure> {
        let agent = self.agent.ok_or(Error::Visit(VisitError::NoBrowser))?;
        flow.opened_window();
        info!(
            issuer = %visit.issuer(),
            at = %visit.authorization_endpoint().origin(),
            "sending the user to the authorization server"
        );
        let (ended, other) = (pin!(flow.ended()), pin!(flow.session_of_another_program()));
        match select(select(agent.visit(visit), ended), other).await {
            Either::Left((Either::Left((callback, _)), _)) => {
                Ok(Visited::Callback(callback.map_err(Error::Visit)?))
            }
            Either::Left((Either::Right(_), _)) => Err(Error::LoginEnded.into()),
            Either::Right((session, _)) => {
                info!("another program that shares the store has logged in");
                Ok(Visited::LoggedIn(Box::new(session)))
            }
        }
    }

    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let process = Arc::clone(self.exchange).lock_owned().await;
        // The lock covers the origin, because one record may serve all MCP servers on it.
        let origin = ResourceUri::canonical(&self.server.origin().to_string());
        let origin = origin.map_err(Error::server_url)?;
        let store = self.store.lock(&origin).await.map_err(Error::Store)?;
        Ok(Turn { _process: process, _store: store })
    }

    async fn take(&self, step: Step, flow: &Flow<'_>) -> Result<Step, Failure> {
        Ok(match step {
            Step::SendRequest(exchange) => {
                let outcome = self.send(&exchange).await;
                let now = now();
                let retry_after =
                    outcome.as_ref().ok().and_then(|answer| retry_after(answer.headers(), now));
                let next = exchange.resume(outcome, now);
                next.map_err(|error| Failure { error: Error::Flow(error), retry_after })?
            }
            Step::LoadCredentials(recall) => match self.store.load(&recall.key()).await {
                Ok(stored) => recall.resume(flow.known(stored), now())?,
                Err(error) => {
                    warn!(%error, "stored credentials are not available");
                    recall.failed(now())?
                }
            },
            Step::GenerateRandom(randomize) => randomize.resume(entropy()?, entropy()?, now())?,
            Step::SaveCredentials(save) => match self.save(save.record()).await {
                Ok(()) => save.saved()?,
                Err(error) => {
                    warn!(%error, "credentials could not be saved");
                    save.failed()?
                }
            },
            other @ (Step::OpenBrowser(_)
            | Step::ChooseServer(_)
            | Step::GetAssertion(_)
            | Step::Ready(_)) => other,
        })
    }

    /// Saves a record, with a second try if the first fails.
    ///
    /// Another program may have had the file open.
    pub(crate) async fn save(&self, record: &StoredCredentials) -> Result<(), StoreError> {
        match self.store.save(record).await {
            Ok(()) => Ok(()),
            Err(_) => self.store.save(record).await,
        }
    }

    async fn send(&self, exchange: &SendRequest) -> Result<http::Response<Bytes>, TransportError> {
        let stage = exchange.stage();
        let request = exchange.request().clone().map(reqwest::Body::from);
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| transport(HttpError::from(error)))?;
        *request.timeout_mut() = Some(TIMEOUT);
        let response = self.http.execute(request).await.map_err(|error| {
            warn!(%stage, failure = %error.kind(), "no answer");
            debug!(%stage, error = chain(&error), "no answer");
            transport(error)
        })?;
        debug!(%stage, status = response.status().as_u16(), "answered");
        let response = read_body(response, SendRequest::MAX_BODY).await;
        let response = response.map_err(transport)?;
        if enabled!(Level::DEBUG) {
            for member in exchange.passed_over(&response) {
                debug!(%stage, member, "a malformed member was passed over");
            }
        }
        Ok(response)
    }
}

const fn kind(step: &Step) -> &'static str {
    match step {
        Step::SendRequest(_) => "send request",
        Step::LoadCredentials(_) => "load credentials",
        Step::ChooseServer(_) => "choose server",
        Step::GenerateRandom(_) => "generate random",
        Step::GetAssertion(_) => "get assertion",
        Step::OpenBrowser(_) => "open browser",
        Step::SaveCredentials(_) => "save credentials",
        Step::Ready(_) => "ready",
    }
}
