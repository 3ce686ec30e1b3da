//! What a client holds, and what becomes of it.

use core::time::Duration;
use std::sync::Arc;

use client_flow::{FlowError, Session};
use http::{HeaderValue, StatusCode};
use oauth_types::{AuthorizationErrorCode, BearerChallenge, ScopeSet};
use scope_stepup::{Attempt, Ledger, Operation, Windows};
use tokio::time::Instant;
use tracing::warn;

use super::end::Unforgotten;
use super::gate::Gate;
use crate::ambient::{monotonic, now};
use crate::drive::Failure;
use crate::flight::Kind;
use crate::{Error, StoreFailed, VisitFailed};

/// Shortest time for which a user who said no, or did not come back, is left alone.
const RESPITE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Holdings {
    pub(super) session: Option<Arc<Session>>,
    pub(super) ledger: Ledger,
    /// Whether the store was asked what an earlier run left.
    pub(super) is_restored: bool,
    /// The latest nonce of the server, for proofs of possession.
    pub(super) nonce: Option<HeaderValue>,
    /// `true` once the server has accepted the session's token.
    pub(super) is_proven: bool,
    /// What the store may still hold after the user logged out.
    pub(super) unforgotten: Option<Unforgotten>,
    /// Refreshes.
    pub(super) refreshes: Gate,
    /// Logins, and step-ups that failed for a reason that concerns every operation.
    pub(super) logins: Gate,
    /// Saves that are made up for.
    pub(super) saves: Gate,
    pub(super) windows: Windows,
}

/// What a renewal is to bring.
#[derive(Clone)]
pub(super) enum Wanted {
    Restore,
    FreshToken,
    Login {
        challenge: Option<BearerChallenge>,
        /// The user asks for it, and not a request: no gate and no budget holds it up.
        by_user: bool,
    },
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
    pub(super) const fn login(challenge: Option<BearerChallenge>) -> Self {
        Self::Login { challenge, by_user: false }
    }

    pub(super) const fn is_by_user(&self) -> bool {
        matches!(self, Self::Login { by_user: true, .. })
    }

    pub(super) const fn needs_user(&self) -> bool {
        self.operation().is_some() || matches!(self, Self::Login { .. })
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
            Self::Login { .. } => "login",
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
pub(super) type Outcome = Result<Option<Session>, Failure>;

impl Holdings {
    /// Returns why a renewal may not begin yet.
    pub(super) fn refusal(&self, wanted: &Wanted, now: Instant) -> Option<Error> {
        match wanted {
            Wanted::Restore => None,
            Wanted::FreshToken => self.refreshes.refusal(now),
            wanted if wanted.is_by_user() => None,
            _ => self.logins.refusal(now),
        }
    }

    /// Notes what an answer says about the token that the request was sent with.
    pub(super) fn note(&mut self, held: Option<&Arc<Session>>, status: StatusCode) {
        let (Some(held), Some(own)) = (held, &self.session) else { return };
        if !Arc::ptr_eq(held, own) {
            return;
        }
        if status != StatusCode::UNAUTHORIZED {
            if !self.is_proven {
                self.is_proven = true;
                self.logins.open();
                // A token that expires at once proves nothing about the next refresh.
                if !own.is_stale(now()) {
                    self.refreshes.open();
                }
            }
        } else if self.is_proven {
            // The server took it before: this refusal is news.
            self.refreshes.wake();
        }
    }

    /// Returns `true` if the store lacks something that this client knows, and may be asked again now.
    pub(super) fn takes_another_save(&mut self, now: Instant) -> bool {
        let is_due = self.is_unsaved() && self.saves.is_open(now);
        if is_due {
            // Until it is known how it ends.
            self.saves.fail(Error::Store(StoreFailed), None, now);
        }
        is_due
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.unforgotten.is_some() || self.session.as_ref().is_some_and(|own| !own.is_saved())
    }

    /// Keeps a session that a save brought, unless it was replaced meanwhile.
    pub(super) fn resaved(&mut self, session: Session, from: &Session) {
        let is_current = self.session.as_ref().is_some_and(|own| holds_tokens_of(own, from));
        if is_current {
            self.is_proven &= holds_tokens_of(&session, from);
            if session.is_saved() {
                self.saves.open();
            }
            self.session = Some(Arc::new(session));
        }
    }

    /// Forgets the session in memory; the store is told next.
    pub(super) fn log_out(&mut self, with_registration: bool) {
        self.is_restored = true;
        self.is_proven = false;
        let ended = Unforgotten::new(self.session.take().as_deref(), with_registration);
        self.unforgotten = Some(ended.after(self.unforgotten.take()));
    }

    /// Keeps what a renewal came to. One that was begun before the user logged out brings nothing.
    pub(super) fn land(
        &mut self,
        outcome: Outcome,
        wanted: &Wanted,
        is_over: bool,
    ) -> Result<(), Error> {
        // Whoever has logged in or out meanwhile knows better than what was kept before.
        if matches!(wanted, Wanted::Restore) && self.is_restored {
            return Ok(());
        }
        if is_over {
            return Err(Error::LoginEnded);
        }
        self.is_restored = true;
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(session)) => {
                self.renewed(session, wanted);
                Ok(())
            }
            Err(failure) => self.failed(failure, wanted),
        }
    }

    fn renewed(&mut self, session: Session, wanted: &Wanted) {
        let at = monotonic();
        self.is_proven = false;
        if session.is_saved() {
            self.saves.open();
            // A login has replaced what was to be forgotten.
            let key = session.account().key();
            let is_replaced = |own: &Unforgotten| own.key.as_ref().is_none_or(|own| *own == key);
            if wanted.needs_user() && self.unforgotten.as_ref().is_some_and(is_replaced) {
                self.unforgotten = None;
            }
        } else {
            warn!("the tokens could not be saved: they are used from memory and saved again later");
            self.saves.fail(Error::Store(StoreFailed), None, at);
        }
        match wanted {
            Wanted::FreshToken => self.refreshes.rest(at),
            Wanted::Login { by_user: false, .. } => {
                self.refreshes.open();
                self.logins.rest(at);
            }
            _ => {
                self.refreshes.open();
                self.logins.open();
            }
        }
        self.session = Some(Arc::new(session));
    }

    fn failed(&mut self, failure: Failure, wanted: &Wanted) -> Result<(), Error> {
        let Failure { error, retry_after } = failure;
        // The user has ended it, which is no reason to wait.
        if matches!(error, Error::LoginEnded) {
            return Err(error);
        }
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
        let at = monotonic();
        match wanted {
            Wanted::FreshToken => {
                warn!(%error, "the tokens could not be refreshed and are kept");
                self.refreshes.fail(error.clone(), retry_after, at);
                self.refreshes.shorten_where(is_unreachable(&error));
            }
            Wanted::Scope { operation, .. } if said_no(&error) => self.ledger.declined(operation),
            Wanted::Scope { .. } if !concerns_all(&error) => {}
            _ if let Error::TooManyWindows(error) = &error => {
                let wait = error.until.since(now());
                self.logins.hold(Error::TooManyWindows(*error), wait, at);
            }
            // The registration may be forgotten: the next login registers anew.
            Wanted::Login { .. } if is_refusal(&error) && retry_after.is_none() => {
                self.logins.fail_leniently(error.clone(), at);
            }
            _ => {
                let respite = (said_no(&error) || is_away(&error)).then_some(RESPITE);
                self.logins.fail(error.clone(), retry_after.max(respite), at);
                self.logins.shorten_where(is_unreachable(&error));
            }
        }
        if leads_to_login { Ok(()) } else { Err(error) }
    }

    /// Returns `true` if a refresh failed a short while ago in a way that only a login helps against.
    pub(super) fn needs_login(&self, now: Instant) -> bool {
        let failure = self.refreshes.failure(now);
        failure.is_some_and(|error| matches!(error, Error::Flow(flow) if !flow.passes()))
    }
}

/// Returns `true` if the user did not want to.
fn said_no(error: &Error) -> bool {
    match error {
        Error::Flow(FlowError::Denied(answer)) => {
            answer.code == AuthorizationErrorCode::AccessDenied
        }
        error => matches!(error, Error::Visit(VisitFailed::Declined)),
    }
}

/// Returns `true` if no server answered: the network may be back at any moment.
const fn is_unreachable(error: &Error) -> bool {
    matches!(error, Error::Flow(FlowError::Transport { .. }))
}

/// Returns `true` if the server refused a login that the user did not refuse.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Flow(flow) if !flow.passes()) && !said_no(error)
}

/// Returns `true` if no user came back.
const fn is_away(error: &Error) -> bool {
    matches!(error, Error::Visit(VisitFailed::Timeout))
}

/// Returns `true` if a step-up failed for a reason that every other one and a login meets too.
fn concerns_all(error: &Error) -> bool {
    match error {
        Error::Flow(flow) => flow.passes(),
        Error::TooManyWindows(_) => true,
        error => is_away(error),
    }
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
    use crate::flight::{Join, Renewable};

    fn login() -> Wanted {
        Wanted::login(None)
    }

    fn land(
        own: &mut Holdings,
        outcome: Result<Option<Session>, Error>,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        own.land(outcome.map_err(Failure::from), wanted, false)
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
        assert!(land(&mut own, Err(answered(503)), &Wanted::FreshToken).is_err());
        assert_eq!(refresh_token(&own), Some("rt"));
        assert!(!own.refreshes.is_open(monotonic()));
        // For the next 401 to lead to a login.
        let mut own = holdings();
        land(&mut own, Err(Error::Flow(refused("invalid_grant"))), &Wanted::FreshToken).unwrap();
        assert_eq!(refresh_token(&own), None);
        assert!(own.session.is_some() && own.refreshes.is_open(monotonic()));
        // A login may help here too, and a later refresh as well.
        let issuer = oauth_types::Issuer::parse("https://as.example").unwrap();
        for kept in [
            answered(404),
            Error::Flow(refused("invalid_scope")),
            Error::Flow(FlowError::NoServerMetadata { issuer }),
        ] {
            let mut own = holdings();
            land(&mut own, Err(kept), &Wanted::FreshToken).unwrap();
            assert_eq!(refresh_token(&own), Some("rt"));
            assert!(!own.refreshes.is_open(monotonic()));
        }
        // Elsewhere only the end of the client is one of the refresh token.
        for (code, kept) in [("invalid_grant", Some("rt")), ("invalid_client", None)] {
            let mut own = holdings();
            assert!(land(&mut own, Err(Error::Flow(refused(code))), &login()).is_err());
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
        land(&mut own, restored(), &Wanted::Restore).unwrap();
        assert!(own.session.take().is_some() && own.is_restored);
        land(&mut own, restored(), &Wanted::Restore).unwrap();
        assert!(own.session.is_none());
    }

    #[test]
    fn sec_244_a_user_who_declines_or_does_not_come_back_is_left_alone_for_a_while() {
        for failed in [VisitFailed::Declined, VisitFailed::Timeout] {
            let mut own = holdings();
            let before = monotonic();
            assert!(land(&mut own, Err(Error::Visit(failed)), &login()).is_err());
            assert!(own.refusal(&login(), before + RESPITE - Duration::from_secs(1)).is_some());
            assert!(own.refusal(&login(), monotonic() + RESPITE).is_none());
            // What the user asks for is no request's.
            let by_user = Wanted::Login { challenge: None, by_user: true };
            assert!(own.refusal(&by_user, before).is_none());
            // Whoever has logged in after all has said yes.
            let session = own.session.as_deref().cloned();
            land(&mut own, Ok(session), &by_user).unwrap();
            assert!(own.refusal(&login(), before).is_none());
        }
    }

    #[test]
    fn sec_243_tokens_that_are_refused_or_expire_at_once_are_not_renewed_at_once() {
        let mut own = holdings();
        let session = || Session::clone(holdings().session.unwrap().as_ref());
        land(&mut own, Ok(Some(session())), &login()).unwrap();
        assert!(own.refusal(&login(), monotonic()).is_some(), "not accepted yet");
        let held = own.session.clone();
        own.note(held.as_ref(), StatusCode::UNAUTHORIZED);
        assert!(own.refusal(&login(), monotonic()).is_some());
        own.note(held.as_ref(), StatusCode::OK);
        assert!(own.refusal(&login(), monotonic()).is_none());
        // These expired in 1970: a refresh brought nothing that lasts.
        land(&mut own, Ok(Some(session())), &Wanted::FreshToken).unwrap();
        let held = own.session.clone();
        own.note(held.as_ref(), StatusCode::OK);
        assert!(own.refusal(&Wanted::FreshToken, monotonic()).is_some());
        // Until the server itself says so.
        own.note(held.as_ref(), StatusCode::UNAUTHORIZED);
        assert!(own.refusal(&Wanted::FreshToken, monotonic()).is_none());
    }

    #[test]
    fn sec_252_failures_of_many_operations_are_remembered_for_a_few() {
        let own: Renewable<(), Wanted, Error> = Renewable::new(());
        let named = |count: u64| step_up(&format!("{count}{}", "x".repeat(1000)));
        for count in 0..6000 {
            let wanted = named(count);
            let begin = |(): &()| Ok(async { Err(Error::Unauthorized) });
            let landed = own.renew(
                count,
                wanted,
                begin,
                futures::executor::block_on,
                |(), outcome: Result<(), Error>| outcome,
            );
            assert!(matches!(landed, Join::Wait(..)));
        }
        let is_remembered = |count: &u64| own.news(0, &named(*count)).is_some();
        assert_eq!((0..6000).filter(is_remembered).collect::<Vec<_>>(), Vec::from_iter(5968..6000));
    }

    #[test]
    fn sec_245_what_was_begun_before_the_user_logged_out_brings_nothing() {
        let mut own = holdings();
        let session = Session::clone(own.session.as_ref().unwrap());
        own.log_out(false);
        for wanted in [login(), Wanted::FreshToken] {
            let landed = own.land(Ok(Some(session.clone())), &wanted, true);
            assert!(matches!(landed, Err(Error::LoginEnded)));
            assert!(own.session.is_none());
        }
    }
}
