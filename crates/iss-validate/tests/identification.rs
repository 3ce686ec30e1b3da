//! What a server sends back to a client.

#![cfg(test)]

use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use oauth_types::{
    AuthorizationErrorCode, AuthorizationServerMetadata, ErrorDescription, FormPairs, Issuer,
    RedirectUri, Secret,
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
    let response = AuthorizationResponse::new(&redirect_uri, outcome).with_state("s t");
    response.location(identification).expose().to_owned()
}

/// A-META-3, A-AUTHZ-5
#[test]
fn one_setting_drives_redirect_and_metadata() {
    for (identification, emits) in
        [(IssuerIdentification::Emit(issuer()), true), (IssuerIdentification::Omit, false)]
    {
        let mut metadata = AuthorizationServerMetadata::new(issuer());
        identification.advertise(&mut metadata);
        assert_eq!(metadata.authorization_response_iss_parameter_supported, emits);
        let location =
            location("https://a.example/cb", &Outcome::Code(Secret::new("c")), &identification);
        assert_eq!(location.contains("&iss=https%3A%2F%2Fas.example"), emits);
        // Nor can they name different servers.
        let mut other =
            AuthorizationServerMetadata::new(Issuer::parse("https://b.example").unwrap());
        identification.advertise(&mut other);
        assert_eq!(other.issuer == issuer(), emits);
    }
}

/// A-AUTHZ-3, SEC-016
#[test]
fn an_error_redirect_has_state_and_the_issuer_without_slash() {
    let outcome = Outcome::Error { code: AuthorizationErrorCode::AccessDenied, description: None };
    assert_eq!(
        location("https://a.example/cb", &outcome, &IssuerIdentification::Emit(issuer())),
        "https://a.example/cb?error=access_denied&state=s%20t&iss=https%3A%2F%2Fas.example",
    );
}

/// A-AUTHZ-4, SEC-065
#[test]
fn the_own_query_is_kept_byte_for_byte() {
    let outcome = Outcome::Code(Secret::new("c"));
    let emit = IssuerIdentification::Omit;
    assert_eq!(
        location("https://a.example/cb?a=b%20c&blank=", &outcome, &emit),
        "https://a.example/cb?a=b%20c&blank=&code=c&state=s%20t",
    );
    assert_eq!(
        location("https://a.example/cb?", &outcome, &emit),
        "https://a.example/cb?code=c&state=s%20t"
    );
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let errors = ["access_denied", "invalid_request", "invalid_scope", "server_error", "x_own"];
    let error = (prop::sample::select(errors.to_vec()), prop::option::of(".{0,30}"));
    prop_oneof![
        "[!-~]{1,20}".prop_map(|code| Outcome::Code(Secret::new(code))),
        error.prop_map(|(code, description)| Outcome::Error {
            code: AuthorizationErrorCode::parse(code).unwrap(),
            description: description.as_deref().map(ErrorDescription::new),
        }),
    ]
}

proptest! {
    /// A-AUTHZ-3, A-AUTHZ-4
    #[test]
    fn each_response_parameter_stands_once_after_the_own_query(
        start in prop::sample::select(vec!["https://a.example/cb", "http://127.0.0.1:1/", "com.example:/x"]),
        query in prop::option::of("([a-z]{1,3}(=[a-z%2F]{0,4})?&){0,3}"),
        state in prop::option::of(".{0,20}"),
        outcome in outcomes(),
    ) {
        let uri = query.map_or(start.to_owned(), |query| format!("{start}?{query}"));
        let Ok(redirect_uri) = RedirectUri::parse(&uri) else {
            return Ok(());
        };
        let state = state.as_deref();
        let response =
            AuthorizationResponse::new(&redirect_uri, &outcome).with_state(state);
        let location = response.location(&IssuerIdentification::Emit(issuer()));
        prop_assert!(location.expose().starts_with(&uri));
        let query = location.expose().split_once('?').unwrap().1;
        let form = FormPairs::parse(query.as_bytes()).unwrap();
        prop_assert_eq!(form.single("state"), Ok(state));
        prop_assert_eq!(form.single("iss"), Ok(Some("https://as.example")));
        let (code, error, description) = match &outcome {
            Outcome::Code(code) => (Some(code.expose()), None, None),
            Outcome::Error { code, description } => {
                (None, Some(code.as_str()), description.as_ref().map(ErrorDescription::as_str))
            }
        };
        prop_assert_eq!(form.single("code"), Ok(code));
        prop_assert_eq!(form.single("error"), Ok(error));
        prop_assert_eq!(form.single("error_description"), Ok(description));
        // The client's own parameters come first, as many as it registered.
        let own = uri.split_once('?').map_or("", |(_, query)| query);
        let own = FormPairs::parse(own.as_bytes()).unwrap();
        prop_assert!(own.iter().eq(form.iter().take(own.iter().count())));
        let added = 2 + usize::from(state.is_some()) + usize::from(description.is_some());
        prop_assert_eq!(form.iter().count(), own.iter().count() + added);
    }
}
