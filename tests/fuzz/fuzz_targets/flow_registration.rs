//! Whatever a registration answers: what comes of it authenticates at the token endpoint and nowhere else, or the
//! flow ends with a reason.

#![no_main]

use client_flow::{FlowStage, login};
use fuzz::{Answer, Host, RESOURCE, config};
use libfuzzer_sys::fuzz_target;
use oauth_types::AuthMethod;

fuzz_target!(|input: (Answer<'_>, Vec<u8>)| {
    let (registration, listed) = input;
    let mut registration = Some(registration);
    let mut metadata = Some(Answer::Changed {
        changes: vec![(8, fuzz::Json::Words(listed))],
        status: None,
        nonce: None,
    });
    let mut host = Host::new(|purpose| match purpose {
        FlowStage::Registration => registration.take().expect("one registration"),
        FlowStage::ServerMetadata => metadata.take().unwrap_or_default(),
        _ => Answer::Right,
    });
    if let Ok(session) = host.drive(login(config(false), RESOURCE, None, None)) {
        let client = &session.account().client;
        let spoken =
            [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
        assert!(spoken.contains(client.method()));
        let (mut headers, mut form) = (http::HeaderMap::new(), oauth_types::FormWriter::new());
        client.attach(&mut headers, &mut form).expect("credentials that can be used");
    }
});
