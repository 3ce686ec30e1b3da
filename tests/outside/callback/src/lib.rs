//! Both ends of one redirect: an authorization endpoint that names itself, and a callback that insists on it.

use iss_validate::{
    AuthorizationResponse, Callback, CallbackRejected, Expected, IssuerIdentification, Outcome,
    Validated,
};
use oauth_types::{Issuer, RedirectUri, Secret, State};

/// Server: returns the URL that the browser is sent back to with its code.
pub fn redirect(issuer: &Issuer, to: &RedirectUri, state: &str, code: &str) -> String {
    let outcome = Outcome::Code(Secret::new(code));
    let response = AuthorizationResponse::new(to, &outcome).with_state(state);
    response.location(&IssuerIdentification::Emit(issuer.clone())).expose().to_owned()
}

/// Client: returns the code of a callback that answers a login at `issuer`.
pub fn code(url: &str, issuer: &Issuer, state: &State) -> Result<Option<String>, CallbackRejected> {
    let expected = Expected::new(issuer.clone(), state.clone()).with_iss_advertised(true);
    Ok(match Callback::from_url(url).validate(&expected)? {
        Validated::Code(code) => Some(code.as_secret().expose().to_owned()),
        Validated::Denied(_) => None,
    })
}

#[test]
fn a_code_of_another_server_is_not_read() -> Result<(), Box<dyn std::error::Error>> {
    use iss_validate::Rejection;
    use oauth_types::Entropy;

    let honest = Issuer::parse("https://as.example")?;
    let attacker = Issuer::parse("https://evil.example")?;
    let to = RedirectUri::parse("http://127.0.0.1:7000/callback")?;
    let state = State::new(Entropy::new([7; 32]));
    let url = redirect(&honest, &to, state.as_secret().expose(), "abc");

    assert_eq!(code(&url, &honest, &state)?.as_deref(), Some("abc"));
    let mixed_up = code(&url, &attacker, &state).unwrap_err();
    assert_eq!(mixed_up.rejection(), Rejection::IssuerMismatch);
    let other = State::new(Entropy::new([8; 32]));
    assert_eq!(code(&url, &honest, &other).unwrap_err().rejection(), Rejection::StateMismatch);
    Ok(())
}
