//! Client metadata that this server accepts: registered (RFC 7591), published in a document, or given by the operator.
//!
//! | check, in this order | requirement | applies to | a value that is not accepted |
//! |---|---|---|---|
//! | redirect URIs are 1 to 16, of at most 8 KiB together | A-REG-1 | all | is refused |
//! | the scheme of each redirect URI is allowed | A-REG-1 | all | is left out while one remains |
//! | keys are public, sent in one way, and of at most 16 KiB as JSON | A-REG-3 | metadata from clients | is refused |
//! | an authentication method is accepted, with its keys | A-REG-3, A-META-4 | all | is left out while one remains |
//! | grants and response types are offered | A-REG-3 | metadata from clients | is left out while codes remain |
//! | `scope` | RFC 7591 §2 | metadata from clients | is neither stored nor returned |
//! | other URLs are https and lead to no local address | A-REG-3 | metadata from clients | is refused |
//!
//! A record of the operator is refused as a whole instead of being trimmed, because the operator reads the error.
//!
//! A record stores redirect URIs and sent keys once: its `metadata` contains neither.
//!
//! Leaving out never widens: a list of which nothing remains is refused, and does not count as absent.
//!
//! A stored scope bounds every grant of its client ([`offer`](crate::offer)), and only the operator's is stored:
//! `metadata.scope` of a record in the store. A scope that clients register would be too narrow a bound. Some register
//! the scope of the first challenge and request more at the next, without registering anew (the Python SDK,
//! mcp-remote); others register `openid email profile` or a pattern that matches no scope here (Windsurf, Goose, Zed).

use client_auth::{ClientAuthRecord, VerifyingKeys};
use oauth_types::{
    ApplicationType, AuthMethod, ClientId, ClientMetadata, ClientMetadataUrl, EndpointUrl,
    GrantType, RedirectUri, ResponseType, ScopeSet, Secret, SecretDigest, UnixTime, is_hidden,
};
use serde_json::{Value, json};

use crate::client_error::InvalidClient;
use crate::client_keys::{Keys, MetadataSource, methods};
use crate::config::Config;
use crate::metadata::REGISTERED_GRANT_TYPES;
use crate::store::ClientRecord;

/// Maximum number of redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 16;
/// Maximum total length in bytes of all redirect URIs of one client.
const MAX_REDIRECT_URI_BYTES: usize = 8 * 1024;
/// Maximum length in bytes of the keys that a client sends, as JSON.
const MAX_KEYS_BYTES: usize = 16 * 1024;
/// Maximum length of a stored client name, in characters.
const MAX_NAME: usize = 80;

fn check_redirect_uris(config: &Config, uris: &[RedirectUri]) -> Result<(), InvalidClient> {
    check_size(uris.iter().map(RedirectUri::as_str))?;
    if !uris.iter().all(|uri| config.allows_scheme_of(uri)) {
        return Err(InvalidClient::PrivateUseRedirect);
    }
    Ok(())
}

/// Checks the number and total length of redirect URIs, allowed or not, because they are stored.
fn check_size<'a>(uris: impl Iterator<Item = &'a str>) -> Result<(), InvalidClient> {
    // A-REG-1
    let (count, bytes) = uris.fold((0_usize, 0_usize), |(count, bytes), uri| {
        (count.saturating_add(1), bytes.saturating_add(uri.len()))
    });
    let is_right = (1..=MAX_REDIRECT_URIS).contains(&count) && bytes <= MAX_REDIRECT_URI_BYTES;
    if is_right { Ok(()) } else { Err(InvalidClient::RedirectUris) }
}

/// Returns the redirect URIs that may be registered, or the error of the first one if none may.
fn allowed_redirect_uris(
    config: &Config,
    sent: &[String],
) -> Result<Vec<RedirectUri>, InvalidClient> {
    check_size(sent.iter().map(String::as_str))?;
    let read = |text: &String| {
        let uri = RedirectUri::parse_any_scheme(text).map_err(InvalidClient::RedirectUri)?;
        if config.allows_scheme_of(&uri) { Ok(uri) } else { Err(InvalidClient::PrivateUseRedirect) }
    };
    let (mut allowed, mut refused) = (Vec::new(), None);
    for text in sent {
        match read(text) {
            Ok(uri) => allowed.push(uri),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    match refused {
        Some(first) if allowed.is_empty() => Err(first),
        _ => Ok(allowed),
    }
}

fn check_method(config: &Config, method: &AuthMethod) -> Result<(), InvalidClient> {
    // A-META-4
    if config.auth_methods.contains(method) { Ok(()) } else { Err(InvalidClient::AuthMethod) }
}

/// Metadata that a client sent or published, reduced to the accepted values.
#[derive(Debug)]
pub(crate) struct AcceptedClient {
    metadata: ClientMetadata,
    redirect_uris: Vec<RedirectUri>,
    method: AuthMethod,
    keys: Option<VerifyingKeys>,
}

impl AcceptedClient {
    /// Checks client metadata by the table of this module.
    pub(crate) fn new(
        config: &Config,
        sent: ClientMetadata,
        source: MetadataSource,
    ) -> Result<Self, InvalidClient> {
        // A-REG-1, A-REG-3, A-CIMD-1
        let redirect_uris = allowed_redirect_uris(config, &sent.redirect_uris)?;
        check_foreign_members(&sent)?;
        if sent.jwks.as_ref().is_some_and(|jwks| jwks.to_string().len() > MAX_KEYS_BYTES) {
            return Err(InvalidClient::KeysTooLong);
        }
        let keys = Keys::of(config, &sent)?;
        let methods = methods(config, &sent, &keys, source)?;
        let (method, others) = methods.split_first().ok_or(InvalidClient::AuthMethod)?;
        let grants = sent.grant_types.unwrap_or_else(|| vec![GrantType::AuthorizationCode]);
        if !grants.contains(&GrantType::AuthorizationCode) {
            return Err(InvalidClient::Grants);
        }
        if sent.response_types.is_some_and(|types| !types.contains(&ResponseType::Code)) {
            return Err(InvalidClient::ResponseTypes);
        }
        let mut metadata = ClientMetadata::new(&redirect_uris);
        metadata.token_endpoint_auth_method = Some(method.clone());
        if !others.is_empty() {
            metadata.token_endpoint_auth_methods_supported = Some(methods.clone());
        }
        // Repeated grant types are stored once.
        let once = REGISTERED_GRANT_TYPES.into_iter().filter(|grant| grants.contains(grant));
        metadata.grant_types = Some(once.collect());
        metadata.response_types = Some(vec![ResponseType::Code]);
        metadata.client_name =
            sent.client_name.map(|name| clean_name(&name)).filter(|name| !name.is_empty());
        let known = [ApplicationType::Native, ApplicationType::Web];
        metadata.application_type = sent.application_type.filter(|own| known.contains(own));
        metadata.dpop_bound_access_tokens = cfg!(feature = "dpop") && sent.dpop_bound_access_tokens;
        let keys = keys.filter(|_| *method == AuthMethod::PrivateKeyJwt);
        if keys.is_some() {
            metadata.token_endpoint_auth_signing_alg = sent.token_endpoint_auth_signing_alg;
            metadata.jwks = sent.jwks;
            metadata.jwks_uri = sent.jwks_uri.filter(|url| !url.is_empty());
        }
        let (method, keys) = (method.clone(), keys.and_then(Keys::into_sent));
        Ok(Self { metadata, redirect_uris, method, keys })
    }

    /// Returns `true` if the client authenticates with a secret.
    pub(crate) const fn has_secret(&self) -> bool {
        matches!(self.method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    }

    /// Returns the accepted metadata, for the response to a registration.
    pub(crate) const fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// Builds the record of the client under this identifier, with its secret if it has one.
    pub(crate) fn into_record(
        self,
        client_id: ClientId,
        secret: Option<&Secret>,
        now: UnixTime,
    ) -> ClientRecord {
        let authentication = ClientAuthRecord::new(self.method)
            .with_secret(secret.map(Secret::digest))
            .with_keys(self.keys);
        let Self { mut metadata, redirect_uris, .. } = self;
        // Redirect URIs and keys are fields of the record already.
        (metadata.redirect_uris, metadata.jwks) = (Vec::new(), None);
        let (registered_at, unused_until) = (now, None);
        ClientRecord {
            client_id,
            authentication,
            redirect_uris,
            metadata,
            registered_at,
            unused_until,
            of_operator: false,
        }
    }
}

/// Checks that URLs in the metadata are https and lead to no local address.
fn check_foreign_members(sent: &ClientMetadata) -> Result<(), InvalidClient> {
    let names = ["client_uri", "logo_uri", "policy_uri", "sector_identifier_uri", "tos_uri"];
    let members = names.iter().filter_map(|name| sent.extra.0.get(*name));
    // Some clients send an empty string for a URL that they do not have.
    let members = members.filter(|value| **value != "").map(Value::as_str);
    let keys = sent.jwks_uri.as_deref().filter(|url| !url.is_empty());
    for text in members.chain(keys.map(Some)) {
        let url = text.and_then(|text| EndpointUrl::parse(text).ok());
        if url.is_none_or(|url| url.origin().is_local_address()) {
            return Err(InvalidClient::ForeignUrl);
        }
    }
    Ok(())
}

/// Removes characters that hide, reverse or break the text next to the name, and truncates it.
fn clean_name(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !is_hidden(*c)).take(MAX_NAME).collect();
    shown.trim().to_owned()
}

impl ClientRecord {
    /// Creates a client that the operator registers, for users to log in with.
    ///
    /// Put it into the store ([`Store::create_client`](crate::Store::create_client)). Its redirect URIs obey the rules
    /// for registered ones. Set `metadata.client_name`, which the consent page shows. Set `metadata.scope` to bound the
    /// scopes that the client can get, whatever it requests and its users approve.
    ///
    /// ```
    /// use authorization_server::{ClientRecord, Config, InvalidClient};
    /// use client_auth::ClientAuthRecord;
    /// use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, UnixTime};
    ///
    /// fn dashboard(config: &Config, secret: &Secret) -> Result<ClientRecord, Box<dyn std::error::Error>> {
    ///     let id = ClientId::parse("dashboard")?;
    ///     let authentication = ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
    ///     let back = RedirectUri::parse("https://dashboard.example/callback")?;
    ///     let now = UnixTime::from_secs(1_800_000_000);
    ///     let mut client = ClientRecord::pre_registered(config, id, authentication, vec![back], now)?;
    ///     client.metadata.client_name = Some("Dashboard".to_owned());
    ///     Ok(client)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidClient`] when there are no or too many redirect URIs, when the scheme of one is not allowed, or when
    /// the authentication method is not accepted.
    pub fn pre_registered(
        config: &Config,
        client_id: ClientId,
        authentication: ClientAuthRecord,
        redirect_uris: Vec<RedirectUri>,
        now: UnixTime,
    ) -> Result<Self, InvalidClient> {
        check_redirect_uris(config, &redirect_uris)?;
        check_method(config, &authentication.method)?;
        let mut metadata = ClientMetadata::new(&[]);
        metadata.token_endpoint_auth_method = Some(authentication.method.clone());
        metadata.grant_types = Some(REGISTERED_GRANT_TYPES.to_vec());
        metadata.response_types = Some(vec![ResponseType::Code]);
        let (registered_at, unused_until) = (now, None);
        Ok(Self {
            client_id,
            authentication,
            redirect_uris,
            metadata,
            registered_at,
            unused_until,
            of_operator: true,
        })
    }

    /// Returns `true` if the operator put the client into the store under a plain identifier.
    ///
    /// A client whose identifier is the URL of a document counts as one that anyone can register.
    pub(crate) fn is_of_operator(&self) -> bool {
        self.is_operators_word() && ClientMetadataUrl::parse(self.client_id.as_str()).is_err()
    }

    /// Returns the scope that bounds every grant of this client.
    ///
    /// A scope that the client registered is no bound, although earlier releases stored it in the record.
    pub(crate) fn scope_bound(&self) -> Option<&ScopeSet> {
        self.metadata.scope.as_ref().filter(|_| self.is_operators_word())
    }

    /// Returns `true` if the record is marked as the operator's, or has an unregistrable grant type.
    fn is_operators_word(&self) -> bool {
        let mut grants = self.metadata.grant_types.iter().flatten();
        self.of_operator || grants.any(|grant| !REGISTERED_GRANT_TYPES.contains(grant))
    }

    /// Returns `true` if the client may use the authorization code grant.
    ///
    /// A client that names no grant types may (RFC 7591 §2).
    pub(crate) fn uses_codes(&self) -> bool {
        let grants = self.metadata.grant_types.as_deref();
        grants.is_none_or(|grants| grants.contains(&GrantType::AuthorizationCode))
    }

    /// Returns the digest of the client metadata that a consent is bound to.
    ///
    /// Covers the identifier, the name, the redirect URIs and the authentication method with its keys. A consent
    /// under another digest was given to a different client, so the user is asked again (client ID metadata documents,
    /// "Changes in Client Metadata").
    #[must_use]
    pub fn metadata_digest(&self) -> SecretDigest {
        // A-CIMD-1
        let mut redirect_uris: Vec<&RedirectUri> = self.redirect_uris.iter().collect();
        redirect_uris.sort_unstable();
        let mut agreed = vec![
            json!(self.client_id),
            json!(self.metadata.client_name),
            json!(redirect_uris),
            json!(self.authentication.method),
            json!(self.authentication.keys),
        ];
        // Keys at a `jwks_uri` may change while the client stays the same one; the URL itself may not.
        let ClientMetadata { jwks_uri, token_endpoint_auth_methods_supported: methods, .. } =
            &self.metadata;
        if jwks_uri.is_some() || methods.is_some() {
            agreed.extend([json!(jwks_uri), json!(methods)]);
        }
        let agreed = Value::Array(agreed);
        SecretDigest::of(&agreed.to_string())
    }
}

#[cfg(test)]
mod tests;
