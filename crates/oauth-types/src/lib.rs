#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token_info;
mod browser_origins;
mod challenge;
mod client_id;
mod document;
mod error_code;
#[cfg(test)]
mod error_messages;
mod extra_claims;
mod form;
pub mod header;
mod hosts;
mod json;
mod metadata_search;
mod method;
mod pkce;
mod response;
mod scope;
mod secret;
mod sent_secrets;
mod state;
mod subject;
mod text;
mod text_impls;
mod thumbprint;
mod time;
mod uri;
mod well_known;

pub use access_token_info::AccessTokenInfo;
pub use browser_origins::BrowserOrigins;
pub use challenge::{
    BearerChallenge, Challenge, Challenges, InvalidChallenge, InvalidRealm, MalformedChallenge,
    ParamValue, Params, Realm,
};
pub use client_id::{ClientId, ClientMetadataUrl, InvalidClientId};
pub use document::{
    Audience, AuthorizationServerMetadata, ClientIdMetadata, ClientInformation, ClientMetadata,
    DocumentError, ErrorResponse, ExtraMembers, IntrospectionResponse, InvalidClientIdMetadata,
    JwkSet, MemberRule, ProtectedResourceMetadata, TokenExchangeResponse, TokenResponse, TokenType,
};
pub use error_code::{
    AuthorizationErrorCode, BearerErrorCode, InvalidErrorCode, OtherCode, RegistrationErrorCode,
    TokenErrorCode,
};
pub use extra_claims::{ClaimError, ClaimNames, ExtraClaims, InvalidClaimName};
pub use form::{FormError, FormPairs, FormWriter, Repeated, decode_component, encode_component};
pub use hosts::Hosts;
pub use metadata_search::{
    MetadataFailure, MetadataNotFound, MetadataSearch, MetadataStep, ServerPlaces, describing,
    issued_by,
};
pub use method::{
    ApplicationType, AuthMethod, ClientAssertionType, GrantProfile, GrantType, IssuedTokenType,
    ResponseType, SigningAlgorithm,
};
pub use pkce::{CodeChallenge, CodeVerifier, InvalidPkce};
pub use response::{json_response_uncached, key_set_response, media_type, metadata_response};
pub use scope::{InvalidScope, Scope, ScopeSet};
pub use secret::{Secret, SecretDigest, serde_secret};
pub use sent_secrets::SentSecrets;
pub use state::State;
pub use subject::{InvalidSubject, Subject};
pub use text::{ErrorDescription, UntrustedText, is_hidden};
pub use thumbprint::{InvalidThumbprint, Thumbprint};
pub use time::{Entropy, InvalidTime, UnixTime};
pub use uri::{
    EndpointUrl, InvalidUri, Issuer, Location, Origin, RedirectUri, ResourceUri,
    allow_http_for_development, http_origins_for_development, is_local_ip, is_loopback_host,
    without_query,
};
pub use well_known::{
    authorization_server_urls, protected_resource_root_url, protected_resource_url,
    protected_resource_urls,
};
