//! Whatever a token endpoint answers to a code and to a refresh token: a session comes of a token answer only, a
//! request is sent again once and for a nonce, and no error shows a token.

#![no_main]

use arbitrary::Arbitrary;
use client_flow::{FlowStage, login};
use fuzz::{Answer, Host, RESOURCE, config};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    has_key: bool,
    code: Vec<Answer<'a>>,
    refresh: Vec<Answer<'a>>,
}

fuzz_target!(|input: Input<'_>| {
    let config = config(input.has_key);
    let (mut code, mut refresh) = (input.code.into_iter(), input.refresh.into_iter());
    let mut host = Host::new(|purpose| match purpose {
        FlowStage::CodeExchange => code.next().unwrap_or_default(),
        FlowStage::Refresh => refresh.next().unwrap_or_default(),
        _ => Answer::Right,
    });
    if let Ok(session) = host.drive(login(config.clone(), RESOURCE, None, None)) {
        let kept = session.tokens().refresh_token.clone();
        let Ok(refreshed) = host.drive(session.refresh(&config)) else { return };
        assert!(refreshed.tokens().refresh_token.is_some() || kept.is_none(), "it got lost");
    }
});
