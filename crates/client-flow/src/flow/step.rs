//! The moves of a flow. A host writes one `match` and needs no other knowledge.

use crate::error::FlowError;
use crate::flow::discovery::ChooseServer;
use crate::flow::exchange::Exchange;
use crate::flow::identity::Identify;
use crate::flow::randomize::Randomize;
use crate::flow::recall::Recall;
use crate::flow::visit::Visit;
use crate::session::{Record, Session};

/// What to do next. Each payload owns the whole flow and has one way on, so nothing can be answered
/// twice, skipped or answered with the wrong thing.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
#[expect(clippy::exhaustive_enums, reason = "a host must answer each step")]
pub enum Step {
    /// Send this request; follow no redirect.
    Exchange(Box<Exchange>),
    /// Look up what is kept about this server.
    ///
    /// Where processes or tasks share a store, hold its lock from here until the [`Save`](Self::Save) that follows, or
    /// until the flow waits for the user: a record written back after another one's refresh would bring back a spent
    /// refresh token.
    Recall(Box<Recall>),
    /// Say which authorization server to use.
    ChooseServer(Box<ChooseServer>),
    /// Draw random bytes.
    Randomize(Box<Randomize>),
    /// Hand over a token that says on whose behalf this client asks.
    Identify(Box<Identify>),
    /// Send the user's browser there and wait for it to come back.
    Visit(Box<Visit>),
    /// Keep this. A save that fails ends nothing: [`Save::failed`] goes on.
    Save(Box<Save>),
    /// Done.
    Ready(Box<Session>),
}

impl Step {
    /// Returns `true` if the flow goes on to the user's browser from here, unless it fails before.
    ///
    /// A registration and the save that [counts a login](crate::Account::MAX_UNFINISHED_LOGINS) are such steps. A host that may
    /// open no browser now asks this before it carries a step out and ends the flow there, so that neither is spent on a
    /// login that does not take place. Everything before only reads, and may find tokens for which no login is needed.
    ///
    /// # Examples
    ///
    /// ```
    /// use client_flow::Step;
    ///
    /// /// Returns the step, if it may be carried out without a user.
    /// fn unattended(step: Step) -> Option<Step> {
    ///     (!step.leads_to_browser()).then_some(step)
    /// }
    /// ```
    #[must_use]
    pub fn leads_to_browser(&self) -> bool {
        match self {
            Self::Exchange(exchange) => exchange.leads_to_browser(),
            Self::Randomize(randomize) => randomize.leads_to_browser(),
            Self::Save(save) => save.then.as_ref().is_ok_and(Self::leads_to_browser),
            Self::Visit(_) => true,
            Self::Recall(_) | Self::ChooseServer(_) | Self::Identify(_) | Self::Ready(_) => false,
        }
    }
}

/// Something that has to be kept before it is used, as far as the store can keep it (C-TOKEN-6).
///
/// # Examples
///
/// ```
/// use client_flow::{FlowError, Record, Save, Step};
///
/// fn take(save: Save, store: impl Fn(&Record) -> bool) -> Result<Step, FlowError> {
///     // At once a second time: most failures of a store pass.
///     let is_kept = store(save.record()) || store(save.record());
///     if is_kept { save.saved() } else { save.failed() }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Save {
    record: Record,
    then: Result<Step, FlowError>,
}

impl Save {
    pub(crate) fn step(record: Record, then: Result<Step, FlowError>) -> Step {
        Step::Save(Box::new(Self { record, then }))
    }

    /// Keeps a session, and ends with it.
    pub(crate) fn session(session: Session) -> Step {
        let record = session.to_record();
        Self::step(record, Ok(Step::Ready(Box::new(session))))
    }

    /// What to keep. It replaces whatever is kept under the same key.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The record is kept: goes on.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the record was kept to forget what a server will never take again, and nothing is left
    /// to go on with.
    pub fn saved(self) -> Result<Step, FlowError> {
        match self.then {
            Ok(Step::Ready(session)) => Ok(Step::Ready(Box::new(session.saved()))),
            then => then,
        }
    }

    /// Goes on with a record that could not be kept.
    ///
    /// What a server has issued is not thrown away: the refresh token before it may be spent, and sending that again
    /// would end the grant (RFC 9700 §4.14.2). So the flow ends with a session that
    /// [is not saved](Session::is_saved). The host uses it from memory, [saves](Session::save) it again when it can,
    /// and tells its user that a restart needs a login until then. A registration that is not kept serves this login.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when there was nothing left to go on with anyway, as for [`saved`](Self::saved).
    pub fn failed(self) -> Result<Step, FlowError> {
        match self.then {
            // C-TOKEN-6
            Ok(Step::Ready(session)) => Ok(Recall::not_saved(*session)),
            then => then,
        }
    }
}
