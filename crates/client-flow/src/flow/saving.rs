//! Repeated save of a session that the host's store failed to save.
//!
//! The table of cases is at the head of `session/unsaved.rs`.

use crate::error::{FlowError, FlowErrorKind};
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::step::{SaveCredentials, Step};
use crate::session::{Session, StoredCredentials, Unsaved};
use crate::stage::FlowStage;

impl Session {
    /// Starts another attempt to save a session that [is not saved](Self::is_saved).
    ///
    /// The flow begins by loading the record, so that tokens which another process saved later are used and not
    /// overwritten.
    ///
    /// It ends with a saved session, or with this one, still unsaved. A host whose store is shared holds the store's
    /// lock from here until the flow has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use client_flow::{FlowError, Session, Step};
    ///
    /// fn save_again(
    ///     session: Session,
    ///     drive: impl Fn(Step) -> Result<Session, FlowError>,
    /// ) -> Result<Session, FlowError> {
    ///     if session.is_saved() { Ok(session) } else { drive(session.save()) }
    /// }
    /// ```
    pub fn save(&self) -> Step {
        LoadCredentials::save(self.clone())
    }
}

/// Session that is being saved.
#[derive(Clone)]
pub(crate) struct Saving {
    pub(crate) session: Session,
    /// `true` if a save has just failed, so that the store is read to learn its current tokens.
    pub(crate) has_failed: bool,
}

impl Saving {
    pub(crate) fn resume(self, kept: Option<StoredCredentials>) -> Result<Step, FlowError> {
        let Self { session, has_failed } = self;
        if kept.as_ref().is_some_and(|kept| session.has_tokens_of(kept)) {
            return Ok(Step::Ready(Box::new(session.saved())));
        }
        if has_failed {
            let instead = kept.and_then(|record| record.tokens).map(|own| own.access_token);
            let session = session.unsaved(Unsaved::replacing(instead));
            return Ok(Step::Ready(Box::new(session)));
        }
        if session.supersedes(kept.as_ref()) || (kept.is_none() && session.is_saved()) {
            return Ok(SaveCredentials::session(session));
        }
        // A record without tokens means that another process ended the grant: nothing is left to save.
        let ended = || {
            let error = FlowErrorKind::NoRefreshToken.at(FlowStage::Refresh);
            session.after(&error).saved()
        };
        let kept = kept.and_then(Self::restored).unwrap_or_else(ended);
        Ok(Step::Ready(Box::new(kept)))
    }

    fn restored(record: StoredCredentials) -> Option<Session> {
        Session::restore(record).ok()
    }

    /// Continues without the record, which cannot be loaded: the session stays unchanged.
    pub(crate) fn failed(self) -> Step {
        let Self { session, has_failed } = self;
        let is_blind = has_failed && session.replaced().next().is_none();
        let session = if is_blind { session.unsaved(Unsaved::blind()) } else { session };
        Step::Ready(Box::new(session))
    }
}
