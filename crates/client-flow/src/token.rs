//! Reading what a token endpoint answers (RFC 6749 §5).

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{DocumentError, ErrorResponse, ScopeSet, Secret, TokenResponse, UnixTime};

use crate::{Account, FlowError, Purpose, Save, Session, Step, Tokens};

/// A token request under way.
pub(crate) struct Redeeming {
    account: Account,
    requested: Option<ScopeSet>,
    /// What the grant reaches, when the request does not name scopes itself: a refresh.
    granted: Option<ScopeSet>,
    kept_refresh_token: Option<Secret>,
}

impl Redeeming {
    pub(crate) const fn grant(account: Account, requested: Option<ScopeSet>) -> Self {
        Self { account, requested, granted: None, kept_refresh_token: None }
    }

    pub(crate) fn refresh(account: Account, held: &Tokens) -> Self {
        Self {
            account,
            requested: held.requested.clone(),
            granted: held.granted.clone(),
            kept_refresh_token: held.refresh_token.clone(),
        }
    }

    pub(crate) fn read(
        self,
        purpose: Purpose,
        response: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        // C-TOKEN-4: an error body counts whatever the status; a status alone says less.
        if let Ok(error) = ErrorResponse::from_json(response.body()) {
            return Err(FlowError::Token(error));
        }
        if response.status() != StatusCode::OK {
            return Err(FlowError::Status { purpose, status: response.status() });
        }
        let answer =
            TokenResponse::from_json(response.body()).map_err(|error: DocumentError| {
                let url = self.account.server.token_endpoint.clone();
                FlowError::Document { purpose, url, error }
            })?;
        let named_scope = answer.scope.is_some();
        let mut tokens = Tokens::new(answer, self.requested, now);
        // A refresh without `scope` in its answer keeps what was granted (RFC 6749 §5.1, §6).
        if !named_scope && self.granted.is_some() {
            tokens.granted = self.granted;
        }
        // C-TOKEN-6
        tokens.refresh_token = tokens.refresh_token.or(self.kept_refresh_token);
        let session = Session::new(self.account, tokens);
        Ok(Save::step(session.to_record(), Step::Ready(Box::new(session))))
    }
}
