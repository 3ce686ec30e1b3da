//! Token requests in progress, and the steps that follow from their responses.
//!
//! A login that refreshes the tokens of an earlier run ends only on a [transient](FlowError::is_transient) failure.
//! After any other failure it continues without those tokens. The record keeps them until the login obtains others,
//! unless the grant has ended.

use bytes::Bytes;
use http::Response;
use oauth_types::{Entropy, UnixTime};

use crate::error::FlowError;
use crate::flow::generate_random::GenerateRandom;
use crate::flow::load_credentials::LoadCredentials;
use crate::flow::send_request::{SendRequest, Then};
use crate::flow::step::{SaveCredentials, Step};
use crate::session::StoredCredentials;
use crate::stage::FlowStage;
use crate::token::{TokenAnswer, TokenMessage, TokenRequest};

/// Token request in progress.
pub(crate) struct Redeeming {
    request: TokenRequest,
    fallback: Option<Box<Fallback>>,
}

/// Login to continue where the stored refresh token does not work, and the record that held it.
struct Fallback {
    login: LoadCredentials,
    kept: StoredCredentials,
}

impl Redeeming {
    /// Sends a request whose failure ends the flow.
    pub(super) fn start(request: TokenRequest) -> Result<Step, FlowError> {
        Self { request, fallback: None }.step()
    }

    /// Sends a refresh as part of a login, which continues with the record if the refresh fails.
    pub(super) fn start_or_else(
        request: TokenRequest,
        login: LoadCredentials,
        kept: StoredCredentials,
    ) -> Result<Step, FlowError> {
        Self { request, fallback: Some(Box::new(Fallback { login, kept })) }.step()
    }

    pub(super) const fn stage(&self) -> FlowStage {
        self.request.stage()
    }

    /// Returns the step that sends the request, after one for random bytes if it is signed.
    fn step(self) -> Result<Step, FlowError> {
        if self.request.is_signed() {
            return Ok(GenerateRandom::signature(self));
        }
        self.send(None)
    }

    /// Signs and sends the request.
    pub(super) fn sign(self, entropy: Entropy<32>, now: UnixTime) -> Result<Step, FlowError> {
        self.send(Some((entropy, now)))
    }

    fn send(self, drawn: Option<(Entropy<32>, UnixTime)>) -> Result<Step, FlowError> {
        let TokenMessage { endpoint, headers, form } = self.request.message(drawn)?;
        SendRequest::post_form(&endpoint, headers, form, Then::Tokens(Box::new(self)))
    }

    pub(super) fn read(self, response: &Response<Bytes>, now: UnixTime) -> Result<Step, FlowError> {
        let Self { request, fallback } = self;
        match (request.read(response, now), fallback) {
            (Ok(TokenAnswer::NonceNeeded(request)), fallback) => {
                Self { request: *request, fallback }.step()
            }
            // C-TOKEN-6
            (Ok(TokenAnswer::Tokens(session)), _) => Ok(SaveCredentials::session(session)),
            // C-TOKEN-7
            (Ok(TokenAnswer::Ended { record, error }), fallback) => {
                let then = match fallback {
                    Some(fallback) => fallback.login.resume(Some(record.clone()), now),
                    None => Err(error),
                };
                Ok(SaveCredentials::step(record, then))
            }
            // C-TOKEN-7: the tokens stay in the record, because the server did not say that the grant has ended.
            (Err(error), Some(fallback)) if !error.is_transient() => {
                fallback.login.resume(Some(fallback.kept), now)
            }
            (Err(error), _) => Err(error),
        }
    }
}
