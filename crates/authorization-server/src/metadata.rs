//! Authorization server metadata (RFC 8414), computed from the configuration that the endpoints obey.

use core::fmt::Write as _;

use bytes::Bytes;
use client_auth::VerifyingKeys;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, CodeChallenge, GrantProfile, GrantType, ResourceUri,
    ResponseType, metadata_response,
};

use crate::config::Config;

/// Grant types that a client may register for by itself.
pub(crate) const REGISTERED_GRANT_TYPES: [GrantType; 2] =
    [GrantType::AuthorizationCode, GrantType::RefreshToken];

impl Config {
    /// Returns `true` if the token endpoint accepts this grant type.
    pub(crate) fn offers_grant(&self, grant: &GrantType) -> bool {
        use GrantType::{AuthorizationCode, ClientCredentials, JwtBearer, RefreshToken};
        match grant {
            AuthorizationCode | RefreshToken | ClientCredentials => true,
            JwtBearer => self.takes_identity_assertions(),
            _ => false,
        }
    }

    /// Returns the grant types that the token endpoint accepts.
    fn grant_types(&self) -> Vec<GrantType> {
        use GrantType::{AuthorizationCode, ClientCredentials, JwtBearer, RefreshToken};
        let all = [AuthorizationCode, RefreshToken, ClientCredentials, JwtBearer];
        all.into_iter().filter(|grant| self.offers_grant(grant)).collect()
    }

    /// Returns the resources for which this server issues tokens.
    #[must_use]
    pub fn resources(&self) -> &[ResourceUri] {
        &self.resources
    }

    /// Returns the metadata of this server.
    #[must_use]
    pub fn metadata(&self) -> AuthorizationServerMetadata {
        // A-META-1, A-META-4
        let mut metadata = AuthorizationServerMetadata::new(self.issuer.clone());
        metadata.authorization_endpoint = Some(self.authorize.clone());
        metadata.token_endpoint = Some(self.token.clone());
        metadata.registration_endpoint = Some(self.register.clone());
        metadata.revocation_endpoint = Some(self.revoke.clone());
        metadata.jwks_uri = self.jwks_uri().cloned();
        metadata.introspection_endpoint = self.introspection_endpoint().cloned();
        metadata.scopes_supported = Some(self.scopes.iter().map(str::to_owned).collect());
        metadata.response_types_supported = Some(vec![ResponseType::Code]);
        metadata.grant_types_supported = Some(self.grant_types());
        if self.takes_identity_assertions() {
            metadata.authorization_grant_profiles_supported = Some(vec![GrantProfile::IdJag]);
        }
        // An absent list would mean `client_secret_basic`, at the revocation endpoint too.
        let methods = Some(self.auth_methods.clone());
        metadata.token_endpoint_auth_methods_supported.clone_from(&methods);
        metadata.revocation_endpoint_auth_methods_supported = methods;
        if self.auth_methods.contains(&AuthMethod::PrivateKeyJwt) {
            let algorithms = Some(VerifyingKeys::ALGORITHMS.to_vec());
            metadata.token_endpoint_auth_signing_alg_values_supported.clone_from(&algorithms);
            metadata.revocation_endpoint_auth_signing_alg_values_supported = algorithms;
        }
        // A-CIMD-1
        metadata.client_id_metadata_document_supported = self.client_documents;
        if cfg!(feature = "dpop") {
            metadata.dpop_signing_alg_values_supported = Some(VerifyingKeys::ALGORITHMS.to_vec());
        }
        // A-META-2
        metadata.code_challenge_methods_supported = Some(vec![CodeChallenge::METHOD.to_owned()]);
        // A-META-3
        self.identification.advertise(&mut metadata);
        metadata
    }

    /// Returns the response with the public keys that verify access tokens.
    ///
    /// Served like the metadata. `None` if the server signs no tokens: then the path does not exist.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwks_response(&self, method: &Method) -> Option<Response<Bytes>> {
        let keys = self.signing_keys.as_ref()?;
        Some(oauth_types::key_set_response(method, keys.document()))
    }

    /// Returns the response for an unknown path: 404, with the addresses of the endpoints.
    ///
    /// They reveal a proxy in front that adds or strips a prefix.
    #[must_use]
    pub fn not_found_response(&self) -> Response<Bytes> {
        let endpoints = [
            (Some(&self.authorize), "authorization endpoint"),
            (Some(&self.token), "token endpoint"),
            (Some(&self.register), "registration endpoint"),
            (Some(&self.revoke), "revocation endpoint"),
            (self.introspection_endpoint(), "introspection endpoint"),
            (self.jwks_uri(), "keys"),
        ];
        let documents = self.documents.iter().map(|url| (url, "metadata"));
        let endpoints = endpoints.into_iter().filter_map(|(url, name)| Some((url?, name)));
        let mut text = format!(
            "Nothing is served at this path. The authorization server {} has:\n",
            self.issuer.as_str()
        );
        for (url, name) in endpoints.chain(documents) {
            // Writing to a `String` is infallible.
            let _ = writeln!(text, "{}  {name}", url.as_str());
        }
        text.push_str(
            "If you asked for one of these, a proxy in front changes paths: the server has to know which prefix it \
             takes away.\n",
        );
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = StatusCode::NOT_FOUND;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// Returns the response with the metadata: public, cacheable, readable from any origin.
    #[must_use]
    pub fn metadata_response(&self, method: &Method) -> Response<Bytes> {
        metadata_response(method, self.metadata().to_json())
    }
}
