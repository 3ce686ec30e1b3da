//! A redirect back to a client begins with the registered URI, byte for byte, and carries each parameter of the
//! response exactly once.

#![no_main]

use arbitrary::Arbitrary;
use iss_validate::{AuthorizationResponse, IssuerIdentification, Outcome};
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthorizationErrorCode, ErrorDescription, FormPairs, Issuer, RedirectUri, Secret,
};

#[derive(Arbitrary, Debug)]
struct Input {
    rest_of_uri: String,
    state: Option<String>,
    code: Option<String>,
    error: String,
    description: Option<String>,
    emits: bool,
}

fuzz_target!(|input: Input| {
    let uri = format!("https://app.example/{}", input.rest_of_uri);
    let Ok(redirect_uri) = RedirectUri::parse(&uri) else { return };
    let outcome = match (&input.code, AuthorizationErrorCode::parse(&input.error)) {
        (Some(code), _) => Outcome::Code(Secret::new(code.as_str())),
        (None, Some(code)) => {
            let description = input.description.as_deref().map(ErrorDescription::new);
            Outcome::Error { code, description }
        }
        (None, None) => return,
    };
    let issuer = Issuer::parse("https://as.example").unwrap();
    let identification = if input.emits {
        IssuerIdentification::Emit(issuer)
    } else {
        IssuerIdentification::Omit
    };
    let state = input.state.as_deref();
    let response = AuthorizationResponse::new(&redirect_uri, &outcome).with_state(state);
    let location = response.location(&identification);

    let rest = location.expose().strip_prefix(&*uri).expect("it begins with the registered URI");
    assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    let (_, query) = location.expose().split_once('?').expect("it has a query");
    let Ok(form) = FormPairs::parse(query.as_bytes()) else { return };
    assert_eq!(form.single("state"), Ok(state));
    assert_eq!(form.single("iss"), Ok(input.emits.then_some("https://as.example")));
    match &outcome {
        Outcome::Code(code) => {
            assert_eq!(form.single("code"), Ok(Some(code.expose())));
            assert_eq!(form.single("error"), Ok(None));
        }
        Outcome::Error { code, .. } => {
            assert_eq!(form.single("error"), Ok(Some(code.as_str())));
            assert_eq!(form.single("code"), Ok(None));
        }
    }
});
