//! Documents whose members have any form: whatever is read leniently is written and read again strictly as the same
//! value, and what decides access or says where secrets go is never made up.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, ErrorResponse, IntrospectionResponse,
    ProtectedResourceMetadata, TokenErrorCode, TokenExchangeResponse, TokenResponse,
};
use serde_json::{Map, Value, json};

#[derive(Arbitrary, Debug)]
enum Form<'a> {
    Null,
    Flag(bool),
    Whole(i64),
    Float(f64),
    Text(&'a str),
    Digits(u64),
    Url(&'a str),
    Object,
    List(Vec<Form<'a>>),
}

impl Form<'_> {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Flag(flag) => (*flag).into(),
            Self::Whole(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => (*text).into(),
            Self::Digits(digits) => digits.to_string().into(),
            Self::Url(rest) => format!("https://{rest}").into(),
            Self::Object => json!({"keys": []}),
            // Deeper ones are refused with the whole document.
            Self::List(items) => items.iter().map(Self::value).collect(),
        }
    }
}

/// The members of all documents, so that each input is tried as every document.
const MEMBERS: &[&str] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "jwks_uri",
    "scopes_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
    "authorization_response_iss_parameter_supported",
    "client_id_metadata_document_supported",
    "resource",
    "authorization_servers",
    "bearer_methods_supported",
    "dpop_bound_access_tokens_required",
    "resource_name",
    "redirect_uris",
    "token_endpoint_auth_method",
    "grant_types",
    "response_types",
    "client_name",
    "scope",
    "application_type",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "dpop_bound_access_tokens",
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "client_id_issued_at",
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "issued_token_type",
    "error",
    "error_description",
    "error_uri",
    "active",
    "username",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    members: Vec<(u8, Form<'a>)>,
}

/// Reads a document with the members that it needs, where the input has none; the second writing is the first one.
macro_rules! steady {
    ($document:ty, $members:expr, $needed:tt) => {{
        let mut document = json!($needed);
        document.as_object_mut().expect("an object").extend($members.clone());
        let json = document.to_string().into_bytes();
        let read = <$document>::from_json(&json).ok();
        if let Some(read) = &read {
            let written = read.to_json();
            let again = <$document>::from_json(&written).expect("what is written can be read");
            assert_eq!(again.to_json(), written);
            assert!(<$document>::passed_over(&written).is_empty());
            let known = <$document>::passed_over(&json);
            assert!(known.iter().all(|member| document.get(*member).is_some()));
        }
        read.map(|read| (read, document))
    }};
}

fuzz_target!(|input: Input<'_>| {
    let mut members = Map::new();
    for (which, form) in &input.members {
        let name = MEMBERS[usize::from(*which) % MEMBERS.len()];
        members.insert(name.to_owned(), form.value());
    }
    if let Some((read, document)) =
        steady!(AuthorizationServerMetadata, members, {"issuer": "https://as.example"})
    {
        assert_eq!(document["issuer"], read.issuer.as_str());
        if let Some(endpoint) = read.token_endpoint {
            assert_eq!(document["token_endpoint"], endpoint.as_str());
        }
    }
    steady!(ProtectedResourceMetadata, members, {"resource": "https://rs.example"});
    if let Some((read, document)) = steady!(ClientInformation, members, {"client_id": "c"}) {
        let uris: Vec<_> = read.metadata.redirect_uris.into_iter().map(Value::from).collect();
        let sent = document.get("redirect_uris").and_then(Value::as_array);
        assert_eq!(sent.cloned().unwrap_or_default(), uris);
    }
    let needed = steady!(TokenResponse, members, {"access_token": "at", "token_type": "Bearer"});
    if let Some((read, document)) = needed {
        assert_eq!(document["access_token"], read.access_token.expose());
    }
    steady!(TokenExchangeResponse, members, {"access_token": "at", "issued_token_type": "x"});
    steady!(ErrorResponse<TokenErrorCode>, members, {"error": "invalid_grant"});
    if let Some((read, document)) = steady!(IntrospectionResponse, members, {"active": true}) {
        assert_eq!(document["active"], read.active);
        // An expiry that stands there is never read as none.
        let said = document.get("exp").is_some_and(|exp| !exp.is_null());
        assert_eq!(read.exp.is_some(), said);
    }
});
