//! What the host keeps about a server, and what a login or a refresh makes of it.
//!
//! | a login goes on with, in this order | requirement |
//! |---|---|
//! | tokens that another run or process got, if they are this client's and were not refused | C-DISC-8 |
//! | their refresh token, once; after a failure that does not pass the login goes on, and the record keeps the token unless the token endpoint's own OAuth error ended the grant | C-TOKEN-7 |
//! | credentials that were pre-registered for this very issuer, and without a user nothing else | C-REG-1, C-REG-5 |
//! | what is kept from an earlier registration with it, if its secret still works, the browser comes back to the same place, and the server [has not forgotten it](crate::attempt) | C-DISC-8 |
//! | our own metadata document, where the server supports that | C-REG-1, C-REG-2, C-REG-6 |
//! | a [registration](crate::registration) | C-REG-1 |
//!
//! # Refreshes with old metadata
//!
//! A refresh reads the metadata of its issuer again once a day. Where that brings no metadata (a page, broken JSON,
//! another issuer, 404, 5xx), nothing is sent and the tokens are kept: a later refresh reads it again. The remembered
//! token endpoint is not used instead, because an issuer may have left it meanwhile and a refresh token would go to
//! the new owner of its name.

use core::fmt;

use client_auth::ClientCredentials;
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClientMetadataUrl, ProtectedResourceMetadata,
    ScopeSet, UnixTime,
};

use crate::attempt::{Denied, SteppingUp, begin};
use crate::authorization::authorize;
use crate::config::ClientConfig;
use crate::discovery::{Goal, Wanted, initial_scope};
use crate::error::FlowError;
use crate::record::{Account, Record, RecordKey, ServerEndpoints, Tokens};
use crate::registration::register;
use crate::server::FindServer;
use crate::session::Session;
use crate::step::{Save, Step};
use crate::token::TokenRequest;
use crate::unsaved::Saving;

/// Asks the host what it keeps about this authorization server and resource.
#[derive(Clone)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Recall(Asking);

/// Who asks.
#[derive(Clone)]
enum Asking {
    Login(Box<Login>),
    Refresh(Box<Refreshing>),
    StepUp(Box<SteppingUp>),
    Denied(Box<Denied>),
    Save(Box<Saving>),
}

/// A login whose server is known.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) goal: Goal,
    pub(crate) resource: ProtectedResourceMetadata,
    pub(crate) metadata: AuthorizationServerMetadata,
    pub(crate) server: ServerEndpoints,
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

    pub(crate) fn step_up(stepping_up: SteppingUp) -> Step {
        Step::Recall(Box::new(Self(Asking::StepUp(Box::new(stepping_up)))))
    }

    pub(crate) fn denied(denied: Denied) -> Step {
        Step::Recall(Box::new(Self(Asking::Denied(Box::new(denied)))))
    }

    pub(crate) fn save(session: Session) -> Step {
        let saving = Saving { session, has_failed: false };
        Step::Recall(Box::new(Self(Asking::Save(Box::new(saving)))))
    }

    /// Looks up what the store holds instead of a session that it could not keep.
    pub(crate) fn not_saved(session: Session) -> Step {
        let saving = Saving { session, has_failed: true };
        Step::Recall(Box::new(Self(Asking::Save(Box::new(saving)))))
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
            Asking::StepUp(stepping_up) => stepping_up.account().key(),
            Asking::Denied(denied) => denied.account.key(),
            Asking::Save(saving) => saving.session.account().key(),
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
            Asking::StepUp(stepping_up) => stepping_up.resume(kept, now),
            Asking::Denied(denied) => denied.resume(kept),
            Asking::Save(saving) => saving.resume(kept),
        }
    }

    /// Goes on when what is kept cannot be looked up: a login does without. A refresh token that another process
    /// may have used is not sent; one that was [never saved](Session::is_saved) is this process's own.
    ///
    /// # Errors
    ///
    /// [`FlowError::NotLoaded`] for a refresh, and as [`resume`](Self::resume).
    pub fn failed(self, now: UnixTime) -> Result<Step, FlowError> {
        match self.0 {
            Asking::Login(login) => login.resume(None, now),
            Asking::Refresh(refreshing) if !refreshing.session.is_saved() => refreshing.send(now),
            Asking::Refresh(_) => Err(FlowError::NotLoaded),
            Asking::StepUp(stepping_up) => stepping_up.uncounted(),
            Asking::Denied(denied) => denied.resume(None),
            Asking::Save(saving) => Ok(saving.failed()),
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
        let has_tokens = kept.as_ref().is_some_and(|record| record.tokens.is_some());
        let scope = initial_scope(&self.goal, &self.resource, &self.metadata, asked.as_ref())?;
        let kept = kept.filter(|record| self.relies_on(&record.account, scope.as_ref(), now));
        let Some(client) = self.client(kept.as_ref(), now)? else {
            return register(self, scope, has_tokens);
        };
        let config = &self.goal.config;
        let account = self.account(client, kept.as_ref().map(|record| &record.account));
        match kept.filter(|kept| kept.account.client.client_id() == account.client.client_id()) {
            Some(kept) if config.registered_itself(&account) => begin(kept, account, config, scope),
            _ => authorize(account, config, scope),
        }
    }

    /// Returns `true` if a kept registration is good for a login for this scope. One that the server may have
    /// forgotten is used only where there is no other.
    fn relies_on(&self, kept: &Account, scope: Option<&ScopeSet>, now: UnixTime) -> bool {
        let config = &self.goal.config;
        let may_register = self.metadata.registration_endpoint.is_some()
            || (config.metadata_url.is_some()
                && self.metadata.client_id_metadata_document_supported);
        let is_spent = kept.is_doubtful(now) || !kept.may_ask_for(scope);
        kept.comes_back_to(config) && !(is_spent && may_register && config.registered_itself(kept))
    }

    /// The account of this client, with what is kept of its registration.
    pub(crate) fn account(&self, client: ClientCredentials, kept: Option<&Account>) -> Account {
        let kept = kept.filter(|kept| kept.client.client_id() == client.client_id());
        Account {
            resource: self.resource.resource.clone(),
            server: self.server.clone(),
            client,
            resource_metadata: self.goal.found_at.clone(),
            target: Some(self.goal.target.clone()),
            redirect_uri: kept.and_then(|kept| kept.redirect_uri.clone()),
            registered_scope: kept.and_then(|kept| kept.registered_scope.clone()),
            unfinished_logins: kept.map_or(0, |kept| kept.unfinished_logins),
            unproven_since: kept.and_then(|kept| kept.unproven_since),
        }
    }

    /// Goes on with tokens that another run or process got, unless they are the ones that were refused.
    fn take_up(&self, kept: Option<&Record>, now: UnixTime) -> Result<Option<Step>, FlowError> {
        let (Wanted::First { refused, .. }, Some(record)) = (&self.goal.wanted, kept) else {
            return Ok(None);
        };
        let is_new =
            |tokens: &&Tokens| !refused.iter().any(|old| old.matches(tokens.access_token.expose()));
        let tokens = record.tokens.as_ref().filter(is_new);
        let Some(tokens) = tokens.filter(|_| self.goal.config.owns(record)) else {
            return Ok(None);
        };
        let client = match self.client(kept, now)? {
            Some(client) if client.client_id() == record.account.client.client_id() => client,
            _ => return Ok(None),
        };
        let account = self.account(client, Some(&record.account));
        if !tokens.have_expired(now) {
            let session = Session::new(account, tokens.clone());
            return Ok(Some(Step::Ready(Box::new(session))));
        }
        let Some(refresh_token) = &tokens.refresh_token else { return Ok(None) };
        let keys = self.goal.config.keys.clone();
        let request = TokenRequest::refresh(account, keys, tokens, refresh_token);
        // Tried once: the login that goes on without them does not take them up again.
        let mut login = self.clone();
        if let Wanted::First { refused, .. } = &mut login.goal.wanted {
            refused.push(tokens.access_token.clone());
        }
        let login = Recall(Asking::Login(Box::new(login)));
        request.or_else(login, record.clone()).step().map(Some)
    }

    /// The client of a metadata document: a public one, which signs only where the server takes no such clients.
    fn by_document(&self, url: &ClientMetadataUrl) -> ClientCredentials {
        let takes_public = self.metadata.auth_methods().contains(&AuthMethod::None);
        match !takes_public && self.goal.config.keys.sign_at(&self.metadata) {
            true => ClientCredentials::with_assertions(url.client_id()),
            false => ClientCredentials::public(url.client_id()),
        }
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
                .map(|url| self.by_document(url));
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
        // C-TOKEN-6: what is kept is spent. The save is made up for first.
        if self.session.supersedes(kept.as_ref()) {
            let record = self.session.to_record();
            return Ok(Save::step(record, self.send(now)));
        }
        // C-TOKEN-7: another process was told that the grant has ended, or ended it.
        let ours = self.account().client.client_id();
        let is_ended =
            |kept: &Record| kept.tokens.is_none() && kept.account.client.client_id() == ours;
        if kept.as_ref().is_some_and(is_ended) {
            return Err(FlowError::NoRefreshToken);
        }
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
        let account = self.config.current(Account { server, ..self.account().clone() });
        let keys = self.config.keys.clone();
        let request = TokenRequest::refresh(account, keys, tokens, refresh_token);
        request.replacing(self.session.replaced()).step()
    }
}
