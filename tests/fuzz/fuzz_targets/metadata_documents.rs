//! Every document that is read is written and read again strictly as the same, and leads to https or to loopback only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, ClientMetadata, EndpointUrl, ErrorResponse,
    IntrospectionResponse, ProtectedResourceMetadata, TokenErrorCode, TokenResponse,
};

/// Reads, writes, and reads again: the second writing is the first one.
macro_rules! steady {
    ($type:ty, $input:expr) => {{
        let read = <$type>::from_json($input).ok();
        if let Some(document) = &read {
            let written = document.to_json();
            let again = <$type>::from_json(&written).expect("what is written can be read");
            assert_eq!(again.to_json(), written);
            assert!(<$type>::passed_over(&written).is_empty());
        }
        read
    }};
}

fn is_safe(url: &EndpointUrl) -> bool {
    let text = url.as_str().to_ascii_lowercase();
    text.starts_with("https://") || (text.starts_with("http://") && url.origin().is_loopback())
}

fuzz_target!(|input: &[u8]| {
    if let Some(server) = steady!(AuthorizationServerMetadata, input) {
        let issuer = server.issuer.as_str();
        let authority = issuer.split('/').nth(2).unwrap_or_default();
        assert!(!issuer.contains(['?', '#']) && !authority.contains('@'));
        let endpoints =
            [&server.authorization_endpoint, &server.token_endpoint, &server.registration_endpoint];
        assert!(endpoints.into_iter().flatten().all(is_safe));
    }
    if let Some(resource) = steady!(ProtectedResourceMetadata, input) {
        assert!(!resource.resource.as_str().contains('#'));
    }
    steady!(ClientMetadata, input);
    steady!(ClientInformation, input);
    steady!(ErrorResponse<TokenErrorCode>, input);
    steady!(IntrospectionResponse, input);
    if let Some(tokens) = steady!(TokenResponse, input) {
        assert!(tokens.access_token.header_value("Bearer ").is_some());
    }
});
