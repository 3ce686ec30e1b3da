//! Client metadata and the registration response (RFC 7591 §2, §3.2.1).

use core::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::client_id::ClientId;
use crate::document::members::{name, secret, text, texts, time};
use crate::document::{
    Document, DocumentError, ExtraMembers, MemberRule, Members, document, is_false,
};
use crate::method::{ApplicationType, AuthMethod, GrantType, ResponseType, SigningAlgorithm};
use crate::scope::ScopeSet;
use crate::secret::{Secret, serde_secret};
use crate::time::UnixTime;
use crate::uri::RedirectUri;

/// Client metadata: the body of a registration request (RFC 7591 §2).
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ClientMetadata {
    /// Redirect URIs as the client wrote them, untrusted.
    ///
    /// [`RedirectUri::parse`] decides which may be registered. They are always written, because other parsers
    /// require the member even when it is empty.
    pub redirect_uris: Vec<String>,
    /// Authentication method at the token endpoint; absent means `client_secret_basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// Authentication methods for the server to choose from (OpenID Connect RP Metadata Choices).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// Grant types that the client uses; absent means `authorization_code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<GrantType>>,
    /// Response types that the client uses; absent means `code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_types: Option<Vec<ResponseType>>,
    /// Name of the client for users, untrusted: clean it before you show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Scopes that the client may request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
    /// Native or web application (OpenID Connect Registration §2); MCP asks clients to state it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_type: Option<ApplicationType>,
    /// Signing algorithm of client assertions; absent means any (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<SigningAlgorithm>,
    /// Public keys of the client, a JWK Set (RFC 7517 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// URL of the client's public keys (RFC 7591 §2), untrusted: parse it before you fetch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// `true` if the client always uses DPoP and all its tokens are bound to a key (RFC 9449 §5.2).
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Other members, omitted from `Debug`, because one may be a registration access token.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

document!(ClientMetadata);

impl Document for ClientMetadata {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        Ok(Self {
            // `null` means an empty list; the caller decides whether that is allowed.
            redirect_uris: members.exact("redirect_uris", texts)?.unwrap_or_default(),
            token_endpoint_auth_method: members
                .strict("token_endpoint_auth_method", name(AuthMethod::parse))?,
            // A malformed list is refused, because an absent one would turn a client that signs into a public client.
            token_endpoint_auth_methods_supported: members
                .items("token_endpoint_auth_methods_supported", name(AuthMethod::parse))?,
            grant_types: members.names("grant_types", GrantType::parse),
            response_types: members.names("response_types", ResponseType::parse),
            client_name: members.lenient("client_name", text),
            scope: members.scopes("scope"),
            application_type: members.lenient("application_type", name(ApplicationType::parse)),
            token_endpoint_auth_signing_alg: members
                .strict("token_endpoint_auth_signing_alg", name(SigningAlgorithm::parse))?,
            jwks: members.lenient("jwks", Ok),
            jwks_uri: members.lenient("jwks_uri", text),
            dpop_bound_access_tokens: members.flag("dpop_bound_access_tokens").unwrap_or(true),
            extra: ExtraMembers(members.take_rest()),
        })
    }
}

impl fmt::Debug for ClientMetadata {
    /// Omits the keys, because a peer may have included a private one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMetadata")
            .field("redirect_uris", &self.redirect_uris)
            .field("token_endpoint_auth_method", &self.token_endpoint_auth_method)
            .field(
                "token_endpoint_auth_methods_supported",
                &self.token_endpoint_auth_methods_supported,
            )
            .field("grant_types", &self.grant_types)
            .field("response_types", &self.response_types)
            .field("client_name", &self.client_name)
            .field("scope", &self.scope)
            .field("application_type", &self.application_type)
            .field("jwks_uri", &self.jwks_uri)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

impl ClientMetadata {
    /// Creates the metadata of a client with these redirect URIs and the defaults of the RFC.
    #[must_use]
    pub fn new(redirect_uris: &[RedirectUri]) -> Self {
        let redirect_uris = redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect();
        Self { redirect_uris, ..Self::default() }
    }
}

/// Registration response (RFC 7591 §3.2.1), which may hold a client secret and writes it in the clear.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClientInformation {
    /// Client identifier that the server issued.
    pub client_id: ClientId,
    /// Client secret that the server issued, if any.
    #[serde(serialize_with = "serde_secret::serialize", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Expiry time of the secret, in seconds since the epoch; 0 means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<UnixTime>,
    /// Time at which the identifier was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id_issued_at: Option<UnixTime>,
    /// Metadata that the server accepted, which may differ from what was requested.
    #[serde(flatten)]
    pub metadata: ClientMetadata,
}

document!(ClientInformation);

impl Document for ClientInformation {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        let client_id = |value| ClientId::parse(&text(value)?).map_err(MemberRule::ClientId);
        Ok(Self {
            client_id: members.required("client_id", client_id)?,
            // An empty secret counts as absent, so that it does not replace one that works.
            client_secret: members.strict("client_secret", secret)?,
            client_secret_expires_at: members.lenient("client_secret_expires_at", time),
            client_id_issued_at: members.lenient("client_id_issued_at", time),
            metadata: ClientMetadata::read(members)?,
        })
    }
}

impl ClientInformation {
    /// Creates the response that issues an identifier for this metadata.
    #[must_use]
    pub const fn new(client_id: ClientId, metadata: ClientMetadata) -> Self {
        Self {
            client_id,
            client_secret: None,
            client_secret_expires_at: None,
            client_id_issued_at: None,
            metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_answer_keeps_all_it_was_given() {
        let json = br#"{"client_id":"c","client_secret":"s","client_secret_expires_at":0,
            "redirect_uris":["http://localhost/cb"],"client_name":null,"x":1}"#;
        let answer = ClientInformation::from_json(json).unwrap();
        assert!(answer.client_secret.as_ref().unwrap().matches("s"));
        assert!(!format!("{answer:?}").contains("\"s\""));
        let again = ClientInformation::from_json(&answer.to_json()).unwrap();
        assert!(again.client_secret.unwrap().matches("s"));
        assert_eq!(again.metadata, answer.metadata);
        assert!(again.metadata.extra.0.contains_key("x"));
        let empty = br#"{"client_id":"c","client_secret":""}"#;
        assert!(ClientInformation::from_json(empty).unwrap().client_secret.is_none());
    }

    /// SEC-192
    #[test]
    fn debug_shows_no_credential_of_a_registration() {
        let json =
            br#"{"client_id":"c","client_secret":"canary","registration_access_token":"canary",
            "jwks":{"keys":[{"d":"canary"}]}}"#;
        assert!(!format!("{:?}", ClientInformation::from_json(json).unwrap()).contains("canary"));
    }

    /// SEC-113
    #[test]
    fn redirect_uris_are_a_list_of_redirect_uris() {
        for bad in [r#"{"redirect_uris":"x"}"#, r#"{"redirect_uris":[null]}"#] {
            assert!(ClientMetadata::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
        // The document does not decide which texts may be registered, because clients of other servers have others.
        let foreign = br#"{"redirect_uris":["cursor://oauth/callback"]}"#;
        assert_eq!(ClientMetadata::from_json(foreign).unwrap().redirect_uris.len(), 1);
        // Some servers write `null` in a response. It means an empty list, which the caller judges.
        let none = ClientMetadata::from_json(br#"{"redirect_uris":null}"#).unwrap();
        assert!(none.redirect_uris.is_empty());
    }
}
