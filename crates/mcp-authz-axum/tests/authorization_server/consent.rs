//! Who is asked, who is not asked again, and whose answer counts.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::{AuthorizationRequest, ClientRecord, Config, Store as _};
use axum::body::Body;
use bytes::Bytes;
use client_auth::{Registered, VerifyingKeys};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_axum::{Browser, Login, User};
use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, SecretDigest, UnixTime};
use serde_json::json;

use crate::server::*;

const KEYS: &str = include_str!("../../../client-auth/tests/keys/public.json");
const LOOPBACK: &str = "http://127.0.0.1:51004/cb";

/// Believes the cookie `user`; sends everybody else to `/login`.
pub(crate) struct Cookies;

impl Login for Cookies {
    async fn browser(&self, headers: &HeaderMap, return_to: &str) -> Browser {
        match cookie(headers, "user") {
            Some(name) => Browser::User(User { subject: name.clone(), name }),
            None => Browser::SendTo(format!("/login?to={return_to}")),
        }
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned()).next()
}

fn remembering() -> Config {
    config("https://as.example").with_remembered_consent(Duration::from_secs(3600))
}

pub(crate) fn serve(config: Config) -> Server {
    server_with(config, Cookies, || NOW)
}

impl Server {
    pub(crate) async fn get_as(&self, user: &str, url: &str) -> Answer {
        let request = Request::get(url).header(COOKIE, format!("user={user}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post_with(&self, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = Request::post("/authorize/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    pub(crate) async fn answer_as(&self, user: &str, page: &Answer, decision: &str) -> Answer {
        let cookies = format!("user={user}; {}", page.cookie());
        self.consent(&page.transaction(), &cookies, decision).await
    }

    async fn client_at(&self, redirect: &str) -> String {
        let metadata = json!({"redirect_uris": [redirect], "token_endpoint_auth_method": "none"});
        self.register(metadata).await.json()["client_id"].as_str().unwrap().to_owned()
    }
}

fn is_page(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.html().contains("name=\"transaction\"")
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

#[tokio::test]
async fn sec_063_sec_217_an_error_leads_nobody_to_another_site_without_a_click() {
    let server = serve(remembering());
    let (client, secret) = server.confidential(REDIRECT).await;
    let errors =
        ERRORS.into_iter().chain([(("resource", "https://evil.example"), "invalid_target")]);
    // Whoever is logged in, whether the client ever got a token, and whether somebody else agreed.
    let url = authorize(&client, &[]);
    let page = server.get_as("mallory", &url).await;
    let code = server.answer_as("mallory", &page, "allow").await.redirect("code").unwrap();
    assert_eq!(
        server.form("/token", &(redeem(&client, &code) + &secret)).await.status,
        StatusCode::OK
    );
    for (change, error) in errors.clone() {
        let url = authorize(&client, &[change]);
        for answer in [server.get(&url).await, server.get_as("alice", &url).await] {
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
            assert_eq!(answer.link("state").as_deref(), Some("st/ate"));
            assert_eq!(answer.link("iss").as_deref(), Some("https://as.example"));
            assert!(answer.html().contains(">Go back to app.example</a>"), "{}", answer.html());
        }
    }
    let url = authorize(&client, &[]) + "&state=twice";
    assert_eq!(
        server.get_as("alice", &url).await.link("error").as_deref(),
        Some("invalid_request")
    );

    // Who agreed to this client and this redirect URI is led there.
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    server.answer_as("alice", &page, "allow").await;
    for (change, error) in ERRORS {
        let answer = server.get_as("alice", &authorize(&client, &[change])).await;
        if change.0 == "prompt" {
            assert_eq!(answer.link("error").as_deref(), Some(error));
        } else {
            assert!(answer.header(LOCATION).starts_with(REDIRECT), "{change:?}");
            assert_eq!(answer.redirect("error").as_deref(), Some(error), "{change:?}");
        }
        // Not to another client that has the same redirect URI, and no other user.
        let (other, _) = server.confidential(REDIRECT).await;
        for (user, client) in [("alice", &other), ("bob", &client)] {
            let answer = server.get_as(user, &authorize(client, &[change])).await;
            assert_eq!(answer.link("error").as_deref(), Some(error), "{change:?}");
        }
    }
    // What is for none of the resources, nobody agreed to.
    let url = authorize(&client, &[("resource", "https://evil.example")]);
    let answer = server.get_as("alice", &url).await;
    assert_eq!(answer.link("error").as_deref(), Some("invalid_target"));

    // The operator vouches for what it put into the store, but not for who is behind the URL of a document.
    put(&server, "dashboard", Registered::public(), &[]).await;
    put(&server, "https://client.example/oauth.json", Registered::public(), &[]).await;
    for (change, error) in ERRORS {
        let url = authorize("dashboard", &[change]);
        assert_eq!(server.get(&url).await.link("error").as_deref(), Some(error), "{change:?}");
        let answer = server.get_as("alice", &url).await;
        let (is_silent, error) = (change.0 == "prompt", Some(error.to_owned()));
        let sent = if is_silent { answer.link("error") } else { answer.redirect("error") };
        assert_eq!(sent, error, "{change:?}");
        let url = authorize("https://client.example/oauth.json", &[change]);
        assert_eq!(server.get_as("alice", &url).await.link("error"), error, "{change:?}");
    }

    // What stays on the user's machine leads to no other site.
    let native = server.client_at(LOOPBACK).await;
    let url = authorize(&native, &[("redirect_uri", LOOPBACK), ("scope", "admin")]);
    let answer = server.get(&url).await;
    assert!(answer.header(LOCATION).starts_with(&format!("{LOOPBACK}?error=invalid_scope")));
}

#[tokio::test]
async fn sec_063_sec_189_what_may_ask_nobody_redirects_nobody() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let silent = ("prompt", "none");
    for (user, changes) in [
        ("", vec![silent]),
        ("user=alice", vec![silent]),
        ("", vec![silent, ("scope", "admin")]),
        ("user=alice", vec![silent, ("scope", "admin")]),
        ("user=alice", vec![("prompt", "none consent")]),
    ] {
        let url = authorize(&client, &changes);
        let request = Request::get(&url).header(COOKIE, user).body(Body::empty()).unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{user} {changes:?}");
        assert!(!answer.headers.contains_key(LOCATION));
        // Whoever came from the application can go back to it, and sees where that is.
        let html = answer.html();
        assert!(html.contains("href=\"https://app.example/cb?keep=a%20b&amp;error="), "{html}");
        assert!(html.contains(">Go back to app.example</a>"), "{html}");
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"));
    }
    let native = server.client_at(LOOPBACK).await;
    let url = authorize(&native, &[("redirect_uri", LOOPBACK), silent]);
    for (user, error) in [("", "login_required"), ("alice", "consent_required")] {
        let answer = server.get_as(user, &url).await;
        let answer = if user.is_empty() { server.get(&url).await } else { answer };
        assert_eq!(answer.redirect("error").as_deref(), Some(error));
    }
}

#[tokio::test]
async fn a_request_that_was_posted_survives_the_login() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let url = authorize(&client, &[]);
    let answer = server.form("/authorize", url.split_once('?').unwrap().1).await;
    assert_eq!(answer.header(LOCATION), format!("/login?to={url}"));
}

#[tokio::test]
async fn what_a_user_agreed_to_is_not_asked_again() {
    let server = serve(remembering());
    let (client, secret) = server.confidential(REDIRECT).await;
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url).await;
    assert!(is_page(&page));
    assert_eq!(server.answer_as("alice", &page, "allow").await.status, StatusCode::SEE_OTHER);
    // The same, or less of it: at once, with a code that works.
    for changes in [vec![], vec![("prompt", "none")], vec![("state", "two")]] {
        let answer = server.get_as("alice", &authorize(&client, &changes)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{changes:?}");
        assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
        let code = answer.redirect("code").unwrap();
        let tokens = server.form("/token", &(redeem(&client, &code) + &secret)).await;
        assert_eq!(tokens.status, StatusCode::OK);
    }
    // Anything else, or anybody else: asked.
    for (user, changes) in [
        ("bob", vec![]),
        ("alice", vec![("scope", "files:read files:write")]),
        ("alice", vec![("prompt", "consent")]),
        ("alice", vec![("prompt", "login")]),
    ] {
        let page = server.get_as(user, &authorize(&client, &changes)).await;
        assert!(is_page(&page), "{user} {changes:?}");
    }
    let (other, _) = server.confidential(REDIRECT).await;
    assert!(is_page(&server.get_as("alice", &authorize(&other, &[])).await));
    // Who let the browser go there once, hears of what is missing.
    let wider = [("scope", "files:read files:write"), ("prompt", "none")];
    let answer = server.get_as("alice", &authorize(&client, &wider)).await;
    assert_eq!(answer.redirect("error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn a_no_is_not_remembered_and_no_yes_without_the_setting() {
    let server = serve(remembering());
    let (client, _) = server.confidential(REDIRECT).await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    server.answer_as("alice", &page, "deny").await;
    assert!(is_page(&server.get_as("alice", &authorize(&client, &[])).await));

    let server = serve(config("https://as.example"));
    let (client, _) = server.confidential(REDIRECT).await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    server.answer_as("alice", &page, "allow").await;
    assert!(is_page(&server.get_as("alice", &authorize(&client, &[])).await));
}

#[tokio::test]
async fn a_client_whose_identity_is_not_assured_is_asked_about_every_time() {
    let server = serve(remembering().with_private_use_redirects());
    for redirect in [
        LOOPBACK,
        "http://localhost/cb",
        "https://localhost/cb",
        "https://10.0.0.1/cb",
        "com.example.app:/cb",
    ] {
        let (client, _) = server.confidential(redirect).await;
        let url = authorize(&client, &[("redirect_uri", redirect)]);
        for _ in 0..2 {
            let page = server.get_as("alice", &url).await;
            assert!(is_page(&page), "{redirect}");
            let answer = server.answer_as("alice", &page, "allow").await;
            // An installed application is opened by a page that stays.
            let is_web = redirect.starts_with("http");
            let status = if is_web { StatusCode::SEE_OTHER } else { StatusCode::OK };
            assert_eq!(answer.status, status);
            assert!(!is_page(&answer));
        }
    }
}

/// A client as its makers publish it, or as the operator knows it: its identifier is no secret.
async fn put(server: &Server, id: &str, authentication: Registered, methods: &[AuthMethod]) {
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let id = ClientId::parse(id).unwrap();
    let config = remembering();
    let client = ClientRecord::preregistered(&config, id, authentication, back, NOW);
    let mut client = client.unwrap();
    client.metadata.token_endpoint_auth_methods_supported = Some(methods.to_vec());
    server.store.create_client(client, NOW).await.unwrap();
}

#[tokio::test]
async fn sec_239_an_identifier_that_anybody_knows_gets_no_code_without_the_page() {
    use AuthMethod::{ClientSecretPost, None as Public, PrivateKeyJwt};
    const SHARED: &str = "https://client.example/oauth.json";
    let named = remembering().with_remembered_client(ClientId::parse("named").unwrap());
    let server = serve(named.clone());
    let secret = || Registered::with_secret(ClientSecretPost, &Secret::new("secret"));
    put(&server, SHARED, Registered::public(), &[]).await;
    put(&server, "named", Registered::public(), &[]).await;
    put(&server, "secret", secret(), &[ClientSecretPost]).await;
    // One that may come with its key, and may come without.
    let keys = serde_json::from_str(KEYS).unwrap();
    let keys = || Registered::with_keys(VerifyingKeys::from_jwks(&keys, None).unwrap());
    if cfg!(feature = "private_key_jwt") {
        put(&server, "either", keys(), &[PrivateKeyJwt, Public]).await;
        put(&server, "signs", keys(), &[PrivateKeyJwt]).await;
    }
    let clients = [(SHARED, true), ("named", false), ("secret", false)];
    let signing = [("either", true), ("signs", false)];
    let signing = signing.into_iter().filter(|_| cfg!(feature = "private_key_jwt"));
    for (client, is_asked) in clients.into_iter().chain(signing) {
        let url = authorize(client, &[]);
        let page = server.get_as("alice", &url).await;
        assert!(is_page(&page), "{client}");
        server.answer_as("alice", &page, "allow").await;
        // The honest client's identifier and redirect URI, sent by somebody else.
        let forged = authorize(client, &[("state", "theirs")]);
        let answer = server.get_as("alice", &forged).await;
        assert_eq!(is_page(&answer), is_asked, "{client}");
        assert_eq!(answer.headers.contains_key(LOCATION), !is_asked, "{client}");
        // The client hears that there has to be a page.
        let answer = server.get_as("alice", &authorize(client, &[("prompt", "none")])).await;
        let error = answer.redirect("error");
        assert_eq!(error.as_deref(), is_asked.then_some("consent_required"), "{client}");
    }
    // Named or not, what runs on the user's machine is nobody in particular.
    let server = serve(named);
    let config = remembering();
    let back = vec![RedirectUri::parse(LOOPBACK).unwrap()];
    let id = ClientId::parse("named").unwrap();
    let native = ClientRecord::preregistered(&config, id, Registered::public(), back, NOW).unwrap();
    server.store.create_client(native, NOW).await.unwrap();
    let url = authorize("named", &[("redirect_uri", LOOPBACK)]);
    for _ in 0..2 {
        let page = server.get_as("alice", &url).await;
        assert!(is_page(&page));
        server.answer_as("alice", &page, "allow").await;
    }
}

#[tokio::test]
async fn a_remembered_answer_ends_with_its_time_or_when_it_is_withdrawn() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&seconds);
    let now = UnixTime::from_secs(1_003_600);
    let tick = move || UnixTime::from_secs(1_000_000 + clock.load(Ordering::SeqCst));
    let server = server_with(remembering(), Cookies, tick);
    let (client, _) = server.confidential(REDIRECT).await;
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url).await;
    server.answer_as("alice", &page, "allow").await;
    seconds.store(3599, Ordering::SeqCst);
    assert_eq!(server.get_as("alice", &url).await.status, StatusCode::SEE_OTHER);
    seconds.store(3600, Ordering::SeqCst);
    let page = server.get_as("alice", &url).await;
    assert!(is_page(&page));
    server.answer_as("alice", &page, "allow").await;

    let id = ClientId::parse(&client).unwrap();
    server.store.revoke_subject("bob", None, now).await.unwrap();
    assert_eq!(server.get_as("alice", &url).await.status, StatusCode::SEE_OTHER);
    server.store.revoke_subject("alice", Some(&id), now).await.unwrap();
    let page = server.get_as("alice", &url).await;
    assert!(is_page(&page));
    server.answer_as("alice", &page, "allow").await;
    let record = server.store.read_client(&id).await.unwrap().unwrap();
    server.store.delete_client(&id, now).await.unwrap();
    server.store.create_client(record, now).await.unwrap();
    assert!(is_page(&server.get_as("alice", &url).await));
}

#[tokio::test]
async fn sec_127_a_client_that_says_something_else_about_itself_is_asked_about_again() {
    let server = serve(remembering());
    let (client, _) = server.confidential(REDIRECT).await;
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url).await;
    server.answer_as("alice", &page, "allow").await;
    let record = server.store.read_client(&ClientId::parse(&client).unwrap()).await;
    let record = record.unwrap().unwrap();
    let (mut renamed, mut moved, mut rekeyed) = (record.clone(), record.clone(), record.clone());
    renamed.metadata.client_name = Some("Your bank".to_owned());
    moved.redirect_uris.push(RedirectUri::parse("https://evil.example/cb").unwrap());
    let secret = Secret::new("somebody else's");
    rekeyed.authentication = Registered::with_secret(AuthMethod::ClientSecretBasic, &secret);
    for (changed, is_asked) in [(record, false), (renamed, true), (moved, true), (rekeyed, true)] {
        // The same consents, and what the client says now.
        let request = Request::get(&url).body(Bytes::new()).unwrap();
        let config = remembering();
        let parsed = AuthorizationRequest::parse(&config, &request).unwrap();
        let request = parsed.with_client(Some(changed.clone()), NOW).unwrap().check().unwrap();
        let lookup = request.with_user(&config, "alice");
        let consent = server.store.read_consent(lookup.key().unwrap()).await.unwrap();
        let other = serve(remembering());
        other.store.put_consent(consent.unwrap()).await.unwrap();
        other.store.create_client(changed, NOW).await.unwrap();
        assert_eq!(is_page(&other.get_as("alice", &url).await), is_asked);
    }
}

/// Whether anything was kept for this page: it can still be answered, and nothing is remembered.
async fn is_untouched(server: &Server, client: &str, page: &Answer) -> bool {
    let is_asked = is_page(&server.get_as("alice", &authorize(client, &[])).await);
    is_asked && server.answer_as("alice", page, "allow").await.status == StatusCode::SEE_OTHER
}

#[tokio::test]
async fn sec_186_only_the_page_itself_answers_for_the_user_who_was_asked() {
    let server = serve(remembering());
    let client = server.client().await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    let form = format!("transaction={}&decision=allow", page.transaction());
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
        let answer = server.post_with(&headers, &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(!answer.headers.contains_key(LOCATION), "{headers:?}");
    }
    for form in
        ["", "decision=allow", "transaction=guess&decision=allow", &format!("{form}&{form}")]
    {
        let answer = server.post_with(&[("cookie", &own)], form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{form}");
    }
    assert!(is_untouched(&server, &client, &page).await);
    // What browsers say of the page's own form.
    for own_page in
        [("sec-fetch-site", "same-origin"), ("origin", "null"), ("origin", "https://as.example")]
    {
        let page = server.get_as("bob", &authorize(&client, &[("prompt", "consent")])).await;
        let form = format!("transaction={}&decision=allow", page.transaction());
        let cookies = format!("user=bob; {}", page.cookie());
        let answer = server.post_with(&[("cookie", &cookies), own_page], &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{own_page:?}");
    }
}

#[tokio::test]
async fn sec_187_the_form_changes_nothing_but_the_answer() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let other = server.client().await;
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    let cookies = format!("user=alice; {}", page.cookie());
    let form = format!(
        "transaction={}&decision=allow&scope=files:write&client_id={other}&state=x&subject=bob\
         &redirect_uri=https%3A%2F%2Fevil.example&resource=https%3A%2F%2Fevil.example",
        page.transaction()
    );
    let answer = server.post_with(&[("cookie", &cookies)], &form).await;
    assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&code=")));
    assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
    let tokens = server.form("/token", &redeem(&client, &answer.redirect("code").unwrap())).await;
    let tokens = tokens.json();
    assert_eq!(tokens["scope"], "files:read");
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    let access = server.store.access(&digest, NOW).await.unwrap().unwrap();
    assert_eq!((&*access.subject, access.client_id.as_str()), ("alice", &*client));
}

#[tokio::test]
async fn sec_191_a_login_gives_the_browser_a_value_that_nobody_had_before() {
    let server = serve(config("https://as.example"));
    let client = server.client().await;
    let url = authorize(&client, &[]);
    let with = async |user: &str, cookie: &str| {
        let request = Request::get(&url).header(COOKIE, format!("user={user}; {cookie}"));
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let planted = format!("__Host-mcp-oauth={}", "A".repeat(43));
    let first = with("alice", &planted).await;
    assert_ne!(first.cookie(), planted);
    assert!(first.header(SET_COOKIE).starts_with("__Host-mcp-oauth="));
    assert!(first.header(SET_COOKIE).ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    // A second tab of the same user keeps the value, another user gets a new one.
    assert_eq!(with("alice", &first.cookie()).await.cookie(), first.cookie());
    let other = with("bob", &first.cookie()).await;
    assert_ne!(other.cookie(), first.cookie());
    // The page that waits is not for the user who came after.
    let cookies = format!("user=bob; {}", first.cookie());
    let answer = server.consent(&first.transaction(), &cookies, "allow").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
