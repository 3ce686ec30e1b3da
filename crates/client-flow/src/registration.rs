//! Becoming a client of an authorization server (MCP client registration).
//!
//! | in this order | requirement |
//! |---|---|
//! | credentials that were pre-registered for this very issuer | C-REG-1, C-REG-5 |
//! | what is kept from an earlier registration with it, if its secret still works | C-DISC-8 |
//! | our own metadata document, where the server supports that | C-REG-1, C-REG-2 |
//! | dynamic registration, where there is an endpoint | C-REG-1, C-REG-3, C-REG-7 |
//! | else the host has to configure something | C-REG-1 |

use core::fmt;

use bytes::Bytes;
use client_auth::ClientCredentials;
use http::{Response, StatusCode};
use oauth_types::{
    ApplicationType, AuthMethod, AuthorizationServerMetadata, ClientInformation, ClientMetadata,
    EndpointUrl, ErrorResponse, GrantType, ProtectedResourceMetadata, RedirectUri, ResponseType,
    ScopeSet, UnixTime,
};

use crate::authorization::authorize;
use crate::discovery::{Goal, Wanted, initial_scope};
use crate::exchange::Then;
use crate::server::FindServer;
use crate::token::TokenRequest;
use crate::{
    Account, ClientConfig, Exchange, FlowError, Grant, Purpose, Record, RecordKey, Save,
    ServerEndpoints, Session, Step, Tokens,
};

/// Asks the host what it keeps about this authorization server and resource.
#[derive(Clone)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Recall(Asking);

/// Who asks.
#[derive(Clone)]
enum Asking {
    Login(Box<Login>),
    Refresh(Box<Refreshing>),
}

/// A login whose server is known.
#[derive(Clone)]
struct Login {
    goal: Goal,
    resource: ProtectedResourceMetadata,
    metadata: AuthorizationServerMetadata,
    server: ServerEndpoints,
}

impl Recall {
    pub(crate) fn login(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        metadata: AuthorizationServerMetadata,
        server: ServerEndpoints,
    ) -> Step {
        let login = Login { goal, resource, metadata, server };
        Step::Recall(Box::new(Self(Asking::Login(Box::new(login)))))
    }

    pub(crate) fn refresh(session: Session, config: &ClientConfig) -> Step {
        let refreshing = Refreshing { session, config: config.clone() };
        Step::Recall(Box::new(Self(Asking::Refresh(Box::new(refreshing)))))
    }

    /// What to look up.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match &self.0 {
            Asking::Login(login) => RecordKey {
                issuer: login.server.issuer.clone(),
                resource: login.resource.resource.clone(),
            },
            Asking::Refresh(refreshing) => refreshing.account().key(),
        }
    }

    /// Goes on with what is kept under that key, or nothing.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when there is no way to become a client of this server, or nothing to refresh with.
    pub fn resume(self, kept: Option<Record>, now: UnixTime) -> Result<Step, FlowError> {
        // C-REG-5: a record of another issuer is not used, whoever handed it over.
        let key = self.key();
        let kept = kept.filter(|record| record.account.key() == key);
        match self.0 {
            Asking::Login(login) => login.resume(kept, now),
            Asking::Refresh(refreshing) => refreshing.resume(kept, now),
        }
    }

    /// Goes on when what is kept cannot be looked up: a login does without. A refresh token that another process
    /// may have used is not sent.
    ///
    /// # Errors
    ///
    /// [`FlowError::NotLoaded`] for a refresh, and as [`resume`](Self::resume).
    pub fn failed(self, now: UnixTime) -> Result<Step, FlowError> {
        match self.0 {
            Asking::Login(login) => login.resume(None, now),
            Asking::Refresh(_) => Err(FlowError::NotLoaded),
        }
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recall").field(&self.key()).finish()
    }
}

impl Login {
    fn resume(self, kept: Option<Record>, now: UnixTime) -> Result<Step, FlowError> {
        if let Some(step) = self.take_up(kept.as_ref(), now)? {
            return Ok(step);
        }
        let asked = kept.as_ref().and_then(Record::asks_again);
        let scope = initial_scope(&self.goal, &self.resource, &self.metadata, asked.as_ref())?;
        let kept = kept.filter(|record| record.account.comes_back_to(&self.goal.config));
        let redirect_uri = kept.as_ref().and_then(|record| record.account.redirect_uri.clone());
        let Some(client) = self.client(kept.as_ref(), now)? else {
            return self.register(scope);
        };
        authorize(self.account(client, redirect_uri), &self.goal.config, scope)
    }

    fn account(&self, client: ClientCredentials, redirect_uri: Option<RedirectUri>) -> Account {
        Account {
            resource: self.resource.resource.clone(),
            server: self.server.clone(),
            client,
            resource_metadata: self.goal.found_at.clone(),
            target: Some(self.goal.target.clone()),
            redirect_uri,
        }
    }

    /// Goes on with tokens that another run or process got, unless they are the ones that were refused.
    fn take_up(&self, kept: Option<&Record>, now: UnixTime) -> Result<Option<Step>, FlowError> {
        let (Wanted::First { refused, .. }, Some(record)) = (&self.goal.wanted, kept) else {
            return Ok(None);
        };
        let is_new = |tokens: &&Tokens| {
            refused.as_ref().is_none_or(|old| !old.matches(tokens.access_token.expose()))
        };
        let tokens = record.tokens.as_ref().filter(is_new);
        let Some(tokens) = tokens.filter(|_| self.goal.config.owns(record)) else {
            return Ok(None);
        };
        let client = match self.client(kept, now)? {
            Some(client) if client.client_id() == record.account.client.client_id() => client,
            _ => return Ok(None),
        };
        let account = self.account(client, record.account.redirect_uri.clone());
        if !tokens.have_expired(now) {
            let session = Session::new(account, tokens.clone());
            return Ok(Some(Step::Ready(Box::new(session))));
        }
        let Some(refresh_token) = &tokens.refresh_token else { return Ok(None) };
        let keys = self.goal.config.keys.clone();
        let request = TokenRequest::refresh(account, keys, tokens, refresh_token);
        let login = Recall(Asking::Login(Box::new(self.clone())));
        request.or_else(login).step().map(Some)
    }

    /// Who this client is at this server, as far as it is anybody yet.
    fn client(
        &self,
        kept: Option<&Record>,
        now: UnixTime,
    ) -> Result<Option<ClientCredentials>, FlowError> {
        let config = &self.goal.config;
        let pre_registered = config.registered_with(&self.server.issuer).cloned();
        // Without a user, what was given out for one server is for that one alone.
        let by_itself = || {
            // C-REG-6: the document is the same for all servers.
            let of_document = config
                .metadata_url
                .as_ref()
                .filter(|_| self.metadata.client_id_metadata_document_supported)
                .map(|url| ClientCredentials::public(url.client_id()));
            let kept = kept
                .filter(|record| !record.client_refused)
                .map(|record| record.account.client.clone())
                .filter(|client| !client.has_expired(now))
                // The URL of a document is the host's to say.
                .filter(|client| !client.client_id().as_str().starts_with("https://"));
            kept.or(of_document)
        };
        // C-REG-1
        let known = match config.grant.needs_browser() {
            true => pre_registered.or_else(by_itself),
            false => pre_registered,
        };
        if let Some(client) = &known {
            // Before the user is asked for anything.
            config.keys.check(client, &self.metadata)?;
        }
        Ok(known)
    }

    fn register(self, scope: Option<ScopeSet>) -> Result<Step, FlowError> {
        let config = &self.goal.config;
        let issuer = &self.server.issuer;
        // Nobody hands a secret to a client that no user stands behind.
        let (Grant::AuthorizationCode { redirect_uri }, Some(endpoint)) =
            (&config.grant, &self.metadata.registration_endpoint)
        else {
            return Err(FlowError::NoRegistration { issuer: issuer.clone() });
        };
        let sent = match &config.registration {
            Some(registration) => registration.clone(),
            None => registration(config, redirect_uri, &self.metadata, scope.as_ref()),
        };
        let (endpoint, json) = (endpoint.clone(), sent.to_json());
        let state = Registering { login: self, scope, endpoint: endpoint.clone(), sent };
        Exchange::post_json(&endpoint, json, Then::Registration(Box::new(state)))
    }
}

/// A refresh that is about to begin.
#[derive(Clone)]
pub(crate) struct Refreshing {
    session: Session,
    config: ClientConfig,
}

impl Refreshing {
    pub(crate) const fn account(&self) -> &Account {
        self.session.account()
    }

    pub(crate) const fn config(&self) -> &ClientConfig {
        &self.config
    }

    fn resume(self, kept: Option<Record>, now: UnixTime) -> Result<Step, FlowError> {
        let own = &self.session.tokens().access_token;
        let is_newer = |kept: &Session| !own.matches(kept.tokens().access_token.expose());
        let kept = kept.filter(|record| self.config.owns(record));
        let newer = kept.and_then(|record| Session::restore(record).ok()).filter(is_newer);
        let Some(newer) = newer else { return self.send(now) };
        // Another process was here. What it holds cannot always be refreshed; the server then says so.
        if !newer.tokens().are_stale(now) || newer.tokens().refresh_token.is_none() {
            return Ok(Step::Ready(Box::new(newer)));
        }
        Self { session: newer, ..self }.send(now)
    }

    fn send(self, now: UnixTime) -> Result<Step, FlowError> {
        if self.account().server.are_old(now) {
            return FindServer::again(self);
        }
        let server = self.account().server.clone();
        self.at(server)
    }

    /// Goes on at these endpoints of the same server.
    pub(crate) fn at(self, server: ServerEndpoints) -> Result<Step, FlowError> {
        let tokens = self.session.tokens();
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(FlowError::NoRefreshToken);
        };
        let mut account = Account { server, ..self.account().clone() };
        // A secret may have been replaced since.
        if let Some(own) = self.config.registered_with(&account.server.issuer)
            && own.client_id() == account.client.client_id()
        {
            account.client = own.clone();
        }
        TokenRequest::refresh(account, self.config.keys, tokens, refresh_token).step()
    }
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
    pub(crate) fn read(self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        let Login { goal, metadata, server, .. } = &self.login;
        // C-REG-4
        let status = response.status();
        if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
            if server.is_assumed && status.is_client_error() {
                // Where nothing is published and nothing is there, it is no server of MCP 2025-03-26.
                return Err(FlowError::NoResourceMetadata);
            }
            let error = ErrorResponse::from_json(response.body()).ok();
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
        let account = self.login.account(client, redirect_uri);
        let record = Record { asked: self.scope.clone(), ..Record::new(account.clone()) };
        Ok(Save::step(record, authorize(account, &goal.config, self.scope)))
    }
}
