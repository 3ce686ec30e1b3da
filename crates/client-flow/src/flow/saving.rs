//! Another attempt to save a session that the host's store could not keep. The table is at the head of
//! `session/unsaved.rs`.

use crate::error::{FlowError, FlowErrorKind};
use crate::flow::recall::Recall;
use crate::flow::step::{Save, Step};
use crate::session::{Record, Session, Unsaved};
use crate::stage::FlowStage;

impl Session {
    /// Starts another attempt to save a session that [is not saved](Self::is_saved). It begins by looking up what is
    /// kept, so that tokens which another process saved later are taken up and not overwritten.
    ///
    /// It ends with a session that is saved, or with this one again. A host whose store is shared keeps others out from
    /// here until the flow has ended.
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
        Recall::save(self.clone())
    }
}

/// A session that is being saved.
#[derive(Clone)]
pub(crate) struct Saving {
    pub(crate) session: Session,
    /// `true` if a save has just failed: the store is read to learn what it holds instead.
    pub(crate) has_failed: bool,
}

impl Saving {
    pub(crate) fn resume(self, kept: Option<Record>) -> Result<Step, FlowError> {
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
            return Ok(Save::session(session));
        }
        // Where no tokens are kept any more, another process ended the grant: nothing is left to save.
        let ended = || {
            let error = FlowErrorKind::NoRefreshToken.at(FlowStage::Refresh);
            session.after(&error).saved()
        };
        let kept = kept.and_then(Self::restored).unwrap_or_else(ended);
        Ok(Step::Ready(Box::new(kept)))
    }

    fn restored(record: Record) -> Option<Session> {
        Session::restore(record).ok()
    }

    /// Goes on where the store cannot be read: the session stays as it is.
    pub(crate) fn failed(self) -> Step {
        let Self { session, has_failed } = self;
        let is_blind = has_failed && session.replaced().next().is_none();
        let session = if is_blind { session.unsaved(Unsaved::blind()) } else { session };
        Step::Ready(Box::new(session))
    }
}
