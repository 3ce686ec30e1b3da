//! Decision on a response of the MCP server: accept, refresh, log in, step up or give up.
//!
//! | response | tried already | verdict |
//! |---|---|---|
//! | 401 with the error `insufficient_authorization`, a token is held | | `Accepted`, see below |
//! | 401 with a DPoP challenge `use_dpop_nonce` and a nonce | no nonce | `UseNonce` |
//! | 401, a refresh token is held | no refresh | `Refresh` |
//! | 401 | no login | `Login`, with all scopes of earlier requests |
//! | 401 | both | `Unauthorized` |
//! | 403 with the error `insufficient_scope` | | the decision of [`Ledger::decide`] |
//! | anything else | | `Accepted` |
//!
//! After `insufficient_authorization` no login helps, because scopes cannot express what the token lacks.

use http::{HeaderMap, StatusCode};
use oauth_types::header::DPOP_NONCE;
use oauth_types::{BearerChallenge, BearerErrorCode, ScopeSet};
use scope_stepup::{
    Attempt, Decision, InsufficientScope, InsufficientScopeKind, Ledger, Operation, Policy,
    StepUpContext,
};

use crate::session::Session;

/// Attempts made so far for one request.
///
/// Start with the default and [note](Self::note) each verdict that you follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Tried {
    /// `true` if the tokens were refreshed for the request.
    pub refresh: bool,
    /// `true` if a login took place for the request.
    pub login: bool,
    /// `true` if the request was sent with the nonce that the server required.
    pub nonce: bool,
    /// `true` if the request was sent on to the slash form of its URL.
    ///
    /// See [`endpoint_redirect`](crate::endpoint_redirect).
    pub redirect: bool,
    /// Number of step-ups for the request.
    pub step_ups: u8,
}

impl Tried {
    /// Records that a verdict is followed.
    pub const fn note(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Refresh => self.refresh = true,
            Verdict::Login { .. } => self.login = true,
            Verdict::StepUp { .. } => self.step_ups = self.step_ups.saturating_add(1),
            Verdict::UseNonce => {
                self.nonce = true;
                return;
            }
            Verdict::Accepted | Verdict::Unauthorized | Verdict::GiveUp(_) => return,
        }
        // The nonce may have expired while new tokens were obtained.
        self.nonce = false;
    }
}

/// Next action of the host after a response.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each verdict")]
pub enum Verdict {
    /// Pass the response on, whatever its status.
    ///
    /// After a success, tell the ledger ([`Ledger::started`],
    /// [`Started::succeeded`](scope_stepup::Started::succeeded)).
    Accepted,
    /// Send the request again with a proof that carries the response's `DPoP-Nonce` (RFC 9449 §9).
    UseNonce,
    /// Refresh the tokens, then send the request again.
    Refresh,
    /// Log in with [`login`](crate::login), then send the request again.
    ///
    /// Pass the session that is current then: another request may have renewed it since.
    Login {
        /// The challenge of the response, if any.
        challenge: Option<BearerChallenge>,
    },
    /// Authorize for more scopes, then send the request again.
    ///
    /// Count the attempt with [`Ledger::start`] first; [`Session::step_up`](crate::Session::step_up) authorizes.
    StepUp {
        /// All scopes to request.
        scope: ScopeSet,
        /// The attempt, for the ledger.
        attempt: Attempt,
        /// The challenge of the response.
        challenge: BearerChallenge,
    },
    /// The server does not accept the tokens that were just issued.
    Unauthorized,
    /// More scopes are required and cannot be obtained.
    GiveUp(Box<InsufficientScope>),
}

/// Judges a response by its status and headers; the body is ignored.
///
/// The same rules apply to a POST and to the GET that opens an event stream (C-SCOPE-10).
pub fn judge(
    session: Option<&Session>,
    ledger: &Ledger,
    policy: &Policy,
    operation: &Operation,
    tried: Tried,
    (status, headers): (StatusCode, &HeaderMap),
) -> Verdict {
    let tokens = session.map(Session::tokens);
    let can_refresh = tokens.is_some_and(|held| held.refresh_token.is_some()) && !tried.refresh;
    let requested = tokens.and_then(|held| held.requested.as_ref());
    let granted = tokens.and_then(|held| held.granted.as_ref());
    let challenge = || {
        BearerChallenge::from_headers(headers)
            .or_else(|| BearerChallenge::from_dpop_headers(headers))
    };
    match status {
        // The token is valid, and neither another one nor a login adds the missing authorization.
        StatusCode::UNAUTHORIZED if session.is_some() && lacks_details(challenge().as_ref()) => {
            Verdict::Accepted
        }
        // C-EXT-3: the server has not examined the token yet.
        StatusCode::UNAUTHORIZED if !tried.nonce && asks_for_nonce(headers) => Verdict::UseNonce,
        StatusCode::UNAUTHORIZED if can_refresh => Verdict::Refresh,
        StatusCode::UNAUTHORIZED if !tried.login => Verdict::Login { challenge: challenge() },
        StatusCode::UNAUTHORIZED => Verdict::Unauthorized,
        StatusCode::FORBIDDEN => {
            let challenge =
                challenge().filter(|found| found.error == Some(BearerErrorCode::InsufficientScope));
            let Some(challenge) = challenge else {
                return Verdict::Accepted;
            };
            let challenge = &challenge;
            let situation = StepUpContext::new(operation, challenge)
                .with_requested(requested)
                .with_granted(granted)
                .with_can_refresh(can_refresh);
            match ledger.decide(&situation, policy) {
                Decision::Refresh => Verdict::Refresh,
                // Without a session no authorization server is known: a login requests the challenged scopes.
                Decision::Reauthorize { .. } if session.is_none() => {
                    Verdict::Login { challenge: Some(challenge.clone()) }
                }
                // C-SCOPE-6: the ledger forgets an operation that succeeds with other arguments; the count of one
                // request remains.
                Decision::Reauthorize { .. } if tried.step_ups >= policy.limit().get() => {
                    let mut error =
                        ledger.insufficient(&situation, InsufficientScopeKind::LimitReached);
                    error.attempts = error.attempts.max(tried.step_ups);
                    Verdict::GiveUp(Box::new(error))
                }
                Decision::Reauthorize { scope, attempt } => {
                    Verdict::StepUp { scope, attempt, challenge: challenge.clone() }
                }
                Decision::GiveUp(error) => Verdict::GiveUp(error),
            }
        }
        _ => Verdict::Accepted,
    }
}

/// Returns `true` if the token lacks an authorization that scopes cannot express.
///
/// The error is `insufficient_authorization` of the draft OAuth 2.0 RAR Metadata and Error Signaling. Its challenge
/// tells the host what is missing.
fn lacks_details(challenge: Option<&BearerChallenge>) -> bool {
    let error = challenge.and_then(|challenge| challenge.error.as_ref());
    error.is_some_and(|error| error.as_str() == "insufficient_authorization")
}

fn asks_for_nonce(headers: &HeaderMap) -> bool {
    headers.get(DPOP_NONCE).is_some_and(|nonce| nonce.to_str().is_ok())
        && BearerChallenge::from_dpop_headers(headers)
            .is_some_and(|challenge| challenge.error == Some(BearerErrorCode::UseDpopNonce))
}
