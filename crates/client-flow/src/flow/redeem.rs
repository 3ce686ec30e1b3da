//! Token requests under way, and what follows from their answers.
//!
//! Where a login refreshes what an earlier run left, nothing but a [transient](FlowError::is_transient) failure ends it: it goes on
//! without those tokens. The record keeps them until the login brings others, unless the grant has ended.

use bytes::Bytes;
use http::Response;
use oauth_types::{Entropy, UnixTime};

use crate::error::FlowError;
use crate::flow::exchange::{Exchange, Then};
use crate::flow::randomize::Randomize;
use crate::flow::recall::Recall;
use crate::flow::step::{Save, Step};
use crate::session::Record;
use crate::stage::FlowStage;
use crate::token::{TokenAnswer, TokenMessage, TokenRequest};

/// A token request under way.
pub(crate) struct Redeeming {
    request: TokenRequest,
    fallback: Option<Box<Fallback>>,
}

/// The login that goes on where the refresh token of an earlier run does not work, and the record of that run.
struct Fallback {
    login: Recall,
    kept: Record,
}

impl Redeeming {
    /// Sends a request whose failure ends the flow.
    pub(super) fn start(request: TokenRequest) -> Result<Step, FlowError> {
        Self { request, fallback: None }.step()
    }

    /// Sends a refresh that is a part of a login, which goes on with the record if the refresh fails.
    pub(super) fn start_or_else(
        request: TokenRequest,
        login: Recall,
        kept: Record,
    ) -> Result<Step, FlowError> {
        Self { request, fallback: Some(Box::new(Fallback { login, kept })) }.step()
    }

    pub(super) const fn stage(&self) -> FlowStage {
        self.request.stage()
    }

    /// The step that sends it, after another that draws what a signature needs.
    fn step(self) -> Result<Step, FlowError> {
        if self.request.is_signed() {
            return Ok(Randomize::signature(self));
        }
        self.send(None)
    }

    /// Signs and sends it.
    pub(super) fn sign(self, entropy: Entropy<32>, now: UnixTime) -> Result<Step, FlowError> {
        self.send(Some((entropy, now)))
    }

    fn send(self, drawn: Option<(Entropy<32>, UnixTime)>) -> Result<Step, FlowError> {
        let TokenMessage { endpoint, headers, form } = self.request.message(drawn)?;
        Exchange::post_form(&endpoint, headers, form, Then::Tokens(Box::new(self)))
    }

    pub(super) fn read(self, response: &Response<Bytes>, now: UnixTime) -> Result<Step, FlowError> {
        let Self { request, fallback } = self;
        match (request.read(response, now), fallback) {
            (Ok(TokenAnswer::NonceNeeded(request)), fallback) => {
                Self { request: *request, fallback }.step()
            }
            // C-TOKEN-6
            (Ok(TokenAnswer::Tokens(session)), _) => Ok(Save::session(session)),
            // C-TOKEN-7
            (Ok(TokenAnswer::Ended { record, error }), fallback) => {
                let then = match fallback {
                    Some(fallback) => fallback.login.resume(Some(record.clone()), now),
                    None => Err(error),
                };
                Ok(Save::step(record, then))
            }
            // C-TOKEN-7: the tokens stay in the record, because the server did not say that the grant has ended.
            (Err(error), Some(fallback)) if !error.is_transient() => {
                fallback.login.resume(Some(fallback.kept), now)
            }
            (Err(error), _) => Err(error),
        }
    }
}
