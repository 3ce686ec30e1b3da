//! Metadata and the authorization endpoint.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION,
};
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::server::*;

/// A-META-1, A-META-2, A-META-3, A-META-4, SEC-196
#[test]
fn metadata_says_what_the_endpoints_obey() {
    let server = server();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = server.get(path);
        assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        let metadata = answer.json();
        assert_eq!(metadata["issuer"], "https://as.example");
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(metadata["token_endpoint"], "https://as.example/token");
        assert_eq!(
            metadata["grant_types_supported"],
            json!(["authorization_code", "refresh_token", "client_credentials"])
        );
    }
    let answer = server.method(Method::POST, "/.well-known/oauth-authorization-server");
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD")
    );
}

/// A-AUTHZ-1, SEC-060, SEC-061, SEC-062, SEC-064
#[test]
fn until_both_are_right_every_error_is_a_page() {
    let server = server();
    let client = server.client();
    for url in [
        "/authorize".to_owned(),
        authorize("nobody", &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example"), ("response_type", "x")]),
        format!("{}&client_id={client}", authorize(&client, &[])),
        format!("{}&redirect_uri=x", authorize(&client, &[])),
    ] {
        let answer = server.get(&url);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(!answer.headers.contains_key(LOCATION), "{url}");
        assert!(!answer.html().contains("canary") && !answer.html().contains("iss"), "{url}");
        assert!(answer.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    }
    // The only registered one is used when none is named.
    let answer = server.get(&authorize(&client, &[("redirect_uri", "")]));
    assert_eq!(answer.status, StatusCode::OK);
}

/// A-AUTHZ-3, A-AUTHZ-4, A-AUTHZ-8, SEC-016, SEC-037, SEC-065
#[test]
fn later_errors_redirect_with_state_and_iss() {
    const LOCAL: &str = "http://127.0.0.1:51004/cb?keep=a%20b";
    let server = server();
    let metadata = json!({"redirect_uris": [LOCAL], "token_endpoint_auth_method": "none"});
    let client = server.register(metadata).json();
    let client = client["client_id"].as_str().unwrap();
    for (name, value, code) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "admin", "invalid_scope"),
        ("resource", "https://other.example/mcp", "invalid_target"),
    ] {
        let changes = [("redirect_uri", LOCAL), (name, value)];
        let answer = server.get(&authorize(client, &changes));
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.header(LOCATION).starts_with(&format!("{LOCAL}&error={code}")));
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
        assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    }
}

/// A-AUTHZ-8
#[test]
fn unknown_scopes_are_left_out_and_the_answer_names_the_granted() {
    let server = server();
    let client = server.client();
    for (asked, granted) in [
        ("files:read files:write offline_access", "files:read files:write"),
        ("openid files:write", "files:write"),
        ("offline_access", "files:read"),
        ("offline_access offline_access", "files:read"),
        ("", "files:read"),
    ] {
        let page = server.get(&authorize(&client, &[("scope", asked)]));
        assert_eq!(page.status, StatusCode::OK, "{asked}");
        let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
        let redeem = redeem(&client, &answer.redirect("code").unwrap());
        let tokens = server.form("/token", &redeem).json();
        assert_eq!(tokens["scope"], granted, "{asked}");
        // The same words at a refresh, which never widens: what is not granted is refused there.
        let token = tokens["refresh_token"].as_str().unwrap();
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        let asked = oauth_types::encode_component(asked).to_string();
        let tokens = server.form("/token", &format!("{form}&scope={asked}"));
        if asked.contains("openid") {
            assert_eq!(tokens.error(), "invalid_scope");
        } else {
            assert_eq!(tokens.json()["scope"], granted, "{asked}");
        }
    }
    for asked in ["admin", "openid profile", "openid offline_access", "files:read\u{7f}"] {
        let answer = server.get(&authorize(&client, &[("scope", asked)]));
        assert_eq!(answer.link("error").as_deref(), Some("invalid_scope"), "{asked}");
    }
    // What is known and was not granted is refused, whatever stands beside it.
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem(&client, &code)).json();
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
    for asked in ["files:write", "files:read+files:write", "openid", "openid+files:write"] {
        let answer = server.form("/token", &format!("{form}&scope={asked}"));
        assert_eq!(answer.error(), "invalid_scope", "{asked}");
    }
}

/// A-AUTHZ-1, SEC-062
#[test]
fn a_program_that_asks_for_json_gets_the_error_as_json() {
    let server = server();
    let client = server.client();
    let ask = |url: &str, accept: &'static str| {
        let request = Request::get(url).header(http::header::ACCEPT, accept);
        server.send(request.body(Bytes::new()).unwrap())
    };
    for (url, error) in [
        (authorize("nobody", &[]), "invalid_client"),
        (authorize("https://127.0.0.1/m", &[]), "invalid_client"),
        (authorize(&client, &[("redirect_uri", "https://evil.example/canary")]), "invalid_request"),
        ("/authorize".to_owned(), "invalid_request"),
        // One that would lead away without a user: a page with a link for a browser.
        (authorize(&client, &[("prompt", "none")]), "consent_required"),
        (authorize(&client, &[("prompt", "none"), ("scope", "admin")]), "invalid_scope"),
        (authorize(&client, &[("scope", "admin")]), "invalid_scope"),
    ] {
        let answer = ask(&url, "application/json");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(answer.header(http::header::CONTENT_TYPE), "application/json", "{url}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
        assert_eq!(answer.error(), error, "{url}");
        assert!(answer.json()["error_description"].is_string(), "{url}");
        assert!(!answer.headers.contains_key(LOCATION) && !answer.html().contains("canary"));
        for browser in ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*"] {
            let page = ask(&url, browser);
            assert_eq!(page.status, answer.status);
            assert!(page.html().starts_with("<!doctype html>"), "{url}");
        }
    }
    // What is a redirect stays one, and a page that asks is a page.
    let local = "http://127.0.0.1/cb";
    let metadata = json!({"redirect_uris": [local], "token_endpoint_auth_method": "none"});
    let native = server.register(metadata).json();
    let native = native["client_id"].as_str().unwrap();
    let url = authorize(native, &[("redirect_uri", local), ("scope", "admin")]);
    let answer = ask(&url, "application/json");
    assert_eq!(answer.redirect("error").as_deref(), Some("invalid_scope"));
    let page = ask(&authorize(&client, &[]), "application/json");
    assert!(page.page.is_some());
}

/// A-AUTHZ-9, SEC-095
#[test]
fn get_and_post_and_nothing_else() {
    let server = server();
    let client = server.client();
    let url = authorize(&client, &[]);
    let form = url.split_once('?').unwrap().1;
    assert_eq!(server.form("/authorize", form).status, StatusCode::OK);
    let answer = server.method(Method::PUT, &url);
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST")
    );
    let answer = server.get("/token");
    assert_eq!((answer.status, answer.header(ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(server.get("/authorize/consent").status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A-AUTHZ-11, SEC-103, SEC-186, SEC-188
#[test]
fn a_page_is_answered_once_by_its_own_browser() {
    let server = server();
    let client = server.client();
    let page = server.get(&authorize(&client, &[]));
    let (transaction, cookie) = (page.transaction(), page.cookie());
    let other = server.get(&authorize(&client, &[])).cookie();
    for foreign in ["", "browser=x", &other] {
        let answer = server.consent(&transaction, foreign, "allow");
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(!answer.headers.contains_key(LOCATION));
    }
    assert_eq!(server.consent("guess", &cookie, "allow").status, StatusCode::BAD_REQUEST);
    let answer = server.consent(&transaction, &cookie, "allow");
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&code=")));
    assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let again = server.consent(&transaction, &cookie, "allow");
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

/// SEC-187, SEC-188
#[test]
fn two_tabs_are_two_transactions_and_no_is_no() {
    let server = server();
    let client = server.client();
    let first = server.get(&authorize(&client, &[]));
    let url = authorize(&client, &[("state", "two"), ("scope", "files:write")]);
    let second = server.get_with(&first.cookie(), &url);
    assert_eq!(first.cookie(), second.cookie());
    let denied = server.consent(&second.transaction(), &first.cookie(), "deny");
    assert_eq!(denied.redirect("error").as_deref(), Some("access_denied"));
    assert_eq!(denied.redirect("state").as_deref(), Some("two"));
    let allowed = server.consent(&first.transaction(), &first.cookie(), "allow");
    assert_eq!(allowed.redirect("state").as_deref(), Some("st/ate"));
}
