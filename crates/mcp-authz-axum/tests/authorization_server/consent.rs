//! The way to the login and back, errors that depend on the user, and the form of the consent page, over the router.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::{ClientRecord, Config, Store as _};
use axum::body::Body;
use client_auth::ClientAuthRecord;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{Request, StatusCode};
use oauth_types::{ClientId, FormPairs, RedirectUri, UnixTime, encode_component};
use serde_json::json;

use crate::server::*;

const LOOPBACK: &str = "http://127.0.0.1:51004/cb";

fn remembering() -> Config {
    config("https://as.example").with_remembered_consent(Duration::from_secs(3600))
}

fn is_page(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.html().contains("name=\"transaction\"")
}

impl Answer {
    /// A parameter of the link of an error page, which leads nobody on by itself.
    fn link(&self, name: &'static str) -> Option<String> {
        assert_eq!(self.status, StatusCode::BAD_REQUEST);
        assert!(!self.headers.contains_key(LOCATION) && !self.html().contains("http-equiv"));
        let (_, rest) = self.html().split_once("<a rel=\"noreferrer\" href=\"")?;
        let url = rest.split_once('"').unwrap().0.replace("&amp;", "&");
        let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }
}

impl Server {
    async fn get_as_if(&self, user: Option<&str>, url: &str) -> Answer {
        match user {
            Some(user) => self.get_as(user, url).await,
            None => self.get(url).await,
        }
    }

    /// Answers a page with these headers.
    async fn answer_with(&self, headers: &[(&str, &str)], page: &Answer, decision: &str) -> Answer {
        let mut request = Request::post("/authorize/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let form = format!("transaction={}&decision={decision}", page.transaction());
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    /// A client with a secret, whose consent is remembered, and the parameter that identifies it.
    async fn confidential(&self) -> (String, String) {
        let metadata = json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let answer = self.register(metadata).await.json();
        let secret = format!("&client_secret={}", answer["client_secret"].as_str().unwrap());
        (answer["client_id"].as_str().unwrap().to_owned(), secret)
    }

    /// Stores a client as an operator does.
    async fn put(&self, id: &str) {
        let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
        let id = ClientId::parse(id).unwrap();
        let client =
            ClientRecord::pre_registered(&remembering(), id, ClientAuthRecord::public(), back, NOW);
        self.store.create_client(client.unwrap(), NOW).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_was_posted_survives_the_login() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let url = authorize(&client, &[("state", "st/ate a&b=c%20+\u{e9}")]);
    let (path, form) = url.split_once('?').unwrap();
    for (answer, method) in
        [(server.get(&url).await, "GET"), (server.form(path, form).await, "POST")]
    {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{method}");
        let expected = format!("/login?to={}", encode_component(&url));
        assert_eq!(answer.header(LOCATION), expected, "{method}");
        // The login sends the browser on to where it came from.
        let return_to = answer.redirect("to").unwrap();
        assert_eq!(return_to, url, "{method}");
        let page = server.get_as("alice", &return_to).await;
        assert!(is_page(&page), "{method}: {}", page.html());
        let answer = server.answer_as("alice", &page, "allow").await;
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate a&b=c%20+\u{e9}"), "{method}");
        assert!(answer.redirect("code").is_some(), "{method}");
    }
}

/// Requests with an error that may be redirected, each with its code.
const ERRORS: [((&str, &str), &str); 8] = [
    (("response_type", "token"), "unsupported_response_type"),
    (("response_type", ""), "invalid_request"),
    (("code_challenge", ""), "invalid_request"),
    (("code_challenge", "short"), "invalid_request"),
    (("code_challenge_method", "plain"), "invalid_request"),
    (("code_challenge_method", ""), "invalid_request"),
    (("scope", "admin"), "invalid_scope"),
    (("prompt", "none consent"), "invalid_request"),
];

/// SEC-063, SEC-217: the user agreed to this very client.
#[tokio::test]
async fn an_error_is_redirected_only_for_a_user_who_agreed() {
    let server = serve(remembering());
    let (client, secret) = server.confidential().await;
    // Neither a login, nor a token of the client, nor the consent of another user is enough.
    let page = server.get_as("mallory", &authorize(&client, &[])).await;
    let code = server.answer_as("mallory", &page, "allow").await.redirect("code").unwrap();
    let tokens = server.form("/token", &(redeem(&client, &code) + &secret)).await;
    assert_eq!(tokens.status, StatusCode::OK);
    let wrong = authorize(&client, &[("scope", "admin")]);
    let answer = server.get_as("mallory", &wrong).await;
    assert_eq!(answer.redirect("error").as_deref(), Some("invalid_scope"));
    for (change, error) in ERRORS {
        let url = authorize(&client, &[change]);
        for answer in [server.get(&url).await, server.get_as("alice", &url).await] {
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
            assert_eq!(answer.link("state").as_deref(), Some("st/ate"));
            assert_eq!(answer.link("iss").as_deref(), Some("https://as.example"));
        }
    }

    let page = server.get_as("alice", &authorize(&client, &[])).await;
    assert!(server.answer_as("alice", &page, "allow").await.redirect("code").is_some());
    let (other, _) = server.confidential().await;
    for (change, error) in ERRORS {
        let url = authorize(&client, &[change]);
        let answer = server.get_as("alice", &url).await;
        if change.0 == "prompt" {
            // It may have been meant to be silent.
            assert_eq!(answer.link("error").as_deref(), Some(error));
        } else {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{change:?}");
            assert!(answer.header(LOCATION).starts_with(REDIRECT), "{change:?}");
            assert_eq!(answer.redirect("error").as_deref(), Some(error), "{change:?}");
            assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
        }
        // A second client with the same redirect URI, another user, no user.
        let of_other = authorize(&other, &[change]);
        for answer in [
            server.get_as("alice", &of_other).await,
            server.get_as("bob", &url).await,
            server.get(&url).await,
        ] {
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
        }
    }
    // Nobody can agree to what is for none of the resources.
    let url = authorize(&client, &[("resource", "https://evil.example")]);
    let answer = server.get_as("alice", &url).await;
    assert_eq!(answer.link("error").as_deref(), Some("invalid_target"));
}

/// SEC-063
#[tokio::test]
async fn the_consent_that_lets_an_error_redirect_ends_with_its_time() {
    let seconds = Arc::new(AtomicU64::new(NOW.as_secs()));
    let clock = Arc::clone(&seconds);
    let now = move || UnixTime::from_secs(clock.load(Ordering::SeqCst));
    let server = server_with(remembering(), Cookies, now);
    let (client, _) = server.confidential().await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    assert!(server.answer_as("alice", &page, "allow").await.redirect("code").is_some());
    let wrong = authorize(&client, &[("response_type", "token")]);
    let error = Some("unsupported_response_type");
    seconds.fetch_add(3599, Ordering::SeqCst);
    assert_eq!(server.get_as("alice", &wrong).await.redirect("error").as_deref(), error);
    seconds.fetch_add(1, Ordering::SeqCst);
    assert_eq!(server.get_as("alice", &wrong).await.link("error").as_deref(), error);
}

/// SEC-063: the user is whoever is logged in.
#[tokio::test]
async fn an_error_of_an_operators_client_is_redirected() {
    const DOCUMENT: &str = "https://client.example/oauth.json";
    let server = serve(remembering());
    // The operator vouches for what it put into the store, but not for who is behind the URL of a document.
    server.put("dashboard").await;
    server.put(DOCUMENT).await;
    for (change, error) in ERRORS {
        let url = authorize("dashboard", &[change]);
        assert_eq!(server.get(&url).await.link("error").as_deref(), Some(error), "{change:?}");
        let answer = server.get_as("alice", &url).await;
        let is_silent = change.0 == "prompt";
        let sent = if is_silent { answer.link("error") } else { answer.redirect("error") };
        assert_eq!(sent.as_deref(), Some(error), "{change:?}");
        let answer = server.get_as("alice", &authorize(DOCUMENT, &[change])).await;
        assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
    }
}

/// SEC-063, SEC-189
#[tokio::test]
async fn what_may_ask_nobody_redirects_to_this_machine_only() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let silent = ("prompt", "none");
    for (user, changes) in [
        (None, vec![silent]),
        (Some("alice"), vec![silent]),
        (None, vec![silent, ("scope", "admin")]),
        (Some("alice"), vec![silent, ("scope", "admin")]),
        (Some("alice"), vec![("prompt", "none consent")]),
    ] {
        let url = authorize(&client, &changes);
        let answer = server.get_as_if(user, &url).await;
        assert!(answer.link("error").is_some(), "{user:?} {changes:?}");
        // The user can go back to the application, and sees where that is.
        let html = answer.html();
        assert!(html.contains("href=\"https://app.example/cb?keep=a%20b&amp;error="), "{html}");
        assert!(html.contains(">Go back to app.example</a>"), "{html}");
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"));
    }
    let metadata = json!({"redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none"});
    let native = server.register(metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    for (user, change, error) in [
        (None, silent, "login_required"),
        (Some("alice"), silent, "consent_required"),
        (None, ("scope", "admin"), "invalid_scope"),
        (Some("alice"), ("scope", "admin"), "invalid_scope"),
    ] {
        let url = authorize(&native, &[("redirect_uri", LOOPBACK), change]);
        let answer = server.get_as_if(user, &url).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{user:?}");
        let start = format!("{LOOPBACK}?error={error}&");
        assert!(answer.header(LOCATION).starts_with(&start), "{}", answer.header(LOCATION));
    }
}

/// SEC-186
#[tokio::test]
async fn only_the_page_itself_answers_for_the_user_who_was_asked() {
    let server = serve(remembering());
    let (client, _) = server.confidential().await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    let own = format!("user=alice; {}", page.cookie());
    let other = format!("user=bob; {}", page.cookie());
    let nobody = page.cookie();
    let foreign = server.get_as("alice", &authorize(&client, &[])).await.cookie();
    let foreign = format!("user=alice; {foreign}");
    for headers in [
        [("cookie", "user=alice"), ("accept", "*/*")],
        [("cookie", &*foreign), ("accept", "*/*")],
        [("cookie", &*other), ("accept", "*/*")],
        [("cookie", &*nobody), ("accept", "*/*")],
        [("cookie", &*own), ("sec-fetch-site", "cross-site")],
        [("cookie", &*own), ("sec-fetch-site", "same-site")],
        [("cookie", &*own), ("sec-fetch-site", "none")],
        [("cookie", &*own), ("origin", "https://evil.example")],
        [("cookie", &*own), ("origin", "https://as.example.evil.example")],
        [("cookie", &*own), ("origin", "http://as.example")],
    ] {
        for decision in ["allow", "deny"] {
            let answer = server.answer_with(&headers, &page, decision).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?} {decision}");
            assert!(!answer.headers.contains_key(LOCATION), "{headers:?} {decision}");
        }
    }
    // None of them counted: the user is asked still, and the page can be answered.
    assert!(is_page(&server.get_as("alice", &authorize(&client, &[])).await));
    assert!(server.answer_as("alice", &page, "allow").await.redirect("code").is_some());
    // The headers that browsers send with the page's own form.
    for own_page in
        [("sec-fetch-site", "same-origin"), ("origin", "null"), ("origin", "https://as.example")]
    {
        let page = server.get_as("bob", &authorize(&client, &[("prompt", "consent")])).await;
        let cookies = format!("user=bob; {}", page.cookie());
        let answer = server.answer_with(&[("cookie", &cookies), own_page], &page, "allow").await;
        assert!(answer.redirect("code").is_some(), "{own_page:?}");
    }
}
