//! Dynamic registration (RFC 7591).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | POST, JSON, within bounds | A-REG-3 | 405, 413, `invalid_client_metadata` |
//! | redirect URIs are allowed ones, and some | A-REG-1 | `invalid_redirect_uri` |
//! | members have their form | A-REG-3 | `invalid_client_metadata` |
//! | the method, the grants and the response types are offered here and fit together | A-REG-3 | `invalid_client_metadata` |
//! | other URLs are https and lead to no local address; keys are public | A-REG-3 | `invalid_client_metadata` |
//! | there is room | | 503 |
//!
//! Who never gets a token is forgotten after a day, so that what programs register for the fun of it goes away.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use client_auth::{ClientKeys, InvalidKeys, Registered};
use http::header::RETRY_AFTER;
use http::{Method, Request, Response, StatusCode};
use oauth_types::{
    AuthMethod, ClientId, ClientInformation, ClientMetadata, DocumentError, EndpointUrl, Entropy,
    FormPairs, GrantType, RedirectUri, RegistrationErrorCode, ResponseType, Secret, UnixTime,
    is_hidden, json_response_uncached,
};
use serde_json::{Map, Value};

use crate::endpoint::has_media_type;
use crate::metadata::REGISTERED_GRANT_TYPES;
use crate::{Cause, ClientRecord, Config, CreateOutcome, Refusal, StoreError};

/// Most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 16;
/// Longest client name kept, in characters.
const MAX_NAME: usize = 80;

/// Why a client cannot be one of this server's, however it comes into the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidClient {
    /// It has no redirect URI, or too many.
    RedirectUris,
    /// It has a redirect URI of a private-use scheme, and
    /// [`Config::with_private_use_redirects`] does not allow them.
    PrivateUseRedirect,
    /// The server does not take its authentication method ([`Config::with_auth_methods`]).
    AuthMethod,
}

impl fmt::Display for InvalidClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RedirectUris => "name 1 to 16 redirect URIs",
            Self::PrivateUseRedirect => "redirect URIs of private-use schemes are not taken here",
            Self::AuthMethod => "this authentication method is not offered",
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
}

/// A registration that is allowed.
#[derive(Debug)]
#[must_use = "the client exists only when it is stored"]
pub struct NewClient {
    metadata: ClientMetadata,
    redirect_uris: Vec<RedirectUri>,
    method: AuthMethod,
    keys: Option<ClientKeys>,
    may_be_unused: Duration,
}

fn bad(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidClientMetadata;
    Refusal::registration(Cause::Parameter("metadata"), code, why)
}

fn bad_redirect(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidRedirectUri;
    Refusal::registration(Cause::RegisteredRedirectUri, code, why)
}

impl NewClient {
    /// Reads a registration request.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the finished reply.
    pub fn parse(config: &Config, request: &Request<Bytes>) -> Result<Self, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::method("POST"));
        }
        if !has_media_type(request, "application/json") {
            return Err(bad("send application/json"));
        }
        if request.body().len() > FormPairs::MAX_BYTES {
            return Err(bad("the body is too long").with_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        // A-REG-1, A-REG-3
        let sent = ClientMetadata::from_json(request.body()).map_err(|error| match error {
            DocumentError::Member(path) if path.starts_with("redirect_uris") => {
                bad_redirect("redirect_uris is a list of texts")
            }
            other => bad(&other.to_string()),
        })?;
        let allowed = sent.redirect_uris.iter().map(|text| RedirectUri::parse(text));
        let redirect_uris = allowed.collect::<Result<Vec<_>, _>>().map_err(|rule| {
            bad_redirect(&format!(
                "a redirect URI is https, or http on a loopback host; one {rule}"
            ))
        })?;
        check_redirect_uris(config, &redirect_uris)
            .map_err(|rule| bad_redirect(&rule.to_string()))?;
        // RFC 7591 §2: an absent method is Basic.
        let method = sent.token_endpoint_auth_method.clone();
        let method = method.unwrap_or(AuthMethod::ClientSecretBasic);
        check_method(config, &method).map_err(|rule| bad(&rule.to_string()))?;
        let keys = check_keys(&sent, &method)?;
        let grants = sent.grant_types.unwrap_or_else(|| vec![GrantType::AuthorizationCode]);
        if !grants.contains(&GrantType::AuthorizationCode)
            || !grants.iter().all(|grant| REGISTERED_GRANT_TYPES.contains(grant))
        {
            return Err(bad("authorization_code and refresh_token are the grants offered"));
        }
        if sent.response_types.is_some_and(|types| types != [ResponseType::Code]) {
            return Err(bad("code is the response type offered"));
        }
        check_foreign_members(&sent.extra.0)?;
        let mut metadata = ClientMetadata::new(&redirect_uris);
        metadata.token_endpoint_auth_method = Some(method.clone());
        metadata.grant_types = Some(grants);
        metadata.response_types = Some(vec![ResponseType::Code]);
        metadata.client_name =
            sent.client_name.map(|name| clean_name(&name)).filter(|name| !name.is_empty());
        metadata.application_type = sent.application_type;
        metadata.scope = sent.scope;
        if keys.is_some() {
            metadata.token_endpoint_auth_signing_alg = sent.token_endpoint_auth_signing_alg;
            metadata.jwks = sent.jwks;
        }
        let may_be_unused = config.lifetimes.unused_client;
        Ok(Self { metadata, redirect_uris, method, keys, may_be_unused })
    }

    /// Gives the client an identifier and, if it authenticates with one, a secret.
    pub fn draw(self, id: Entropy<16>, secret: Entropy<32>, now: UnixTime) -> CreateClient {
        let has_secret =
            matches!(self.method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
        let secret = has_secret.then(|| secret.into_secret());
        let authentication = Registered {
            method: self.method,
            secret: secret.as_ref().map(Secret::digest),
            secret_expires_at: None,
            keys: self.keys,
        };
        let record = ClientRecord {
            client_id: ClientId::new(id),
            authentication,
            redirect_uris: self.redirect_uris,
            metadata: self.metadata,
            registered_at: now,
            unused_until: Some(now.plus(self.may_be_unused)),
        };
        CreateClient { record, secret }
    }
}

/// URLs that others would be led to have to be harmless, and keys public; none of them is kept.
fn check_foreign_members(extra: &Map<String, Value>) -> Result<(), Refusal> {
    for name in
        ["client_uri", "jwks_uri", "logo_uri", "policy_uri", "sector_identifier_uri", "tos_uri"]
    {
        // Some clients send an empty text for what they do not have.
        let Some(value) = extra.get(name).filter(|value| *value != "") else { continue };
        let url = value.as_str().and_then(|text| EndpointUrl::parse(text).ok());
        if url.is_none_or(|url| url.origin().is_local_address()) {
            return Err(bad("URLs in client metadata are https, and lead to no local address"));
        }
    }
    Ok(())
}

/// Keys that were sent have to be public, whatever they are for. They are kept only for a client that signs
/// assertions, which sends them in its metadata: nothing is fetched for a registration.
fn check_keys(sent: &ClientMetadata, method: &AuthMethod) -> Result<Option<ClientKeys>, Refusal> {
    let Some(jwks) = &sent.jwks else {
        return match method {
            AuthMethod::PrivateKeyJwt => Err(bad("private_key_jwt needs public keys in jwks")),
            _ => Ok(None),
        };
    };
    if sent.extra.0.get("jwks_uri").is_some_and(|uri| !uri.is_null()) {
        return Err(bad("send jwks or jwks_uri, not both"));
    }
    let keys = ClientKeys::from_jwks(jwks, sent.token_endpoint_auth_signing_alg.as_ref());
    match keys {
        Ok(keys) => Ok((*method == AuthMethod::PrivateKeyJwt).then_some(keys)),
        // Keys for something else may be of kinds that are not spoken here.
        Err(InvalidKeys::NoUsableKey) if *method != AuthMethod::PrivateKeyJwt => Ok(None),
        Err(error) => Err(bad(&error.to_string())),
    }
}

/// A name without characters that hide, turn around or break the text beside it.
fn clean_name(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !is_hidden(*c)).take(MAX_NAME).collect();
    shown.trim().to_owned()
}

/// The operation to carry out: [`Store::create_client`](crate::Store::create_client).
#[derive(Debug)]
#[must_use = "carry the operation out, then finish with its outcome"]
pub struct CreateClient {
    record: ClientRecord,
    secret: Option<Secret>,
}

impl CreateClient {
    /// What to store.
    #[must_use]
    pub const fn record(&self) -> &ClientRecord {
        &self.record
    }

    /// The response, once the operation has its outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the client was not stored.
    pub fn finish(
        self,
        outcome: Result<CreateOutcome, StoreError>,
    ) -> Result<Response<Bytes>, Refusal> {
        match outcome {
            Ok(CreateOutcome::Created) => {
                // A-REG-2
                let mut answer =
                    ClientInformation::new(self.record.client_id, self.record.metadata);
                answer.client_id_issued_at = Some(self.record.registered_at);
                answer.client_secret_expires_at =
                    self.secret.as_ref().map(|_| UnixTime::from_secs(0));
                answer.client_secret = self.secret;
                Ok(json_response_uncached(StatusCode::CREATED, answer.to_json()))
            }
            Ok(CreateOutcome::QuotaReached) => Err(Refusal::registration(
                Cause::Quota,
                RegistrationErrorCode::TemporarilyUnavailable,
                "no more clients are taken now",
            )
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, "3600")),
            // Of 128 random bits there are no two: somebody else wrote this one.
            Ok(CreateOutcome::Duplicate) => Err(Refusal::store(StoreError::Corrupt)),
            Err(error) => Err(Refusal::store(error)),
        }
    }
}
