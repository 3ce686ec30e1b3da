//! Logins of a user and of an attacker, with a consent that the provider remembers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use authorization_server::Store as _;
use axum::body::Body;
use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use mcp_authz_axum::User;
use oauth_types::{CodeVerifier, EndpointUrl, Entropy, FormPairs, SecretDigest, Subject};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::sessions::Sessions;

/// Scripted browser; its cookies belong to a host and its port.
struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

struct Page {
    url: String,
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl Browser {
    /// Creates a browser whose user is logged in at the provider.
    fn of(user: &str, servers: &Servers) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let provider = servers.provider.registration().unwrap().issuer;
        let cookie = [("provider".to_owned(), user.to_owned())];
        let cookies = [(provider.as_str().to_owned(), cookie.into())].into();
        Self { http: http.build().unwrap(), cookies }
    }

    async fn send(&mut self, url: &str, form: Option<String>) -> Page {
        let origin = EndpointUrl::parse(url).unwrap().origin().to_string();
        let own = self.cookies.entry(origin).or_default();
        let cookies: Vec<_> = own.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = match form {
            Some(form) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin")
                .body(form),
            None => self.http.get(url),
        };
        let answer = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            own.insert(name.to_owned(), value.to_owned());
        }
        let status = answer.status();
        let location = answer.headers().get(LOCATION).map(|url| url.to_str().unwrap().to_owned());
        // A path stays at the same server.
        let location = location.map(|to| match to.strip_prefix('/') {
            Some(_) => format!("{}{to}", EndpointUrl::parse(url).unwrap().origin()),
            None => to,
        });
        let url = url.to_owned();
        Page { url, status, location, body: answer.text().await.unwrap() }
    }

    async fn open(&mut self, url: &str) -> Page {
        self.send(url, None).await
    }

    /// Follows redirects up to a page, or to a redirect that leads to a client.
    async fn follow(&mut self, mut page: Page, until: &str) -> Page {
        while let Some(next) = page.location.as_deref()
            && next.starts_with("http://127.0.0.1:")
            && !next.starts_with(until)
        {
            page = self.open(next).await;
        }
        page
    }

    async fn allow(&mut self, servers: &Servers, page: &Page) -> Page {
        let (_, rest) = page.body.split_once("name=\"transaction\" value=\"").unwrap();
        let transaction = rest.split_once('"').unwrap().0;
        let url = format!("{}/authorize/consent", servers.issuer);
        self.send(&url, Some(format!("transaction={transaction}&decision=allow"))).await
    }
}

impl Page {
    fn parameter(&self, name: &'static str) -> Option<String> {
        let form = FormPairs::parse(self.location.as_ref()?.split_once('?')?.1.as_bytes()).unwrap();
        form.single(name).unwrap().map(str::to_owned)
    }
}

fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

impl Servers {
    /// Registers a client; returns its identifier and its authorization URL.
    async fn client(&self, redirect_uri: &str) -> (String, String) {
        let metadata = json!({
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "none",
            "client_name": "Client",
        });
        let request = reqwest::Client::new().post(format!("{}/register", self.issuer));
        let request = request.header(CONTENT_TYPE, "application/json").body(metadata.to_string());
        let answer = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let client = answer["client_id"].as_str().unwrap().to_owned();
        let authorize = EndpointUrl::parse(&format!("{}/authorize", self.issuer)).unwrap();
        let url = authorize.with_query([
            ("response_type", "code"),
            ("client_id", &*client),
            ("redirect_uri", redirect_uri),
            ("code_challenge", verifier().challenge().as_str()),
            ("code_challenge_method", "S256"),
        ]);
        (client, url)
    }

    fn provider_url(&self) -> String {
        self.provider.registration().unwrap().authorize.to_string()
    }

    fn visits(&self) -> usize {
        self.provider.visits.load(Ordering::SeqCst)
    }

    /// Redeems this code; returns the subject of the token.
    async fn subject(&self, client: &str, code: &str) -> String {
        let verifier = verifier();
        let form = format!(
            "grant_type=authorization_code&client_id={client}&code={code}&code_verifier={}",
            verifier.as_secret().expose()
        );
        let request = reqwest::Client::new().post(format!("{}/token", self.issuer)).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert!(!answer.contains("provider-token"), "the provider's token stays here");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let digest = SecretDigest::of(answer["access_token"].as_str().unwrap());
        let record = self.store.access(&digest, oauth_types::UnixTime::from_secs(0)).await;
        record.unwrap().unwrap().subject.to_string()
    }
}

const APP: &str = "https://app.example/cb";
const EVIL: &str = "https://evil.example/cb";

/// SEC-190
#[tokio::test]
async fn the_user_agrees_first_and_logs_in_at_the_provider_then() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let mut alice = Browser::of("alice", &servers);
    let (client, url) = servers.client(APP).await;
    let page = alice.open(&url).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("app.example") && page.body.contains("log in at"));
    assert_eq!(servers.visits(), 0);

    let answered = alice.allow(&servers, &page).await;
    let back = alice.follow(answered, "nowhere").await;
    assert_eq!(servers.visits(), 1);
    assert!(back.location.as_ref().unwrap().starts_with(APP), "{}", back.body);
    let code = back.parameter("code").unwrap();
    let provider = servers.provider.registration().unwrap().issuer;
    assert_eq!(servers.subject(&client, &code).await, format!("{provider} alice"));

    // The return URL works once.
    let again = alice.open(&back.url).await;
    assert_eq!((again.status, again.location), (StatusCode::BAD_REQUEST, None));

    // She is logged in here now, so the page shows her name and the provider is not visited.
    let (_, url) = servers.client(APP).await;
    let page = alice.open(&url).await;
    assert!(page.body.contains("alice") && !page.body.contains("log in at"));
    let answered = alice.allow(&servers, &page).await;
    assert!(answered.location.unwrap().starts_with(APP));
    assert_eq!(servers.visits(), 1);
}

/// SEC-190: the provider remembers it.
#[tokio::test]
async fn an_attackers_client_gains_nothing_from_a_remembered_login() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let (_, url) = servers.client(EVIL).await;
    // The provider would not ask alice, but she is asked here first.
    let mut alice = Browser::of("alice", &servers);
    for changed in ["", "&prompt=none", "&scope=unknown"] {
        let page = alice.open(&format!("{url}{changed}")).await;
        let page = alice.follow(page, "nowhere").await;
        assert_eq!(page.location, None, "{changed}");
    }
    assert_eq!(servers.visits(), 0);

    // She is asked here even after an earlier visit for a client that she trusts.
    let (_, trusted) = servers.client(APP).await;
    let page = alice.open(&trusted).await;
    let answered = alice.allow(&servers, &page).await;
    assert!(alice.follow(answered, "nowhere").await.location.unwrap().starts_with(APP));
    let page = alice.open(&url).await;
    assert_eq!((page.status, page.location), (StatusCode::OK, None));
    assert!(page.body.contains("evil.example"));
    assert_eq!(servers.visits(), 1);
}

/// SEC-190
#[tokio::test]
async fn what_the_attacker_agreed_to_is_no_good_in_another_browser() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let (client, url) = servers.client(EVIL).await;
    let mut mallory = Browser::of("mallory", &servers);
    let page = mallory.open(&url).await;
    let agreed = mallory.allow(&servers, &page).await;
    let login = agreed.location.clone().unwrap();
    assert!(login.contains("/login?return_to="));
    let sent = mallory.follow(agreed, &servers.provider_url()).await;
    let at_provider = sent.location.clone().unwrap();

    // Alice is lured to the provider with the state of mallory's browser: her code is refused.
    let mut alice = Browser::of("alice", &servers);
    let lured = alice.open(&at_provider).await;
    let lured = alice.follow(lured, "nowhere").await;
    assert!(lured.url.contains("/callback?code="));
    assert_eq!((lured.status, lured.location), (StatusCode::BAD_REQUEST, None));

    // Alice logs in on the return URL of mallory's consent, whose question belongs to mallory's browser.
    let lured = alice.open(&login).await;
    let lured = alice.follow(lured, "nowhere").await;
    assert!(lured.url.contains("/authorize/consent?transaction="));
    assert_eq!((lured.status, lured.location), (StatusCode::FORBIDDEN, None));

    // Mallory's own response works in mallory's browser.
    let back = mallory.follow(sent, "nowhere").await;
    let subject = servers.subject(&client, &back.parameter("code").unwrap()).await;
    assert!(subject.ends_with(" mallory"), "{subject}");
}

/// SEC-190
#[tokio::test]
async fn an_answer_counts_from_the_provider_and_to_the_question_only() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let (_, url) = servers.client(APP).await;
    let mut alice = Browser::of("alice", &servers);
    let page = alice.open(&url).await;
    let agreed = alice.allow(&servers, &page).await;
    let sent = alice.follow(agreed, &servers.provider_url()).await;
    let answer = alice.open(sent.location.as_ref().unwrap()).await;
    let (right, iss) = (answer.location.clone().unwrap(), answer.parameter("iss").unwrap());
    let encoded = iss.replace(':', "%3A").replace('/', "%2F");
    let state = answer.parameter("state").unwrap();
    for wrong in [
        right.replace(&encoded, "https%3A%2F%2Fevil.example"),
        right.replace(&format!("&iss={encoded}"), ""),
        right.replace(&state, "guess"),
        format!("{right}&code=another"),
    ] {
        assert_ne!(wrong, right);
        let page = alice.open(&wrong).await;
        assert_eq!((page.status, page.location), (StatusCode::BAD_REQUEST, None), "{wrong}");
    }
    // A return path to another host is refused.
    for elsewhere in [
        "https://evil.example",
        "//evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/%09%5Cevil.example",
        "/%0A/evil.example",
    ] {
        let page = alice.open(&format!("{}/login?return_to={elsewhere}", servers.issuer)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
    }
    let back = alice.follow(answer, "nowhere").await;
    assert!(back.location.unwrap().starts_with(APP));
}

#[tokio::test]
async fn what_strangers_begin_is_kept_nowhere_and_ends_no_login() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let (_, url) = servers.client(APP).await;
    let mut alice = Browser::of("alice", &servers);
    let page = alice.open(&url).await;
    let agreed = alice.allow(&servers, &page).await;
    let sent = alice.follow(agreed, &servers.provider_url()).await;
    let router = servers.login.router();
    for n in 0..10_000 {
        let request = http::Request::get(format!("/login?return_to=/{n}")).body(Body::empty());
        let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(servers.login.kept(), 0);
    let back = alice.follow(sent, "nowhere").await;
    assert!(back.location.unwrap().starts_with(APP));
}

#[tokio::test]
async fn a_visit_is_answered_once_by_answers_at_the_same_moment() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let (_, url) = servers.client(APP).await;
    let mut alice = Browser::of("alice", &servers);
    let page = alice.open(&url).await;
    let agreed = alice.allow(&servers, &page).await;
    let sent = alice.follow(agreed, &servers.provider_url()).await;
    let answer = alice.open(sent.location.as_ref().unwrap()).await;
    let callback = answer.location.unwrap();
    let cookies = alice.cookies[servers.issuer.as_str()].clone();
    let callback = callback.strip_prefix(servers.issuer.as_str()).unwrap().to_owned();
    let send = || {
        let request =
            http::Request::get(&callback).header(COOKIE, format!("login={}", cookies["login"]));
        servers.login.router().oneshot(request.body(Body::empty()).unwrap())
    };
    let (one, other) = tokio::join!(send(), send());
    let mut statuses = [one.unwrap().status(), other.unwrap().status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::BAD_REQUEST]);
    assert_eq!(servers.provider.codes_asked(), 1);
}

#[tokio::test]
async fn a_visit_that_was_changed_or_is_another_servers_is_not_opened() {
    let servers = Servers::start((0, 0)).await.unwrap();
    let others = Servers::start((0, 0)).await.unwrap();
    let start = async |servers: &Servers| {
        let answer = servers
            .login
            .router()
            .oneshot(http::Request::get("/login?return_to=/").body(Body::empty()).unwrap());
        let answer = answer.await.unwrap();
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        let state = answer.headers()[LOCATION].to_str().unwrap().split_once("state=").unwrap();
        let state = state.1.split_once('&').unwrap().0.to_owned();
        (cookie.split_once(';').unwrap().0.to_owned(), state)
    };
    let (foreign, state) = start(&others).await;
    let (own, _) = start(&servers).await;
    let changed = format!("{}A", &own[..own.len() - 1]);
    for cookie in [&foreign, &changed, "login=", "login=x"] {
        let url = format!("/callback?code=c&state={state}");
        let request = http::Request::get(url).header(COOKIE, cookie);
        let answer = servers.login.router().oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), StatusCode::BAD_REQUEST, "{cookie}");
    }
    assert_eq!(servers.provider.codes_asked(), 0);
    // A return path that is too long for a cookie is refused at once.
    let long = format!("/login?return_to=/{}", "a".repeat(4_000));
    let answer =
        servers.login.router().oneshot(http::Request::get(long).body(Body::empty()).unwrap());
    assert_eq!(answer.await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[test]
fn a_session_beyond_the_limit_of_a_user_ends_the_oldest() {
    let (sessions, user) =
        (Sessions::default(), |name: &str| User::new(Subject::parse(name).unwrap(), name));
    let bob = sessions.begin(user("bob")).unwrap();
    let first = sessions.begin(user("alice")).unwrap();
    let all: Vec<_> = (0..100).map(|_| sessions.begin(user("alice")).unwrap()).collect();
    assert_eq!(sessions.len(), 17);
    assert_eq!(sessions.user(first.expose()), None);
    assert_eq!(sessions.user(bob.expose()), Some(user("bob")));
    assert!(all[84..].iter().all(|key| sessions.user(key.expose()).is_some()));
}
