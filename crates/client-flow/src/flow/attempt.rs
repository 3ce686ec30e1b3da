//! Count of login attempts in the record, and the effect of a denial on it.
//!
//! The table of events is at the head of `session/attempt.rs`.

use iss_validate::AuthorizationError;
use oauth_types::{AuthorizationErrorCode, ScopeSet};

use crate::config::ClientConfig;
use crate::error::{FlowError, FlowErrorKind};
use crate::flow::authorization::authorize;
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::step::{SaveCredentials, Step};
use crate::session::{Account, StoredCredentials};
use crate::stage::FlowStage;

/// Counts a login in the record, then continues to the browser.
pub(crate) fn begin(
    kept: StoredCredentials,
    account: Account,
    config: &ClientConfig,
    scope: Option<ScopeSet>,
) -> Result<Step, FlowError> {
    let account = account.attempted();
    // The tokens stay in the record, because an unfinished login must not remove them.
    let record = StoredCredentials { account: account.clone(), ..kept };
    Ok(SaveCredentials::step(record, authorize(account, config, scope)))
}

/// Ends a login after a validated error response of the authorization server.
pub(crate) fn denied(account: Account, error: AuthorizationError) -> Result<Step, FlowError> {
    let knows_client = error.code == AuthorizationErrorCode::AccessDenied;
    if knows_client && account.unfinished_logins > 0 {
        return Ok(LoadCredentials::denied(Denied { account, error }));
    }
    Err(FlowErrorKind::Denied(error).at(FlowStage::Authorization))
}

/// A login that the user denied; it is not counted, because the server knew the client.
#[derive(Clone)]
pub(crate) struct Denied {
    pub(crate) account: Account,
    error: AuthorizationError,
}

impl Denied {
    pub(crate) fn resume(self, kept: Option<StoredCredentials>) -> Result<Step, FlowError> {
        let ours = self.account.client.client_id();
        let kept = kept.filter(|record| record.account.client.client_id() == ours);
        let error = FlowErrorKind::Denied(self.error).at(FlowStage::Authorization);
        match kept {
            Some(mut record) if record.account.unfinished_logins > 0 => {
                record.account.unfinished_logins = 0;
                Ok(SaveCredentials::step(record, Err(error)))
            }
            _ => Err(error),
        }
    }
}
