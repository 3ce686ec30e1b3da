//! No authorization request makes the server panic, or send a browser to where its client is not registered; what it
//! sends names the server once and the state at most once.

#![no_main]

use arbitrary::Arbitrary;
use authorization_server::Store as _;
use bytes::Bytes;
use fuzz::{
    CLIENTS, RESOURCES, SCOPES, START, Witness, authorization_server, check, look_at, now, verifier,
};
use http::Request;
use libfuzzer_sys::fuzz_target;
use oauth_types::{FormPairs, FormWriter};

/// A parameter: what a right request has there, or anything.
#[derive(Arbitrary, Debug)]
enum Parameter<'a> {
    Right,
    Other(u8),
    Text(&'a str),
    Twice(&'a str),
    Absent,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    client: u8,
    is_get: bool,
    parameters: [Parameter<'a>; 8],
    more: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let number = usize::from(input.client) % CLIENTS.len();
    let challenge = verifier(0).challenge();
    let names = [
        ("client_id", CLIENTS[number].id),
        ("redirect_uri", CLIENTS[number].redirect_uri),
        ("response_type", "code"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("scope", SCOPES[0]),
        ("resource", RESOURCES[0]),
        ("state", "s"),
    ];
    let mut form = FormWriter::new();
    for ((name, right), parameter) in names.into_iter().zip(&input.parameters) {
        match *parameter {
            Parameter::Right => drop(form.append(name, right)),
            Parameter::Other(own) => {
                form.append(name, CLIENTS[usize::from(own) % CLIENTS.len()].redirect_uri);
            }
            Parameter::Text(text) => drop(form.append(name, text)),
            Parameter::Twice(text) => drop(form.append(name, right).append(name, text)),
            Parameter::Absent => {}
        }
    }
    let query = format!("{}&{}", form.as_str(), input.more);
    let request = if input.is_get {
        Request::get(format!("/authorize?{query}")).body(Bytes::new())
    } else {
        Request::post("/authorize").body(query.clone().into())
    };
    // Not everything is a request line.
    let Ok(request) = request else { return };
    let store = Witness::default();
    for client in &authorization_server().1 {
        now(store.create_client(client.clone(), START)).unwrap();
    }
    // Whoever it names once. A URL may end before the text that it was made of.
    let sent = if input.is_get { request.uri().query().unwrap_or_default() } else { &query };
    let form = FormPairs::parse(sent.as_bytes());
    let named = form.as_ref().ok().and_then(|form| form.value("client_id").ok().flatten());
    let client = CLIENTS.iter().position(|own| Some(own.id) == named);
    match check(&store, &request, START) {
        Ok(needs) => {
            let uri = needs.redirect_uri().as_str();
            let own = client.expect("a page for nobody");
            assert_eq!(CLIENTS[own].after_own(uri), Some(""), "I6: {uri}");
            look_at(&needs.deny(), client);
        }
        Err(answer) => look_at(&answer, client),
    }
});
