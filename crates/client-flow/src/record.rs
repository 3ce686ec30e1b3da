//! What a client keeps about one server: a plain value, for the host's store.

use core::time::Duration;

use client_auth::ClientCredentials;
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, Issuer, ResourceUri, ScopeSet, Secret, TokenResponse,
    UnixTime, exposed,
};
use serde::{Deserialize, Serialize};

use crate::FlowError;

/// What a record is filed under. Credentials of one issuer are never shown to another (C-DISC-8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordKey {
    /// The authorization server.
    pub issuer: Issuer,
    /// The resource, in the bytes it was published with.
    pub resource: ResourceUri,
}

/// A client's standing with one authorization server for one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The resource, in the bytes it was published with.
    pub resource: ResourceUri,
    /// What of the server's metadata is needed later.
    pub server: ServerEndpoints,
    /// Who we are there.
    pub client: ClientCredentials,
    /// Where the resource's metadata was that named the server. A challenge that names another place leads to
    /// a new discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<EndpointUrl>,
}

impl Account {
    /// What to file it under.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { issuer: self.server.issuer.clone(), resource: self.resource.clone() }
    }
}

/// What the host's store keeps. Serializes with its secrets in the clear: the store protects it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Who we are where.
    #[serde(flatten)]
    pub account: Account,
    /// What we hold there; `None` between registration and login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// The validated part of an authorization server's metadata that outlives the login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerEndpoints {
    /// Its identifier, identical in the metadata.
    pub issuer: Issuer,
    /// Where users are sent; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<EndpointUrl>,
    /// Where grants are exchanged.
    pub token_endpoint: EndpointUrl,
    /// Whether every authorization response carries `iss`.
    pub iss_advertised: bool,
}

impl ServerEndpoints {
    pub(crate) fn of(metadata: &AuthorizationServerMetadata) -> Result<Self, FlowError> {
        let issuer = metadata.issuer.clone();
        let token_endpoint = metadata.token_endpoint.clone();
        let token_endpoint = token_endpoint.ok_or_else(|| FlowError::NoEndpoint {
            issuer: issuer.clone(),
            member: "token_endpoint",
        })?;
        Ok(Self {
            issuer,
            authorization_endpoint: metadata.authorization_endpoint.clone(),
            token_endpoint,
            iss_advertised: metadata.authorization_response_iss_parameter_supported,
        })
    }

    /// Where users are sent, for a flow that has one.
    pub(crate) fn for_users(&self) -> Result<&EndpointUrl, FlowError> {
        self.authorization_endpoint.as_ref().ok_or_else(|| FlowError::NoEndpoint {
            issuer: self.issuer.clone(),
            member: "authorization_endpoint",
        })
    }
}

/// Tokens, with what they were asked for and what they grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tokens {
    /// For the resource, and for nobody else.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// For the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "exposed")]
    pub refresh_token: Option<Secret>,
    /// When the access token expires, by our clock; `None` when the server did not say.
    pub expires_at: Option<UnixTime>,
    /// What was requested; kept through refreshes, because a step-up adds to it.
    pub requested: Option<ScopeSet>,
    /// What is granted. A response without `scope` means what was requested (C-TOKEN-5).
    pub granted: Option<ScopeSet>,
}

impl Tokens {
    pub(crate) fn new(response: TokenResponse, requested: Option<ScopeSet>, now: UnixTime) -> Self {
        let lifetime = response.expires_in.map(Duration::from_secs);
        Self {
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
            // C-TOKEN-5
            granted: response.scope.or_else(|| requested.clone()),
            requested,
        }
    }
}
