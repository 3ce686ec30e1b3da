//! The moves of a flow. A host writes one `match` and needs no other knowledge.

use crate::{
    ChooseServer, Exchange, FlowError, Identify, Randomize, Recall, Record, Session, Visit,
};

/// What to do next. Each payload owns the whole flow and has one way on, so nothing can be answered
/// twice, skipped or answered with the wrong thing.
///
/// Exhaustive on purpose: a host that compiles handles every move.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
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
    /// Keep this before it is used.
    Save(Box<Save>),
    /// Done.
    Ready(Box<Session>),
}

/// Something that has to be kept before it is used (C-TOKEN-6).
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
        self.then
    }

    /// The record could not be kept: the flow ends, and what was not kept is not used.
    #[must_use]
    pub fn failed(self) -> FlowError {
        // C-TOKEN-6. What ended the flow anyway says more.
        self.then.err().unwrap_or(FlowError::NotSaved)
    }
}
