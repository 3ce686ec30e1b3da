//! Who answers: `iss` on every authorization response, and what the metadata promises about it.

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use crate::server::*;

/// The redirects with which each kind of response reaches a browser: agreed, declined, and refused before anybody
/// was asked.
fn responses(server: &Server, base: &str, redirect: &str) -> Vec<Answer> {
    let client = json!({"redirect_uris": [redirect], "token_endpoint_auth_method": "none"});
    let path = format!("{base}/register");
    let client = server.post(&path, "application/json", client.to_string()).json();
    let client = client["client_id"].as_str().unwrap().to_owned();
    let url = |changes: &[(&str, &str)]| {
        let changes = [&[("redirect_uri", redirect)], changes].concat();
        format!("{base}{}", authorize(&client, &changes))
    };
    let mut answers = vec![
        server.get(&url(&[("scope", "admin")])),
        server.get(&url(&[("code_challenge", "")])),
        server.get(&url(&[("response_type", "token")])),
    ];
    for decision in ["allow", "deny"] {
        let page = server.get(&url(&[]));
        let consent = format!("{base}/authorize/consent");
        let (transaction, cookie) = (page.transaction(), page.cookie());
        answers.push(server.decide(&consent, &transaction, &cookie, decision));
    }
    answers
}

fn count(location: &str, name: &str) -> usize {
    let (_, query) = location.split_once('?').unwrap();
    query.split('&').filter(|pair| pair.split('=').next() == Some(name)).count()
}

fn metadata(server: &Server, base: &str) -> Value {
    server.get(&format!("/.well-known/oauth-authorization-server{base}")).json()
}

/// A-META-3, A-AUTHZ-3, A-AUTHZ-4, SEC-015, SEC-016
#[test]
fn every_response_names_the_issuer_of_the_metadata() {
    for (issuer, base) in [
        ("https://as.example", ""),
        ("https://as.example/", ""),
        ("https://as.example/t1", "/t1"),
        ("https://AS.example:443", ""),
        ("http://127.0.0.1:8080", ""),
    ] {
        let server = server_of(config(issuer));
        let metadata = metadata(&server, base);
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        for redirect in ["http://127.0.0.1:4711/cb", "http://127.0.0.1:4711/cb?a=b%20c&blank=&x=1"]
        {
            for answer in responses(&server, base, redirect) {
                assert_eq!(answer.status, StatusCode::SEE_OTHER);
                let location = answer.header(LOCATION);
                assert!(location.starts_with(redirect), "the own query stays as it is: {location}");
                assert_eq!(answer.redirect("iss").as_deref(), Some(issuer), "{location}");
                assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
                for name in ["iss", "state"] {
                    assert_eq!(count(location, name), 1, "{location}");
                }
                assert_eq!(count(location, "code") + count(location, "error"), 1, "{location}");
            }
        }
    }
}

/// A-META-3, A-AUTHZ-5
#[test]
fn a_proxy_neither_names_itself_nor_promises_to() {
    let server = server_of(config("https://as.example").with_issuer_left_to_upstream());
    let metadata = metadata(&server, "");
    assert_eq!(metadata["issuer"], "https://as.example");
    assert!(metadata.get("authorization_response_iss_parameter_supported").is_none());
    for answer in responses(&server, "", "http://127.0.0.1:4711/cb") {
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(count(answer.header(LOCATION), "iss"), 0);
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
    }
}
