//! What a server sends back to a client.

#![cfg(test)]

use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use oauth_types::{
    AuthorizationErrorCode, AuthorizationServerMetadata, FormPairs, Issuer, RedirectUri, Secret,
};
use proptest::prelude::*;

fn issuer() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}

fn location(
    redirect_uri: &str,
    outcome: &Outcome,
    identification: &IssuerIdentification,
) -> String {
    let redirect_uri = RedirectUri::parse(redirect_uri).unwrap();
    let response =
        AuthorizationResponse { redirect_uri: &redirect_uri, state: Some("s t"), outcome };
    response.location(identification).expose().to_owned()
}

#[test]
fn a_meta_3_a_authz_5_one_setting_drives_redirect_and_metadata() {
    for (identification, emits) in [
        (IssuerIdentification::Emit(issuer()), true),
        (IssuerIdentification::LeftToUpstream, false),
    ] {
        let mut metadata = AuthorizationServerMetadata::new(issuer());
        identification.advertise(&mut metadata);
        assert_eq!(metadata.authorization_response_iss_parameter_supported, emits);
        let location =
            location("https://a.example/cb", &Outcome::Code(Secret::new("c")), &identification);
        assert_eq!(location.contains("&iss=https%3A%2F%2Fas.example"), emits);
    }
}

#[test]
fn a_authz_3_sec_016_an_error_redirect_carries_state_and_the_issuer_without_a_slash() {
    let outcome = Outcome::Error { code: AuthorizationErrorCode::AccessDenied, description: None };
    assert_eq!(
        location("https://a.example/cb", &outcome, &IssuerIdentification::Emit(issuer())),
        "https://a.example/cb?error=access_denied&state=s%20t&iss=https%3A%2F%2Fas.example",
    );
}

#[test]
fn a_authz_4_sec_065_the_own_query_is_kept_byte_for_byte() {
    let outcome = Outcome::Code(Secret::new("c"));
    let emit = IssuerIdentification::LeftToUpstream;
    assert_eq!(
        location("https://a.example/cb?a=b%20c&blank=", &outcome, &emit),
        "https://a.example/cb?a=b%20c&blank=&code=c&state=s%20t",
    );
    assert_eq!(
        location("https://a.example/cb?", &outcome, &emit),
        "https://a.example/cb?code=c&state=s%20t"
    );
}

proptest! {
    #[test]
    fn a_authz_4_each_response_parameter_stands_exactly_once(
        query in "([a-z]{1,3}(=[a-z%2F]{0,4})?&){0,3}",
        state in ".{0,20}",
        code in "[!-~]{1,20}",
    ) {
        let Ok(redirect_uri) = RedirectUri::parse(&format!("https://a.example/cb?{query}")) else {
            return Ok(());
        };
        let outcome = Outcome::Code(Secret::new(code.as_str()));
        let response =
            AuthorizationResponse { redirect_uri: &redirect_uri, state: Some(&state), outcome: &outcome };
        let location = response.location(&IssuerIdentification::Emit(issuer()));
        let own = redirect_uri.as_str();
        prop_assert!(location.expose().starts_with(own));
        let form = location.expose().split_once('?').unwrap().1;
        let form = FormPairs::parse(form.as_bytes()).unwrap();
        prop_assert_eq!(form.single("code"), Ok(Some(code.as_str())));
        prop_assert_eq!(form.single("state"), Ok(Some(state.as_str())));
        prop_assert_eq!(form.single("iss"), Ok(Some("https://as.example")));
    }
}
