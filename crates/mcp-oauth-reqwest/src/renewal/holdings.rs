//! What a client holds, and what becomes of it.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{FlowError, Session};
use http::HeaderValue;
use oauth_types::{BearerChallenge, ScopeSet, UnixTime};
use scope_stepup::{Attempt, Ledger, Operation};
use tracing::warn;

use crate::ambient::now;
use crate::flight::Kind;
use crate::{Error, VisitFailed};

/// How long after a refresh that failed, for reasons that pass, the next one ahead of need is tried.
const BACK_OFF: Duration = Duration::from_secs(10);
/// How long a user who has declined to log in is left alone.
const RESPITE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Holdings {
    pub(super) session: Option<Arc<Session>>,
    pub(super) ledger: Ledger,
    /// Whether the store was asked what an earlier run left.
    pub(super) is_restored: bool,
    /// The latest nonce of the server, for proofs of possession.
    pub(super) nonce: Option<HeaderValue>,
    /// Until then no login: the user has just said no.
    pub(super) declined: Option<(UnixTime, Error)>,
    /// Until then no refresh ahead of need.
    pub(super) back_off_until: Option<UnixTime>,
}

/// What a renewal is to bring.
#[derive(Clone)]
pub(super) enum Wanted {
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

    /// Whether it was done for what was wanted: a step-up is its operation's.
    pub(super) fn is_for(&self, wanted: &Self) -> bool {
        wanted.operation().is_none() || self.operation() == wanted.operation()
    }

    pub(super) const fn name(&self) -> &'static str {
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

    /// A refresh widens no grant.
    fn is_helped_by(&self, other: &Self) -> bool {
        self.operation().is_none() || other.needs_user()
    }

    /// A step-up is its operation's own affair; a login or refresh is everybody's.
    fn shares_failure(&self, other: &Self) -> bool {
        self.needs_user() == other.needs_user()
            && other.operation().is_none_or(|failed| self.operation() == Some(failed))
    }
}

/// A session, or none where nothing was to be changed.
pub(super) type Outcome = Result<Option<Session>, Error>;

impl Holdings {
    /// What a user who has just declined to log in is the reason for.
    pub(super) fn declined(&self, now: UnixTime) -> Option<Error> {
        let (until, error) = self.declined.as_ref()?;
        (now < *until).then(|| error.clone())
    }

    /// Keeps what a renewal came to.
    pub(super) fn land(&mut self, outcome: Outcome, wanted: &Wanted) -> Result<(), Error> {
        // Whoever has logged in or out meanwhile knows better than what was kept before.
        if matches!(wanted, Wanted::Restore) && self.is_restored {
            return Ok(());
        }
        self.is_restored = true;
        let error = match outcome {
            Ok(None) => return Ok(()),
            Ok(Some(session)) => {
                self.session = Some(Arc::new(session));
                (self.back_off_until, self.declined) = (None, None);
                return Ok(());
            }
            Err(error) => error,
        };
        let is_refresh = matches!(wanted, Wanted::FreshToken);
        let mut leads_to_login = false;
        if let (Error::Flow(flow), Some(held)) = (&error, &self.session)
            && (flow.ends_client() || is_refresh)
        {
            self.session = Some(Arc::new(Session::clone(held).after(flow)));
            // Tried once: the next 401 leads to a login for all that was held.
            leads_to_login = is_refresh && !flow.passes();
            if flow.ends_grant() {
                warn!(%error, "the server does not refresh the tokens any more");
                if is_refresh {
                    return Ok(());
                }
            }
        } else if let (Wanted::Scope { .. }, Some(held), false) =
            (wanted, &self.session, said_no(&error))
        {
            // The page may have moved: the next step-up does not go there by what was read before.
            self.session = Some(Arc::new(Session::clone(held).with_expired_metadata()));
        }
        match wanted {
            Wanted::FreshToken => {
                warn!(%error, "the tokens could not be refreshed and are kept");
                self.back_off_until = Some(now().plus(BACK_OFF));
            }
            Wanted::Scope { operation, .. } if said_no(&error) => self.ledger.declined(operation),
            Wanted::Login(_) if said_no(&error) => {
                self.declined = Some((now().plus(RESPITE), error.clone()));
            }
            _ => {}
        }
        if leads_to_login { Ok(()) } else { Err(error) }
    }
}

/// Whether it was the user who did not want to.
const fn said_no(error: &Error) -> bool {
    matches!(error, Error::Flow(FlowError::Denied(_)) | Error::Visit(VisitFailed::Declined))
}

/// Returns `true` if both sessions hold the same access token. A failed step-up changes the session and not its tokens.
pub(super) fn holds_tokens_of(session: &Session, other: &Session) -> bool {
    session.tokens().access_token.matches(other.tokens().access_token.expose())
}

#[cfg(test)]
mod tests {
    use client_flow::{Purpose, Record};
    use http::StatusCode;
    use oauth_types::ErrorResponse;
    use serde_json::json;

    use super::*;

    fn login() -> Wanted {
        Wanted::Login(None)
    }

    fn step_up(tool: &str) -> Wanted {
        Wanted::ScopeOfOthers(Operation::tool(tool))
    }

    fn holdings() -> Holdings {
        let record: Record = serde_json::from_value(json!({
            "resource": "https://rs.example/mcp",
            "server": {
                "issuer": "https://as.example",
                "authorization_endpoint": "https://as.example/authorize",
                "token_endpoint": "https://as.example/token",
                "iss_advertised": true,
            },
            "client": {"client_id": "c", "method": "none"},
            "tokens": {"access_token": "at", "refresh_token": "rt", "expires_at": 1000},
        }))
        .unwrap();
        let session = Session::restore(record).unwrap();
        Holdings { session: Some(Arc::new(session)), ..Holdings::default() }
    }

    fn refresh_token(own: &Holdings) -> Option<&str> {
        own.session.as_ref()?.tokens().refresh_token.as_ref().map(|token| token.expose())
    }

    fn answered(status: u16) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        Error::Flow(FlowError::Status { purpose: Purpose::Refresh, status })
    }

    fn refused(code: &str) -> FlowError {
        let body = json!({"error": code}).to_string();
        FlowError::Token(ErrorResponse::from_json(body.as_bytes()).unwrap())
    }

    #[test]
    fn c_token_8_users_are_asked_one_by_one_and_a_refresh_waits_for_none() {
        let asking = [login(), step_up("a"), step_up("b")];
        for one in &asking {
            assert!(asking.iter().all(|other| one.excludes(other)));
            assert!(!one.excludes(&Wanted::FreshToken) && !Wanted::FreshToken.excludes(one));
        }
        assert!(Wanted::FreshToken.excludes(&Wanted::FreshToken));
    }

    #[test]
    fn c_scope_5_a_refresh_is_no_news_to_a_step_up() {
        assert!(!step_up("a").is_helped_by(&Wanted::FreshToken));
        assert!(step_up("a").is_helped_by(&login()) && step_up("a").is_helped_by(&step_up("b")));
        for one in [Wanted::FreshToken, login()] {
            for other in [Wanted::FreshToken, login(), step_up("a")] {
                assert!(one.is_helped_by(&other));
            }
        }
    }

    #[test]
    fn a_failure_concerns_those_who_want_the_same() {
        assert!(Wanted::FreshToken.shares_failure(&Wanted::FreshToken));
        assert!(login().shares_failure(&login()) && step_up("a").shares_failure(&login()));
        assert!(step_up("a").shares_failure(&step_up("a")));
        assert!(!step_up("a").shares_failure(&step_up("b")));
        assert!(!login().shares_failure(&step_up("a")));
        assert!(!login().shares_failure(&Wanted::FreshToken));
        assert!(!Wanted::FreshToken.shares_failure(&login()));
    }

    #[test]
    fn c_token_7_only_an_oauth_error_of_the_token_endpoint_ends_the_refresh_token() {
        let mut own = holdings();
        assert!(own.land(Err(answered(503)), &Wanted::FreshToken).is_err());
        assert_eq!(refresh_token(&own), Some("rt"));
        assert!(own.back_off_until.is_some_and(|until| until > now()));
        // For the next 401 to lead to a login.
        let mut own = holdings();
        own.land(Err(Error::Flow(refused("invalid_grant"))), &Wanted::FreshToken).unwrap();
        assert_eq!(refresh_token(&own), None);
        assert!(own.session.is_some() && own.back_off_until.is_none());
        // A login may help here too, and a later refresh as well.
        let issuer = oauth_types::Issuer::parse("https://as.example").unwrap();
        for kept in [
            answered(404),
            Error::Flow(refused("invalid_scope")),
            Error::Flow(FlowError::NoServerMetadata { issuer }),
        ] {
            let mut own = holdings();
            own.land(Err(kept), &Wanted::FreshToken).unwrap();
            assert_eq!(refresh_token(&own), Some("rt"));
            assert!(own.back_off_until.is_some_and(|until| until > now()));
        }
        // Elsewhere only the end of the client is one of the refresh token.
        for (code, kept) in [("invalid_grant", Some("rt")), ("invalid_client", None)] {
            let mut own = holdings();
            assert!(own.land(Err(Error::Flow(refused(code))), &login()).is_err());
            assert_eq!(refresh_token(&own), kept, "{code}");
        }
    }

    #[test]
    fn c_token_8_a_step_up_that_failed_brings_no_other_tokens() {
        let session = Session::clone(holdings().session.unwrap().as_ref());
        let before = session.clone();
        assert!(holds_tokens_of(&session.clone().with_expired_metadata(), &before));
        let mut record = session.to_record();
        record.tokens.as_mut().unwrap().access_token = oauth_types::Secret::new("at-2");
        assert!(!holds_tokens_of(&Session::restore(record).unwrap(), &before));
    }

    #[test]
    fn what_was_kept_before_brings_no_session_back_that_has_ended_meanwhile() {
        let (mut own, kept) = (Holdings::default(), holdings().session.unwrap());
        let restored = || Ok(Some(Session::clone(&kept)));
        own.land(restored(), &Wanted::Restore).unwrap();
        assert!(own.session.take().is_some() && own.is_restored);
        own.land(restored(), &Wanted::Restore).unwrap();
        assert!(own.session.is_none());
    }

    #[test]
    fn who_declines_a_login_is_left_alone_for_a_while_and_a_failure_is_no_refusal() {
        let mut own = holdings();
        assert!(own.land(Err(Error::Visit(VisitFailed::Timeout)), &login()).is_err());
        assert!(own.declined(now()).is_none());
        let before = now();
        assert!(own.land(Err(Error::Visit(VisitFailed::Declined)), &login()).is_err());
        assert!(own.declined(before.plus(RESPITE - Duration::from_secs(1))).is_some());
        assert!(own.declined(now().plus(RESPITE)).is_none());
        // Whoever has logged in after all has said yes.
        let session = own.session.as_deref().cloned();
        own.land(Ok(session), &login()).unwrap();
        assert!(own.declined(before).is_none());
    }
}
