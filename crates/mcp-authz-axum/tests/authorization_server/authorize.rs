//! The authorization endpoint, the consent page and its cookie, over the router.

use axum::body::Body;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    COOKIE, LOCATION, SET_COOKIE,
};
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::server::*;

/// A-META-1
#[tokio::test]
async fn an_issuer_with_a_path_keeps_it_everywhere() {
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

/// A-AUTHZ-1, SEC-062
#[tokio::test]
async fn an_error_is_json_for_a_program_that_asks_for_it() {
    let server = server();
    let client = server.client().await;
    // A page with an error, and one that would lead away without a user.
    for (url, error) in [
        (authorize("nobody", &[]), "invalid_client"),
        (authorize(&client, &[("scope", "admin")]), "invalid_scope"),
        (authorize(&client, &[("prompt", "none")]), "consent_required"),
    ] {
        let ask = |accept: &str| Request::get(&url).header(ACCEPT, accept).body(Body::empty());
        let answer = server.send(ask("application/json").unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(answer.header(CONTENT_TYPE), "application/json", "{url}");
        assert_eq!(answer.error(), error, "{url}");
        let page = server.send(ask("text/html").unwrap()).await;
        assert!(page.html().starts_with("<!doctype html>"), "{url}");
    }
}

/// A-AUTHZ-10, SEC-102, SEC-116, SEC-189, SEC-191, SEC-193
#[tokio::test]
async fn the_consent_page_is_safe_to_show() {
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

/// A-AUTHZ-11, SEC-103, SEC-186, SEC-191
#[tokio::test]
async fn the_cookie_is_that_of_the_browser_that_was_asked() {
    let server = server();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    let (transaction, cookie) = (page.transaction(), page.cookie());
    let other = server.get(&authorize(&client, &[])).await.cookie();
    let value = cookie.strip_prefix("__Host-mcp-oauth=").unwrap();
    // No cookie, one of another form or another browser, and the right value under a name that other hosts can set.
    for foreign in ["", "__Host-mcp-oauth=x", &other, &format!("mcp-oauth={value}")] {
        let answer = server.consent(&transaction, foreign, "allow").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(!answer.headers.contains_key(LOCATION));
    }
    // A second tab of the same user keeps the value.
    let tab = Request::get(authorize(&client, &[])).header(COOKIE, &cookie).body(Body::empty());
    assert_eq!(server.send(tab.unwrap()).await.cookie(), cookie);
    let among_others = format!("a=b; {cookie}; c=d");
    let answer = server.consent(&transaction, &among_others, "allow").await;
    assert!(answer.redirect("code").is_some());
    let again = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

/// SEC-102
#[tokio::test]
async fn web_pages_may_call_the_token_endpoint_and_nothing_by_cookie() {
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
