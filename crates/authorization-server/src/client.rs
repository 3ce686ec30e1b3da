//! What a client may say about itself, whether it registers it, publishes it, or the operator says it.
//!
//! | check, in this order | requirement | of what |
//! |---|---|---|
//! | redirect URIs are allowed ones, and 1 to 16 | A-REG-1 | all |
//! | the method is offered here | A-REG-3, A-META-4 | all |
//! | keys are public, and there where they are needed | A-REG-3 | what clients say |
//! | the grants and the response types are offered here and fit together | A-REG-3 | what clients say |
//! | other URLs are https and lead to no local address | A-REG-3 | what clients say |

use core::fmt;

use client_auth::{ClientKeys, InvalidKeys, Registered};
use oauth_types::{
    AuthMethod, ClientId, ClientMetadata, EndpointUrl, GrantType, InvalidUri, RedirectUri,
    ResponseType, Secret, SecretDigest, UnixTime, is_hidden,
};
use serde_json::{Value, json};

use crate::metadata::REGISTERED_GRANT_TYPES;
use crate::{ClientRecord, Config};

/// Most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 16;
/// Longest client name kept, in characters.
const MAX_NAME: usize = 80;

/// Why a client cannot be one of this server's, however the server gets to know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidClient {
    /// It has no redirect URI, or too many.
    RedirectUris,
    /// It has a redirect URI that breaks this rule.
    RedirectUri(InvalidUri),
    /// It has a redirect URI of a private-use scheme, and
    /// [`Config::with_private_use_redirects`] does not allow them.
    PrivateUseRedirect,
    /// The server does not take its authentication method ([`Config::with_auth_methods`]).
    AuthMethod,
    /// It signs assertions, and its metadata has no keys.
    NoKeys,
    /// It names keys in two ways.
    TwoKeySets,
    /// Its keys break this rule.
    Keys(InvalidKeys),
    /// It does not use authorization codes, or uses a grant that is not offered.
    Grants,
    /// It uses another response type than `code`.
    ResponseTypes,
    /// It would lead others to an address that is not https, or a local one.
    ForeignUrl,
}

impl InvalidClient {
    /// Whether a redirect URI is the reason (RFC 7591 §3.2.2).
    pub(crate) const fn is_about_redirects(self) -> bool {
        matches!(self, Self::RedirectUris | Self::RedirectUri(_) | Self::PrivateUseRedirect)
    }
}

impl fmt::Display for InvalidClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RedirectUris => "name 1 to 16 redirect URIs",
            Self::RedirectUri(rule) => {
                let allowed = "a redirect URI is https, or http on a loopback host";
                return write!(f, "{allowed}; one {rule}");
            }
            Self::PrivateUseRedirect => "redirect URIs of private-use schemes are not taken here",
            Self::AuthMethod => "this authentication method is not offered",
            Self::NoKeys => "private_key_jwt needs public keys in jwks",
            Self::TwoKeySets => "send jwks or jwks_uri, not both",
            Self::Keys(rule) => return rule.fmt(f),
            Self::Grants => "authorization_code and refresh_token are the grants offered",
            Self::ResponseTypes => "code is the response type offered",
            Self::ForeignUrl => "URLs in client metadata are https, and lead to no local address",
        })
    }
}

impl core::error::Error for InvalidClient {}

fn check_redirect_uris(config: &Config, uris: &[RedirectUri]) -> Result<(), InvalidClient> {
    // A-REG-1
    if uris.is_empty() || uris.len() > MAX_REDIRECT_URIS {
        return Err(InvalidClient::RedirectUris);
    }
    if !config.private_use_redirects && uris.iter().any(RedirectUri::is_private_use) {
        return Err(InvalidClient::PrivateUseRedirect);
    }
    Ok(())
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
    keys: Option<ClientKeys>,
}

impl AcceptedClient {
    /// Checks what a client said; `default` is its method if it names none.
    pub(crate) fn new(
        config: &Config,
        sent: ClientMetadata,
        default: AuthMethod,
    ) -> Result<Self, InvalidClient> {
        // A-REG-1, A-REG-3, A-CIMD-1
        let redirect_uris = sent.redirect_uris.iter().map(|text| RedirectUri::parse(text));
        let redirect_uris = redirect_uris.collect::<Result<Vec<_>, _>>();
        let redirect_uris = redirect_uris.map_err(InvalidClient::RedirectUri)?;
        check_redirect_uris(config, &redirect_uris)?;
        let method = sent.token_endpoint_auth_method.clone().unwrap_or(default);
        check_method(config, &method)?;
        let keys = check_keys(&sent, &method)?;
        check_foreign_members(&sent)?;
        let grants = sent.grant_types.unwrap_or_else(|| vec![GrantType::AuthorizationCode]);
        if !grants.contains(&GrantType::AuthorizationCode)
            || !grants.iter().all(|grant| REGISTERED_GRANT_TYPES.contains(grant))
        {
            return Err(InvalidClient::Grants);
        }
        if sent.response_types.is_some_and(|types| types != [ResponseType::Code]) {
            return Err(InvalidClient::ResponseTypes);
        }
        let mut metadata = ClientMetadata::new(&redirect_uris);
        metadata.token_endpoint_auth_method = Some(method.clone());
        // Each once, however often it was said.
        let once = REGISTERED_GRANT_TYPES.into_iter().filter(|grant| grants.contains(grant));
        metadata.grant_types = Some(once.collect());
        metadata.response_types = Some(vec![ResponseType::Code]);
        metadata.client_name =
            sent.client_name.map(|name| clean_name(&name)).filter(|name| !name.is_empty());
        metadata.application_type = sent.application_type;
        metadata.scope = sent.scope;
        metadata.dpop_bound_access_tokens = cfg!(feature = "dpop") && sent.dpop_bound_access_tokens;
        if keys.is_some() {
            metadata.token_endpoint_auth_signing_alg = sent.token_endpoint_auth_signing_alg;
            metadata.jwks = sent.jwks;
        }
        Ok(Self { metadata, redirect_uris, method, keys })
    }

    /// Whether it authenticates with a secret.
    pub(crate) const fn has_secret(&self) -> bool {
        matches!(self.method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    }

    /// The client under this identifier, and with this secret if it has one.
    pub(crate) fn into_record(
        self,
        client_id: ClientId,
        secret: Option<&Secret>,
        now: UnixTime,
    ) -> ClientRecord {
        let authentication = Registered {
            method: self.method,
            secret: secret.map(Secret::digest),
            secret_expires_at: None,
            keys: self.keys,
        };
        let Self { metadata, redirect_uris, .. } = self;
        let (registered_at, unused_until) = (now, None);
        ClientRecord {
            client_id,
            authentication,
            redirect_uris,
            metadata,
            registered_at,
            unused_until,
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

/// Keys that were sent have to be public, whatever they are for. They are kept only for a client that signs
/// assertions, which sends them in its metadata: no other document is fetched for a client.
fn check_keys(
    sent: &ClientMetadata,
    method: &AuthMethod,
) -> Result<Option<ClientKeys>, InvalidClient> {
    let Some(jwks) = &sent.jwks else {
        return match method {
            AuthMethod::PrivateKeyJwt => Err(InvalidClient::NoKeys),
            _ => Ok(None),
        };
    };
    if sent.jwks_uri.is_some() {
        return Err(InvalidClient::TwoKeySets);
    }
    let keys = ClientKeys::from_jwks(jwks, sent.token_endpoint_auth_signing_alg.as_ref());
    match keys {
        Ok(keys) => Ok((*method == AuthMethod::PrivateKeyJwt).then_some(keys)),
        // Keys for something else may be of kinds that are not spoken here.
        Err(InvalidKeys::NoUsableKey) if *method != AuthMethod::PrivateKeyJwt => Ok(None),
        Err(error) => Err(InvalidClient::Keys(error)),
    }
}

/// A name without characters that hide, turn around or break the text beside it.
fn clean_name(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !is_hidden(*c)).take(MAX_NAME).collect();
    shown.trim().to_owned()
}

impl ClientRecord {
    /// A client that users log in to and that the operator knows: to be put into the store
    /// ([`Store::create_client`](crate::Store::create_client)) instead of registering by itself. Its redirect URIs
    /// obey the same rules. Set `metadata.client_name`, which the consent page shows.
    ///
    /// ```
    /// use authorization_server::{ClientRecord, Config, InvalidClient};
    /// use client_auth::Registered;
    /// use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, UnixTime};
    ///
    /// fn dashboard(config: &Config, secret: &Secret) -> Result<ClientRecord, Box<dyn std::error::Error>> {
    ///     let id = ClientId::parse("dashboard")?;
    ///     let authentication = Registered::with_secret(AuthMethod::ClientSecretBasic, secret);
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
        let mut metadata = ClientMetadata::new(&redirect_uris);
        metadata.token_endpoint_auth_method = Some(authentication.method.clone());
        metadata.grant_types = Some(REGISTERED_GRANT_TYPES.to_vec());
        metadata.response_types = Some(vec![ResponseType::Code]);
        let (registered_at, unused_until) = (now, None);
        Ok(Self { client_id, authentication, redirect_uris, metadata, registered_at, unused_until })
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
        let agreed = json!([
            self.client_id,
            self.metadata.client_name,
            redirect_uris,
            self.authentication.method,
            self.authentication.keys,
        ]);
        SecretDigest::of(&agreed.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str, redirect_uris: &[&str], jwks: Option<&str>) -> ClientRecord {
        let uris = redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
        let authentication = match jwks.map(|jwks| jwks.parse().unwrap()) {
            Some(jwks) => Registered::with_keys(ClientKeys::from_jwks(&jwks, None).unwrap()),
            None => Registered::public(),
        };
        let mut metadata = ClientMetadata::new(&[]);
        metadata.client_name = Some(name.to_owned());
        ClientRecord {
            client_id: ClientId::parse("https://c.example/m").unwrap(),
            authentication,
            redirect_uris: uris,
            metadata,
            registered_at: UnixTime::from_secs(1),
            unused_until: None,
        }
    }

    #[test]
    fn what_was_agreed_to_has_a_digest_of_its_own() {
        let (a, b) = ("https://c.example/a", "https://c.example/b");
        let key = |x: char| {
            let x = x.to_string().repeat(42);
            format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"{x}A"}}]}}"#)
        };
        let agreed = client("C", &[a, b], None);
        let mut same = client("C", &[b, a], None);
        same.registered_at = UnixTime::from_secs(9);
        assert_eq!(same.metadata_digest(), agreed.metadata_digest());
        let mut others = vec![
            client("D", &[a, b], None),
            client("C", &[a], None),
            client("C", &[a, b, "http://localhost/cb"], None),
            client("C", &[a, b], Some(&key('A'))),
            client("C", &[a, b], Some(&key('B'))),
            client("C", &[a, b], None),
        ];
        others.push(agreed);
        others[5].client_id = ClientId::parse("https://c.example/n").unwrap();
        let digests: std::collections::BTreeSet<_> =
            others.iter().map(ClientRecord::metadata_digest).collect();
        assert_eq!(digests.len(), others.len());
    }
}
