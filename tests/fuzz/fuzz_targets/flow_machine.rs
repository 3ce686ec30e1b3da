//! Whatever everybody answers, in a login, a refresh, a second login and a step-up: codes, verifiers, refresh
//! tokens and secrets go to the token endpoint of the issuer that was validated, in bodies, once; and it ends.

#![no_main]

use arbitrary::Arbitrary;
use client_flow::login;
use fuzz::{Answer, Callback, Host, MARK, NOW, RESOURCE, config};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{BearerChallenge, ScopeSet};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    has_key: bool,
    challenge: &'a str,
    scope: &'a str,
    callbacks: Vec<Callback<'a>>,
    then: Vec<Then>,
    answers: Vec<Answer<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Then {
    Login,
    Refresh,
    StepUp,
}

fuzz_target!(|input: Input<'_>| {
    if [input.challenge, input.scope].iter().any(|own| own.contains(MARK)) {
        return;
    }
    let config = config(input.has_key);
    let line = HeaderValue::from_str(&format!("Bearer {}", input.challenge));
    let headers: HeaderMap = line.into_iter().map(|line| (WWW_AUTHENTICATE, line)).collect();
    let challenge = BearerChallenge::from_headers(&headers).unwrap_or_default();
    let scope = ScopeSet::parse(input.scope).unwrap_or_default();
    let (mut answers, mut callbacks) = (input.answers.into_iter(), input.callbacks.into_iter());
    let mut host = Host::new(|_| answers.next().unwrap_or_default());
    host.callback = callbacks.next().unwrap_or_default();
    let first = host.drive(login(config.clone(), RESOURCE, Some(&challenge), None));
    let mut session = first.ok();
    for then in input.then.iter().take(4) {
        host.callback = callbacks.next().unwrap_or_default();
        let step = match (then, &session) {
            (Then::Refresh, Some(session)) => session.refresh(&config),
            (Then::StepUp, Some(session)) => {
                session.step_up(&config, RESOURCE, &challenge, scope.clone(), NOW)
            }
            (_, session) => login(config.clone(), RESOURCE, None, session.as_ref()),
        };
        session = host.drive(step).ok().or(session);
    }
});
