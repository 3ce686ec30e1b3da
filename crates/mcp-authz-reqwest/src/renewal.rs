//! Renewals of tokens: when they start, how requests share them, and their limits.
//!
//! | limit | where |
//! |---|---|
//! | one renewal of a kind at a time, shared by all requests that need it | `flight.rs` |
//! | waiting times after failures and after tokens that the server refuses | `gate.rs` |
//! | browser windows for one server | [`Policy::window_limit`] |
//! | attempts of one operation | [`Ledger`](scope_stepup::Ledger) |
//!
//! The host's code (user agent, filter of the policy, choice of a server, identity source) is called outside every
//! lock.

mod end;
mod gate;
mod holdings;
#[cfg(test)]
mod model;
mod work;

use core::panic::AssertUnwindSafe;
use std::sync::Arc;

use client_flow::{ClientConfig, Session, Tried, Verdict, judge};
use futures::future::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use oauth_types::{ResourceUri, header};
use reqwest::{Request, Response};
use scope_stepup::{Attempt, Operation, Policy};
use tokio::sync::watch;
use tracing::{Instrument as _, info_span};

use crate::clock::{monotonic, now};
use crate::error::Error;
use crate::flight::{Join, Kind as _, Renewable};
use crate::http_client::HttpClient;

pub(crate) use end::Logout;
use holdings::{Goal, Holdings, RenewalResult};
use work::{Common, Epoch};
pub(crate) use work::{Credentials, Flow, Login};

/// Credentials of a client, shared by its clones, and the renewals under way.
#[derive(Clone)]
pub(crate) struct Renewal {
    common: Arc<Common>,
    holdings: Renewable<Holdings, Goal, Error>,
}

/// Credentials that a request was sent with.
pub(crate) struct Held {
    session: Option<Arc<Session>>,
    version: u64,
    nonce: Option<HeaderValue>,
    /// Failure of the refresh that was due; the token has expired by the local clock.
    failed: Option<Error>,
}

/// Request with its response and the credentials that it was sent with.
pub(crate) struct Answered<'a> {
    pub(crate) request: &'a Request,
    pub(crate) response: &'a Response,
    pub(crate) held: Held,
}

/// Next action after a response.
pub(crate) enum Next {
    /// Return the response to the caller.
    Done,
    /// Send the request again.
    Again,
}

impl Renewal {
    pub(crate) fn new(
        http: HttpClient,
        server: ResourceUri,
        credentials: Credentials,
        policy: Policy,
    ) -> Self {
        let exchange = Arc::default();
        let is_restored = matches!(credentials, Credentials::Fixed(_));
        let epoch = watch::Sender::new(Epoch::default());
        let started = monotonic();
        let common = Common { http, server, credentials, policy, exchange, epoch, started };
        let common = Arc::new(common);
        let holdings = Holdings { is_restored, ..Holdings::default() };
        Self { common, holdings: Renewable::new(holdings) }
    }

    /// Returns the credentials for a request.
    ///
    /// Restores stored credentials first, and waits for a refresh when the access token has expired. A token that
    /// expires soon is refreshed in the background.
    pub(crate) async fn current(&self, tried: &mut Tried) -> Result<Held, Error> {
        let mut failed = None;
        loop {
            let at = monotonic();
            let (held, is_restored, may_refresh, saves) = self.holdings.with(|own, version| {
                let (session, nonce) = (own.session.clone(), own.nonce.clone());
                let held = Held { session, version, nonce, failed: failed.clone() };
                let saves = own.takes_another_save(at);
                (held, own.is_restored, own.refreshes.is_open(at), saves)
            });
            if saves {
                self.save_in_background();
            }
            if !is_restored {
                self.renew(held.version, Goal::Restore, None).await?;
                continue;
            }
            let Some(session) = held.session.as_ref().filter(|own| own.is_stale(now())) else {
                return Ok(held);
            };
            if tried.refresh || !may_refresh || failed.is_some() {
                return Ok(held);
            }
            if !session.has_expired(now()) {
                // The token is still valid, so no request waits for this refresh; `flush` does, because the program may
                // end before the new refresh token is saved.
                drop(self.join(held.version, Goal::FreshToken, &mut None));
                return Ok(held);
            }
            match self.renew(held.version, Goal::FreshToken, None).await {
                Ok(_) => tried.refresh = true,
                // The request is sent all the same: clocks differ, so the server may still accept the token.
                Err(error) => failed = Some(error),
            }
        }
    }

    /// Sends the user through a login now, regardless of earlier failures of requests.
    pub(crate) async fn log_in(&self) -> Result<(), Error> {
        let epoch = self.common.epoch();
        loop {
            let (version, is_restored) =
                self.holdings.with(|own, version| (version, own.is_restored));
            let goal = match is_restored {
                true => Goal::Login { challenge: None, by_user: true },
                false => Goal::Restore,
            };
            match self.renew(version, goal, None).await {
                // The login that was joined belonged to a request. It had ended before the user asked for this one, or
                // the budget of windows was spent, which does not apply to a login that the user asks for.
                Err(Error::LoginEnded) if self.common.epoch() == epoch => continue,
                Err(Error::TooManyWindows(_)) => continue,
                renewed => renewed?,
            };
            if is_restored {
                return Ok(());
            }
        }
    }

    /// Returns the headers that present the access token, with a `DPoP` proof if bound.
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

    /// Judges a response, and carries out the renewal that it calls for.
    pub(crate) async fn judge(
        &self,
        answered: Answered<'_>,
        tried: &mut Tried,
    ) -> Result<Next, Error> {
        let Answered { request, response, held } = answered;
        let epoch = self.common.epoch();
        let status = response.status();
        if self.note(response, &held) {
            return Ok(Next::Done);
        }
        let operation = operation(request)?;
        let (ledger, needs_login) = self.holdings.with(|own, _| {
            if status.is_success()
                && let Some(started) = own.ledger.started(&operation)
            {
                started.succeeded(&mut own.ledger);
            }
            (own.ledger.part(&operation), own.needs_login(monotonic()))
        });
        let mut asked = *tried;
        asked.refresh |= needs_login;
        let answer = (status, response.headers());
        // No lock is held here, because the filter of the policy is the host's code.
        let verdict =
            judge(held.session.as_deref(), &ledger, &self.common.policy, &operation, asked, answer);
        let mut noted = *tried;
        noted.note(&verdict);
        let mut permitted = None;
        let goal = match verdict {
            Verdict::Accepted => return Ok(Next::Done),
            Verdict::Unauthorized => {
                let others = Goal::login(None);
                return self.unless_news(held.version, &others, Error::Unauthorized).await;
            }
            Verdict::GiveUp(error) => {
                let others = Goal::ScopeOfOthers(operation);
                let error = Error::InsufficientScope(error);
                return self.unless_news(held.version, &others, error).await;
            }
            Verdict::UseNonce => {
                *tried = noted;
                return Ok(Next::Again);
            }
            // `current` has just tried this refresh in vain, so the request ends with that failure. A login would
            // bother the user, although a later refresh may succeed.
            Verdict::Refresh if held.failed.is_some() => {
                return Err(held.failed.unwrap_or(Error::Unauthorized));
            }
            Verdict::Refresh => Goal::FreshToken,
            Verdict::Login { challenge } => Goal::login(challenge),
            Verdict::StepUp { scope, attempt, challenge } => {
                permitted = Some(attempt);
                Goal::Scope { operation, scope, challenge }
            }
        };
        let by = match self.renew(held.version, goal.clone(), permitted).await {
            // The epoch is unchanged, so the user ended that login before this request needed one. Sent again, the
            // request begins its own.
            Err(Error::LoginEnded) if self.common.epoch() == epoch => return Ok(Next::Again),
            by => by?,
        };
        // C-SCOPE-6: a step-up for another operation does not count as an attempt of this one.
        if !by.is_for(&goal) {
            noted.step_ups = tried.step_ups;
        }
        *tried = noted;
        Ok(Next::Again)
    }

    /// Records the nonce and the token's acceptance; returns `true` if that is all.
    ///
    /// Most responses need no more: a success, while no operation has an attempt on record.
    fn note(&self, response: &Response, held: &Held) -> bool {
        let status = response.status();
        self.holdings.with(|own, _| {
            let nonce =
                response.headers().get(header::DPOP_NONCE).filter(|nonce| nonce.to_str().is_ok());
            if let Some(nonce) = nonce {
                own.nonce = Some(nonce.clone());
            }
            own.note(held.session.as_ref(), status);
            status.is_success() && own.ledger.is_empty()
        })
    }

    /// Returns the error, unless a renewal by another request helps.
    ///
    /// A renewal that is under way is waited for. One that has succeeded since the version `seen` leads to another
    /// pass.
    async fn unless_news(&self, seen: u64, others: &Goal, error: Error) -> Result<Next, Error> {
        loop {
            match self.holdings.news(seen, others) {
                Some(Join::Changed(_)) => return Ok(Next::Again),
                Some(Join::Failed(error)) => return Err(error),
                Some(Join::Wait(_, landing)) => drop(landing.await),
                None => return Err(error),
            }
        }
    }

    /// Joins or starts a renewal, and returns the one that brought other tokens.
    async fn renew(
        &self,
        seen: u64,
        goal: Goal,
        mut attempt: Option<Attempt>,
    ) -> Result<Goal, Error> {
        loop {
            match self.join(seen, goal.clone(), &mut attempt) {
                Join::Changed(by) => return Ok(by),
                Join::Failed(error) => return Err(error),
                Join::Wait(by, landing) => match landing.await {
                    Ok(Ok(())) => return Ok(by),
                    Ok(Err((failed, error))) if goal.shares_failure(&failed) => {
                        return Err(error);
                    }
                    // The failure is another renewal's; the next pass looks at the state again.
                    Ok(Err(_)) => {}
                    Err(_) => return Err(Error::Stopped),
                },
            }
        }
    }

    /// Joins the renewal under way, or starts one in a task of its own.
    ///
    /// The task goes on when the caller is dropped. While the gate is closed, no caller starts a renewal. A step-up
    /// that is started consumes the `attempt`.
    fn join(&self, seen: u64, goal: Goal, attempt: &mut Option<Attempt>) -> Join<Goal, Error> {
        // C-TOKEN-8
        let (common, holdings) = (Arc::clone(&self.common), self.holdings.clone());
        let landing = Arc::clone(&self.common);
        let (begun, landed) = (goal.clone(), goal.clone());
        let epoch = common.epoch();
        let server = common.server.without_query();
        let span = info_span!("oauth", server, what = begun.name());
        let at = monotonic();
        self.holdings.renew(
            seen,
            goal,
            |own| {
                if let Some(error) = own.refusal(&begun, at) {
                    return Err(error);
                }
                let (session, attempt) = (own.session.clone(), attempt.take());
                let work = async move {
                    let work = common.work(&begun, attempt, session, &holdings, epoch);
                    let done = AssertUnwindSafe(work).catch_unwind().await;
                    done.unwrap_or_else(|_| RenewalResult::new(Err(Error::Panicked.into()), None))
                };
                Ok(work.instrument(span))
            },
            |work| drop(tokio::spawn(work)),
            move |own, result| {
                let is_over = landing.epoch().logouts != epoch.logouts;
                own.land(RenewalResult { is_over, ..result }, &landed)
            },
        )
    }
}

/// Returns the operation that attempts are counted for.
///
/// That is the first operation of the JSON-RPC body, or method and path of a request without one.
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

/// Returns the `DPoP` header for a token that is bound to a key (RFC 9449 §7.1).
#[cfg(feature = "dpop")]
fn proof(
    session: &Session,
    config: &ClientConfig,
    to: (&http::Method, &str),
    nonce: Option<&HeaderValue>,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    if !session.is_bound() {
        return Ok(None);
    }
    let [entropy, _] = crate::clock::entropy()?.split();
    let proof = session.proof(config, to, nonce, now(), entropy);
    Ok(proof.map_err(|_| Error::NotSigned)?.map(|proof| (header::DPOP, proof)))
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
