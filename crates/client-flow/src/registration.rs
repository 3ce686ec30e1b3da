//! Becoming a client of an authorization server (MCP client registration).
//!
//! | in this order | requirement |
//! |---|---|
//! | credentials that were pre-registered for this very issuer | C-REG-1, C-REG-5 |
//! | what is kept from an earlier registration with it, if its secret still works | C-DISC-8 |
//! | our own metadata document, where the server supports that | C-REG-1, C-REG-2 |
//! | dynamic registration, where there is an endpoint | C-REG-1, C-REG-3, C-REG-7 |
//! | else the host has to configure something | C-REG-1 |

use bytes::Bytes;
use client_auth::{ClientCredentials, NoUsableMethod};
use http::{Response, StatusCode};
use oauth_types::{
    ApplicationType, AuthMethod, AuthorizationServerMetadata, ClientInformation, ClientMetadata,
    EndpointUrl, ErrorResponse, GrantType, ProtectedResourceMetadata, RedirectUri, ResourceUri,
    ResponseType, ScopeSet, UnixTime,
};

use crate::authorization::authorize;
use crate::discovery::{Goal, initial_scope};
use crate::exchange::Then;
use crate::{
    Account, ClientConfig, Exchange, FlowError, Grant, Purpose, Record, RecordKey, Save,
    ServerEndpoints, Step,
};

/// Asks the host what it keeps about this authorization server and resource.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Recall {
    goal: Goal,
    resource: ProtectedResourceMetadata,
    metadata: AuthorizationServerMetadata,
    server: ServerEndpoints,
}

impl Recall {
    pub(crate) fn step(
        goal: Goal,
        resource: ProtectedResourceMetadata,
        metadata: AuthorizationServerMetadata,
        server: ServerEndpoints,
    ) -> Step {
        Step::Recall(Box::new(Self { goal, resource, metadata, server }))
    }

    /// What to look up.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { issuer: self.server.issuer.clone(), resource: self.resource.resource.clone() }
    }

    /// Goes on with what is kept under that key, or nothing.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when there is no way to become a client of this server.
    pub fn resume(self, kept: Option<Record>, now: UnixTime) -> Result<Step, FlowError> {
        let scope = initial_scope(&self.goal, &self.resource, &self.metadata)?;
        let Self {
            goal: Goal { config, found_at: resource_metadata, .. },
            resource,
            metadata,
            server,
        } = self;
        let issuer = server.issuer.clone();
        let resource = resource.resource;
        // C-REG-5: a record of another issuer is not used, whoever handed it over.
        let kept = kept
            .filter(|record| record.account.server.issuer == issuer)
            .map(|record| record.account.client)
            .filter(|client| !client.has_expired(now));
        let pre_registered = config.pre_registered.iter().find(|(own, _)| *own == issuer);
        let of_document = config
            .metadata_url
            .as_ref()
            .filter(|_| metadata.client_id_metadata_document_supported)
            .map(|url| ClientCredentials::public(url.client_id()));
        // C-REG-1
        let known = pre_registered.map(|(_, client)| client.clone()).or(kept).or(of_document);
        if let Some(client) = known {
            // Before the user is asked for anything: the flow signs no assertions.
            if *client.method() == AuthMethod::PrivateKeyJwt {
                return Err(FlowError::Credentials(NoUsableMethod::KeyMissing));
            }
            let account = Account { resource, server, client, resource_metadata };
            return authorize(account, &config, scope);
        }
        // Nobody hands a secret to a client that no user stands behind.
        let Grant::AuthorizationCode { redirect_uri } = &config.grant else {
            return Err(FlowError::NoRegistration { issuer });
        };
        let redirect_uri = redirect_uri.clone();
        let Some(endpoint) = metadata.registration_endpoint.clone() else {
            return Err(FlowError::NoRegistration { issuer });
        };
        let sent = registration(&config, &redirect_uri, &metadata);
        let json = sent.to_json();
        let state = Box::new(Registering {
            config,
            scope,
            resource,
            resource_metadata,
            server,
            metadata,
            sent,
        });
        Exchange::post_json(Purpose::Registration, &endpoint, json, Then::Registration(state))
    }
}

/// What this client says about itself.
fn registration(
    config: &ClientConfig,
    redirect_uri: &RedirectUri,
    server: &AuthorizationServerMetadata,
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
    // A public client where the server knows one, else what it lists first of what we speak.
    let spoken = [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
    sent.token_endpoint_auth_method =
        spoken.into_iter().find(|method| server.auth_methods().contains(method));
    sent
}

/// A registration request under way.
pub(crate) struct Registering {
    config: ClientConfig,
    scope: Option<ScopeSet>,
    resource: ResourceUri,
    resource_metadata: Option<EndpointUrl>,
    server: ServerEndpoints,
    metadata: AuthorizationServerMetadata,
    sent: ClientMetadata,
}

impl Registering {
    pub(crate) fn read(self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        // C-REG-4
        let status = response.status();
        if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
            let error = ErrorResponse::from_json(response.body()).ok();
            return Err(FlowError::RegistrationRejected {
                status,
                error,
                sent: Box::new(self.sent),
            });
        }
        let answer = ClientInformation::from_json(response.body()).map_err(|error| {
            let url = self.metadata.registration_endpoint.clone();
            let url = url.unwrap_or_else(|| self.server.token_endpoint.clone());
            FlowError::Document { purpose: Purpose::Registration, url, error }
        })?;
        let expires_at = answer.client_secret_expires_at.filter(|at| at.as_secs() != 0);
        let client = ClientCredentials::choose(
            answer.client_id,
            answer.client_secret,
            answer.metadata.token_endpoint_auth_method.as_ref(),
            self.metadata.auth_methods(),
        )
        .map_err(FlowError::Credentials)?
        .expiring(expires_at);
        let Self { resource, resource_metadata, server, .. } = self;
        let account = Account { resource, server, client, resource_metadata };
        let record = Record { account: account.clone(), tokens: None };
        let next = authorize(account, &self.config, self.scope)?;
        Ok(Save::step(record, next))
    }
}
