//! Tokens that are bound to a key of the client (RFC 9449).

use authorization_server::{ClientRecord, Config, ResourceServer, Store as _};
use bytes::Bytes;
use client_auth::{ClientAuthRecord, ProofKey};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use oauth_types::{
    AuthMethod, ClientId, Entropy, ResourceUri, ScopeSet, Secret, SecretDigest, UnixTime,
};
use serde_json::{Value, json};

use crate::server::*;

const ISSUER: &str = "https://as.example";
const TOKEN: &str = "https://as.example/token";
const DPOP: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

fn key() -> ProofKey {
    ProofKey::from_pem(include_str!("../../../client-auth/tests/keys/es256.pem")).unwrap()
}

fn other_key() -> ProofKey {
    ProofKey::from_pem(include_str!("../../../client-auth/tests/keys/es256-other.pem")).unwrap()
}

fn proof_at(key: &ProofKey, url: &str, nonce: Option<&HeaderValue>, draw: u8) -> HeaderValue {
    key.prove(&Method::POST, url, None, nonce, NOW, Entropy::new([draw; 16])).unwrap()
}

fn proof(draw: u8) -> HeaderValue {
    proof_at(&key(), TOKEN, None, draw)
}

fn ask(server: &Server, form: &str, proof: &[HeaderValue]) -> Answer {
    let mut request =
        Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for proof in proof {
        request = request.header(DPOP, proof);
    }
    server.send(request.body(Bytes::from(form.to_owned())).unwrap())
}

fn log_in(server: &Server, client: &str, proof: HeaderValue) -> Value {
    let code = server.code(client);
    let answer = ask(server, &redeem(client, &code), &[proof]);
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.json()
}

fn refresh(client: &str, tokens: &Value) -> String {
    let token = tokens["refresh_token"].as_str().unwrap();
    format!("grant_type=refresh_token&client_id={client}&refresh_token={token}")
}

fn digest(tokens: &Value) -> SecretDigest {
    SecretDigest::of(tokens["access_token"].as_str().unwrap())
}

fn jkt(server: &Server, tokens: &Value) -> Option<String> {
    let record = block_on(server.store.access(&digest(tokens), NOW)).unwrap().unwrap();
    record.jkt.map(|jkt| jkt.to_string())
}

fn own() -> Option<String> {
    Some(key().thumbprint().to_owned())
}

#[test]
fn a_proof_binds_the_tokens_and_without_one_they_are_bearer() {
    let server = server();
    let client = server.client();
    let bound = log_in(&server, &client, proof(1));
    assert_eq!(bound["token_type"], "DPoP");
    assert_eq!(jkt(&server, &bound), own());
    let code = server.code(&client);
    let bare = ask(&server, &redeem(&client, &code), &[]).json();
    assert_eq!((&bare["token_type"], jkt(&server, &bare)), (&json!("Bearer"), None));
    // What was not bound can be bound from now on: the access token, not what led to it.
    let answer = ask(&server, &refresh(&client, &bare), &[proof(2)]).json();
    assert_eq!((&answer["token_type"], jkt(&server, &answer)), (&json!("DPoP"), own()));
    let answer = ask(&server, &refresh(&client, &answer), &[]).json();
    assert_eq!(answer["token_type"], "Bearer");
}

/// The client is public: only the key of its proofs protects the token.
#[test]
fn a_stolen_refresh_token_is_worth_nothing_without_its_key() {
    let server = server();
    let client = server.client();
    let tokens = log_in(&server, &client, proof(1));
    let form = refresh(&client, &tokens);
    for stolen in [vec![], vec![proof_at(&other_key(), TOKEN, None, 2)]] {
        let answer = ask(&server, &form, &stolen);
        assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    }
    // Nothing of that revoked it.
    let next = ask(&server, &form, &[proof(3)]);
    assert_eq!(next.status, StatusCode::OK);
    let next = next.json();
    assert_eq!((&next["token_type"], jkt(&server, &next)), (&json!("DPoP"), own()));
    // A lost answer is given again, to the holder of the key.
    let again = ask(&server, &form, &[proof(4)]).json();
    assert_eq!(again["refresh_token"], next["refresh_token"]);
    assert_eq!(ask(&server, &refresh(&client, &next), &[]).error(), "invalid_grant");
}

#[test]
fn a_client_with_a_secret_may_change_its_key() {
    let server = server();
    let registered = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let registered = server.register(registered).json();
    let id = registered["client_id"].as_str().unwrap();
    let secret = format!("&client_secret={}", registered["client_secret"].as_str().unwrap());
    let code = server.code(id);
    let tokens = ask(&server, &(redeem(id, &code) + &secret), &[proof(1)]).json();
    assert_eq!(jkt(&server, &tokens), own());
    let other = proof_at(&other_key(), TOKEN, None, 2);
    let tokens = ask(&server, &(refresh(id, &tokens) + &secret), &[other]).json();
    assert_eq!(jkt(&server, &tokens), Some(other_key().thumbprint().to_owned()));
}

#[test]
fn a_proof_that_is_not_right_uses_nothing_up() {
    let server = server();
    let client = server.client();
    let code = server.code(&client);
    let form = redeem(&client, &code);
    let used = proof(1);
    log_in(&server, &client, used.clone());
    let late = {
        let at = UnixTime::from_secs(NOW.as_secs() - 120);
        key().prove(&Method::POST, TOKEN, None, None, at, Entropy::new([2; 16])).unwrap()
    };
    let get = key().prove(&Method::GET, TOKEN, None, None, NOW, Entropy::new([3; 16])).unwrap();
    for (proofs, why) in [
        (vec![used], "used before"),
        (vec![proof(4), proof(5)], "two headers"),
        (vec![HeaderValue::from_static("x")], "no JWT"),
        (vec![HeaderValue::from_static("")], "empty"),
        (vec![late], "too old"),
        (vec![get], "another method"),
        (vec![proof_at(&key(), "https://as.example/revoke", None, 6)], "another endpoint"),
        (vec![proof_at(&key(), "https://other.example/token", None, 7)], "another server"),
    ] {
        let answer = ask(&server, &form, &proofs);
        let got = (answer.status, answer.error());
        assert_eq!(got, (StatusCode::BAD_REQUEST, "invalid_dpop_proof".to_owned()), "{why}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    }
    // A proof is looked at only when the client is who it says.
    let nobody = ask(&server, &redeem("nobody", &code), &[HeaderValue::from_static("x.y.z")]);
    assert_eq!(nobody.error(), "invalid_client");
    assert_eq!(ask(&server, &form, &[proof(8)]).status, StatusCode::OK);
}

/// SEC-238
#[test]
fn a_proof_is_remembered_only_for_a_grant_that_is_found() {
    let server = server();
    let client = server.client();
    let tokens = log_in(&server, &client, proof(1));
    // A proof that is not remembered is new whenever it is sent.
    let unspent = |form: &str, error: &str, number: u8| {
        let shown = proof(number);
        for _ in 0..3 {
            assert_eq!(ask(&server, form, std::slice::from_ref(&shown)).error(), error);
        }
        shown
    };
    let code = server.code(&client);
    let right = redeem(&client, &code);
    let other = server.client();
    let forged = "AQ".repeat(40);
    for (number, form, error) in [
        (10, redeem(&client, "made-up"), "invalid_grant"),
        (11, redeem(&other, &code), "invalid_grant"),
        (12, right.replace("code_verifier=", "code_verifier=x"), "invalid_grant"),
        (13, format!("{right}&redirect_uri=https://app.example/other"), "invalid_grant"),
        (14, format!("{right}&resource=https://other.example/mcp"), "invalid_target"),
        (
            15,
            format!("grant_type=refresh_token&client_id={client}&refresh_token={forged}"),
            "invalid_grant",
        ),
        (16, refresh(&other, &tokens), "invalid_grant"),
        (17, refresh(&client, &tokens) + "&scope=files:write", "invalid_scope"),
        (18, refresh(&client, &tokens) + "&resource=https://other.example/mcp", "invalid_target"),
    ] {
        let shown = unspent(&form, error, number);
        // It is good for the grant that there is.
        let code = server.code(&client);
        let answer = ask(&server, &redeem(&client, &code), &[shown]);
        assert_eq!(answer.status, StatusCode::OK, "{number}");
    }
    // A token that was bound to another key, and one that is revoked.
    let stolen = proof_at(&other_key(), TOKEN, None, 20);
    for _ in 0..3 {
        let answer = ask(&server, &refresh(&client, &tokens), std::slice::from_ref(&stolen));
        assert_eq!(answer.error(), "invalid_grant");
    }
    let token = tokens["refresh_token"].as_str().unwrap();
    server.form("/revoke", &format!("client_id={client}&token={token}"));
    let shown = unspent(&refresh(&client, &tokens), "invalid_grant", 21);
    assert_eq!(ask(&server, &right, &[shown]).status, StatusCode::OK);
}

#[test]
fn a_code_can_be_bound_before_it_is_given_out() {
    let server = server();
    let client = server.client();
    let own = key().thumbprint().to_owned();
    let code = || {
        let url = format!("{}&dpop_jkt={own}", authorize(&client, &[]));
        let page = server.get(&url);
        let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
        answer.redirect("code").unwrap()
    };
    let form = redeem(&client, &code());
    for wrong in [vec![], vec![proof_at(&other_key(), TOKEN, None, 1)]] {
        assert_eq!(ask(&server, &form, &wrong).error(), "invalid_grant");
    }
    assert_eq!(ask(&server, &form, &[proof(2)]).status, StatusCode::OK);
    for bad in ["x", "canary", &own[1..], &format!("{own}%3D")] {
        let answer = server.get(&format!("{}&dpop_jkt={bad}", authorize(&client, &[])));
        assert_eq!(answer.link("error").as_deref(), Some("invalid_request"), "{bad}");
    }
}

/// A-REG-2
#[test]
fn a_client_that_promises_proofs_gets_nothing_without() {
    let server = server();
    let registered = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "dpop_bound_access_tokens": true,
    });
    let registered = server.register(registered).json();
    assert_eq!(registered["dpop_bound_access_tokens"], true);
    let client = registered["client_id"].as_str().unwrap();
    let form = redeem(client, &server.code(client));
    assert_eq!(ask(&server, &form, &[]).error(), "invalid_dpop_proof");
    assert_eq!(ask(&server, &form, &[proof(1)]).json()["token_type"], "DPoP");
}

#[test]
fn machines_prove_keys_too() {
    let server = server();
    let id = ClientId::parse("machine").unwrap();
    let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("secret").digest());
    let scopes = ScopeSet::parse("files:read").unwrap();
    let record = ClientRecord::client_credentials(id, secret, scopes, NOW);
    block_on(server.store.create_client(record, NOW)).unwrap();
    let form = "grant_type=client_credentials&client_id=machine&client_secret=secret";
    let tokens = ask(&server, form, &[proof(1)]).json();
    assert_eq!((&tokens["token_type"], jkt(&server, &tokens)), (&json!("DPoP"), own()));
}

#[test]
fn a_server_that_asks_for_nonces_accepts_its_own_fresh_ones() {
    let server = server_of(config(ISSUER).with_dpop_nonces());
    let client = server.client();
    let form = redeem(&client, &server.code(&client));
    let answer = ask(&server, &form, &[proof(1)]);
    let got = (answer.status, answer.error());
    assert_eq!(got, (StatusCode::BAD_REQUEST, "use_dpop_nonce".to_owned()));
    let nonce = answer.headers[NONCE].clone();
    let foreign = HeaderValue::from_static("AgEAAAAAAA9CQA");
    for bad in [&foreign, &HeaderValue::from_static("")] {
        let answer = ask(&server, &form, &[proof_at(&key(), TOKEN, Some(bad), 2)]);
        assert_eq!(answer.error(), "use_dpop_nonce");
    }
    // A wrong proof is told nothing about nonces.
    let elsewhere = proof_at(&key(), "https://other.example/token", None, 3);
    assert_eq!(ask(&server, &form, &[elsewhere]).error(), "invalid_dpop_proof");
    let answer = ask(&server, &form, &[proof_at(&key(), TOKEN, Some(&nonce), 4)]);
    assert_eq!(answer.json()["token_type"], "DPoP");
    // One nonce is good for many proofs, each of them once.
    let again = refresh(&client, &answer.json());
    let used = proof_at(&key(), TOKEN, Some(&nonce), 4);
    assert_eq!(ask(&server, &again, &[used]).error(), "invalid_dpop_proof");
    let fresh = proof_at(&key(), TOKEN, Some(&nonce), 5);
    assert_eq!(ask(&server, &again, &[fresh]).status, StatusCode::OK);
}

/// A-INT-1
#[test]
fn a_resource_server_is_told_of_the_key() {
    let asker = ResourceServer::new(
        ClientId::parse("rs").unwrap(),
        ClientAuthRecord::new(AuthMethod::ClientSecretPost)
            .with_secret(Secret::new("secret").digest()),
        ResourceUri::parse("https://rs.example/mcp").unwrap(),
    );
    let server = server_of(config(ISSUER).with_resource_server(asker).unwrap());
    let client = server.client();
    let tokens = log_in(&server, &client, proof(1));
    let token = tokens["access_token"].as_str().unwrap();
    let form = format!("token={token}&client_id=rs&client_secret=secret");
    let answer = server.form("/introspect", &form).json();
    assert_eq!((&answer["active"], &answer["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(answer["cnf"], json!({"jkt": key().thumbprint()}));

    let code = server.code(&client);
    let bare = ask(&server, &redeem(&client, &code), &[]).json();
    let bare = bare["access_token"].as_str().unwrap();
    let form = format!("token={bare}&client_id=rs&client_secret=secret");
    let answer = server.form("/introspect", &form).json();
    assert_eq!(answer["token_type"], "Bearer");
    assert!(answer.get("cnf").is_none());
}

#[cfg(feature = "jwt")]
#[test]
fn a_jwt_names_the_key_that_it_is_bound_to() {
    use authorization_server::SigningKeys;
    use base64::Engine as _;
    use client_auth::SigningKey;
    use oauth_types::SigningAlgorithm;
    let pem = include_str!("../../../client-auth/tests/keys/eddsa.pem");
    let signing = SigningKey::from_pem(SigningAlgorithm::EdDsa, pem).unwrap();
    let with_keys =
        |config: Config| config.with_jwt_access_tokens(SigningKeys::new(signing).unwrap());
    let server = server_of(with_keys(config(ISSUER)));
    let client = server.client();
    let tokens = log_in(&server, &client, proof(1));
    let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["cnf"], json!({"jkt": key().thumbprint()}));
    assert_eq!(jkt(&server, &tokens), own());
}

/// A-META-4
#[test]
fn the_metadata_lists_the_algorithms_of_proofs() {
    let server = server();
    let metadata = server.get("/.well-known/oauth-authorization-server").json();
    let algorithms = metadata["dpop_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("none")));
}
