//! Authentication methods that a client and this server share, and the keys that a client publishes (RFC 7591 §2;
//! OpenID Connect RP Metadata Choices).
//!
//! - A registration, which the server answers, gets one method: the preferred one (`token_endpoint_auth_method`) if it
//!   is accepted here, else the strongest of `token_endpoint_auth_methods_supported`. The response names it, and no
//!   other is accepted.
//! - A document, which no server can answer, gets every listed method that this server accepts, because the client
//!   cannot know the server's choice.
//!
//! So a client whose document lists `none` beside `private_key_jwt` may omit the assertion: its document says so, and
//! the code is still bound to its redirect URI and to the PKCE verifier. Every presented credential is verified: a
//! wrong assertion is refused, and never falls back to `none`. A server that requires assertions from such clients
//! accepts no public ones ([`Config::with_auth_methods`]); a client that wants them enforced everywhere does not list
//! `none`.
//!
//! Keys at a `jwks_uri` are fetched only when a request presents an assertion ([`KeysNeeded`]):
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | documents are fetched; the URL obeys their rules, and is not local | A-CIMD-1 | the client has no keys |
//! | status 200, media type JSON, a set of at most 16 public keys | A-CIMD-1, A-AUTHN-9 | the client has no keys |
//!
//! The URL may have another origin than the document, because the document, read from the client's own URL over TLS,
//! vouches for it.

use std::borrow::Cow;

use bytes::Bytes;
use client_auth::{ClientAuthRecord, InvalidKeys, Presented, VerifyingKeys};
use http::Response;
use oauth_types::{AuthMethod, ClientMetadata, ClientMetadataUrl, JwkSet};
use serde_json::json;

use crate::client_error::{DocumentRefused, InvalidClient, check_json};
use crate::config::Config;
use crate::store::ClientRecord;

/// Client authentication methods, strongest first.
const STRENGTH: [AuthMethod; 4] = [
    AuthMethod::PrivateKeyJwt,
    AuthMethod::ClientSecretBasic,
    AuthMethod::ClientSecretPost,
    AuthMethod::None,
];

/// The source of client metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MetadataSource {
    /// A registration request, whose response names the method that the server chose.
    Registration,
    /// A metadata document, which gets no response.
    Document,
}

/// Source of the usable keys that a client names.
#[derive(Debug)]
pub(crate) enum Keys {
    Sent(VerifyingKeys),
    /// Keys at the client's `jwks_uri`.
    Published,
}

impl Keys {
    /// Reads the keys of a client; `None` if it names no usable ones.
    ///
    /// Keys that were sent must be public, whatever they are for.
    pub(crate) fn of(
        config: &Config,
        sent: &ClientMetadata,
    ) -> Result<Option<Self>, InvalidClient> {
        let algorithm = sent.token_endpoint_auth_signing_alg.as_ref();
        let url = sent.jwks_uri.as_deref().filter(|url| !url.is_empty());
        match (&sent.jwks, url) {
            (Some(_), Some(_)) => Err(InvalidClient::TwoKeySets),
            (Some(jwks), None) => match VerifyingKeys::from_jwks(jwks, algorithm) {
                Ok(keys) => Ok(Some(Self::Sent(keys))),
                // Keys for another purpose may be of types that are not supported here.
                Err(InvalidKeys::NoUsableKey) => Ok(None),
                Err(error) => Err(InvalidClient::Keys(error)),
            },
            (None, Some(url)) => {
                let is_spoken = algorithm.is_none_or(|own| VerifyingKeys::ALGORITHMS.contains(own));
                let is_found = config.published_keys(url).is_some();
                Ok((is_spoken && is_found).then_some(Self::Published))
            }
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn into_sent(self) -> Option<VerifyingKeys> {
        match self {
            Self::Sent(keys) => Some(keys),
            Self::Published => None,
        }
    }
}

/// Returns the methods that the client may use, starting with the method of its record.
pub(crate) fn methods(
    config: &Config,
    sent: &ClientMetadata,
    keys: &Option<Keys>,
    source: MetadataSource,
) -> Result<Vec<AuthMethod>, InvalidClient> {
    let list = sent.token_endpoint_auth_methods_supported.as_deref();
    let listed = list.unwrap_or_default();
    let default = match source {
        // RFC 7591 §2: an absent method means `client_secret_basic`. A document contains no secret. An empty list
        // offers no method.
        _ if list.is_some() => None,
        MetadataSource::Registration => Some(&AuthMethod::ClientSecretBasic),
        MetadataSource::Document => Some(&AuthMethod::None),
    };
    let preferred = sent.token_endpoint_auth_method.as_ref().or(default);
    let is_offered = |method: &AuthMethod| preferred == Some(method) || listed.contains(method);
    // A-META-4
    let is_taken = |method: &AuthMethod| match (method, source) {
        _ if !config.auth_methods.contains(method) => false,
        (AuthMethod::PrivateKeyJwt, _) => keys.is_some(),
        (AuthMethod::None, _) | (_, MetadataSource::Registration) => true,
        (_, MetadataSource::Document) => false,
    };
    let mut usable = STRENGTH.into_iter().filter(|one| is_offered(one) && is_taken(one));
    let usable: Vec<AuthMethod> = match (source, preferred.filter(|one| is_taken(one))) {
        (MetadataSource::Document, _) => usable.collect(),
        (MetadataSource::Registration, Some(preferred)) => vec![preferred.clone()],
        (MetadataSource::Registration, None) => usable.next().into_iter().collect(),
    };
    if !usable.is_empty() {
        return Ok(usable);
    }
    let signs = AuthMethod::PrivateKeyJwt;
    if !is_offered(&signs) || !config.auth_methods.contains(&signs) {
        return Err(InvalidClient::AuthMethod);
    }
    Err(match &sent.jwks {
        Some(_) => InvalidClient::Keys(InvalidKeys::NoUsableKey),
        None => InvalidClient::NoKeys,
    })
}

impl Config {
    /// Returns the URL of a key set, if it obeys the rules for a document's URL.
    fn published_keys(&self, url: &str) -> Option<ClientMetadataUrl> {
        // A-CIMD-1
        let url = self.client_documents.then(|| ClientMetadataUrl::parse(url).ok()).flatten()?;
        (!url.as_url().origin().is_local_address()).then_some(url)
    }
}

/// Key set that has to be fetched before a client can be authenticated.
///
/// The request presents an assertion, and the client publishes its keys at a `jwks_uri`.
///
/// [`Environment::client_keys`](crate::Environment::client_keys) fetches it, by the rules for metadata documents.
#[derive(Clone, Debug)]
#[must_use = "fetch the key set, or the client has no keys"]
pub struct KeysNeeded<'a> {
    url: ClientMetadataUrl,
    presented: &'a Presented,
}

impl<'a> KeysNeeded<'a> {
    pub(crate) fn of(
        config: &Config,
        presented: &'a Presented,
        client: &ClientRecord,
    ) -> Option<Self> {
        let own = &client.authentication;
        if !presented.is_assertion()
            || own.method != AuthMethod::PrivateKeyJwt
            || own.keys.is_some()
        {
            return None;
        }
        let url = config.published_keys(client.metadata.jwks_uri.as_deref()?)?;
        Some(Self { url, presented })
    }

    /// Returns the URL of the key set.
    #[must_use]
    pub const fn url(&self) -> &ClientMetadataUrl {
        &self.url
    }

    /// Reads the response to a GET of the URL.
    ///
    /// # Errors
    ///
    /// [`DocumentRefused`] when the status, the media type or the key set is refused. Cache the error for 30 seconds at
    /// most.
    pub fn read(answer: &Response<Bytes>) -> Result<JwkSet, DocumentRefused> {
        // A-AUTHN-9
        check_json(answer)?;
        let unreadable = DocumentRefused::Keys(InvalidKeys::NotAKeySet);
        let set = JwkSet::from_json(answer.body()).map_err(|_| unreadable)?;
        VerifyingKeys::from_jwks(&json!({ "keys": set.keys }), None)
            .map_err(DocumentRefused::Keys)?;
        Ok(set)
    }

    /// Returns `true` if the set contains the key that the assertion names.
    ///
    /// A set without it may be out of date, and is worth fetching again: at most once in 30 seconds, because anyone can
    /// name a key.
    #[must_use]
    pub fn is_in(&self, set: &JwkSet) -> bool {
        let keys = VerifyingKeys::from_jwks(&json!({ "keys": set.keys }), None);
        keys.is_ok_and(|keys| self.presented.names_key_of(&keys))
    }
}

impl ClientRecord {
    /// Returns the client with the usable keys of its fetched key set ([`KeysNeeded`]).
    ///
    /// If no key is usable, the client has no keys.
    #[must_use]
    pub(crate) fn with_key_set(mut self, set: &JwkSet) -> Self {
        let algorithm = self.metadata.token_endpoint_auth_signing_alg.as_ref();
        self.authentication.keys =
            VerifyingKeys::from_jwks(&json!({ "keys": set.keys }), algorithm).ok();
        self
    }

    /// Returns the authentication that applies to a request with these credentials.
    pub(crate) fn authentication_for(&self, presented: &Presented) -> Cow<'_, ClientAuthRecord> {
        if self.may_be_public() && !presented.is_assertion() {
            return Cow::Owned(ClientAuthRecord::public());
        }
        Cow::Borrowed(&self.authentication)
    }

    /// Returns `true` if the token endpoint accepts requests of this client without a credential.
    pub(crate) fn may_be_public(&self) -> bool {
        let others = self.metadata.token_endpoint_auth_methods_supported.as_deref();
        match self.authentication.method {
            AuthMethod::None => true,
            // A-AUTHN-4: `none` may stand beside assertions only, and never replaces a secret.
            AuthMethod::PrivateKeyJwt => others.is_some_and(|own| own.contains(&AuthMethod::None)),
            _ => false,
        }
    }
}
