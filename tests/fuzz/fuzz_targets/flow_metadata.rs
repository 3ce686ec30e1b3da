//! Whatever two metadata documents say, no request goes anywhere but to the resource, to the issuer that it names
//! and to the endpoints that this issuer names, never unprotected, and never from the network to a local address.

#![no_main]

use arbitrary::Arbitrary;
use client_flow::{FlowStage, login};
use fuzz::{Answer, Host, RESOURCE, config};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    resource: Vec<Answer<'a>>,
    server: Vec<Answer<'a>>,
}

fuzz_target!(|input: Input<'_>| {
    let (mut resource, mut server) = (input.resource.into_iter(), input.server.into_iter());
    let mut host = Host::new(|purpose| match purpose {
        FlowStage::ResourceMetadata => resource.next().unwrap_or_default(),
        FlowStage::ServerMetadata => server.next().unwrap_or_default(),
        _ => Answer::Right,
    });
    let _ = host.drive(login(config(false), RESOURCE, None, None));
});
