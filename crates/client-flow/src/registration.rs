//! Becoming a client of an authorization server by registration (RFC 7591): what this client says of itself, and what
//! it makes of the answer (C-REG-3, C-REG-4, C-REG-7).

use bytes::Bytes;
use client_auth::ClientCredentials;
use http::Response;
use oauth_types::{
    ApplicationType, AuthMethod, AuthorizationServerMetadata, ClientInformation, ClientMetadata,
    EndpointUrl, ErrorResponse, GrantType, RedirectUri, ResponseType, ScopeSet, UnixTime,
};

use crate::authorization::authorize;
use crate::exchange::Then;
use crate::recall::Login;
use crate::{Account, ClientConfig, Exchange, FlowError, Grant, Purpose, Record, Save, Step};

/// The request that makes this client one of the server's.
pub(crate) fn register(login: Login, scope: Option<ScopeSet>) -> Result<Step, FlowError> {
    let config = &login.goal.config;
    let issuer = &login.server.issuer;
    // Nobody hands a secret to a client that no user stands behind.
    let (Grant::AuthorizationCode { redirect_uri }, Some(endpoint)) =
        (&config.grant, &login.metadata.registration_endpoint)
    else {
        return Err(FlowError::NoRegistration { issuer: issuer.clone() });
    };
    let sent = match &config.registration {
        Some(registration) => registration.clone(),
        None => registration(config, redirect_uri, &login.metadata, scope.as_ref()),
    };
    let (endpoint, json) = (endpoint.clone(), sent.to_json());
    let state = Registering { login, scope, endpoint: endpoint.clone(), sent };
    Exchange::post_json(&endpoint, json, Then::Registration(Box::new(state)))
}

/// What this client says about itself.
fn registration(
    config: &ClientConfig,
    redirect_uri: &RedirectUri,
    server: &AuthorizationServerMetadata,
    scope: Option<&ScopeSet>,
) -> ClientMetadata {
    let mut sent = ClientMetadata::new(core::slice::from_ref(redirect_uri));
    sent.client_name = Some(config.client_name.clone());
    sent.response_types = Some(vec![ResponseType::Code]);
    // C-REG-7
    let mut grants = vec![GrantType::AuthorizationCode];
    if config.wants_refresh_token {
        grants.push(GrantType::RefreshToken);
    }
    sent.grant_types = Some(grants);
    // C-REG-3
    sent.application_type =
        Some(if redirect_uri.is_native() { ApplicationType::Native } else { ApplicationType::Web });
    // A public client where the server knows one, else what it lists first of what we speak: the Python SDK's
    // servers list Basic last, and want `client_id` in the body beside it.
    let spoken = [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
    let listed = server.auth_methods();
    sent.token_endpoint_auth_method = Some(AuthMethod::None)
        .filter(|none| listed.contains(none))
        .or_else(|| listed.iter().find(|method| spoken.contains(method)).cloned());
    sent.scope = may_ask_for(server, scope, config.wants_refresh_token);
    sent
}

/// All that this client may ever ask for, where the server lists all that it asks for now: some servers hold
/// clients to what they registered, and give nothing to those that registered nothing. Others refuse scopes that
/// they do not list themselves.
fn may_ask_for(
    server: &AuthorizationServerMetadata,
    scope: Option<&ScopeSet>,
    offline: bool,
) -> Option<ScopeSet> {
    let listed = server.scopes_supported.iter().flatten().map(String::as_str);
    let listed: Vec<&str> = listed.filter(|one| offline || *one != "offline_access").collect();
    let listed = ScopeSet::parse(&listed.join(" ")).ok().filter(|listed| !listed.is_empty())?;
    scope.filter(|scope| !scope.exceeds(&listed)).map(|_| listed)
}

/// A registration request under way.
pub(crate) struct Registering {
    login: Login,
    scope: Option<ScopeSet>,
    endpoint: EndpointUrl,
    sent: ClientMetadata,
}

impl Registering {
    pub(crate) fn read(self, response: &Response<Bytes>, now: UnixTime) -> Result<Step, FlowError> {
        let Login { goal, metadata, server, .. } = &self.login;
        // C-REG-4: the body decides. An error counts whatever the status, and an answer with any 2xx.
        let status = response.status();
        let error = ErrorResponse::from_json(response.body()).ok();
        if error.is_some() || !status.is_success() {
            if server.is_assumed && status.is_client_error() {
                // Where nothing is published and nothing is there, it is no server of MCP 2025-03-26.
                return Err(FlowError::NoResourceMetadata);
            }
            let sent = Box::new(self.sent);
            return Err(FlowError::RegistrationRejected { status, error, sent });
        }
        let answer = ClientInformation::from_json(response.body()).map_err(|error| {
            FlowError::Document { purpose: Purpose::Registration, url: self.endpoint, error }
        })?;
        let expires_at = answer.client_secret_expires_at.filter(|at| at.as_secs() != 0);
        let client = ClientCredentials::choose(
            answer.client_id,
            answer.client_secret,
            answer.metadata.token_endpoint_auth_method.as_ref(),
            metadata.auth_methods(),
        )
        .map_err(FlowError::Credentials)?
        .expiring(expires_at);
        let redirect_uri = match &goal.config.grant {
            Grant::AuthorizationCode { redirect_uri } => Some(redirect_uri.clone()),
            _ => None,
        };
        let account = Account { redirect_uri, ..self.login.account(client, None) }.registered(now);
        let record = Record { asked: self.scope.clone(), ..Record::new(account.clone()) };
        Ok(Save::step(record, authorize(account, &goal.config, self.scope)))
    }
}
