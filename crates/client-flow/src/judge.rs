//! What a response of the MCP server means for the client.
//!
//! | response | tried already | verdict |
//! |---|---|---|
//! | 401 with the error `insufficient_authorization`, a token is held | | `Accepted`: no login adds what scopes cannot say |
//! | 401 with a DPoP challenge `use_dpop_nonce` and a nonce | no nonce | `UseNonce` |
//! | 401, a refresh token is held | no refresh | `Refresh` |
//! | 401 | no login | `Login`, with all that was asked for before |
//! | 401 | both | `Unauthorized` |
//! | 403 with a Bearer `insufficient_scope` challenge | | what [`Ledger::decide`] says |
//! | anything else | | `Accepted` |

use http::{HeaderMap, StatusCode};
use oauth_types::header::DPOP_NONCE;
use oauth_types::{BearerChallenge, BearerErrorCode, ScopeSet};
use scope_stepup::{
    Attempt, Decision, GaveUp, InsufficientScope, Ledger, Operation, Policy, Situation,
};

use crate::session::Session;

/// What was done about this one request so far. Start with the default and
/// [note](Self::note) each verdict that is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Tried {
    /// A refresh was made for it.
    pub refresh: bool,
    /// A login was made for it.
    pub login: bool,
    /// It was sent with the nonce that the server asked for.
    pub nonce: bool,
    /// Set if the request was sent on to the slash form of its URL ([`endpoint_redirect`](crate::endpoint_redirect)).
    pub redirect: bool,
    /// How many step-ups were made for it.
    pub step_ups: u8,
}

impl Tried {
    /// Notes that a verdict is followed.
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
        // A nonce may have expired while another token was got.
        self.nonce = false;
    }
}

/// What to do about a response.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each verdict")]
pub enum Verdict {
    /// Nothing: it is the answer, whatever its status. If that is a success, tell the ledger
    /// ([`Ledger::started`], [`Started::succeeded`](scope_stepup::Started::succeeded)).
    Accepted,
    /// Send the request again with a proof that carries the response's `DPoP-Nonce` (RFC 9449 §9).
    UseNonce,
    /// Refresh the tokens, then send the request again.
    Refresh,
    /// Log in with [`login`](crate::login), then send the request again.
    Login {
        /// What the server said.
        challenge: Option<BearerChallenge>,
    },
    /// Count the attempt ([`Ledger::start`]), authorize with
    /// [`Session::step_up`](crate::Session::step_up), then send the request again.
    StepUp {
        /// All scopes to ask for.
        scope: ScopeSet,
        /// For the ledger.
        attempt: Attempt,
        /// What the server said.
        challenge: BearerChallenge,
    },
    /// The server does not take the tokens it just gave.
    Unauthorized,
    /// More scope is needed and not to be had.
    GiveUp(Box<InsufficientScope>),
}

/// Judges a response by its status and headers; the body plays no part.
///
/// The same for a POST and for the GET that opens an event stream (C-SCOPE-10).
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
    let challenge =
        || BearerChallenge::find(headers).or_else(|| BearerChallenge::find_dpop(headers));
    match status {
        // The token is good, and neither another one nor a login adds what it lacks.
        StatusCode::UNAUTHORIZED if session.is_some() && lacks_details(challenge().as_ref()) => {
            Verdict::Accepted
        }
        // C-EXT-3: the server did not look at the token yet.
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
            let situation = Situation::new(operation, challenge)
                .with_requested(requested)
                .with_granted(granted)
                .with_can_refresh(can_refresh);
            match ledger.decide(&situation, policy) {
                Decision::Refresh => Verdict::Refresh,
                // Without a session there is no server to ask: a login asks for the challenged scopes.
                Decision::Reauthorize { .. } if session.is_none() => {
                    Verdict::Login { challenge: Some(challenge.clone()) }
                }
                // C-SCOPE-6: the ledger forgets an operation that succeeds with other arguments; a request does not.
                Decision::Reauthorize { .. } if tried.step_ups >= policy.limit().get() => {
                    let mut error = ledger.insufficient(&situation, GaveUp::LimitReached);
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

/// Returns `true` if the server asks for more than scopes can say (`insufficient_authorization` of the draft OAuth 2.0
/// RAR Metadata and Error Signaling). What it asks for is in the challenge, for the host.
fn lacks_details(challenge: Option<&BearerChallenge>) -> bool {
    let error = challenge.and_then(|challenge| challenge.error.as_ref());
    error.is_some_and(|error| error.as_str() == "insufficient_authorization")
}

fn asks_for_nonce(headers: &HeaderMap) -> bool {
    headers.get(DPOP_NONCE).is_some_and(|nonce| nonce.to_str().is_ok())
        && BearerChallenge::find_dpop(headers)
            .is_some_and(|challenge| challenge.error == Some(BearerErrorCode::UseDpopNonce))
}
