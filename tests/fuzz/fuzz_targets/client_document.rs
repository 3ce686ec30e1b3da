//! A document that is taken is of the very URL it came from, holds no secret, and asks for nothing that a
//! registration would not get.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use authorization_server::{ClientRecord, Config, ServerKey, ServerKeys};
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthMethod, ClientIdMetadata, ClientMetadataUrl, Entropy, GrantType, Issuer, RedirectUri,
    ResourceUri, ScopeSet, UnixTime,
};
use serde_json::Value;

const URL: &str = "https://c.example/m";
const START: &str = r#"{"client_id":"https://c.example/m","redirect_uris":["http://[::1]/cb"],"#;

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = ScopeSet::parse("files:read").unwrap();
    Config::new(issuer, vec![resource], scopes, keys).unwrap().with_client_documents()
});

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Whole(&'a [u8]),
    /// What comes after the members that a document has to have.
    Rest(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| {
    let body = match input {
        Input::Whole(body) => body.to_vec(),
        Input::Rest(rest) => [START.as_bytes(), rest].concat(),
    };
    let url = ClientMetadataUrl::parse(URL).unwrap();
    let answer = Response::builder().header(CONTENT_TYPE, "application/json");
    let answer = answer.body(Bytes::from(body.clone())).unwrap();
    let now = UnixTime::from_secs(1);
    let Ok(client) = ClientRecord::from_document(&CONFIG, &url, &answer, now) else { return };
    assert!(body.len() <= ClientIdMetadata::MAX_BYTES);
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((client.client_id.as_str(), said["client_id"].as_str()), (URL, Some(URL)));
    assert!(matches!(said["client_secret"].as_str(), None | Some("")));
    assert!(said["client_secret_expires_at"].is_null());

    let said: Vec<&str> =
        said["redirect_uris"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap()).collect();
    let taken: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    assert_eq!(taken, said);
    assert!((1..=16).contains(&taken.len()));
    for uri in taken {
        assert!(uri.starts_with("https://") || uri.starts_with("http://"), "{uri}");
        assert!(uri.starts_with("https://") || RedirectUri::parse(uri).unwrap().is_loopback());
    }

    let authentication = &client.authentication;
    assert!(authentication.secret.is_none());
    let signs = authentication.method == AuthMethod::PrivateKeyJwt;
    assert!(signs || authentication.method == AuthMethod::None);
    assert_eq!(authentication.keys.is_some(), signs);
    let metadata = &client.metadata;
    assert!(metadata.extra.0.is_empty());
    let keys = metadata.jwks.iter().flat_map(|jwks| jwks["keys"].as_array().unwrap());
    assert!(keys.into_iter().all(|key| key.get("d").is_none() && key.get("k").is_none()));
    let offered = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    let grants = metadata.grant_types.as_ref().unwrap();
    assert!(grants.contains(&offered[0]) && grants.iter().all(|grant| offered.contains(grant)));
});
