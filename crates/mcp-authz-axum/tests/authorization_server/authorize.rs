//! Metadata, the authorization endpoint and the consent page.

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION,
    SET_COOKIE,
};
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::server::*;

#[tokio::test]
async fn a_meta_1_a_meta_2_a_meta_3_a_meta_4_sec_196_metadata_says_what_the_endpoints_obey() {
    let server = server();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = server.get(path).await;
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
    let answer = server.method(Method::POST, "/.well-known/oauth-authorization-server").await;
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD")
    );
}

#[tokio::test]
async fn a_meta_1_an_issuer_with_a_path_keeps_it_everywhere() {
    let server = server_of(config("https://as.example/t1"));
    for path in [
        "/.well-known/oauth-authorization-server/t1",
        "/.well-known/openid-configuration/t1",
        "/t1/.well-known/openid-configuration",
    ] {
        assert_eq!(server.get(path).await.json()["token_endpoint"], "https://as.example/t1/token");
    }
    assert_eq!(
        server.method(Method::GET, "/t1/token").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn a_authz_1_sec_060_sec_061_sec_062_sec_064_until_both_are_right_every_error_is_a_page() {
    let server = server();
    let client = server.client().await;
    for url in [
        "/authorize".to_owned(),
        authorize("nobody", &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example"), ("response_type", "x")]),
        format!("{}&client_id={client}", authorize(&client, &[])),
        format!("{}&redirect_uri=x", authorize(&client, &[])),
    ] {
        let answer = server.get(&url).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(!answer.headers.contains_key(LOCATION), "{url}");
        assert!(!answer.html().contains("canary") && !answer.html().contains("iss"), "{url}");
        assert!(answer.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    }
    // The only registered one is used when none is named.
    let answer = server.get(&authorize(&client, &[("redirect_uri", "")])).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_authz_3_a_authz_4_a_authz_8_sec_016_sec_037_sec_065_later_errors_redirect_with_state_and_iss()
 {
    const LOCAL: &str = "http://127.0.0.1:51004/cb?keep=a%20b";
    let server = server();
    let metadata = json!({"redirect_uris": [LOCAL], "token_endpoint_auth_method": "none"});
    let client = server.register(metadata).await.json();
    let client = client["client_id"].as_str().unwrap();
    for (name, value, code) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "admin", "invalid_scope"),
        ("resource", "https://other.example/mcp", "invalid_target"),
    ] {
        let changes = [("redirect_uri", LOCAL), (name, value)];
        let answer = server.get(&authorize(client, &changes)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.header(LOCATION).starts_with(&format!("{LOCAL}&error={code}")));
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
        assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    }
}

#[tokio::test]
async fn a_authz_8_unknown_scopes_are_left_out_and_the_token_answer_names_what_was_granted() {
    let server = server();
    let client = server.client().await;
    for (asked, granted) in [
        ("files:read files:write offline_access", "files:read files:write"),
        ("openid files:write", "files:write"),
        ("offline_access", "files:read"),
        ("offline_access offline_access", "files:read"),
        ("", "files:read"),
    ] {
        let page = server.get(&authorize(&client, &[("scope", asked)])).await;
        assert_eq!(page.status, StatusCode::OK, "{asked}");
        let answer = server.consent(&page.transaction(), &page.cookie(), "allow").await;
        let redeem = redeem(&client, &answer.redirect("code").unwrap());
        let tokens = server.form("/token", &redeem).await.json();
        assert_eq!(tokens["scope"], granted, "{asked}");
        // The same words at a refresh, which never widens: what is not granted is refused there.
        let token = tokens["refresh_token"].as_str().unwrap();
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        let asked = oauth_types::encode_component(asked).to_string();
        let tokens = server.form("/token", &format!("{form}&scope={asked}")).await;
        if asked.contains("openid") {
            assert_eq!(tokens.error(), "invalid_scope");
        } else {
            assert_eq!(tokens.json()["scope"], granted, "{asked}");
        }
    }
    for asked in ["admin", "openid profile", "openid offline_access", "files:read\u{7f}"] {
        let answer = server.get(&authorize(&client, &[("scope", asked)])).await;
        assert_eq!(answer.link("error").as_deref(), Some("invalid_scope"), "{asked}");
    }
    // What is known and was not granted is refused, whatever stands beside it.
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
    for asked in ["files:write", "files:read+files:write", "openid", "openid+files:write"] {
        let answer = server.form("/token", &format!("{form}&scope={asked}")).await;
        assert_eq!(answer.error(), "invalid_scope", "{asked}");
    }
}

#[tokio::test]
async fn a_authz_1_sec_062_a_program_that_asks_for_json_gets_the_error_as_json_and_no_page() {
    let server = server();
    let client = server.client().await;
    let ask = async |url: &str, accept: &'static str| {
        let request = Request::get(url).header(http::header::ACCEPT, accept);
        server.send(request.body(Body::empty()).unwrap()).await
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
        let answer = ask(&url, "application/json").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(answer.header(http::header::CONTENT_TYPE), "application/json", "{url}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
        assert_eq!(answer.error(), error, "{url}");
        assert!(answer.json()["error_description"].is_string(), "{url}");
        assert!(!answer.headers.contains_key(LOCATION) && !answer.html().contains("canary"));
        for browser in ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*"] {
            let page = ask(&url, browser).await;
            assert_eq!(page.status, answer.status);
            assert!(page.html().starts_with("<!doctype html>"), "{url}");
        }
    }
    // What is a redirect stays one, and a page that asks is a page.
    let local = "http://127.0.0.1/cb";
    let metadata = json!({"redirect_uris": [local], "token_endpoint_auth_method": "none"});
    let native = server.register(metadata).await.json();
    let native = native["client_id"].as_str().unwrap();
    let url = authorize(native, &[("redirect_uri", local), ("scope", "admin")]);
    let answer = ask(&url, "application/json").await;
    assert_eq!(answer.redirect("error").as_deref(), Some("invalid_scope"));
    let page = ask(&authorize(&client, &[]), "application/json").await;
    assert!(page.html().contains("Allow access?"));
}

#[tokio::test]
async fn a_authz_9_sec_095_get_and_post_and_nothing_else() {
    let server = server();
    let client = server.client().await;
    let url = authorize(&client, &[]);
    let form = url.split_once('?').unwrap().1;
    assert_eq!(server.form("/authorize", form).await.status, StatusCode::OK);
    let answer = server.method(Method::PUT, &url).await;
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST")
    );
    let answer = server.get("/token").await;
    assert_eq!((answer.status, answer.header(ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(server.get("/authorize/consent").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_authz_10_sec_102_sec_116_sec_189_sec_191_sec_193_the_consent_page_is_safe_to_show() {
    let server = server();
    let answer = server
        .register(json!({
            "redirect_uris": ["http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "none",
            "client_name": "<img onerror=x>\u{202e}\u{200b}Claude",
        }))
        .await;
    let client = answer.json()["client_id"].as_str().unwrap().to_owned();
    let redirect = ("redirect_uri", "http://127.0.0.1:51004/cb");
    let page = server.get(&authorize(&client, &[redirect])).await;
    let html = page.html();
    assert!(html.contains("&lt;img onerror=x&gt;Claude") && !html.contains("<img"));
    assert!(html.contains("127.0.0.1") && html.contains("https://rs.example/mcp"));
    assert!(html.contains("See your &lt;files&gt;"));
    assert!(html.contains("own computer"), "a warning for loopback-only clients");
    assert!(!html.contains("<script") && !html.contains("src="));
    let policy = page.header(CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"));
    // Where the way back leads on to is not this page's to say.
    assert!(!policy.contains("form-action"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.header(http::header::X_FRAME_OPTIONS), "DENY");
    assert_eq!(page.header(http::header::REFERRER_POLICY), "no-referrer");
    assert_eq!(page.header(CACHE_CONTROL), "no-store");
    assert!(!page.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    let cookie = page.header(SET_COOKIE);
    assert!(cookie.starts_with("__Host-mcp-oauth="));
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test]
async fn a_authz_11_sec_103_sec_186_sec_188_a_page_is_answered_once_by_its_own_browser() {
    let server = server();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    let (transaction, cookie) = (page.transaction(), page.cookie());
    let other = server.get(&authorize(&client, &[])).await.cookie();
    for foreign in ["", "__Host-mcp-oauth=x", &other] {
        let answer = server.consent(&transaction, foreign, "allow").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(!answer.headers.contains_key(LOCATION));
    }
    assert_eq!(server.consent("guess", &cookie, "allow").await.status, StatusCode::BAD_REQUEST);
    let answer = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&code=")));
    assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let again = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn sec_187_sec_188_two_tabs_are_two_transactions_and_no_is_no() {
    let server = server();
    let client = server.client().await;
    let first = server.get(&authorize(&client, &[])).await;
    let url = authorize(&client, &[("state", "two"), ("scope", "files:write")]);
    let request = Request::get(&url).header(COOKIE, first.cookie()).body(Body::empty()).unwrap();
    let second = server.send(request).await;
    assert_eq!(first.cookie(), second.cookie());
    let denied = server.consent(&second.transaction(), &first.cookie(), "deny").await;
    assert_eq!(denied.redirect("error").as_deref(), Some("access_denied"));
    assert_eq!(denied.redirect("state").as_deref(), Some("two"));
    let allowed = server.consent(&first.transaction(), &first.cookie(), "allow").await;
    assert_eq!(allowed.redirect("state").as_deref(), Some("st/ate"));
}

#[tokio::test]
async fn sec_102_programs_on_web_pages_may_call_the_token_endpoint_and_nothing_with_a_cookie() {
    let server = server();
    let preflight = |path: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", "https://spa.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let answer = server.send(preflight("/token")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let answer = server.send(preflight("/authorize/consent")).await;
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}
