//! When tokens are renewed, and who waits for it.

mod holdings;
mod work;

use core::time::Duration;
use std::sync::Arc;

use client_flow::{ClientConfig, Record, Session, Tried, Verdict, judge};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use oauth_types::ResourceUri;
use reqwest::{Request, Response};
use scope_stepup::{Operation, Policy};
use tracing::{Instrument as _, info_span};

use crate::Error;
use crate::ambient::now;
use crate::flight::{Join, Kind as _, Landing, Renewable};

use holdings::{Holdings, Wanted};
use work::Common;
pub(crate) use work::{Credentials, Login};

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// How long an answer waits for a refresh that began ahead of need and is not done yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a client holds and does about it.
pub(crate) struct Renewal {
    common: Arc<Common>,
    holdings: Renewable<Holdings, Wanted, Error>,
}

/// What a request was sent with.
pub(crate) struct Held {
    session: Option<Arc<Session>>,
    version: u64,
    nonce: Option<HeaderValue>,
    /// Why the token, which has expired by our clock, was not refreshed.
    failed: Option<Error>,
    /// The refresh ahead of need that the request goes along with.
    ahead: Option<Landing<Wanted, Error>>,
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
            let (mut held, is_restored, may_refresh) = self.holdings.with(|own, version| {
                let (session, nonce) = (own.session.clone(), own.nonce.clone());
                let failed = failed.clone();
                let held = Held { session, version, nonce, failed, ahead: None };
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
                // Ahead of need: the request does not wait for it.
                if let Join::Wait(_, landing) = self.join(held.version, Wanted::FreshToken) {
                    held.ahead = Some(landing);
                }
                return Ok(held);
            }
            match self.renew(held.version, Wanted::FreshToken).await {
                Ok(_) => tried.refresh = true,
                // The server may still take the token: clocks differ.
                Err(error) => failed = Some(error),
            }
        }
    }

    /// Ends the session, once nobody is renewing it.
    pub(crate) async fn log_out(&self) -> Result<(), Error> {
        let Some(host) = self.common.host() else { return Ok(()) };
        let _turn = host.turn().await?;
        let session = self.holdings.with(|own, _| {
            own.is_restored = true;
            own.session.take()
        });
        let forgotten = match session {
            Some(session) => {
                // What is kept knows of logins that failed meanwhile.
                let kept = host.store.load(&session.account().key()).await.unwrap_or_default();
                Some(kept.map_or_else(|| session.logged_out(), Record::logged_out))
            }
            // What an earlier run left and nobody has looked at yet.
            None => self.common.restored().await?.map(|session| session.logged_out()),
        };
        match forgotten {
            Some(record) => host.store.save(&record).await.map_err(Error::Store),
            None => Ok(()),
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
        let Answered { request, response, mut held } = answered;
        // A program that ends with this answer would leave a rotated token unsaved.
        if let Some(ahead) = held.ahead.take() {
            let _ = tokio::time::timeout(PATIENCE, ahead).await;
        }
        let verdict = self.holdings.with(|own, _| {
            let nonce = response.headers().get(&DPOP_NONCE).filter(|nonce| nonce.to_str().is_ok());
            if let Some(nonce) = nonce {
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
        let mut noted = *tried;
        noted.note(&verdict);
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
            Verdict::UseNonce => {
                *tried = noted;
                return Ok(Next::Again);
            }
            // It was tried just now: the user is not asked for what passes.
            Verdict::Refresh if held.failed.is_some() => {
                return Err(held.failed.unwrap_or(Error::Unauthorized));
            }
            Verdict::Refresh => Wanted::FreshToken,
            Verdict::Login { challenge } => {
                // Who has just said no is not asked by the next request.
                if let Some(error) = self.holdings.with(|own, _| own.declined(now())) {
                    return Err(error);
                }
                Wanted::Login(challenge)
            }
            Verdict::StepUp { scope, attempt, challenge } => {
                Wanted::Scope { operation, scope, attempt, challenge }
            }
        };
        let by = self.renew(held.version, wanted.clone()).await?;
        // C-SCOPE-6: what was done for another operation is no attempt of this one's.
        if !by.is_for(&wanted) {
            noted.step_ups = tried.step_ups;
        }
        *tried = noted;
        Ok(Next::Again)
    }

    /// Gives up, unless another is at what would help, or had it done already.
    async fn unless_news(&self, seen: u64, others: &Wanted, error: Error) -> Result<Next, Error> {
        loop {
            match self.holdings.news(seen, others) {
                Some(Join::Changed(_)) => return Ok(Next::Again),
                Some(Join::Failed(error)) => return Err(error),
                Some(Join::Wait(_, landing)) => drop(landing.await),
                None => return Err(error),
            }
        }
    }

    /// Waits until there is something else to use than at the version that was seen, and says what brought it.
    async fn renew(&self, seen: u64, wanted: Wanted) -> Result<Wanted, Error> {
        loop {
            match self.join(seen, wanted.clone()) {
                Join::Changed(by) => return Ok(by),
                Join::Failed(error) => return Err(error),
                Join::Wait(by, landing) => match landing.await {
                    Ok(Ok(())) => return Ok(by),
                    Ok(Err((failed, error))) if wanted.shares_failure(&failed) => {
                        return Err(error);
                    }
                    // Whether it concerns us is for another look.
                    Ok(Err(_)) => {}
                    Err(_) => return Err(Error::Stopped),
                },
            }
        }
    }

    /// Joins the renewal under way, or starts one in a task of its own: a caller who gives up tears nothing down.
    fn join(&self, seen: u64, wanted: Wanted) -> Join<Wanted, Error> {
        // C-TOKEN-8
        let (common, holdings) = (Arc::clone(&self.common), self.holdings.clone());
        let (begun, landed) = (wanted.clone(), wanted.clone());
        self.holdings.renew(
            seen,
            wanted,
            |own| {
                let session = own.session.clone();
                let server = common.server.as_str().split('?').next();
                let span = info_span!("oauth", server, what = begun.name());
                async move { common.work(&begun, session, &holdings).await }.instrument(span)
            },
            |work| drop(tokio::spawn(work)),
            move |own, (outcome, _turn)| own.land(outcome, &landed),
        )
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
    Ok(proof.map_err(|_| client_flow::FlowError::NotSigned)?.map(|proof| (DPOP, proof)))
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
