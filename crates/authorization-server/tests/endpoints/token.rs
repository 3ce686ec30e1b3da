//! The token and revocation endpoints.

use authorization_server::Store as _;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use oauth_types::SecretDigest;
use serde_json::json;

use crate::server::*;

/// A-TOKEN-1, A-TOKEN-6, SEC-101
#[test]
fn a_code_gives_tokens_for_its_resource() {
    let server = server();
    let client = server.client();
    let code = server.code(&client);
    let answer = server.form("/token", &redeem(&client, &code));
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "files:read");
    // A-TOKEN-8
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    let record = block_on(server.store.access(&digest, NOW)).unwrap().unwrap();
    assert_eq!(record.resource.as_str(), "https://rs.example/mcp");
    assert_eq!(record.subject.as_str(), "demo");
}

/// A-TOKEN-8, SEC-092
#[test]
fn the_audience_is_the_authorized_resource() {
    let server = server();
    let client = server.client();
    let code = server.code(&client);
    let body = format!("{}&resource=https%3A%2F%2Fevil.example", redeem(&client, &code));
    assert_eq!(server.form("/token", &body).error(), "invalid_target");
    let twice = "&resource=https%3A%2F%2Frs.example%2Fmcp".repeat(2);
    let body = format!("{}{twice}", redeem(&client, &code));
    assert_eq!(server.form("/token", &body).error(), "invalid_target");
    assert_eq!(server.form("/token", &redeem(&client, &code)).status, StatusCode::OK);
}

/// A-TOKEN-2, SEC-027
#[test]
fn a_second_use_ends_what_the_first_gave() {
    let server = server();
    let client = server.client();
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem(&client, &code)).json();
    let again = server.form("/token", &redeem(&client, &code));
    assert_eq!(
        (again.status, again.error()),
        (StatusCode::BAD_REQUEST, "invalid_grant".to_owned())
    );
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    assert!(block_on(server.store.access(&digest, NOW)).unwrap().is_none());
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let body = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
    assert_eq!(server.form("/token", &body).error(), "invalid_grant");
}

/// A-TOKEN-3, SEC-042, SEC-043, SEC-044
#[test]
fn a_verifier_that_does_not_match() {
    let server = server();
    let client = server.client();
    let code = server.code(&client);
    let body = redeem(&client, &code);
    let right = verifier().as_secret().expose().to_owned();
    for (wrong, error) in [
        ("x".repeat(43), "invalid_grant"),
        ("x".repeat(42), "invalid_request"),
        (String::new(), "invalid_grant"),
    ] {
        let answer = server.form("/token", &body.replace(&right, &wrong));
        assert_eq!(answer.error(), error, "{wrong}");
    }
    assert_eq!(server.form("/token", &body).status, StatusCode::OK);
}

/// A-TOKEN-7, SEC-096
#[test]
fn unknown_and_foreign_grants() {
    let server = server();
    let client = server.client();
    let answer = server.form("/token", &format!("grant_type=password&client_id={client}"));
    assert_eq!(answer.error(), "unsupported_grant_type");
    let only_codes =
        server.register(json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}));
    let client = only_codes.json()["client_id"].as_str().unwrap().to_owned();
    let body = format!("grant_type=refresh_token&refresh_token=x&client_id={client}");
    assert_eq!(server.form("/token", &body).error(), "unauthorized_client");
    // And such a client gets no refresh token.
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem(&client, &code)).json();
    assert!(tokens.get("refresh_token").is_none());
}

/// A-TOKEN-10, SEC-083, SEC-091, SEC-095, SEC-098
#[test]
fn only_small_forms_in_the_body_are_read() {
    let server = server();
    let json = server.post("/token", "application/json", "{}");
    assert_eq!(
        (json.status, json.error()),
        (StatusCode::BAD_REQUEST, "invalid_request".to_owned())
    );
    let request = Request::post("/token").body(Bytes::from("grant_type=x")).unwrap();
    assert_eq!(server.send(request).status, StatusCode::BAD_REQUEST);
    let in_query = server.form("/token?client_secret=canary", "grant_type=x&client_id=c");
    assert_eq!(in_query.error(), "invalid_request");
    let twice = server.form("/token", "grant_type=x&client_id=c&client_id=c");
    assert_eq!(twice.error(), "invalid_request");
    for (path, kind) in [
        ("/token", "application/x-www-form-urlencoded"),
        ("/revoke", "application/x-www-form-urlencoded"),
        ("/register", "application/json"),
    ] {
        let huge = server.post(path, kind, "x".repeat(10 * 1024 * 1024));
        assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(huge.header(CONTENT_TYPE).starts_with("application/json"));
    }
    let many = server.form("/token", &"a=1&".repeat(10_000));
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
}

/// SEC-094
#[test]
fn a_parameter_that_nobody_knows_is_ignored() {
    let server = server();
    let client = server.client();
    let page = server.get(&format!("{}&x=1&constructor=y", authorize(&client, &[])));
    let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
    let body = format!("{}&x=1&audience=y", redeem(&client, &answer.redirect("code").unwrap()));
    assert_eq!(server.form("/token", &body).status, StatusCode::OK);
}

/// A-AUTHN-5, SEC-080
#[test]
fn an_unknown_client_and_a_wrong_secret_read_the_same() {
    let server = server();
    let answer = server.register(
        json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"}),
    );
    let client = answer.json()["client_id"].as_str().unwrap().to_owned();
    let body = |client: &str| {
        format!("grant_type=authorization_code&code=x&client_id={client}&client_secret=wrong")
    };
    let known = server.form("/token", &body(&client));
    let unknown = server.form("/token", &body("nobody"));
    assert_eq!(known.status, StatusCode::UNAUTHORIZED);
    assert!(known.header(WWW_AUTHENTICATE).starts_with("Basic"));
    assert_eq!(
        (known.status, &known.headers, &known.body),
        (unknown.status, &unknown.headers, &unknown.body)
    );
}

/// A-REV-1, SEC-178, SEC-179
#[test]
fn revocation_ends_the_family_of_its_owner_only() {
    let server = server();
    let (client, other) = (server.client(), server.client());
    let code = server.code(&client);
    let tokens = server.form("/token", &redeem(&client, &code)).json();
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let digest = SecretDigest::of(access);
    for body in [
        format!("client_id={other}&token={refresh}"),
        format!("client_id={other}&token={access}"),
        format!("client_id={client}&token=unknown&token_type_hint=nonsense"),
    ] {
        assert_eq!(server.form("/revoke", &body).status, StatusCode::OK);
        assert!(block_on(server.store.access(&digest, NOW)).unwrap().is_some());
    }
    let missing = server.form("/revoke", &format!("client_id={client}"));
    assert_eq!(missing.error(), "invalid_request");
    let nobody = server.form("/revoke", &format!("client_id=nobody&token={refresh}"));
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    let body = format!("client_id={client}&token={refresh}");
    assert_eq!(server.form("/revoke", &body).status, StatusCode::OK);
    assert!(block_on(server.store.access(&digest, NOW)).unwrap().is_none());
}
