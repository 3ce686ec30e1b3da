//! Clients that publish their keys at a `jwks_uri`, and may list `none` beside.

use core::time::Duration;

use authorization_server::{ClientRecord, Store as _};
use client_auth::{ClientAuthRecord, SigningKey};
use http::StatusCode;
use oauth_types::{
    AuthMethod, ClientId, Entropy, FormWriter, Issuer, RedirectUri, Secret, SigningAlgorithm,
    UnixTime, encode_component,
};
use serde_json::{Value, json};

use crate::server::*;

const CLIENT: &str = "https://client.test/client.json";
const KEYS: &str = "https://client.test/jwks.json";
const PRIVATE: &str = include_str!("../../../client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");

/// The document of a client that signs, with these methods listed.
fn document(methods: &Value) -> Value {
    json!({
        "client_id": CLIENT,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks_uri": KEYS,
    })
}

/// A server, and a client whose document lists these methods.
fn published(methods: &Value) -> Server {
    let config = config("https://as.example").with_client_documents();
    let server = server_of(config.with_remembered_consent(Duration::from_secs(3600)));
    server.web.put(CLIENT, 200, &document(methods));
    server.web.put(KEYS, 200, &PUBLIC);
    server
}

fn assertion(client: &str, kid: Option<&str>, now: UnixTime, draw: u8) -> String {
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, PRIVATE).unwrap();
    let key = match kid {
        Some(kid) => key.with_id(kid),
        None => key,
    };
    let issuer = Issuer::parse("https://as.example").unwrap();
    let id = ClientId::parse(client).unwrap();
    let mut form = FormWriter::new();
    key.sign(&id, &issuer, now, Entropy::new([draw; 16])).unwrap().attach(&mut form);
    form.finish()
}

fn redeem_with(proof: &str, code: &str) -> String {
    let verifier = verifier();
    let verifier = verifier.as_secret().expose();
    format!("grant_type=authorization_code&code={code}&code_verifier={verifier}&{proof}")
}

/// A login up to the code; the answer of the first one is remembered.
fn log_in(server: &Server) -> String {
    let page = server.get(&authorize(CLIENT, &[]));
    match page.status {
        StatusCode::SEE_OTHER => page.redirect("code").unwrap(),
        _ => {
            let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
            answer.redirect("code").unwrap()
        }
    }
}

fn by_name_alone(code: &str) -> String {
    redeem_with(&format!("client_id={}", encode_component(CLIENT)), code)
}

/// A-AUTHN-4, A-AUTHN-9
#[test]
fn a_client_that_publishes_keys_and_lists_no_method_must_sign() {
    for methods in [Value::Null, json!(["private_key_jwt"]), json!(["private_key_jwt", "x"])] {
        let server = published(&methods);
        let code = log_in(&server);
        assert_eq!(server.web.asked(KEYS), 0, "keys are fetched when they are needed");
        // A stolen code, with the verifier even.
        let answer = server.form("/token", &by_name_alone(&code));
        assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
        assert_eq!(server.web.asked(KEYS), 0);
        let proof = assertion(CLIENT, None, NOW, 1);
        let answer = server.form("/token", &redeem_with(&proof, &code));
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        let access = answer.json()["access_token"].as_str().unwrap().to_owned();
        let alone = format!("token={access}&client_id={}", encode_component(CLIENT));
        assert_eq!(server.form("/revoke", &alone).status, StatusCode::UNAUTHORIZED);
        let revoke = format!("token={access}&{}", assertion(CLIENT, None, NOW, 2));
        assert_eq!(server.form("/revoke", &revoke).status, StatusCode::OK);
        assert_eq!(server.web.asked(KEYS), 2, "once for each assertion");
    }
}

/// A-AUTHN-4: an assertion that it presents all the same is verified, and a wrong one refused.
#[test]
fn a_client_that_lists_none_may_omit_the_assertion() {
    for methods in [json!(["none", "private_key_jwt"]), json!(["none"])] {
        let server = published(&methods);
        let code = log_in(&server);
        assert_eq!(server.form("/token", &by_name_alone(&code)).status, StatusCode::OK);
        assert_eq!(server.web.asked(KEYS), 0, "a public client needs no keys");
        let code = log_in(&server);
        let proof = assertion(CLIENT, None, NOW, 1);
        let answer = server.form("/token", &redeem_with(&proof, &code));
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        // What is presented is verified: there is no falling back.
        let code = log_in(&server);
        let expired = assertion(CLIENT, None, UnixTime::from_secs(NOW.as_secs() - 9_000), 2);
        let replayed = proof;
        let basic = format!("{}&client_secret=x", by_name_alone(&code));
        for bad in [&expired, &replayed] {
            let answer = server.form("/token", &redeem_with(bad, &code));
            assert_eq!(answer.error(), "invalid_client");
        }
        assert_eq!(server.form("/token", &basic).status, StatusCode::OK, "a public client");
    }
}

/// A-META-4
#[test]
fn a_server_without_public_clients_asks_for_the_assertion() {
    let mut server = published(&json!(["none", "private_key_jwt"]));
    server.config = server.config.with_auth_methods(vec![AuthMethod::PrivateKeyJwt]).unwrap();
    let code = log_in(&server);
    assert_eq!(server.form("/token", &by_name_alone(&code)).error(), "invalid_client");
    let proof = assertion(CLIENT, None, NOW, 1);
    assert_eq!(server.form("/token", &redeem_with(&proof, &code)).status, StatusCode::OK);
}

/// A-AUTHN-9
#[test]
fn a_registration_may_publish_its_keys_and_has_one_method() {
    let server = published(&Value::Null);
    let mut metadata = document(&json!(["none", "private_key_jwt"]));
    metadata.as_object_mut().unwrap().remove("client_id");
    let answer = server.register(metadata);
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(answer["jwks_uri"], KEYS);
    assert!(answer.get("token_endpoint_auth_methods_supported").is_none());
    let client = answer["client_id"].as_str().unwrap();
    let code = server.code(client);
    // It was told its method, so no other is taken.
    let alone = redeem_with(&format!("client_id={client}"), &code);
    assert_eq!(server.form("/token", &alone).error(), "invalid_client");
    let proof = assertion(client, None, NOW, 1);
    let answer = server.form("/token", &redeem_with(&proof, &code));
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

/// SEC-117, SEC-119
#[test]
fn keys_at_a_local_address_or_behind_a_strange_url_are_none() {
    for bad in [
        "http://client.test/jwks.json",
        "https://127.0.0.1/jwks.json",
        "https://[::1]/jwks.json",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/jwks.json",
        "https://10.0.0.1/jwks.json",
        "https://[::ffff:127.0.0.1]/jwks.json",
        "file:///etc/passwd",
        "javascript:1",
        "https://u@client.test/jwks.json",
    ] {
        let server = published(&Value::Null);
        let mut document = document(&json!(["none", "private_key_jwt"]));
        document["jwks_uri"] = json!(bad);
        server.web.put(CLIENT, 200, &document);
        assert_eq!(server.get(&authorize(CLIENT, &[])).status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(server.web.asked(bad), 0, "{bad}");
    }
}

/// SEC-121, SEC-122, SEC-125
#[test]
fn a_broken_key_set_is_a_401_and_an_unreachable_one_a_503() {
    let many = json!({"keys": vec![json!({"kty": "EC"}); 17]}).to_string();
    let private = r#"{"keys":[{"kty":"EC","crv":"P-256","d":"canary"}]}"#;
    for (status, body, expected) in [
        (301, PUBLIC, StatusCode::UNAUTHORIZED),
        (404, PUBLIC, StatusCode::UNAUTHORIZED),
        (200, "[]", StatusCode::UNAUTHORIZED),
        (200, "{\"keys\":[]}", StatusCode::UNAUTHORIZED),
        (200, &many, StatusCode::UNAUTHORIZED),
        (200, private, StatusCode::UNAUTHORIZED),
        (503, PUBLIC, StatusCode::SERVICE_UNAVAILABLE),
        (429, PUBLIC, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let server = published(&Value::Null);
        server.web.put(KEYS, status, &body);
        let code = log_in(&server);
        let redeem = redeem_with(&assertion(CLIENT, None, NOW, 1), &code);
        let answer = server.form("/token", &redeem);
        assert_eq!(answer.status, expected, "{status} {body}");
        assert!(!answer.html().contains("canary") && !answer.html().contains("client.test"));
        // The code is still good.
        server.web.put(KEYS, 200, &PUBLIC);
        assert_eq!(server.form("/token", &redeem).status, StatusCode::OK, "{status} {body}");
    }
}

/// A-AUTHN-4
#[test]
fn a_list_of_methods_that_names_none_makes_no_client_public() {
    for malformed in [json!([["private_key_jwt"]]), json!({"x": 1}), json!(7), json!([])] {
        let mut said = document(&malformed);
        said.as_object_mut().unwrap().remove("token_endpoint_auth_method");
        let server = published(&Value::Null);
        server.web.put(CLIENT, 200, &said);
        let page = server.get(&authorize(CLIENT, &[]));
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{malformed}");
        said.as_object_mut().unwrap().remove("client_id");
        let answer = server.register(said);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{malformed}");
    }
}

/// A-AUTHN-4
#[test]
fn a_client_with_a_secret_is_not_public_whatever_it_lists() {
    let server = server();
    let id = ClientId::parse("dashboard").unwrap();
    let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("secret").digest());
    let back = RedirectUri::parse(REDIRECT).unwrap();
    let config = config("https://as.example");
    let mut client = ClientRecord::pre_registered(&config, id, secret, vec![back], NOW).unwrap();
    client.metadata.token_endpoint_auth_methods_supported =
        Some(vec![AuthMethod::ClientSecretPost, AuthMethod::None]);
    block_on(server.store.create_client(client, NOW)).unwrap();
    let code = server.code("dashboard");
    let alone = redeem_with("client_id=dashboard", &code);
    assert_eq!(server.form("/token", &alone).error(), "invalid_client");
    let proof = redeem_with("client_id=dashboard&client_secret=secret", &code);
    assert_eq!(server.form("/token", &proof).status, StatusCode::OK);
}
