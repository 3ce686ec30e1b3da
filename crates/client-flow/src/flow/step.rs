//! Steps of a flow, which the host carries out in one `match`.

use crate::error::FlowError;
use crate::flow::discovery::ChooseServer;
use crate::flow::generate_random::GenerateRandom;
use crate::flow::get_assertion::GetAssertion;
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::open_browser::BrowserRequest;
use crate::flow::send_request::SendRequest;
use crate::session::{Session, StoredCredentials};

/// Next action for the host.
///
/// Each payload owns the whole flow and has one continuation, so that a step cannot be answered twice, skipped, or
/// answered with a value of the wrong kind.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
#[expect(clippy::exhaustive_enums, reason = "a host must answer each step")]
pub enum Step {
    /// Send this HTTP request; follow no redirect.
    SendRequest(Box<SendRequest>),
    /// Load the record about this server.
    ///
    /// Where processes or tasks share a store, hold its lock from here until the
    /// [`SaveCredentials`](Self::SaveCredentials) that follows, or until the flow waits for the user: a record written
    /// after another process's refresh would restore a used refresh token.
    LoadCredentials(Box<LoadCredentials>),
    /// Choose the authorization server.
    ChooseServer(Box<ChooseServer>),
    /// Generate random bytes.
    GenerateRandom(Box<GenerateRandom>),
    /// Supply a token that identifies the workload or user on whose behalf the client acts.
    GetAssertion(Box<GetAssertion>),
    /// Send the user's browser to a URL and wait for the callback.
    OpenBrowser(Box<BrowserRequest>),
    /// Save this record. A failed save does not end the flow: [`SaveCredentials::failed`] continues.
    SaveCredentials(Box<SaveCredentials>),
    /// The flow has ended with this session.
    Ready(Box<Session>),
}

impl Step {
    /// Returns `true` if the flow leads from here to the user's browser, unless it fails before.
    ///
    /// Such steps include a registration and the save that [counts a login](crate::Account::MAX_UNFINISHED_LOGINS). A
    /// host that may not open a browser now checks this before it carries out a step and ends the flow there, so that
    /// neither is spent on a login that does not take place. All earlier steps only read, and may find tokens that make
    /// a login unnecessary.
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
            Self::SendRequest(exchange) => exchange.leads_to_browser(),
            Self::GenerateRandom(randomize) => randomize.leads_to_browser(),
            Self::SaveCredentials(save) => save.then.as_ref().is_ok_and(Self::leads_to_browser),
            Self::OpenBrowser(_) => true,
            Self::LoadCredentials(_)
            | Self::ChooseServer(_)
            | Self::GetAssertion(_)
            | Self::Ready(_) => false,
        }
    }
}

/// Record to save before its tokens are used, as far as the store can save it (C-TOKEN-6).
///
/// # Examples
///
/// ```
/// use client_flow::{FlowError, StoredCredentials, SaveCredentials, Step};
///
/// fn take(save: SaveCredentials, store: impl Fn(&StoredCredentials) -> bool) -> Result<Step, FlowError> {
///     // At once a second time: most failures of a store pass.
///     let is_kept = store(save.record()) || store(save.record());
///     if is_kept { save.saved() } else { save.failed() }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct SaveCredentials {
    record: StoredCredentials,
    then: Result<Step, FlowError>,
}

impl SaveCredentials {
    pub(crate) fn step(record: StoredCredentials, then: Result<Step, FlowError>) -> Step {
        Step::SaveCredentials(Box::new(Self { record, then }))
    }

    /// Saves a session and ends the flow with it.
    pub(crate) fn session(session: Session) -> Step {
        let record = session.to_record();
        Self::step(record, Ok(Step::Ready(Box::new(session))))
    }

    /// Returns the record to save; it replaces any record under the same key.
    #[must_use]
    pub const fn record(&self) -> &StoredCredentials {
        &self.record
    }

    /// Continues after the record was saved.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the save only removed credentials that the server will never accept again, and the flow has
    /// no other way to continue.
    pub fn saved(self) -> Result<Step, FlowError> {
        match self.then {
            Ok(Step::Ready(session)) => Ok(Step::Ready(Box::new(session.saved()))),
            then => then,
        }
    }

    /// Continues after the record could not be saved.
    ///
    /// Issued tokens are not discarded: the refresh token before them may be used up, and sending it again would end
    /// the grant (RFC 9700 §4.14.2). So the flow ends with a session that [is not saved](Session::is_saved). The host
    /// uses it from memory, [saves](Session::save) it again when it can, and tells its user that a restart needs a
    /// login until then. An unsaved registration serves this login.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the flow had no way to continue in any case, as for [`saved`](Self::saved).
    pub fn failed(self) -> Result<Step, FlowError> {
        match self.then {
            // C-TOKEN-6
            Ok(Step::Ready(session)) => Ok(LoadCredentials::not_saved(*session)),
            then => then,
        }
    }
}
