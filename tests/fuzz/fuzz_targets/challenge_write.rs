//! What is written is one line of visible ASCII, and reads back as what was to be said.

#![no_main]

use arbitrary::Arbitrary;
use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use libfuzzer_sys::fuzz_target;
use oauth_types::{BearerChallenge, BearerErrorCode, EndpointUrl, ErrorDescription, ScopeSet};

#[derive(Arbitrary, Debug)]
struct Input {
    error: Option<String>,
    description: Option<String>,
    scope: Option<String>,
    resource_metadata: Option<String>,
}

fuzz_target!(|input: Input| {
    let url = |text: String| EndpointUrl::parse(&format!("https://rs.example/{text}")).ok();
    let challenge = BearerChallenge::new()
        .with_error(input.error.and_then(|text| BearerErrorCode::parse(&text)))
        .with_error_description(input.description.map(|text| ErrorDescription::new(&text)))
        .with_scope(input.scope.and_then(|text| ScopeSet::parse(&text).ok()))
        .with_resource_metadata(input.resource_metadata.and_then(url));
    let line = challenge.to_header_value();
    assert!(line.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, line)]);
    // An empty text says as much as none.
    let mut said = challenge;
    said.scope = said.scope.filter(|scope| !scope.is_empty());
    said.error_description = said.error_description.filter(|text| !text.as_str().is_empty());
    assert_eq!(BearerChallenge::from_headers(&headers).unwrap_or_default(), said);
});
