//! Authorization server metadata (RFC 8414 §2; OpenID Connect Discovery §3).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::document::{document, is_false, known_values, or_default};
use crate::{
    AuthMethod, EndpointUrl, GrantProfile, GrantType, Issuer, ResponseType, SigningAlgorithm,
};

/// What an authorization server says about itself.
///
/// `None` means that the member is absent, which RFC 8414 often gives a meaning of its own; the
/// methods of this type apply it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthorizationServerMetadata {
    /// Its identifier.
    pub issuer: Issuer,
    /// Where users are sent. Absent when no grant needs it.
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<EndpointUrl>,
    /// Where grants are exchanged.
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<EndpointUrl>,
    /// Where clients register (RFC 7591).
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<EndpointUrl>,
    /// Where tokens are revoked (RFC 7009).
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<EndpointUrl>,
    /// Where resource servers ask about tokens (RFC 7662).
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<EndpointUrl>,
    /// Where its signing keys are.
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<EndpointUrl>,
    /// Scopes that it knows and chooses to list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// Response types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_types_supported: Option<Vec<ResponseType>>,
    /// Grants; absent means authorization code and implicit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_types_supported: Option<Vec<GrantType>>,
    /// What the assertions of its grants may be (draft-ietf-oauth-identity-assertion-authz-grant §7.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_grant_profiles_supported: Option<Vec<GrantProfile>>,
    /// Client authentication methods; absent means `client_secret_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// How client assertions may be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// Client authentication methods at the revocation endpoint; absent means `client_secret_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// How client assertions may be signed at the revocation endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// How resource servers authenticate at the introspection endpoint; absent says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// How proofs of possession may be signed; absent means that there are none (RFC 9449 §5.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// PKCE methods; absent means that PKCE is not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Whether every authorization response carries `iss` (RFC 9207 §3).
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether a client identifier may be the URL of a metadata document.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub client_id_metadata_document_supported: bool,
    /// Members that are not known here.
    #[serde(flatten, deserialize_with = "known_values")]
    pub extra: Map<String, Value>,
}

document!(AuthorizationServerMetadata);

impl AuthorizationServerMetadata {
    /// Metadata that says nothing but the issuer.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            authorization_endpoint: None,
            token_endpoint: None,
            registration_endpoint: None,
            revocation_endpoint: None,
            introspection_endpoint: None,
            jwks_uri: None,
            scopes_supported: None,
            response_types_supported: None,
            grant_types_supported: None,
            authorization_grant_profiles_supported: None,
            token_endpoint_auth_methods_supported: None,
            token_endpoint_auth_signing_alg_values_supported: None,
            revocation_endpoint_auth_methods_supported: None,
            revocation_endpoint_auth_signing_alg_values_supported: None,
            introspection_endpoint_auth_methods_supported: None,
            dpop_signing_alg_values_supported: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
            client_id_metadata_document_supported: false,
            extra: Map::new(),
        }
    }

    /// The authentication methods, with what an absent list means (RFC 8414 §2).
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods,
            None => &[AuthMethod::ClientSecretBasic],
        }
    }

    /// Whether PKCE with S256 is listed.
    #[must_use]
    pub fn supports_s256(&self) -> bool {
        let methods = self.code_challenge_methods_supported.as_deref().unwrap_or_default();
        methods.iter().any(|method| method == crate::CodeChallenge::METHOD)
    }

    /// Whether it is an OpenID provider: `subject_types_supported` is what only they say, and all of them have to
    /// (OpenID Connect Discovery §3).
    #[must_use]
    pub fn is_openid_provider(&self) -> bool {
        self.extra.contains_key("subject_types_supported")
    }

    /// Whether `scopes_supported` lists this scope.
    #[must_use]
    pub fn lists_scope(&self, scope: &str) -> bool {
        self.scopes_supported.iter().flatten().any(|own| own == scope)
    }
}

/// An empty text is what some servers write for an endpoint that they do not have.
fn url_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<EndpointUrl>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(|text| EndpointUrl::parse(&text).map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocumentError;

    #[test]
    fn unknown_members_survive() {
        let json = br#"{"issuer":"https://as.example","x_new":[1],"scopes_supported":null}"#;
        let metadata = AuthorizationServerMetadata::from_json(json).unwrap();
        assert_eq!(metadata.auth_methods(), [AuthMethod::ClientSecretBasic]);
        assert!(!metadata.supports_s256());
        let json = br#"{"issuer":"https://as.example","jwks_uri":"","registration_endpoint":null}"#;
        let sparse = AuthorizationServerMetadata::from_json(json).unwrap();
        assert_eq!((sparse.jwks_uri, sparse.registration_endpoint), (None, None));
        let again = AuthorizationServerMetadata::from_json(&metadata.to_json()).unwrap();
        assert_eq!(again.extra.get("x_new"), Some(&serde_json::json!([1])));
    }

    #[test]
    fn sec_128_sec_134_sec_137_a_bad_member_is_named_and_not_quoted() {
        for (json, member) in [
            (r#"{"issuer":["canary"]}"#, "issuer"),
            (r#"{"issuer":"http://canary.example"}"#, "issuer"),
            (
                r#"{"issuer":"https://as.example","token_endpoint":"http://canary.example/t"}"#,
                "token_endpoint",
            ),
            (
                r#"{"issuer":"https://as.example","authorization_endpoint":"javascript:canary"}"#,
                "authorization_endpoint",
            ),
        ] {
            let error = AuthorizationServerMetadata::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error, DocumentError::Member(member.into()));
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        let error = AuthorizationServerMetadata::from_json(&[b' '; 131_073]).unwrap_err();
        assert_eq!(error, DocumentError::TooLarge);
    }
}
