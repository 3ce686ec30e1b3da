//! Client registration (RFC 7591, C-REG-3, C-REG-4, C-REG-7).
//!
//! | answer | outcome |
//! |---|---|
//! | a client identifier | saved, then used; if the record has older tokens, saved with the new tokens |
//! | `invalid_scope`, the first time | the same registration without `scope` |
//! | `invalid_client_metadata`, the first time | the same registration with only the indispensable members |
//! | another error, or a second one | `RegistrationError::Rejected`, with the last request and the reason |
//!
//! Metadata that the host wrote ([`ClientConfig::registration`](crate::ClientConfig::registration)) is sent once,
//! unchanged.

use bytes::Bytes;
use client_auth::ClientCredentials;
use http::Response;
use oauth_types::{
    AuthMethod, ClientInformation, ClientMetadata, EndpointUrl, ErrorResponse, ScopeSet, UnixTime,
};

use crate::client_metadata::{registration, with_less};
use crate::config::Grant;
use crate::error::{DiscoveryError, FlowError, FlowErrorKind, RegistrationError};
use crate::flow::authorization::authorize;
use crate::flow::send_request::{SendRequest, Then};
use crate::flow::step::{SaveCredentials, Step};
use crate::goal::Login;
use crate::session::{Account, StoredCredentials};
use crate::stage::FlowStage;

/// Time at which the record of a new registration is saved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaveAt {
    /// Together with the registration.
    Registration,
    /// Together with the tokens of the new client, because the record has tokens of an older registration.
    ///
    /// An unfinished login or step-up must not remove tokens that another process may still use; and that process has
    /// to learn that older tokens are used up.
    Tokens,
}

/// Returns the registration request.
///
/// The record of the new client is saved at `save_at`.
pub(crate) fn register(
    login: Login,
    scope: Option<ScopeSet>,
    save_at: SaveAt,
) -> Result<Step, FlowError> {
    let config = &login.goal.config;
    let issuer = &login.server.issuer;
    // Servers issue no secret to a self-registered client without a user.
    let (Grant::AuthorizationCode { redirect_uri }, Some(endpoint)) =
        (&config.grant, &login.metadata.registration_endpoint)
    else {
        return Err(RegistrationError::NotOffered { issuer: issuer.clone() }.into());
    };
    login.server.registers_at(endpoint)?;
    let sent = match &config.registration {
        Some(registration) => registration.clone(),
        None => registration(&login, redirect_uri, scope.as_ref()),
    };
    let is_last = config.registration.is_some();
    let endpoint = endpoint.clone();
    Registering { endpoint, login, scope, sent, is_last, save_at }.send()
}

/// Registration request in progress.
pub(crate) struct Registering {
    login: Login,
    scope: Option<ScopeSet>,
    endpoint: EndpointUrl,
    sent: ClientMetadata,
    /// `true` if a refusal of this request ends the flow.
    is_last: bool,
    save_at: SaveAt,
}

impl Registering {
    pub(crate) const fn needs_browser(&self) -> bool {
        self.login.goal.config.grant.needs_browser()
    }

    fn send(self) -> Result<Step, FlowError> {
        let (endpoint, json) = (self.endpoint.clone(), self.sent.to_json());
        SendRequest::post_json(&endpoint, json, Then::Registration(Box::new(self)))
    }

    pub(crate) fn read(self, response: &Response<Bytes>, now: UnixTime) -> Result<Step, FlowError> {
        let Login { goal, metadata, server, .. } = &self.login;
        // C-REG-4: the body decides. An error counts whatever the status, and a client with any 2xx.
        let status = response.status();
        let error = ErrorResponse::from_json(response.body()).ok();
        if error.is_some() || !status.is_success() {
            let less = error.as_ref().filter(|_| !self.is_last);
            let less = less.and_then(|error| with_less(&self.sent, &error.error));
            if let Some(sent) = less {
                return Self { sent, is_last: true, ..self }.send();
            }
            if server.is_assumed && status.is_client_error() {
                // A server without metadata and without a registration endpoint is not one of MCP 2025-03-26.
                return Err(DiscoveryError::NoResourceMetadata.into());
            }
            let sent = Box::new(self.sent);
            return Err(RegistrationError::Rejected { status, error, sent }.into());
        }
        let answer = ClientInformation::from_json(response.body()).map_err(|error| {
            FlowErrorKind::Document { url: self.endpoint, error }.at(FlowStage::Registration)
        })?;
        let expires_at = answer.client_secret_expires_at.filter(|at| at.as_secs() != 0);
        let method = answer.metadata.token_endpoint_auth_method.as_ref();
        let offered = self.sent.jwks.is_some() || self.sent.jwks_uri.is_some();
        let unusable = |error| FlowErrorKind::Credentials(error).at(FlowStage::Registration);
        let client = if method == Some(&AuthMethod::PrivateKeyJwt) && offered {
            let client = ClientCredentials::with_assertions(answer.client_id);
            goal.config.keys.check(&client, metadata).map_err(unusable)?;
            client
        } else {
            let (id, secret) = (answer.client_id, answer.client_secret);
            ClientCredentials::choose(id, secret, method, metadata.auth_methods())
                .map_err(unusable)?
                .expiring(expires_at)
        };
        let redirect_uri = match &goal.config.grant {
            Grant::AuthorizationCode { redirect_uri } => Some(redirect_uri.clone()),
            _ => None,
        };
        // Metadata of the host is independent of the requested scope.
        let by_host = goal.config.registration.is_some();
        let registered_scope = self.sent.scope.filter(|_| !by_host);
        let account =
            Account { redirect_uri, registered_scope, ..self.login.account(client, None) };
        let account = account.registered(now);
        if self.save_at == SaveAt::Tokens {
            return authorize(account, &goal.config, self.scope);
        }
        let record = StoredCredentials {
            asked: self.scope.clone(),
            ..StoredCredentials::new(account.clone())
        };
        Ok(SaveCredentials::step(record, authorize(account, &goal.config, self.scope)))
    }
}
