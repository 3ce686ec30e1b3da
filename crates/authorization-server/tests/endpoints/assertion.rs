//! Clients that sign assertions (RFC 7523).

use client_auth::SigningKey;
use http::StatusCode;
use oauth_types::{ClientId, Entropy, FormWriter, Issuer, SigningAlgorithm};
use serde_json::{Value, json};

use crate::server::*;

const PRIVATE: &str = include_str!("../../../client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");

fn public() -> Value {
    serde_json::from_str(PUBLIC).unwrap()
}

fn client(server: &Server) -> String {
    let answer = server.register(json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": public(),
    }));
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let answer = answer.json();
    assert!(answer.get("client_secret").is_none());
    assert_eq!(answer["jwks"], public());
    answer["client_id"].as_str().unwrap().to_owned()
}

/// A proof for one request.
fn assertion(client_id: &str, audience: &str, draw: u8) -> String {
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, PRIVATE).unwrap();
    let (id, audience) = (ClientId::parse(client_id).unwrap(), Issuer::parse(audience).unwrap());
    let mut form = FormWriter::new();
    key.sign(&id, &audience, NOW, Entropy::new([draw; 16])).unwrap().attach(&mut form);
    form.finish()
}

/// The redemption of a code without the client's name, which the assertion brings.
fn redeem_with(proof: &str, code: &str) -> String {
    let verifier = verifier();
    let verifier = verifier.as_secret().expose();
    format!("grant_type=authorization_code&code={code}&code_verifier={verifier}&{proof}")
}

/// A-AUTHN-9, SEC-086
#[test]
fn a_signed_assertion_lets_its_client_in_once() {
    let server = server();
    let client = client(&server);
    let proof = assertion(&client, "https://as.example", 1);
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem_with(&proof, &code));
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);

    // The same assertion again, for another code and at another endpoint: the code is not used up.
    let code = server.code(&client);
    let replayed = server.form("/token", &redeem_with(&proof, &code));
    assert_eq!((replayed.status, &*replayed.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let revoke = format!("token={token}&{proof}");
    assert_eq!(server.form("/revoke", &revoke).status, StatusCode::UNAUTHORIZED);

    let fresh = assertion(&client, "https://as.example/token", 2);
    assert_eq!(server.form("/token", &redeem_with(&fresh, &code)).status, StatusCode::OK);
    let fresh = assertion(&client, "https://as.example", 3);
    let revoke = format!("token={token}&{fresh}");
    assert_eq!(server.form("/revoke", &revoke).status, StatusCode::OK);
}

/// A-AUTHN-4, A-AUTHN-9, SEC-084
#[test]
fn nothing_else_lets_it_in() {
    let server = server();
    let client = client(&server);
    let code = server.code(&client);
    let elsewhere = assertion(&client, "https://other.example", 1);
    let somebody = assertion("somebody", "https://as.example", 2);
    let mismatched = format!("client_id=somebody&{}", assertion(&client, "https://as.example", 3));
    let alone = format!("client_id={client}");
    for proof in [&elsewhere, &somebody, &alone] {
        let answer = server.form("/token", &redeem_with(proof, &code));
        assert_eq!(answer.error(), "invalid_client");
    }
    // Two names, ours and the assertion's own: repeated, whatever they say.
    let answer = server.form("/token", &redeem_with(&mismatched, &code));
    assert_eq!(answer.error(), "invalid_request");
    let right = assertion(&client, "https://as.example", 4);
    assert_eq!(server.form("/token", &redeem_with(&right, &code)).status, StatusCode::OK);
}

/// A-REG-3, SEC-111, SEC-112
#[test]
fn keys_that_are_refused() {
    let server = server();
    for (jwks, jwks_uri) in [
        (Value::Null, Value::Null),
        (json!({"keys": []}), Value::Null),
        (json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), Value::Null),
        (public(), json!("https://app.example/jwks")),
        (Value::Null, json!("https://10.0.0.1/jwks")),
        (Value::Null, json!("https://localhost/jwks")),
        (Value::Null, json!("http://app.example/jwks")),
        (Value::Null, json!("")),
    ] {
        let answer = server.register(json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": jwks,
            "jwks_uri": jwks_uri,
        }));
        assert_eq!(answer.error(), "invalid_client_metadata", "{jwks} {jwks_uri}");
    }
}

#[test]
fn the_metadata_lists_what_is_verified() {
    let metadata = server().get("/.well-known/oauth-authorization-server").json();
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("private_key_jwt")));
    let algorithms =
        metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("none")));
}

/// A-CIMD-1, A-AUTHN-9
#[test]
fn a_client_known_by_its_document_signs_with_the_keys_in_it() {
    let server = server_of(config("https://as.example").with_client_documents());
    let client = "https://client.test/client.json";
    let document = json!({
        "client_id": client,
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": public(),
    });
    server.web.put(client, 200, &document);
    let code = server.code(client);
    // Its name alone is public, and so is not enough.
    let alone = redeem_with(&format!("client_id={client}"), &code);
    assert_eq!(server.form("/token", &alone).error(), "invalid_client");
    let proof = assertion(client, "https://as.example", 1);
    let tokens = server.form("/token", &redeem_with(&proof, &code));
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let revoke = |proof: &str| format!("token={access}&{proof}");
    assert_eq!(server.form("/revoke", &revoke(&proof)).error(), "invalid_client");
    let proof = assertion(client, "https://as.example", 2);
    assert_eq!(server.form("/revoke", &revoke(&proof)).status, StatusCode::OK);
}
