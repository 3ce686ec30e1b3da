//! Whatever an authorization server answers about a token: only a 200 in JSON whose `active` is `true` is a yes, what
//! it says is what stands there, and it is believed for no longer than the token lives.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use libfuzzer_sys::fuzz_target;
use oauth_types::{ClientId, Issuer, Secret, UnixTime};
use resource_server::{Introspected, Introspection};
use serde_json::Value;

const ISSUER: &str = "https://as.example";
const START: &str = r#"{"active":true,"client_id":"c","sub":"alice","aud":"https://rs.example","#;
const NOW: u64 = 1_000_000;

#[derive(Arbitrary, Debug)]
enum Body<'a> {
    Whole(&'a [u8]),
    /// What comes after the members of a good answer.
    Rest(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    status: Option<u16>,
    content_type: Option<&'a [u8]>,
    body: Body<'a>,
}

fuzz_target!(|input: Input<'_>| {
    let body = match input.body {
        Body::Whole(body) => body.to_vec(),
        Body::Rest(rest) => [START.as_bytes(), rest].concat(),
    };
    let status = input.status.unwrap_or(200);
    let content_type = input.content_type.unwrap_or(b"application/json");
    let answer = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    let Ok(answer) = answer.body(Bytes::from(body.clone())) else { return };
    let issuer = Issuer::parse(ISSUER).unwrap();
    let asking = Introspection::new(issuer, ClientId::parse("rs").unwrap(), Secret::new("s"));
    let now = UnixTime::from_secs(NOW);
    let Ok(Introspected::Yes(believed)) = asking.read(&answer, now) else { return };

    assert_eq!(status, 200);
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(said["active"], true);
    assert!(matches!(said["iss"].as_str(), None | Some(ISSUER)));
    let facts = believed.facts();
    assert_eq!(facts.issuer.as_str(), ISSUER);
    assert_eq!(said["client_id"], facts.client_id.as_str());
    assert_eq!(said["sub"], facts.subject.as_str());
    let named = |uri: &str| match &said["aud"] {
        Value::Array(list) => list.iter().any(|own| own == uri),
        one => one == uri,
    };
    assert!(facts.audience.iter().all(|uri| named(uri.as_str())));
    let scopes = said["scope"].as_str().unwrap_or_default();
    assert!(facts.scopes.iter().all(|scope| scopes.split(' ').any(|own| own == scope)));
    assert_eq!(facts.expires_at.is_some(), said["exp"].is_number());
    assert_eq!(facts.jkt.is_some(), !said["cnf"].is_null());
    for later in [0, 9, 10, 30, u64::MAX - NOW] {
        let later = UnixTime::from_secs(NOW + later);
        let is_over = facts.expires_at.is_none_or(|end| end <= later);
        assert!(believed.at(later).is_none() || (!is_over && later.as_secs() < NOW + 10));
    }
});
