//! Clients that are known by the documents in which they describe themselves: which are fetched, and what is read.

use http::StatusCode;
use serde_json::{Value, json};

use crate::server::*;

const CLIENT: &str = "https://client.test/client.json";

/// A server that takes documents.
fn reader() -> Server {
    server_of(config("https://as.example").with_client_documents())
}

/// The document of the client at this URL, with more members.
fn document(url: &str, members: &Value) -> Value {
    let mut document = json!({"client_id": url, "redirect_uris": [REDIRECT]});
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    document
}

/// The page for a client that nobody knows: it says nothing about where the document was sought.
fn assert_unknown(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
    let page = answer.html();
    assert!(page.contains("Login not possible"), "{what}");
    for leak in ["127.0.0.1", "client.test", "10.0.0.1", "canary"] {
        assert!(!page.contains(leak), "{what}: {leak}");
    }
}

/// SEC-117, SEC-119
#[test]
fn an_identifier_that_breaks_the_rules_is_fetched_from_nowhere() {
    let server = reader();
    for bad in [
        "http://client.test/m",
        "https://client.test",
        "https://client.test/",
        "https://client.test/m#f",
        "https://user@client.test/m",
        "https://client.test/./m",
        "https://client.test/%2e%2e/m",
        "https:/client.test/m",
        " https://client.test/m",
        "https://client.test/m\t",
        "https://client.test\\m",
        "https://CLIENT.test/m",
        "https://client.test:443/m",
        "https://0x7f.1/m",
        "https://0x7f000001/m",
        "https://2130706433/m",
        "https://127.1/m",
        "https://127.0.0.1/m",
        "https://127.0.0.1:8443/m",
        "https://10.0.0.1/m",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/m",
        "https://[::ffff:127.0.0.1]/m",
        "https://[::ffff:7f00:1]/m",
        "https://[64:ff9b::7f00:1]/m",
        "https://localhost/m",
        "https://x.localhost/m",
    ] {
        assert_unknown(&server.get(&authorize(bad, &[])), bad);
        let id = oauth_types::encode_component(bad).to_string();
        let token = server.form("/token", &redeem(&id, "code"));
        assert_ne!(token.status, StatusCode::OK, "{bad}");
    }
    assert_eq!(server.web.fetched(), 0);
    server.web.put("https://client.test/m", 200, &document("https://client.test/m", &json!({})));
    let good = authorize("https://client.test/m", &[]);
    assert_eq!(server.get(&good).status, StatusCode::OK);
    assert_eq!(server.web.fetched(), 1);
}

/// SEC-123, SEC-124
#[test]
fn a_document_of_another_client_or_with_a_secret_is_nobodys() {
    let server = reader();
    let url = authorize(CLIENT, &[]);
    for bad in [
        document("https://CLIENT.test/client.json", &json!({})),
        document("https://client.test/client.json/", &json!({})),
        document("https://client.test/Client.json", &json!({})),
        document("https://client.test:8443/client.json", &json!({})),
        document("https://other.test/client.json", &json!({})),
        document(CLIENT, &json!({"client_secret": "canary"})),
        document(CLIENT, &json!({"client_secret_expires_at": 0})),
        document(CLIENT, &json!({"token_endpoint_auth_method": "client_secret_basic"})),
        document(CLIENT, &json!({"token_endpoint_auth_method": "client_secret_jwt"})),
    ] {
        server.web.put(CLIENT, 200, &bad);
        assert_unknown(&server.get(&url), &bad.to_string());
    }
    server.web.put(CLIENT, 200, &document(CLIENT, &json!({})));
    assert_eq!(server.get(&url).status, StatusCode::OK);
}

#[test]
fn a_registered_client_is_not_sought_on_the_web() {
    let server = reader();
    let client = server.client();
    assert!(!server.code(&client).is_empty());
    server.get(&authorize("nobody", &[]));
    assert_eq!(server.web.fetched(), 0);
    let answer = server.register(json!({"redirect_uris": [REDIRECT]}));
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[test]
fn a_client_that_lists_none_and_signing_may_log_in_as_public() {
    let server = reader();
    let members = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://client.test/jwks.json",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    server.web.put(CLIENT, 200, &document(CLIENT, &members));
    let code = server.code(CLIENT);
    let tokens = server.form("/token", &redeem(CLIENT, &code));
    assert_eq!(tokens.status, StatusCode::OK, "{:?}", tokens.body);
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={refresh}");
    assert_eq!(server.form("/token", &form).status, StatusCode::OK);
    assert_eq!(server.web.asked("https://client.test/jwks.json"), 0);
}
