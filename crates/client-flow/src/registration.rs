//! Becoming a client of an authorization server by registration (RFC 7591): what this client says of itself, and what
//! it makes of the answer (C-REG-3, C-REG-4, C-REG-7).
//!
//! | answer | outcome |
//! |---|---|
//! | a client identifier | saved, then used; inside a step-up saved with the tokens that it leads to |
//! | `invalid_scope`, the first time | the same registration without `scope` |
//! | `invalid_client_metadata`, the first time | the same registration with nothing but what no client can do without |
//! | another error, or the second | `RegistrationRejected`, with the last request and the reason for its refusal |
//!
//! A registration that the host wrote is sent as it is, once.

use bytes::Bytes;
use client_auth::ClientCredentials;
use http::Response;
use oauth_types::{
    ApplicationType, AuthMethod, AuthorizationServerMetadata, ClientIdMetadata, ClientInformation,
    ClientMetadata, EndpointUrl, ErrorResponse, GrantType, InvalidClientIdMetadata,
    ProtectedResourceMetadata, RedirectUri, RegistrationErrorCode, ResponseType, Scope, ScopeSet,
    UnixTime,
};

use crate::authorization::authorize;
use crate::config::{ClientConfig, Grant};
use crate::error::FlowError;
use crate::exchange::{Exchange, Purpose, Then};
use crate::recall::Login;
use crate::record::{Account, Record};
use crate::step::{Save, Step};

impl ClientConfig {
    /// Returns the document to serve at [`metadata_url`](Self::metadata_url), `None` where there is no such URL or no
    /// user. A client with a signing key offers both methods, `none` and `private_key_jwt` (OpenID RP Metadata Choices),
    /// and names its key, or [`keys_url`](Self::keys_url): it signs where the server takes no public clients.
    ///
    /// # Errors
    ///
    /// [`InvalidClientIdMetadata`] when an authorization server would refuse the document.
    ///
    /// # Examples
    ///
    /// ```
    /// use client_flow::ClientConfig;
    /// use oauth_types::{ClientMetadataUrl, RedirectUri};
    ///
    /// let mut config =
    ///     ClientConfig::new("Notes", RedirectUri::parse("http://127.0.0.1/callback").unwrap());
    /// config.metadata_url = ClientMetadataUrl::parse("https://notes.example/oauth.json").ok();
    /// let document = config.metadata_document()?.unwrap();
    /// assert!(String::from_utf8_lossy(&document.to_json()).contains("Notes"));
    /// # Ok::<(), oauth_types::InvalidClientIdMetadata>(())
    /// ```
    pub fn metadata_document(&self) -> Result<Option<ClientIdMetadata>, InvalidClientIdMetadata> {
        let (Grant::AuthorizationCode { redirect_uri }, Some(url)) =
            (&self.grant, &self.metadata_url)
        else {
            return Ok(None);
        };
        let mut document = description(self, redirect_uri);
        document.token_endpoint_auth_method = Some(AuthMethod::None);
        self.keys.offer(&mut document, self.keys_url.as_ref());
        ClientIdMetadata::new(url.clone(), document).map(Some)
    }
}

/// The request that makes this client one of the server's. `has_tokens` if the record has tokens of an older
/// registration.
pub(crate) fn register(
    login: Login,
    scope: Option<ScopeSet>,
    has_tokens: bool,
) -> Result<Step, FlowError> {
    let config = &login.goal.config;
    let issuer = &login.server.issuer;
    // Nobody hands a secret to a client that no user stands behind.
    let (Grant::AuthorizationCode { redirect_uri }, Some(endpoint)) =
        (&config.grant, &login.metadata.registration_endpoint)
    else {
        return Err(FlowError::NoRegistration { issuer: issuer.clone() });
    };
    login.server.registers_at(endpoint)?;
    let sent = match &config.registration {
        Some(registration) => registration.clone(),
        None => registration(&login, redirect_uri, scope.as_ref()),
    };
    let is_last = config.registration.is_some();
    let endpoint = endpoint.clone();
    Registering { endpoint, login, scope, sent, is_last, is_saved_with_tokens: has_tokens }.send()
}

/// The part of this client's metadata that is the same for every server.
fn description(config: &ClientConfig, redirect_uri: &RedirectUri) -> ClientMetadata {
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
    sent
}

/// Returns the metadata that this client registers.
fn registration(
    login: &Login,
    redirect_uri: &RedirectUri,
    scope: Option<&ScopeSet>,
) -> ClientMetadata {
    let (config, server) = (&login.goal.config, &login.metadata);
    let mut sent = description(config, redirect_uri);
    // A public client where the server knows one, else what it lists first of what we speak: the Python SDK's
    // servers list Basic last, and want `client_id` in the body beside it.
    let spoken = [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
    let listed = server.auth_methods();
    sent.token_endpoint_auth_method = Some(AuthMethod::None)
        .filter(|none| listed.contains(none))
        .or_else(|| listed.iter().find(|method| spoken.contains(method)).cloned());
    if config.keys.sign_at(server) {
        config.keys.offer(&mut sent, config.keys_url.as_ref());
    }
    sent.scope = scope_to_register(server, &login.resource, scope);
    sent
}

/// Scopes to register: what is asked for now and what the resource lists, where the server lists all that is asked for.
/// Of a resource that lists nothing the server's own list is all that is known: without it each step-up would register
/// anew. Some servers hold clients to what they registered, and give nothing to those that registered nothing; a login for
/// more registers anew ([`Account::registered_scope`]). Others refuse scopes that they do not list themselves.
fn scope_to_register(
    server: &AuthorizationServerMetadata,
    resource: &ProtectedResourceMetadata,
    scope: Option<&ScopeSet>,
) -> Option<ScopeSet> {
    let scope = scope.filter(|scope| scope.iter().all(|one| server.lists_scope(one)))?;
    let listed = resource.scopes_supported.as_ref().or(server.scopes_supported.as_ref());
    let listed = listed.into_iter().flatten().map(String::as_str);
    // Asked for only where a refresh token is wanted.
    let listed = listed.filter(|one| server.lists_scope(one) && *one != Scope::OFFLINE_ACCESS);
    let all: Vec<&str> = scope.iter().chain(listed).collect();
    Some(ScopeSet::parse(&all.join(" ")).unwrap_or_else(|_| scope.clone()))
}

/// The same registration without the members that a server refused by this error; `None` where nothing else is left.
fn with_less(sent: &ClientMetadata, error: &RegistrationErrorCode) -> Option<ClientMetadata> {
    let mut less = sent.clone();
    match error.as_str() {
        "invalid_scope" => less.scope = None,
        "invalid_client_metadata" => {
            (less.scope, less.application_type) = (None, None);
            // Absent members mean the authorization code and `code` (RFC 7591 §2).
            (less.grant_types, less.response_types) = (None, None);
            if less.token_endpoint_auth_method != Some(AuthMethod::PrivateKeyJwt) {
                less.token_endpoint_auth_methods_supported = None;
                (less.jwks, less.jwks_uri) = (None, None);
            }
        }
        _ => return None,
    }
    (less != *sent).then_some(less)
}

/// A registration request under way.
pub(crate) struct Registering {
    login: Login,
    scope: Option<ScopeSet>,
    endpoint: EndpointUrl,
    sent: ClientMetadata,
    /// `true` if a refusal of this request ends the flow.
    is_last: bool,
    /// `true` if the record stays as it is until the new client has tokens: a login or step-up that is not finished takes
    /// away none that another process may still use, and to which it has to be told that older ones are spent.
    is_saved_with_tokens: bool,
}

impl Registering {
    pub(crate) const fn needs_browser(&self) -> bool {
        self.login.goal.config.grant.needs_browser()
    }

    fn send(self) -> Result<Step, FlowError> {
        let (endpoint, json) = (self.endpoint.clone(), self.sent.to_json());
        Exchange::post_json(&endpoint, json, Then::Registration(Box::new(self)))
    }

    pub(crate) fn read(self, response: &Response<Bytes>, now: UnixTime) -> Result<Step, FlowError> {
        let Login { goal, metadata, server, .. } = &self.login;
        // C-REG-4: the body decides. An error counts whatever the status, and an answer with any 2xx.
        let status = response.status();
        let error = ErrorResponse::from_json(response.body()).ok();
        if error.is_some() || !status.is_success() {
            let less = error.as_ref().filter(|_| !self.is_last);
            let less = less.and_then(|error| with_less(&self.sent, &error.error));
            if let Some(sent) = less {
                return Self { sent, is_last: true, ..self }.send();
            }
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
        let method = answer.metadata.token_endpoint_auth_method.as_ref();
        let offered = self.sent.jwks.is_some() || self.sent.jwks_uri.is_some();
        let client = if method == Some(&AuthMethod::PrivateKeyJwt) && offered {
            let client = ClientCredentials::with_assertions(answer.client_id);
            goal.config.keys.check(&client, metadata)?;
            client
        } else {
            let (id, secret) = (answer.client_id, answer.client_secret);
            ClientCredentials::choose(id, secret, method, metadata.auth_methods())
                .map_err(FlowError::Credentials)?
                .expiring(expires_at)
        };
        let redirect_uri = match &goal.config.grant {
            Grant::AuthorizationCode { redirect_uri } => Some(redirect_uri.clone()),
            _ => None,
        };
        // What the host registers does not follow from what is asked for.
        let by_host = goal.config.registration.is_some();
        let registered_scope = self.sent.scope.filter(|_| !by_host);
        let account =
            Account { redirect_uri, registered_scope, ..self.login.account(client, None) };
        let account = account.registered(now);
        if self.is_saved_with_tokens {
            return authorize(account, &goal.config, self.scope);
        }
        let record = Record { asked: self.scope.clone(), ..Record::new(account.clone()) };
        Ok(Save::step(record, authorize(account, &goal.config, self.scope)))
    }
}
