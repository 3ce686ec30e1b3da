//! When tokens are renewed, and who waits for it.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{ClientConfig, FlowError, Session, Step, Tried, Verdict, judge, login};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use oauth_types::{BearerChallenge, ResourceUri, ScopeSet, UnixTime};
use reqwest::{Request, Response};
use scope_stepup::{Attempt, Ledger, Operation, Policy};
use tracing::{Instrument as _, debug, info, info_span, warn};

use crate::ambient::now;
use crate::drive::{Host, Turn};
use crate::flight::{Join, Kind, Renewable};
use crate::{CredentialStore, Error, IdentitySource, UserAgent, VisitFailed};

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// How long after a refresh that failed, for reasons that pass, the next one ahead of need is tried.
const BACK_OFF: Duration = Duration::from_secs(10);

/// Where tokens come from.
pub(crate) enum Credentials {
    Login(Box<Login>),
    /// One token, got elsewhere.
    Fixed(HeaderValue),
}

/// A client that gets tokens by itself.
pub(crate) struct Login {
    pub(crate) config: ClientConfig,
    pub(crate) agent: Option<Box<dyn UserAgent>>,
    pub(crate) identity: Option<Box<dyn IdentitySource>>,
    pub(crate) store: Box<dyn CredentialStore>,
}

/// What a client holds and does about it.
pub(crate) struct Renewal {
    common: Arc<Common>,
    holdings: Renewable<Holdings, Wanted, Error>,
}

/// What every renewal needs.
struct Common {
    http: reqwest::Client,
    server: ResourceUri,
    credentials: Credentials,
    policy: Policy,
    /// Held while tokens are exchanged and saved, and not while a browser is open.
    exchange: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Holdings {
    session: Option<Arc<Session>>,
    ledger: Ledger,
    /// Whether the store was asked what an earlier run left.
    is_restored: bool,
    /// The latest nonce of the server, for proofs of possession.
    nonce: Option<HeaderValue>,
    /// Until then no refresh ahead of need.
    back_off_until: Option<UnixTime>,
}

/// What a renewal is to bring.
#[derive(Clone)]
enum Wanted {
    Restore,
    FreshToken,
    Login(Option<BearerChallenge>),
    /// For this operation.
    Scope {
        operation: Operation,
        scope: ScopeSet,
        attempt: Attempt,
        challenge: BearerChallenge,
    },
    /// More scope for this operation, by somebody else: all its own attempts were made.
    ScopeOfOthers(Operation),
}

impl Wanted {
    const fn needs_user(&self) -> bool {
        self.operation().is_some() || matches!(self, Self::Login(_))
    }

    /// The operation that a step-up is for.
    const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Scope { operation, .. } | Self::ScopeOfOthers(operation) => Some(operation),
            _ => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::FreshToken => "refresh",
            Self::Login(_) => "login",
            Self::Scope { .. } | Self::ScopeOfOthers(_) => "step-up",
        }
    }
}

impl Kind for Wanted {
    /// A refresh waits for no user: a login or step-up and a refresh may be under way together.
    fn excludes(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
    }

    /// A step-up is its operation's own affair; a login or refresh is everybody's.
    fn shares_failure(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
            && other.operation().is_none_or(|failed| self.operation() == Some(failed))
    }
}

/// What a request was sent with.
pub(crate) struct Held {
    session: Option<Arc<Session>>,
    version: u64,
    nonce: Option<HeaderValue>,
    /// Why the token, which has expired by our clock, was not refreshed.
    failed: Option<Error>,
}

/// A request, its answer, and what it was sent with.
pub(crate) struct Answered<'a> {
    pub(crate) request: &'a Request,
    pub(crate) response: &'a Response,
    pub(crate) held: Held,
}

/// What to do after an answer.
pub(crate) enum Next {
    /// It is the answer.
    Done,
    /// Send the request again.
    Again,
}

impl Renewal {
    pub(crate) fn new(
        http: reqwest::Client,
        server: ResourceUri,
        credentials: Credentials,
        policy: Policy,
    ) -> Self {
        let exchange = Arc::default();
        let is_restored = matches!(credentials, Credentials::Fixed(_));
        let common = Arc::new(Common { http, server, credentials, policy, exchange });
        let holdings = Holdings { is_restored, ..Holdings::default() };
        Self { common, holdings: Renewable::new(holdings) }
    }

    /// What to send a request with; refreshed when that is due.
    pub(crate) async fn current(&self, tried: &mut Tried) -> Result<Held, Error> {
        let mut failed = None;
        loop {
            let (held, is_restored, may_refresh) = self.holdings.with(|own, version| {
                let (session, nonce) = (own.session.clone(), own.nonce.clone());
                let held = Held { session, version, nonce, failed: failed.clone() };
                (held, own.is_restored, own.back_off_until.is_none_or(|until| now() >= until))
            });
            if !is_restored {
                self.renew(held.version, Wanted::Restore).await?;
                continue;
            }
            let Some(session) = held.session.as_ref().filter(|own| own.is_stale(now())) else {
                return Ok(held);
            };
            if tried.refresh || !may_refresh || failed.is_some() {
                return Ok(held);
            }
            if !session.has_expired(now()) {
                // Ahead of need: nobody waits for it.
                let _ = self.join(held.version, Wanted::FreshToken);
                return Ok(held);
            }
            match self.renew(held.version, Wanted::FreshToken).await {
                Ok(()) => tried.refresh = true,
                // The server may still take the token: clocks differ.
                Err(error) => failed = Some(error),
            }
        }
    }

    /// The headers that show the token.
    pub(crate) fn authorization(&self, held: &Held, request: &Request) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let url = request.url().as_str();
        match (&self.common.credentials, &held.session) {
            (Credentials::Fixed(token), _) => {
                headers.insert(AUTHORIZATION, token.clone());
            }
            (Credentials::Login(own), Some(session)) => {
                headers.extend(session.authorization(url).map(|value| (AUTHORIZATION, value)));
                let to = (request.method(), url);
                headers.extend(proof(session, &own.config, to, held.nonce.as_ref())?);
            }
            (Credentials::Login(_), None) => {}
        }
        Ok(headers)
    }

    /// What an answer means, and whatever has to happen because of it.
    pub(crate) async fn judge(
        &self,
        answered: Answered<'_>,
        tried: &mut Tried,
    ) -> Result<Next, Error> {
        let Answered { request, response, held } = answered;
        let verdict = self.holdings.with(|own, _| {
            if let Some(nonce) = response.headers().get(&DPOP_NONCE) {
                own.nonce = Some(nonce.clone());
            }
            // The usual case asks for nothing that has to be worked out.
            if response.status().is_success() && own.ledger.is_empty() {
                return Ok(None);
            }
            let operation = operation(request)?;
            let answer = (response.status(), response.headers());
            let (session, policy) = (held.session.as_deref(), &self.common.policy);
            let verdict = judge(session, &own.ledger, policy, &operation, *tried, answer);
            if response.status().is_success() {
                own.ledger.succeeded(&operation);
            }
            Ok::<_, Error>(Some((verdict, operation)))
        })?;
        let Some((verdict, operation)) = verdict else { return Ok(Next::Done) };
        tried.note(&verdict);
        let wanted = match verdict {
            Verdict::Accepted => return Ok(Next::Done),
            Verdict::Unauthorized => {
                let others = Wanted::Login(None);
                return self.unless_news(held.version, &others, Error::Unauthorized).await;
            }
            Verdict::GiveUp(error) => {
                let others = Wanted::ScopeOfOthers(operation);
                let error = Error::InsufficientScope(error);
                return self.unless_news(held.version, &others, error).await;
            }
            Verdict::UseNonce => return Ok(Next::Again),
            // It was tried just now: the user is not asked for what passes.
            Verdict::Refresh if held.failed.is_some() => {
                return Err(held.failed.unwrap_or(Error::Unauthorized));
            }
            Verdict::Refresh => Wanted::FreshToken,
            Verdict::Login { challenge } => Wanted::Login(challenge),
            Verdict::StepUp { scope, attempt, challenge } => {
                Wanted::Scope { operation, scope, attempt, challenge }
            }
        };
        self.renew(held.version, wanted).await?;
        Ok(Next::Again)
    }

    /// Gives up, unless another is at what would help, or had it done already.
    async fn unless_news(&self, seen: u64, others: &Wanted, error: Error) -> Result<Next, Error> {
        loop {
            match self.holdings.news(seen, others) {
                Some(Join::Changed) => return Ok(Next::Again),
                Some(Join::Failed(error)) => return Err(error),
                Some(Join::Wait(landing)) => drop(landing.await),
                None => return Err(error),
            }
        }
    }

    /// Waits until there is something else to use than at the version that was seen.
    async fn renew(&self, seen: u64, wanted: Wanted) -> Result<(), Error> {
        loop {
            match self.join(seen, wanted.clone()) {
                Join::Changed => return Ok(()),
                Join::Failed(error) => return Err(error),
                Join::Wait(landing) => match landing.await {
                    Ok(Ok(())) => return Ok(()),
                    // Whether it concerns us is for another look.
                    Ok(Err(_)) => {}
                    Err(_) => return Err(Error::Stopped),
                },
            }
        }
    }

    /// Joins the renewal under way, or starts one in a task of its own: a caller who gives up tears nothing down.
    fn join(&self, seen: u64, wanted: Wanted) -> Join<Error> {
        // C-TOKEN-8
        let (common, holdings) = (Arc::clone(&self.common), self.holdings.clone());
        let (begun, landed) = (wanted.clone(), wanted.clone());
        self.holdings.renew(
            seen,
            wanted,
            |own| {
                let step = common.begin(own, &begun)?;
                let session = own.session.clone();
                let span = info_span!("oauth", server = %common.server, what = begun.name());
                Ok(async move { common.work(step, session, &holdings).await }.instrument(span))
            },
            |work| drop(tokio::spawn(work)),
            move |own, (outcome, _turn)| own.land(outcome, &landed),
        )
    }
}

impl Common {
    /// The first step towards what is wanted; `None` to look into the store.
    fn begin(&self, own: &mut Holdings, wanted: &Wanted) -> Result<Option<Step>, Error> {
        let Credentials::Login(login_by) = &self.credentials else {
            return Err(Error::Unauthorized);
        };
        let config = &login_by.config;
        let server = self.server.as_str();
        let session = own.session.as_deref();
        let step = match (wanted, session) {
            (Wanted::Restore, _) => return Ok(None),
            (Wanted::FreshToken, Some(session)) => session.refresh(config)?,
            (Wanted::Login(challenge), session) => {
                info!(server, "the server asks for a login");
                login(config.clone(), server, challenge.as_ref(), session)?
            }
            (Wanted::Scope { operation, scope, attempt, challenge }, Some(session)) => {
                info!(server, %operation, %scope, "the operation needs more scope");
                let step = session.step_up(config, server, challenge, scope.clone())?;
                own.ledger.started(attempt.clone());
                step
            }
            (Wanted::FreshToken | Wanted::Scope { .. } | Wanted::ScopeOfOthers(_), _) => {
                return Err(Error::Unauthorized);
            }
        };
        Ok(Some(step))
    }

    /// Carries a renewal out. What it holds others off with is handed back, to be held until it has landed.
    async fn work(
        &self,
        step: Option<Step>,
        from: Option<Arc<Session>>,
        holdings: &Renewable<Holdings, Wanted, Error>,
    ) -> (Outcome, Option<Turn>) {
        let Credentials::Login(own) = &self.credentials else { return (Ok(None), None) };
        let host = Host {
            http: &self.http,
            agent: own.agent.as_deref(),
            identity: own.identity.as_deref(),
            store: &*own.store,
            server: &self.server,
            exchange: &self.exchange,
        };
        let Some(step) = step else {
            let kept = own.store.find(&self.server).await.unwrap_or_else(|error| {
                warn!(%error, "stored credentials are not available");
                None
            });
            let kept = kept.filter(|record| own.config.owns(record));
            return (Ok(kept.and_then(|record| Session::restore(record).ok())), None);
        };
        let is_current = || {
            let same = |own: &Arc<Session>, from| Arc::ptr_eq(own, from);
            holdings.with(|own, _| match (&own.session, &from) {
                (Some(own), Some(from)) => same(own, from),
                (own, from) => own.is_none() && from.is_none(),
            })
        };
        match host.drive(step, &is_current).await {
            Ok((session, turn)) => (Ok(session), Some(turn)),
            Err(error) => (Err(error), None),
        }
    }
}

/// A session, or none where nothing was to be changed.
type Outcome = Result<Option<Session>, Error>;

impl Holdings {
    /// Keeps what a renewal came to.
    fn land(&mut self, outcome: Outcome, wanted: &Wanted) -> Result<(), Error> {
        self.is_restored = true;
        let error = match outcome {
            Ok(None) => return Ok(()),
            Ok(Some(session)) => {
                self.session = Some(Arc::new(session));
                self.back_off_until = None;
                return Ok(());
            }
            Err(error) => error,
        };
        let is_refresh = matches!(wanted, Wanted::FreshToken);
        if let (Error::Flow(flow), Some(held)) = (&error, &self.session)
            && (flow.ends_client() || (is_refresh && flow.ends_grant()))
        {
            // Tried once: the next 401 leads to a login for all that was held.
            debug!("the server has ended the grant");
            self.session = Some(Arc::new(Session::clone(held).after(flow)));
            if is_refresh {
                return Ok(());
            }
        }
        match wanted {
            Wanted::FreshToken => {
                warn!(%error, "the tokens could not be refreshed and are kept");
                self.back_off_until = Some(now().plus(BACK_OFF));
            }
            Wanted::Scope { operation, .. } if said_no(&error) => self.ledger.declined(operation),
            _ => {}
        }
        Err(error)
    }
}

/// Whether it was the user who did not want to.
const fn said_no(error: &Error) -> bool {
    matches!(error, Error::Flow(FlowError::Denied(_)) | Error::Visit(VisitFailed::Declined))
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

/// The proof that goes with a token that is bound to a key.
#[cfg(feature = "dpop")]
fn proof(
    session: &Session,
    config: &ClientConfig,
    to: (&http::Method, &str),
    nonce: Option<&HeaderValue>,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    const DPOP: HeaderName = HeaderName::from_static("dpop");
    if !session.is_bound() {
        return Ok(None);
    }
    let (entropy, _) = crate::ambient::entropy()?.split();
    let proof = session.proof(config, to, nonce, now(), entropy);
    Ok(proof.map_err(|_| FlowError::NotSigned)?.map(|proof| (DPOP, proof)))
}

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unnecessary_wraps, reason = "the other one signs, which may fail")]
const fn proof(
    _: &Session,
    _: &ClientConfig,
    _: (&http::Method, &str),
    _: Option<&HeaderValue>,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    Ok(None)
}
