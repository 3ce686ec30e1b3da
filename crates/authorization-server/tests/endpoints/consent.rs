//! Errors that lead to the client or stay a page, and whose answer to the consent page counts.

use core::time::Duration;

use authorization_server::{ClientRecord, Config, Store as _};
use bytes::Bytes;
use client_auth::ClientAuthRecord;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, RedirectUri, SecretDigest};
use serde_json::json;

use crate::pages::Login;
use crate::server::*;

pub(crate) const LOOPBACK: &str = "http://127.0.0.1:51004/cb";

pub(crate) fn remembering() -> Config {
    config("https://as.example").with_remembered_consent(Duration::from_secs(3600))
}

pub(crate) fn serve(config: Config) -> Server {
    server_with(config, Login::Cookies)
}

impl Server {
    fn post_with(&self, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = Request::post("/authorize/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Bytes::from(form.to_owned())).unwrap())
    }

    fn client_at(&self, redirect: &str) -> String {
        let metadata = json!({"redirect_uris": [redirect], "token_endpoint_auth_method": "none"});
        self.register(metadata).json()["client_id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn is_page(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.page.is_some()
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

/// SEC-063, SEC-217
#[test]
fn an_error_leads_nobody_to_another_site_without_a_click() {
    let server = serve(remembering());
    let (client, secret) = server.confidential(REDIRECT);
    let errors =
        ERRORS.into_iter().chain([(("resource", "https://evil.example"), "invalid_target")]);
    // Whoever is logged in, whether the client ever got a token, and whether somebody else agreed.
    let url = authorize(&client, &[]);
    let page = server.get_as("mallory", &url);
    let code = server.answer_as("mallory", &page, "allow").redirect("code").unwrap();
    assert_eq!(server.form("/token", &(redeem(&client, &code) + &secret)).status, StatusCode::OK);
    for (change, error) in errors.clone() {
        let url = authorize(&client, &[change]);
        for answer in [server.get(&url), server.get_as("alice", &url)] {
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
            assert_eq!(answer.link("state").as_deref(), Some("st/ate"));
            assert_eq!(answer.link("iss").as_deref(), Some("https://as.example"));
            assert!(answer.html().contains(">Go back to app.example</a>"), "{}", answer.html());
        }
    }
    let url = authorize(&client, &[]) + "&state=twice";
    assert_eq!(server.get_as("alice", &url).link("error").as_deref(), Some("invalid_request"));

    // Who agreed to this client and this redirect URI is led there.
    let page = server.get_as("alice", &authorize(&client, &[]));
    server.answer_as("alice", &page, "allow");
    for (change, error) in ERRORS {
        let answer = server.get_as("alice", &authorize(&client, &[change]));
        if change.0 == "prompt" {
            assert_eq!(answer.link("error").as_deref(), Some(error));
        } else {
            assert!(answer.header(LOCATION).starts_with(REDIRECT), "{change:?}");
            assert_eq!(answer.redirect("error").as_deref(), Some(error), "{change:?}");
        }
        // Not to another client that has the same redirect URI, and no other user.
        let (other, _) = server.confidential(REDIRECT);
        for (user, client) in [("alice", &other), ("bob", &client)] {
            let answer = server.get_as(user, &authorize(client, &[change]));
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
        }
    }
    // What is for none of the resources, nobody agreed to.
    let url = authorize(&client, &[("resource", "https://evil.example")]);
    let answer = server.get_as("alice", &url);
    assert_eq!(answer.link("error").as_deref(), Some("invalid_target"));

    // The operator vouches for what it put into the store, but not for who is behind the URL of a document.
    put(&server, "dashboard", ClientAuthRecord::public(), &[]);
    put(&server, "https://client.example/oauth.json", ClientAuthRecord::public(), &[]);
    for (change, error) in ERRORS {
        let url = authorize("dashboard", &[change]);
        assert_eq!(server.get(&url).link("error").as_deref(), Some(error), "{change:?}");
        let answer = server.get_as("alice", &url);
        let (is_silent, error) = (change.0 == "prompt", Some(error.to_owned()));
        let sent = if is_silent { answer.link("error") } else { answer.redirect("error") };
        assert_eq!(sent, error, "{change:?}");
        let url = authorize("https://client.example/oauth.json", &[change]);
        assert_eq!(server.get_as("alice", &url).link("error"), error, "{change:?}");
    }

    // What stays on the user's machine leads to no other site.
    let native = server.client_at(LOOPBACK);
    let url = authorize(&native, &[("redirect_uri", LOOPBACK), ("scope", "admin")]);
    let answer = server.get(&url);
    assert!(answer.header(LOCATION).starts_with(&format!("{LOOPBACK}?error=invalid_scope")));
}

/// SEC-063, SEC-189
#[test]
fn what_may_ask_nobody_redirects_nobody() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let silent = ("prompt", "none");
    for (user, changes) in [
        ("", vec![silent]),
        ("user=alice", vec![silent]),
        ("", vec![silent, ("scope", "admin")]),
        ("user=alice", vec![silent, ("scope", "admin")]),
        ("user=alice", vec![("prompt", "none consent")]),
    ] {
        let url = authorize(&client, &changes);
        let answer = server.get_with(user, &url);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{user} {changes:?}");
        assert!(!answer.headers.contains_key(LOCATION));
        // Whoever came from the application can go back to it, and sees where that is.
        let html = answer.html();
        assert!(html.contains("href=\"https://app.example/cb?keep=a%20b&amp;error="), "{html}");
        assert!(html.contains(">Go back to app.example</a>"), "{html}");
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"));
    }
    let native = server.client_at(LOOPBACK);
    let url = authorize(&native, &[("redirect_uri", LOOPBACK), silent]);
    for (user, error) in [("", "login_required"), ("alice", "consent_required")] {
        let answer = server.get_as(user, &url);
        let answer = if user.is_empty() { server.get(&url) } else { answer };
        assert_eq!(answer.redirect("error").as_deref(), Some(error));
    }
}

#[test]
fn a_request_that_was_posted_survives_the_login() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let url = authorize(&client, &[]);
    let answer = server.form("/authorize", url.split_once('?').unwrap().1);
    assert_eq!(answer.header(LOCATION), format!("/login?to={url}"));
}

/// A client as its makers publish it, or as the operator knows it: its identifier is no secret.
pub(crate) fn put(
    server: &Server,
    id: &str,
    authentication: ClientAuthRecord,
    methods: &[AuthMethod],
) {
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let id = ClientId::parse(id).unwrap();
    let config = remembering();
    let client = ClientRecord::pre_registered(&config, id, authentication, back, NOW);
    let mut client = client.unwrap();
    client.metadata.token_endpoint_auth_methods_supported = Some(methods.to_vec());
    block_on(server.store.create_client(client, NOW)).unwrap();
}

/// Whether anything was kept for this page: it can still be answered, and nothing is remembered.
fn is_untouched(server: &Server, client: &str, page: &Answer) -> bool {
    let is_asked = is_page(&server.get_as("alice", &authorize(client, &[])));
    is_asked && server.answer_as("alice", page, "allow").status == StatusCode::SEE_OTHER
}

/// SEC-186
#[test]
fn only_the_page_itself_answers_for_the_user_who_was_asked() {
    let server = serve(remembering());
    let client = server.client();
    let page = server.get_as("alice", &authorize(&client, &[]));
    let form = format!("transaction={}&decision=allow", page.transaction());
    let own = format!("user=alice; {}", page.cookie());
    let other = format!("user=bob; {}", page.cookie());
    let nobody = page.cookie();
    let foreign = server.get_as("alice", &authorize(&client, &[])).cookie();
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
        let answer = server.post_with(&headers, &form);
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(!answer.headers.contains_key(LOCATION), "{headers:?}");
    }
    for form in
        ["", "decision=allow", "transaction=guess&decision=allow", &format!("{form}&{form}")]
    {
        let answer = server.post_with(&[("cookie", &own)], form);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{form}");
    }
    assert!(is_untouched(&server, &client, &page));
    // What browsers say of the page's own form.
    for own_page in
        [("sec-fetch-site", "same-origin"), ("origin", "null"), ("origin", "https://as.example")]
    {
        let page = server.get_as("bob", &authorize(&client, &[("prompt", "consent")]));
        let form = format!("transaction={}&decision=allow", page.transaction());
        let cookies = format!("user=bob; {}", page.cookie());
        let answer = server.post_with(&[("cookie", &cookies), own_page], &form);
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{own_page:?}");
    }
}

/// SEC-187
#[test]
fn the_form_changes_nothing_but_the_answer() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let other = server.client();
    let page = server.get_as("alice", &authorize(&client, &[]));
    let cookies = format!("user=alice; {}", page.cookie());
    let form = format!(
        "transaction={}&decision=allow&scope=files:write&client_id={other}&state=x&subject=bob\
         &redirect_uri=https%3A%2F%2Fevil.example&resource=https%3A%2F%2Fevil.example",
        page.transaction()
    );
    let answer = server.post_with(&[("cookie", &cookies)], &form);
    assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&code=")));
    assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
    let tokens = server.form("/token", &redeem(&client, &answer.redirect("code").unwrap()));
    let tokens = tokens.json();
    assert_eq!(tokens["scope"], "files:read");
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    let access = block_on(server.store.access(&digest, NOW)).unwrap().unwrap();
    assert_eq!((access.subject.as_str(), access.client_id.as_str()), ("alice", &*client));
}

/// SEC-191
#[test]
fn a_login_gives_the_browser_a_value_that_nobody_had_before() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let url = authorize(&client, &[]);
    let with = |user: &str, cookie: &str| server.get_with(&format!("user={user}; {cookie}"), &url);
    let planted = format!("browser={}", "A".repeat(43));
    let first = with("alice", &planted);
    assert_ne!(first.cookie(), planted);
    // A second tab of the same user keeps the value, another user gets a new one.
    assert_eq!(with("alice", &first.cookie()).cookie(), first.cookie());
    let other = with("bob", &first.cookie());
    assert_ne!(other.cookie(), first.cookie());
    // The page that waits is not for the user who came after.
    let cookies = format!("user=bob; {}", first.cookie());
    let answer = server.consent(&first.transaction(), &cookies, "allow");
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
