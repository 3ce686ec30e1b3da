//! Client metadata as far as this server accepts it: registered (RFC 7591), published, or given by the operator.
//!
//! | check, in this order | requirement | of what | what is not accepted |
//! |---|---|---|---|
//! | redirect URIs are 1 to 16, of at most 8 KiB together | A-REG-1 | all | is refused |
//! | redirect URIs are allowed ones | A-REG-1 | all | is left out while one remains |
//! | keys are public, sent in one way, and of at most 16 KiB as JSON | A-REG-3 | what clients say | is refused |
//! | a method that the client offers is taken here, with keys where they are needed | A-REG-3, A-META-4 | all | is left out while one remains |
//! | grants and response types are offered here, and include the authorization code | A-REG-3 | what clients say | is left out while one remains |
//! | `scope` | RFC 7591 §2 | what clients say | is not kept, and not in the answer |
//! | other URLs are https and lead to no local address | A-REG-3 | what clients say | is refused |
//!
//! What the operator says is refused as a whole instead: the operator is there to read the error.
//!
//! A record has each of these once: what is stored says neither redirect URIs nor sent keys in its `metadata`.
//!
//! Leaving out never widens: a list of which nothing remains is refused, and does not count as absent.
//!
//! A scope that is kept bounds every grant of its client ([`offer`](crate::offer)), and only the operator's word is
//! kept: `metadata.scope` of a record in the store. What clients register is no bound that they could live with. Some
//! register the scope of the first challenge and ask for more at the next, without registering anew (the Python SDK,
//! mcp-remote), others `openid email profile` or a pattern that names no scope here (Windsurf, Goose, Zed).

use client_auth::{Registered, VerifyingKeys};
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

/// Most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 16;
/// Most bytes of all redirect URIs of one client together.
const MAX_REDIRECT_URI_BYTES: usize = 8 * 1024;
/// Most bytes of the keys that a client sends, as JSON.
const MAX_KEYS_BYTES: usize = 16 * 1024;
/// Longest client name kept, in characters.
const MAX_NAME: usize = 80;

fn check_redirect_uris(config: &Config, uris: &[RedirectUri]) -> Result<(), InvalidClient> {
    check_size(uris.iter().map(RedirectUri::as_str))?;
    if !uris.iter().all(|uri| config.allows_scheme_of(uri)) {
        return Err(InvalidClient::PrivateUseRedirect);
    }
    Ok(())
}

/// Bounds what one client makes a store keep, allowed or not.
fn check_size<'a>(uris: impl Iterator<Item = &'a str>) -> Result<(), InvalidClient> {
    // A-REG-1
    let (count, bytes) = uris.fold((0_usize, 0_usize), |(count, bytes), uri| {
        (count.saturating_add(1), bytes.saturating_add(uri.len()))
    });
    let is_right = (1..=MAX_REDIRECT_URIS).contains(&count) && bytes <= MAX_REDIRECT_URI_BYTES;
    if is_right { Ok(()) } else { Err(InvalidClient::RedirectUris) }
}

/// Returns the redirect URIs that may be registered.
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

/// What a client says about itself, as far as it is accepted.
#[derive(Debug)]
pub(crate) struct AcceptedClient {
    metadata: ClientMetadata,
    redirect_uris: Vec<RedirectUri>,
    method: AuthMethod,
    keys: Option<VerifyingKeys>,
}

impl AcceptedClient {
    /// Checks what a client said.
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
        // Each once, however often it was said.
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

    /// Whether it authenticates with a secret.
    pub(crate) const fn has_secret(&self) -> bool {
        matches!(self.method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    }

    /// Returns all that is accepted, for the answer to a registration.
    pub(crate) const fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// The client under this identifier, and with this secret if it has one.
    pub(crate) fn into_record(
        self,
        client_id: ClientId,
        secret: Option<&Secret>,
        now: UnixTime,
    ) -> ClientRecord {
        let authentication = Registered::new(self.method)
            .with_secret(secret.map(Secret::digest))
            .with_keys(self.keys);
        let Self { mut metadata, redirect_uris, .. } = self;
        // The record has both already.
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

/// URLs that others would be led to have to be harmless.
fn check_foreign_members(sent: &ClientMetadata) -> Result<(), InvalidClient> {
    let names = ["client_uri", "logo_uri", "policy_uri", "sector_identifier_uri", "tos_uri"];
    let members = names.iter().filter_map(|name| sent.extra.0.get(*name));
    // Some clients send an empty text for what they do not have.
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

/// A name without characters that hide, turn around or break the text beside it.
fn clean_name(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !is_hidden(*c)).take(MAX_NAME).collect();
    shown.trim().to_owned()
}

impl ClientRecord {
    /// A client that users log in to and that the operator knows: to be put into the store
    /// ([`Store::create_client`](crate::Store::create_client)) instead of registering by itself. Its redirect URIs
    /// obey the same rules. Set `metadata.client_name`, which the consent page shows, and `metadata.scope` where the
    /// client is to get no other scopes, whatever it asks for and its users agree to.
    ///
    /// ```
    /// use authorization_server::{ClientRecord, Config, InvalidClient};
    /// use client_auth::Registered;
    /// use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, UnixTime};
    ///
    /// fn dashboard(config: &Config, secret: &Secret) -> Result<ClientRecord, Box<dyn std::error::Error>> {
    ///     let id = ClientId::parse("dashboard")?;
    ///     let authentication = Registered::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
    ///     let back = RedirectUri::parse("https://dashboard.example/callback")?;
    ///     let now = UnixTime::from_secs(1_800_000_000);
    ///     let mut client = ClientRecord::preregistered(config, id, authentication, vec![back], now)?;
    ///     client.metadata.client_name = Some("Dashboard".to_owned());
    ///     Ok(client)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidClient`] when this server would not register it.
    pub fn preregistered(
        config: &Config,
        client_id: ClientId,
        authentication: Registered,
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

    /// Returns `true` if the operator put the client into the store, and its identifier is not the URL of a document.
    /// Clients whose identifier is one count as registered by anybody.
    pub(crate) fn is_of_operator(&self) -> bool {
        self.is_operators_word() && ClientMetadataUrl::parse(self.client_id.as_str()).is_err()
    }

    /// Returns the scope that bounds every grant of this client. What a client registered for itself is no bound:
    /// releases before this one kept it in the record.
    pub(crate) fn scope_bound(&self) -> Option<&ScopeSet> {
        self.metadata.scope.as_ref().filter(|_| self.is_operators_word())
    }

    /// Returns `true` if the record says that it is the operator's, or names a grant that no registration gives.
    fn is_operators_word(&self) -> bool {
        let mut grants = self.metadata.grant_types.iter().flatten();
        self.of_operator || grants.any(|grant| !REGISTERED_GRANT_TYPES.contains(grant))
    }

    /// Whether it may ask for codes: one that names no grants may (RFC 7591 §2).
    pub(crate) fn uses_codes(&self) -> bool {
        let grants = self.metadata.grant_types.as_deref();
        grants.is_none_or(|grants| grants.contains(&GrantType::AuthorizationCode))
    }

    /// The digest of what a user saw and agreed to: the identifier, the name, the redirect URIs, and how the client
    /// shows who it is, keys included. What was agreed to under another digest was agreed to for somebody else, and
    /// has to be asked for again (client ID metadata documents, "Changes in Client Metadata").
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
        // Keys behind a URL may change without the client becoming another one; the URL may not.
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
