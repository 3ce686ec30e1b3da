//! Aim of a login, and the choice of client credentials at the discovered server.

use client_auth::ClientCredentials;
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClientMetadataUrl, EndpointUrl, Issuer,
    ProtectedResourceMetadata, ResourceUri, ScopeSet, Secret, UnixTime,
};

use crate::config::ClientConfig;
use crate::error::{FlowError, FlowErrorKind};
use crate::session::{Account, ServerEndpoints, StoredCredentials};
use crate::stage::FlowStage;

/// Aim of a login.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) config: ClientConfig,
    /// The canonical URL of the MCP server.
    pub(crate) target: ResourceUri,
    pub(crate) wanted: Wanted,
    /// The URL of the protected resource metadata.
    pub(crate) found_at: Option<EndpointUrl>,
}

impl Goal {
    /// Returns the issuer that is pinned for the server, or for the narrowest resource that covers it.
    pub(crate) fn pinned(&self) -> Option<&Issuer> {
        self.config.pinned_for(&self.target)
    }
}

/// Scopes that a login requests.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Scopes of a first login: those of the challenge, and those that were held before.
    First { challenged: Option<ScopeSet>, held: Option<ScopeSet>, refused: Vec<Secret> },
    /// Scopes that a step-up decided on.
    Exactly(ScopeSet),
}

/// Login whose authorization server is known.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) goal: Goal,
    pub(crate) resource: ProtectedResourceMetadata,
    pub(crate) metadata: AuthorizationServerMetadata,
    pub(crate) server: ServerEndpoints,
}

impl Login {
    /// Returns `true` if a stored registration can be used for a login with this scope.
    ///
    /// A registration that the server may have forgotten is used only if the client cannot register again.
    pub(crate) fn relies_on(
        &self,
        kept: &Account,
        scope: Option<&ScopeSet>,
        now: UnixTime,
    ) -> bool {
        let config = &self.goal.config;
        let may_register = self.metadata.registration_endpoint.is_some()
            || (config.metadata_url.is_some()
                && self.metadata.client_id_metadata_document_supported);
        let is_spent = kept.is_doubtful(now) || !kept.may_ask_for(scope);
        config.comes_back_to(kept) && !(is_spent && may_register && config.registered_itself(kept))
    }

    /// Returns the account of this client, with the stored data of its registration.
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

    /// Returns the client of a metadata document.
    ///
    /// A public client, which signs only where the server takes no public clients.
    fn by_document(&self, url: &ClientMetadataUrl) -> ClientCredentials {
        let takes_public = self.metadata.auth_methods().contains(&AuthMethod::None);
        match !takes_public && self.goal.config.keys.sign_at(&self.metadata) {
            true => ClientCredentials::with_assertions(url.client_id()),
            false => ClientCredentials::public(url.client_id()),
        }
    }

    /// Returns the credentials of this client at this server; `None` if it has to register first.
    pub(crate) fn client(
        &self,
        kept: Option<&StoredCredentials>,
        now: UnixTime,
    ) -> Result<Option<ClientCredentials>, FlowError> {
        let config = &self.goal.config;
        let pre_registered = config.registered_with(&self.server.issuer).cloned();
        // A client without a user has only the credentials that are pre-registered with this server.
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
                // A `client_id` that is the URL of a metadata document comes from the configuration.
                .filter(|client| !client.client_id().as_str().starts_with("https://"));
            kept.or(of_document)
        };
        // C-REG-1
        let known = match config.grant.needs_browser() {
            true => pre_registered.or_else(by_itself),
            false => pre_registered,
        };
        if let Some(client) = &known {
            // Checked before the user is involved.
            let checked = config.keys.check(client, &self.metadata);
            checked
                .map_err(|error| FlowErrorKind::Credentials(error).at(FlowStage::Registration))?;
        }
        Ok(known)
    }
}
