//! Authorization server metadata (RFC 8414 §2; OpenID Connect Discovery §3).

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::members::{endpoint, endpoint_without, uri};
use crate::document::{Document, DocumentError, MemberRule, Members, document, is_false, object};
use crate::method::{AuthMethod, GrantProfile, GrantType, ResponseType, SigningAlgorithm};
use crate::pkce::CodeChallenge;
use crate::uri::{EndpointUrl, Issuer, Origin};

/// Authorization server metadata (RFC 8414 §2; OpenID Connect Discovery §3).
///
/// `None` means that the member is absent, to which RFC 8414 often gives a meaning; the methods of this type apply it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct AuthorizationServerMetadata {
    /// Issuer identifier.
    pub issuer: Issuer,
    /// URL of the authorization endpoint; absent if no grant type needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<EndpointUrl>,
    /// URL of the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<EndpointUrl>,
    /// URL of the registration endpoint (RFC 7591).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<EndpointUrl>,
    /// URL of the revocation endpoint (RFC 7009).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<EndpointUrl>,
    /// URL of the introspection endpoint (RFC 7662).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<EndpointUrl>,
    /// URL of the JWK Set with the server's signing keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<EndpointUrl>,
    /// Scopes that the server chooses to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// Response types that the server supports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_types_supported: Option<Vec<ResponseType>>,
    /// Grant types that the server supports; absent means authorization code and implicit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_types_supported: Option<Vec<GrantType>>,
    /// Profiles of assertion grants (draft-ietf-oauth-identity-assertion-authz-grant §7.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_grant_profiles_supported: Option<Vec<GrantProfile>>,
    /// Client authentication methods at the token endpoint; absent means `client_secret_basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// Signing algorithms of client assertions at the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// Client authentication methods at the revocation endpoint; absent means `client_secret_basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// Signing algorithms of client assertions at the revocation endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// Authentication methods of resource servers at the introspection endpoint; absent has no meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// Signing algorithms of DPoP proofs; absent means that proofs are not supported (RFC 9449 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// PKCE methods; absent means that PKCE is not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// `true` if every authorization response carries `iss` (RFC 9207 §3).
    #[serde(skip_serializing_if = "is_false")]
    pub authorization_response_iss_parameter_supported: bool,
    /// `true` if a client identifier may be the URL of a metadata document.
    #[serde(skip_serializing_if = "is_false")]
    pub client_id_metadata_document_supported: bool,
    /// Other members, kept as received.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

document!(AuthorizationServerMetadata);

impl Document for AuthorizationServerMetadata {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        let (algorithm, method) = (SigningAlgorithm::parse, AuthMethod::parse);
        Ok(Self {
            issuer: members.required("issuer", uri(Issuer::parse))?,
            authorization_endpoint: members
                .strict("authorization_endpoint", endpoint_without(&AUTHORIZATION_PARAMETERS))?,
            token_endpoint: members
                .strict("token_endpoint", endpoint_without(&TOKEN_PARAMETERS))?,
            registration_endpoint: members
                .strict("registration_endpoint", endpoint_without(&REGISTRATION_PARAMETERS))?,
            revocation_endpoint: members.lenient("revocation_endpoint", endpoint),
            introspection_endpoint: members.lenient("introspection_endpoint", endpoint),
            jwks_uri: members.lenient("jwks_uri", endpoint),
            scopes_supported: members.names("scopes_supported", str::to_owned),
            response_types_supported: members
                .names("response_types_supported", ResponseType::parse),
            grant_types_supported: members.names("grant_types_supported", GrantType::parse),
            authorization_grant_profiles_supported: members
                .names("authorization_grant_profiles_supported", GrantProfile::parse),
            token_endpoint_auth_methods_supported: members
                .names("token_endpoint_auth_methods_supported", method),
            token_endpoint_auth_signing_alg_values_supported: members
                .names("token_endpoint_auth_signing_alg_values_supported", algorithm),
            revocation_endpoint_auth_methods_supported: members
                .names("revocation_endpoint_auth_methods_supported", method),
            revocation_endpoint_auth_signing_alg_values_supported: members
                .names("revocation_endpoint_auth_signing_alg_values_supported", algorithm),
            introspection_endpoint_auth_methods_supported: members
                .names("introspection_endpoint_auth_methods_supported", method),
            dpop_signing_alg_values_supported: members
                .names("dpop_signing_alg_values_supported", algorithm),
            // A malformed list counts as empty instead of absent, because a client profile may accept an absent one.
            code_challenge_methods_supported: members
                .names_or_none("code_challenge_methods_supported", str::to_owned),
            authorization_response_iss_parameter_supported: members
                .flag("authorization_response_iss_parameter_supported")
                .unwrap_or(true),
            client_id_metadata_document_supported: members
                .flag("client_id_metadata_document_supported")
                .unwrap_or(false),
            extra: members.take_rest(),
        })
    }
}

impl AuthorizationServerMetadata {
    /// Creates metadata that holds only the issuer.
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

    /// Parses the metadata of a multi-tenant server as the metadata of `tenant`.
    ///
    /// Such a document has `{tenantid}` in place of the path segment of `issuer` that names the tenant. Everything
    /// else is parsed as by [`from_json`](Self::from_json).
    ///
    /// # Examples
    ///
    /// ```
    /// use oauth_types::{AuthorizationServerMetadata, Issuer};
    ///
    /// let json = br#"{"issuer":"https://login.example/{tenantid}/v2.0"}"#;
    /// let tenant = Issuer::parse("https://login.example/a1/v2.0")?;
    /// let metadata = AuthorizationServerMetadata::from_json_of_tenant(json, &tenant)?;
    /// assert_eq!(metadata.issuer, tenant);
    /// let other = Issuer::parse("https://login.example/a1/v1.0")?;
    /// assert!(AuthorizationServerMetadata::from_json_of_tenant(json, &other).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DocumentError::Member`] for `issuer` if it differs from `tenant` by more than the placeholder for one path
    /// segment. [`DocumentError`] names any other broken rule.
    pub fn from_json_of_tenant(json: &[u8], tenant: &Issuer) -> Result<Self, DocumentError> {
        let mut members = object(json)?;
        match members.get_mut("issuer") {
            Some(Value::String(issuer)) if stands_for(issuer, tenant) => {
                tenant.as_str().clone_into(issuer);
            }
            _ => {
                let expected = "the issuer of the tenant, with {tenantid} for one path segment";
                let rule = MemberRule::Value { expected };
                return Err(DocumentError::Member { member: "issuer", rule });
            }
        }
        Self::read(&mut Members::new(members))
    }

    /// Returns `true` if the `issuer` of a document contains `{tenantid}`, whatever else the document is.
    #[must_use]
    pub fn has_tenant_placeholder(json: &[u8]) -> bool {
        object(json).is_ok_and(|members| {
            let issuer = members.get("issuer").and_then(Value::as_str);
            issuer.is_some_and(|issuer| issuer.contains(TENANT))
        })
    }

    /// Returns the authentication methods at the token endpoint, or their default (RFC 8414 §2).
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods,
            None => &[AuthMethod::ClientSecretBasic],
        }
    }

    /// Returns `true` if PKCE with S256 is listed.
    #[must_use]
    pub fn supports_s256(&self) -> bool {
        let mut methods = self.code_challenge_methods_supported.iter().flatten();
        methods.any(|method| method == CodeChallenge::METHOD)
    }

    /// Returns `true` if the server is an OpenID provider.
    ///
    /// Only OpenID providers have the member `subject_types_supported`, and it is required of them (OpenID Connect
    /// Discovery §3).
    #[must_use]
    pub fn is_openid_provider(&self) -> bool {
        self.extra.contains_key("subject_types_supported")
    }

    /// Returns `true` if `scopes_supported` lists this scope.
    #[must_use]
    pub fn lists_scope(&self, scope: &str) -> bool {
        self.scopes_supported.iter().flatten().any(|own| own == scope)
    }
}

/// Parameters of authorization requests that the query of the endpoint must not set.
///
/// They would appear twice, or replace the client's (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, RFC 9101 §5, RFC
/// 9449 §10, OpenID Connect Core §3.1.2.1).
const AUTHORIZATION_PARAMETERS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "nonce",
    "prompt",
    "request",
    "request_uri",
    "dpop_jkt",
];

/// Parameters of token requests that the query of the endpoint must not set.
///
/// They are sent in the body, but some servers would read those of the query instead (RFC 6749 §4.1.3, §4.4.2, §6, RFC
/// 7521 §4, RFC 7636 §4.5, RFC 8707 §2).
const TOKEN_PARAMETERS: [&str; 12] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "refresh_token",
    "assertion",
    "scope",
    "resource",
];

/// Members of registration requests that the query of the endpoint must not set.
///
/// They decide the client's identity and the destination of its codes (RFC 7591 §2).
const REGISTRATION_PARAMETERS: [&str; 7] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "redirect_uris",
    "scope",
    "jwks",
    "token_endpoint_auth_method",
];

/// The path segment that stands for a tenant in metadata shared by all tenants.
const TENANT: &str = "{tenantid}";

/// Returns `true` if the template equals this issuer except for one path segment that names the tenant.
fn stands_for(template: &str, tenant: &Issuer) -> bool {
    let Some((before, after)) = template.split_once(TENANT) else { return false };
    let named = tenant.as_str().strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let is_segment = before.ends_with('/') && (after.is_empty() || after.starts_with('/'));
    let is_in_path = Origin::of(before).is_ok_and(|origin| origin.contains(tenant.as_str()));
    is_segment && is_in_path && named.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::InvalidUri;

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

    /// C-DISC-7
    #[test]
    fn a_tenant_placeholder_stands_for_exactly_one_path_segment() {
        let tenant = Issuer::parse("https://login.example/a1/v2.0").unwrap();
        let of = |issuer: &str| {
            let json = serde_json::json!({"issuer": issuer, "x": 1}).to_string();
            let has = AuthorizationServerMetadata::has_tenant_placeholder(json.as_bytes());
            assert_eq!(has, issuer.contains("{tenantid}"));
            AuthorizationServerMetadata::from_json_of_tenant(json.as_bytes(), &tenant)
        };
        assert_eq!(of("https://login.example/{tenantid}/v2.0").unwrap().issuer, tenant);
        for other in [
            "https://login.example/a1/v2.0",
            "https://login.example/{tenantid}/v1.0",
            "https://login.example/{tenantid}",
            "https://login.example/{tenantid}.0",
            "https://login.example/a{tenantid}/v2.0",
            "https://{tenantid}/a1/v2.0",
            "https://{tenantid}",
            "{tenantid}",
            "https:/{tenantid}/v2.0",
            "https:///{tenantid}/v2.0",
            "https://LOGIN.example/{tenantid}/v2.0",
            "http://login.example/{tenantid}/v2.0",
            "https://evil.example/{tenantid}/v2.0",
            "https://login.example/{tenantid}/{tenantid}",
        ] {
            let refused = of(other).unwrap_err();
            let is_issuer = matches!(refused, DocumentError::Member { member: "issuer", .. });
            assert!(is_issuer, "{other}");
        }
        let deep = Issuer::parse("https://login.example/a/b/v2.0").unwrap();
        let json = br#"{"issuer":"https://login.example/{tenantid}/v2.0"}"#;
        assert!(AuthorizationServerMetadata::from_json_of_tenant(json, &deep).is_err());
        let twice = br#"{"issuer":"https://login.example/{tenantid}/v2.0","issuer":"x"}"#;
        assert!(AuthorizationServerMetadata::from_json_of_tenant(twice, &tenant).is_err());
    }

    /// SEC-128, SEC-134, SEC-137
    #[test]
    fn a_bad_member_is_named_and_not_quoted() {
        let http = MemberRule::Uri(InvalidUri::PlainHttp);
        for (json, member, rule) in [
            (
                r#"{"issuer":["canary"]}"#,
                "issuer",
                MemberRule::Type { found: "a list", expected: "a text" },
            ),
            (r#"{"issuer":"http://canary.example"}"#, "issuer", http),
            (
                r#"{"issuer":"https://as.example","token_endpoint":"http://canary.example/t"}"#,
                "token_endpoint",
                http,
            ),
            (
                r#"{"issuer":"https://as.example","authorization_endpoint":"javascript:canary"}"#,
                "authorization_endpoint",
                MemberRule::Uri(InvalidUri::NoHost),
            ),
        ] {
            let error = AuthorizationServerMetadata::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error, DocumentError::Member { member, rule });
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        let error = AuthorizationServerMetadata::from_json(br#"{"issuer":"http://a.example"}"#);
        assert_eq!(
            error.unwrap_err().to_string(),
            "`issuer` is http on a host that is not loopback, where https is required (for a private \
             host in development, see `allow_http_for_development`)"
        );
        let error = AuthorizationServerMetadata::from_json(&[b' '; 131_073]).unwrap_err();
        assert_eq!(error, DocumentError::TooLarge);
    }
}
