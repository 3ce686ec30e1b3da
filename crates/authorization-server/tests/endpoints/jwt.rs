//! Access tokens that are JWTs, read as a resource server reads them: with the keys that are published.

use authorization_server::{Config, ResourceServer, SigningKeys, Store as _};
use client_auth::{ClientAuthRecord, InvalidSigningKey, SigningKey};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Header, Validation};
use oauth_types::{
    AuthMethod, ClientId, ResourceUri, Secret, SecretDigest, SigningAlgorithm, UnixTime,
};
use serde_json::{Value, json};

use crate::server::*;

const ISSUER: &str = "https://as.example";
const RESOURCE: &str = "https://rs.example/mcp";

fn key(algorithm: SigningAlgorithm) -> SigningKey {
    let pem = match algorithm {
        SigningAlgorithm::EdDsa => include_str!("../../../client-auth/tests/keys/eddsa.pem"),
        SigningAlgorithm::Rs256 => include_str!("../../../client-auth/tests/keys/rs256.pem"),
        _ => include_str!("../../../client-auth/tests/keys/es256.pem"),
    };
    SigningKey::from_pem(algorithm, pem).unwrap()
}

fn signing(keys: SigningKeys) -> Config {
    let config = config(ISSUER).with_jwt_access_tokens(keys);
    let config = config.with_resource_server(ResourceServer::new(
        ClientId::parse("rs").unwrap(),
        ClientAuthRecord::new(AuthMethod::ClientSecretPost)
            .with_secret(Secret::new("secret").digest()),
        ResourceUri::parse(RESOURCE).unwrap(),
    ));
    config.unwrap()
}

fn signing_server(algorithm: SigningAlgorithm) -> Server {
    server_of(signing(SigningKeys::new(key(algorithm)).unwrap()))
}

fn published(server: &Server) -> JwkSet {
    let metadata = server.get("/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["jwks_uri"], "https://as.example/jwks");
    serde_json::from_slice(&server.get("/jwks").body).unwrap()
}

/// Header and claims, if the published key that the header names has signed them.
fn verified(server: &Server, token: &str) -> Option<(Header, Value)> {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let keys = published(server);
    let key = keys.find(header.kid.as_deref().unwrap())?;
    let mut validation = Validation::new(header.alg);
    // The clock of the tests stands in 1970.
    validation.validate_exp = false;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[RESOURCE]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).ok()?.claims;
    Some((header, claims))
}

fn log_in(server: &Server) -> (String, Value) {
    let client = server.client();
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem(&client, &code));
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    (client, tokens.json())
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

/// A-TOKEN-6, A-TOKEN-8
#[test]
fn a_jwt_says_whose_it_is_what_for_and_until_when() {
    for (algorithm, alg) in [
        (SigningAlgorithm::Es256, "ES256"),
        (SigningAlgorithm::EdDsa, "EdDSA"),
        (SigningAlgorithm::Rs256, "RS256"),
    ] {
        let server = signing_server(algorithm);
        let (client, tokens) = log_in(&server);
        assert_eq!(tokens["token_type"], "Bearer");
        let token = text(&tokens, "access_token");
        let (header, claims) = verified(&server, token).unwrap();
        let mut header = serde_json::to_value(header).unwrap();
        header.as_object_mut().unwrap().remove("kid").unwrap();
        assert_eq!(header, json!({"typ": "at+jwt", "alg": alg}));
        let now = NOW.as_secs();
        let jti = claims["jti"].clone();
        assert!(jti.as_str().unwrap().len() == 43);
        let subject = {
            let digest = SecretDigest::of(token);
            block_on(server.store.access(&digest, NOW)).unwrap().unwrap().subject
        };
        assert_eq!(
            claims,
            json!({
                "iss": ISSUER, "sub": subject, "aud": RESOURCE, "client_id": client,
                "scope": "files:read", "iat": now, "exp": now + 600, "jti": jti,
            })
        );
    }
}

/// A-TOKEN-4
#[test]
fn a_refresh_gives_a_new_jwt_and_repeats_a_lost_answer() {
    let server = signing_server(SigningAlgorithm::Es256);
    let (client, tokens) = log_in(&server);
    let refresh = text(&tokens, "refresh_token");
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
    let first = server.form("/token", &form).json();
    let again = server.form("/token", &form).json();
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    let mut seen = Vec::new();
    for tokens in [&tokens, &first, &again] {
        let (_, claims) = verified(&server, text(tokens, "access_token")).unwrap();
        assert_eq!(
            (&claims["client_id"], &claims["scope"]),
            (&json!(client), &json!("files:read"))
        );
        assert!(!seen.contains(&claims["jti"]));
        seen.push(claims["jti"].clone());
    }
}

/// A-REV-1, A-INT-1
#[test]
fn a_jwt_is_stored_revoked_and_introspected_like_any_other() {
    let server = signing_server(SigningAlgorithm::Es256);
    let (client, tokens) = log_in(&server);
    let token = text(&tokens, "access_token");
    let ask = format!("token={token}&client_id=rs&client_secret=secret");
    let answer = server.form("/introspect", &ask).json();
    assert_eq!((&answer["active"], &answer["aud"]), (&json!(true), &json!(RESOURCE)));
    let expired = UnixTime::from_secs(NOW.as_secs() + 600);
    let digest = SecretDigest::of(token);
    assert!(block_on(server.store.access(&digest, expired)).unwrap().is_none());

    let revoke = format!("token={token}&client_id={client}");
    assert_eq!(server.form("/revoke", &revoke).status, StatusCode::OK);
    assert!(block_on(server.store.access(&digest, NOW)).unwrap().is_none());
    assert_eq!(server.form("/introspect", &ask).json(), json!({"active": false}));
    // Whoever looks at the signature alone does not hear of it.
    assert!(verified(&server, token).is_some());
}

/// SEC-196
#[test]
fn the_published_keys_are_cacheable_and_none_is_private() {
    let keys = SigningKeys::new(key(SigningAlgorithm::Es256)).unwrap();
    let keys = keys.with_published(key(SigningAlgorithm::EdDsa).with_id("next")).unwrap();
    let keys = keys.with_published(key(SigningAlgorithm::Rs256)).unwrap();
    let server = server_of(signing(keys));
    let answer = server.get("/jwks");
    assert_eq!(answer.header(CONTENT_TYPE), "application/jwk-set+json");
    assert_eq!(answer.header(CACHE_CONTROL), "public, max-age=300");
    assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert_eq!(server.method(Method::POST, "/jwks").status, StatusCode::METHOD_NOT_ALLOWED);
    let answer = answer.json();
    let keys = answer["keys"].as_array().unwrap();
    let ids: Vec<&str> = keys.iter().map(|key| text(key, "kid")).collect();
    assert_eq!((ids.len(), ids[1], ids[0].len(), ids[2].len()), (3, "next", 43, 43));
    let known: Value =
        serde_json::from_str(include_str!("../../../client-auth/tests/keys/public.json")).unwrap();
    for key in keys {
        assert_eq!(key["use"], "sig");
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let allowed = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
        assert!(members.iter().all(|member| allowed.contains(member)), "{members:?}");
        let mut published = known["keys"].as_array().unwrap().iter();
        assert!(published.any(|own| own["x"] == key["x"] && own["n"] == key["n"]));
    }
    // Only the first one signs.
    let (_, tokens) = log_in(&server);
    let (header, _) = verified(&server, text(&tokens, "access_token")).unwrap();
    assert_eq!(header.kid.as_deref(), Some(ids[0]));
}

#[test]
fn a_token_of_an_old_key_is_good_while_that_key_is_published() {
    let old = signing_server(SigningAlgorithm::EdDsa);
    let (_, tokens) = log_in(&old);
    let token = text(&tokens, "access_token");
    let new = SigningKeys::new(key(SigningAlgorithm::Es256)).unwrap();
    let both = new.clone().with_published(key(SigningAlgorithm::EdDsa)).unwrap();
    assert!(verified(&server_of(signing(both.clone())), token).is_some());
    assert!(verified(&server_of(signing(new)), token).is_none());
    let twice = both.with_published(key(SigningAlgorithm::EdDsa));
    assert_eq!(twice.unwrap_err(), InvalidSigningKey::RepeatedId);
}

/// A-META-4
#[test]
fn without_signed_tokens_there_are_no_keys() {
    let server = server();
    let metadata = server.get("/.well-known/oauth-authorization-server").json();
    assert!(metadata.get("jwks_uri").is_none());
    assert_eq!(server.get("/jwks").status, StatusCode::NOT_FOUND);
    let (_, tokens) = log_in(&server);
    assert_eq!(text(&tokens, "access_token").len(), 43);
}

/// SEC-192
#[test]
fn signing_keys_print_nothing_private() {
    let keys = SigningKeys::new(key(SigningAlgorithm::Es256)).unwrap();
    let shown = format!("{keys:?} {:?}", config(ISSUER).with_jwt_access_tokens(keys.clone()));
    assert!(shown.contains("SigningKey(ES256, [redacted])") && !shown.contains("\"d\""));
}
