//! Client metadata (RFC 7591 §2): the client's metadata document and its registrations.

use oauth_types::{
    ApplicationType, AuthMethod, AuthorizationServerMetadata, ClientIdMetadata, ClientMetadata,
    GrantType, InvalidClientIdMetadata, ProtectedResourceMetadata, RedirectUri,
    RegistrationErrorCode, ResponseType, Scope, ScopeSet,
};

use crate::config::{ClientConfig, Grant};
use crate::goal::Login;

impl ClientConfig {
    /// Returns the document to serve at [`metadata_url`](Self::metadata_url).
    ///
    /// `None` without such a URL, or for a grant without a user. A client with a signing key offers both methods,
    /// `none` and `private_key_jwt` (OpenID RP Metadata Choices), and names its key, or [`keys_url`](Self::keys_url):
    /// it signs where the server takes no public clients.
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

/// Returns the part of the client metadata that is the same for every server.
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
pub(crate) fn registration(
    login: &Login,
    redirect_uri: &RedirectUri,
    scope: Option<&ScopeSet>,
) -> ClientMetadata {
    let (config, server) = (&login.goal.config, &login.metadata);
    let mut sent = description(config, redirect_uri);
    // A public client where the server supports that, else the first listed method that this client supports: servers
    // of the Python SDK list Basic last, and require `client_id` in the body beside it.
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

/// Returns the scopes to register: the requested ones and those that the resource lists.
///
/// `None` unless the server lists every requested scope, because some servers refuse scopes that they do not list. If
/// the resource lists no scopes, the server's own list stands for them: otherwise each step-up would register anew.
/// Some servers hold clients to the registered scopes, and grant none to clients that registered none; a login for more
/// registers anew ([`registered_scope`](crate::Account::registered_scope)).
fn scope_to_register(
    server: &AuthorizationServerMetadata,
    resource: &ProtectedResourceMetadata,
    scope: Option<&ScopeSet>,
) -> Option<ScopeSet> {
    let scope = scope.filter(|scope| scope.iter().all(|one| server.lists_scope(one)))?;
    let listed = resource.scopes_supported.as_ref().or(server.scopes_supported.as_ref());
    let listed = listed.into_iter().flatten().map(String::as_str);
    // `offline_access` is requested only where a refresh token is wanted.
    let listed = listed.filter(|one| server.lists_scope(one) && *one != Scope::OFFLINE_ACCESS);
    let all: Vec<&str> = scope.iter().chain(listed).collect();
    Some(ScopeSet::parse(&all.join(" ")).unwrap_or_else(|_| scope.clone()))
}

/// Returns the metadata without the members that this error refuses; `None` if that changes nothing.
pub(crate) fn with_less(
    sent: &ClientMetadata,
    error: &RegistrationErrorCode,
) -> Option<ClientMetadata> {
    let mut less = sent.clone();
    match error.as_str() {
        "invalid_scope" => less.scope = None,
        "invalid_client_metadata" => {
            (less.scope, less.application_type) = (None, None);
            // The defaults of absent members are the authorization code and `code` (RFC 7591 §2).
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
