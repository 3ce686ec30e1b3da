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
        if let (Error::Flow(flow), Some(held)) = (&error, &self.session)
            && (flow.ends_client() || (is_refresh && !flow.passes()))
        {
            // Tried once: the next 401 leads to a login for all that was held.
            warn!(%error, "the server does not refresh the tokens any more");
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
            Wanted::Login(_) if said_no(&error) => {
                self.declined = Some((now().plus(RESPITE), error.clone()));
            }
            _ => {}
        }
        Err(error)
    }
}

/// Whether it was the user who did not want to.
const fn said_no(error: &Error) -> bool {
    matches!(error, Error::Flow(FlowError::Denied(_)) | Error::Visit(VisitFailed::Declined))
}
