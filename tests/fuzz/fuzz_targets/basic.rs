//! Credentials that are attached are the ones that are read; any other header ends without a panic, and what is
//! accepted of it survives being attached again.

#![no_main]

use arbitrary::Arbitrary;
use client_auth::{BasicCredentials, ClientCredentials, Presented, ClientAuthRecord, Verified};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{AuthMethod, ClientId, FormPairs, FormWriter, Secret, UnixTime};

#[derive(Arbitrary, Debug)]
struct Input {
    client_id: String,
    secret: String,
    header: Vec<u8>,
}

/// Whether these headers authenticate this client by this secret.
fn authenticates(headers: &HeaderMap, client_id: &ClientId, secret: &Secret) -> bool {
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
    let Ok(presented) = Presented::parse(headers, &FormPairs::default()) else { return false };
    let is_it = presented.client_id() == client_id;
    let verified = presented.verify(Some(&record), &[], UnixTime::from_secs(0));
    is_it && matches!(verified, Ok(Verified::Done(_)))
}

fn attached(client_id: &ClientId, secret: &Secret) -> HeaderMap {
    let method = Some(&AuthMethod::ClientSecretBasic);
    let credentials =
        ClientCredentials::choose(client_id.clone(), Some(secret.clone()), method, &[]).unwrap();
    let mut headers = HeaderMap::new();
    credentials.attach(&mut headers, &mut FormWriter::new()).unwrap();
    headers
}

fuzz_target!(|input: Input| {
    let secret = Secret::new(input.secret.as_str());
    if let Ok(client_id) = ClientId::parse(&input.client_id)
        && !input.secret.chars().any(char::is_control)
    {
        let headers = attached(&client_id, &secret);
        // An empty secret is none, and a long header is not read.
        let is_read = headers[AUTHORIZATION].len() <= BasicCredentials::MAX_BYTES;
        let expected = !input.secret.is_empty() && is_read;
        assert_eq!(authenticates(&headers, &client_id, &secret), expected);
    }
    let Ok(value) = HeaderValue::from_bytes(&input.header) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    if let Ok(presented) = Presented::parse(&headers, &FormPairs::default()) {
        let client_id = presented.client_id().clone();
        assert!(!client_id.as_str().is_empty());
        // Nobody gets in by a header alone.
        assert!(presented.verify(None, &[], UnixTime::from_secs(0)).is_err());
    }
});
