//! Clients that run in browsers: preflights of every endpoint and document, and answers to installed applications.

use authorization_server::Config;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, ORIGIN,
};
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::server::*;

const INSPECTOR: &str = "http://localhost:6274";
const APP: &str = "com.example.app:/cb";

async fn preflight(server: &Server, path: &str, method: &str, headers: &str) -> Answer {
    let request = Request::options(path)
        .header(ORIGIN, INSPECTOR)
        .header(ACCESS_CONTROL_REQUEST_METHOD, method)
        .header(ACCESS_CONTROL_REQUEST_HEADERS, headers);
    server.send(request.body(Body::empty()).unwrap()).await
}

/// SEC-102, SEC-196
#[tokio::test]
async fn everything_that_a_client_calls_answers_preflights() {
    for issuer in ["https://as.example", "https://as.example/tenant"] {
        let server = server_of(config(issuer));
        let paths = config(issuer).paths();
        let documents = paths.metadata.iter().map(|path| ("GET", path));
        let endpoints = [&paths.token, &paths.register, &paths.revoke];
        for (method, path) in endpoints.map(|path| ("POST", path)).into_iter().chain(documents) {
            let asked = "authorization,content-type,dpop,mcp-protocol-version";
            let answer = preflight(&server, path, method, asked).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*", "{path}");
            assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_METHODS), method, "{path}");
            for name in asked.split(',') {
                let allowed = answer.header(ACCESS_CONTROL_ALLOW_HEADERS);
                assert!(allowed.split(',').any(|own| own == name), "{path}: {allowed}");
            }
            assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS), "{path}");
            assert!(answer.body.is_empty(), "{path}");

            let request = Request::builder().method(method).uri(path).header(ORIGIN, INSPECTOR);
            let answer = server.send(request.body(Body::empty()).unwrap()).await;
            let origins = answer.headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
            assert_eq!(origins.collect::<Vec<_>>(), ["*"], "{path}");
            let exposed = answer.header(ACCESS_CONTROL_EXPOSE_HEADERS);
            assert!(exposed.contains("www-authenticate"), "{path}: {exposed}");
        }
        // What a browser shows, and what looks at cookies, is no page's to read.
        for path in [&paths.authorize, &paths.consent] {
            let answer = preflight(&server, path, "POST", "content-type").await;
            assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
            let request = Request::get(path).header(ORIGIN, INSPECTOR).body(Body::empty());
            let answer = server.send(request.unwrap()).await;
            assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
        }
    }
}

fn installed(config: Config) -> Server {
    serve(config.with_private_use_redirects())
}

async fn client_of_app(server: &Server) -> String {
    let metadata = json!({"redirect_uris": [APP], "token_endpoint_auth_method": "none"});
    server.register(metadata).await.json()["client_id"].as_str().unwrap().to_owned()
}

/// The address that a page opens by itself, and that its link leads to.
fn opened(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key(LOCATION));
    assert!(answer.html().contains("You can close this window"), "{}", answer.html());
    let policy = answer.header(CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let between = |start: &str| {
        let (_, rest) = answer.html().split_once(start).unwrap();
        rest.split_once('"').unwrap().0.replace("&amp;", "&")
    };
    let url = between("<meta http-equiv=\"refresh\" content=\"0;url=");
    assert_eq!(url, between("<a rel=\"noreferrer\" href=\""));
    url
}

#[tokio::test]
async fn an_installed_application_is_opened_by_a_page_that_stays() {
    let server = installed(config("https://as.example"));
    let client = client_of_app(&server).await;
    let url = authorize(&client, &[("redirect_uri", APP)]);
    for (decision, starts) in [("allow", "code="), ("deny", "error=access_denied")] {
        let page = server.get_as("alice", &url).await;
        assert!(page.html().contains("Any program on your own computer"));
        let opened = opened(&server.answer_as("alice", &page, decision).await);
        assert!(opened.starts_with(&format!("{APP}?{starts}")), "{opened}");
        assert!(
            opened.contains("&state=st%2Fate") && opened.contains("&iss=https%3A%2F%2Fas.example")
        );
    }
    // An error leads there in the same way.
    let wrong = authorize(&client, &[("redirect_uri", APP), ("response_type", "token")]);
    let opened = opened(&server.get_as("alice", &wrong).await);
    assert!(opened.starts_with(&format!("{APP}?error=unsupported_response_type")), "{opened}");
}

/// SEC-063
#[tokio::test]
async fn an_application_is_not_opened_unasked() {
    let server = installed(config("https://as.example"));
    let client = client_of_app(&server).await;
    let silent = authorize(&client, &[("redirect_uri", APP), ("prompt", "none")]);
    for user in ["", "alice"] {
        let answer = server.get_as(user, &silent).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(!answer.html().contains("http-equiv"), "{}", answer.html());
        assert!(answer.html().contains(&format!("href=\"{APP}?error=")), "{}", answer.html());
    }
    assert_eq!(
        server.method(Method::PUT, "/authorize").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}
