//! The reqwest client against both servers on loopback: what many requests at once cost.

#![cfg(test)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use authorization_server::{Config, MemoryStore, RefreshKey, RefreshKeys};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Extension, Router};
use client_flow::{ClientConfig, Record, RecordKey, Visit};
use futures::future::{BoxFuture, join_all};
use http::StatusCode;
use http::header::{COOKIE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use mcp_oauth_axum::{
    AuthorizationServer, Clock, DemoLogin, Protect, StoreVerifier, metadata_routes,
};
use mcp_oauth_reqwest::{
    AuthorizedClient, CredentialStore, Error, MemoryCredentials, StoreFailed, UserAgent,
    VisitFailed,
};
use oauth_types::{Entropy, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret, UnixTime};
use resource_server::{Granted, OperationScopes, Resource};
use scope_stepup::{GaveUp, InsufficientScope, Limit, Mode, Policy};
use tokio::net::TcpListener;

/// Both servers, their clock, and how often each path was asked for.
struct Servers {
    mcp_url: String,
    clock: Arc<AtomicU64>,
    tokens: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn servers() -> Servers {
    servers_that(|_| StatusCode::OK.into_response()).await
}

/// The MCP server's own 403, of which the layer in front knows nothing.
fn wants_write() -> Response {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"read write\"";
    (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

/// Servers of which the MCP server answers whom it lets in like this.
async fn servers_that(answer: fn(&Granted) -> Response) -> Servers {
    let (mcp_listener, mcp_origin) = bind().await;
    let (listener, origin) = bind().await;
    let mcp_url = format!("{mcp_origin}/mcp");
    let issuer = Issuer::parse(&origin).unwrap();
    let uri = ResourceUri::parse(&mcp_url).unwrap();
    let scopes = OperationScopes::new("read").unwrap().tool("write", "read write").unwrap();
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let tell = || {
        let clock = Arc::clone(&clock);
        Clock::new(move || UnixTime::from_secs(clock.load(Ordering::SeqCst)))
    };
    let keys = RefreshKeys::new(RefreshKey::new(1, &Entropy::new([7; 32])));
    let all = scopes.all().clone();
    let config = Config::new(issuer.clone(), vec![uri.clone()], all, keys).unwrap();
    let store = Arc::new(MemoryStore::default());
    let tokens = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |counter: &Arc<AtomicUsize>, path: &'static str| {
        let counter = Arc::clone(counter);
        move |request: Request, next: Next| {
            counter.fetch_add(usize::from(request.uri().path() == path), Ordering::SeqCst);
            next.run(request)
        }
    };
    let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
        .with_clock(tell())
        .router()
        .layer(from_fn(count(&tokens, "/token")));
    let resource = Resource::new(uri, vec![issuer.clone()]).unwrap();
    let verifier = StoreVerifier::new(store, issuer);
    let protect =
        Protect::with(resource.clone(), verifier, scopes, scope_stepup::NoHierarchy, tell());
    let mcp = Router::new()
        .route("/mcp", any(async move |granted: Extension<Granted>| answer(&granted)))
        .layer(protect)
        .merge(metadata_routes(&resource))
        .layer(from_fn(count(&calls, "/mcp")));
    serve(mcp_listener, mcp);
    serve(listener, authorization);
    Servers { mcp_url, clock, tokens, calls }
}

/// A user who answers every consent page in the same way.
struct User {
    http: reqwest::Client,
    redirect_uri: RedirectUri,
    decision: &'static str,
    visits: Arc<AtomicUsize>,
    /// Answers no sooner than this counter has come to this figure.
    waits_for: Option<(Arc<AtomicUsize>, usize)>,
}

impl User {
    fn who(decision: &'static str) -> (Self, Arc<AtomicUsize>) {
        let none = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(none).build().unwrap();
        let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let user =
            Self { http, redirect_uri, decision, visits: Arc::clone(&visits), waits_for: None };
        (user, visits)
    }
}

impl UserAgent for User {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitFailed>> {
        Box::pin(async move {
            self.visits.fetch_add(1, Ordering::SeqCst);
            if let Some((counter, figure)) = &self.waits_for {
                while counter.load(Ordering::SeqCst) < *figure {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            let page = self.http.get(visit.url()).send().await.unwrap();
            let consent = page.url().join("/authorize/consent").unwrap();
            let cookie = page.headers()[SET_COOKIE].to_str().unwrap().to_owned();
            let html = page.text().await.unwrap();
            let (_, rest) = html.split_once("name=\"transaction\" value=\"").unwrap();
            let (transaction, _) = rest.split_once('"').unwrap();
            let form = format!("transaction={transaction}&decision={}", self.decision);
            let post = self.http.post(consent).header(COOKIE, cookie.split(';').next().unwrap());
            let answer = post.body(form).send().await.unwrap();
            Ok(answer.headers()[LOCATION].to_str().unwrap().to_owned())
        })
    }
}

/// A client that has asked nothing yet, and how often its user was asked.
fn client(servers: &Servers, decision: &'static str) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who(decision);
    (AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap(), visits)
}

async fn get(client: &AuthorizedClient) -> Result<StatusCode, Error> {
    client.send(client.get(client.server_url())).await.map(|response| response.status())
}

async fn call(client: &AuthorizedClient, tool: &str) -> Result<StatusCode, Error> {
    let body = serde_json::json!({"method": "tools/call", "params": {"name": tool}}).to_string();
    let post = reqwest::Client::new().post(client.server_url()).body(body);
    client.execute(post.build().unwrap()).await.map(|response| response.status())
}

async fn all_ok(calls: impl IntoIterator<Item = impl Future<Output = Result<StatusCode, Error>>>) {
    for outcome in join_all(calls).await {
        assert_eq!(outcome.unwrap(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c_token_8_sec_181_many_requests_share_one_login_one_refresh_and_one_step_up() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    all_ok((0..64).map(|_| get(&client))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 1));
    // The server's clock runs ahead: every request meets the dead token at once.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok((0..64).map(|_| get(&client))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 2));
    all_ok((0..64).map(|_| call(&client, "write"))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (2, 3));
    // A warm call asks nobody.
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sec_165_a_user_who_says_no_is_asked_once() {
    let servers = servers().await;
    let (mut user, visits) = User::who("deny");
    user.waits_for = Some((Arc::clone(&servers.calls), 16));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    let outcomes = join_all((0..16).map(|_| get(&client))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Flow(_)))));
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sec_165_a_declined_step_up_is_remembered_for_its_operation() {
    let servers = servers().await;
    let (user, visits) = User::who("allow");
    let user = FickleUser { inner: user, first: AtomicUsize::new(0) };
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    all_ok([get(&client)]).await;
    assert!(matches!(call(&client, "write").await, Err(Error::Visit(VisitFailed::Declined))));
    match call(&client, "write").await {
        Err(Error::InsufficientScope(error)) => {
            assert_eq!((error.reason, error.attempts), (GaveUp::Declined, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

/// Agrees once, then closes the browser.
struct FickleUser {
    inner: User,
    first: AtomicUsize,
}

impl UserAgent for FickleUser {
    fn redirect_uri(&self) -> &RedirectUri {
        self.inner.redirect_uri()
    }

    fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitFailed>> {
        if self.first.fetch_add(1, Ordering::SeqCst) == 0 {
            return self.inner.visit(visit);
        }
        Box::pin(async { Err(VisitFailed::Declined) })
    }
}

#[tokio::test]
async fn c_token_9_another_origin_gets_no_request() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    let request = client.get("http://127.0.0.1:1/mcp");
    assert!(matches!(client.send(request).await, Err(Error::ForeignOrigin)));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

fn insufficient(outcome: Result<StatusCode, Error>) -> InsufficientScope {
    match outcome {
        Err(Error::InsufficientScope(error)) => *error,
        other => panic!("{other:?}"),
    }
}

fn client_with(servers: &Servers, policy: Policy) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let store = MemoryCredentials::default();
    (AuthorizedClient::with(&servers.mcp_url, config, policy, user, store).unwrap(), visits)
}

#[tokio::test]
async fn sec_158_sec_160_a_server_that_is_never_content_ends_in_one_typed_error() {
    let servers = servers_that(|_| wants_write()).await;
    for limit in [Limit::default(), Limit::MAX] {
        let (client, visits) = client_with(&servers, Policy::default().with_limit(limit));
        let error = insufficient(get(&client).await);
        // Once it holds what is asked for, no browser opens any more.
        assert_eq!((error.reason, error.attempts), (GaveUp::AlreadyHeld, 1));
        assert_eq!(error.required, ScopeSet::parse("read write").ok());
        assert_eq!(visits.load(Ordering::SeqCst), 2, "a login and a step-up");
        insufficient(get(&client).await);
        assert_eq!(visits.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn c_scope_8_sec_159_a_limit_of_zero_and_surface_mode_open_no_browser_over_http() {
    let servers = servers().await;
    for (policy, reason) in [
        (Policy::default().with_limit(Limit::new(0)), GaveUp::LimitReached),
        (Policy::default().with_mode(Mode::Surface), GaveUp::Surfaced),
        (Policy::default().with_filter(|_, _| None), GaveUp::NotAllowed),
    ] {
        let (client, visits) = client_with(&servers, policy);
        all_ok([get(&client)]).await;
        let error = insufficient(call(&client, "write").await);
        assert_eq!((error.reason, error.attempts), (reason, 0));
        assert_eq!(error.required, ScopeSet::parse("read write").ok());
        assert_eq!(error.operation.name(), Some("write"));
        assert!(error.resource_metadata.is_some());
        assert_eq!(visits.load(Ordering::SeqCst), 1, "the login");
    }
}

#[tokio::test]
async fn c_scope_10_opening_a_stream_steps_up_like_a_call() {
    let servers = servers_that(|granted| {
        if granted.scopes().contains("write") {
            StatusCode::OK.into_response()
        } else {
            wants_write()
        }
    })
    .await;
    // 401, then 403, both for one GET.
    let (client, visits) = client(&servers, "allow");
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}

/// Keeps the last record where the test can see it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<Record>>>);

impl CredentialStore for Kept {
    fn load<'a>(&'a self, _: &'a RecordKey) -> BoxFuture<'a, Result<Option<Record>, StoreFailed>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreFailed>> {
        *self.0.lock().unwrap() = Some(record.clone());
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn c_scope_8_a_fixed_token_gets_the_typed_error() {
    let servers = servers().await;
    let unknown = AuthorizedClient::with_token(&servers.mcp_url, &Secret::new("x")).unwrap();
    assert!(matches!(get(&unknown).await, Err(Error::Unauthorized)));
    assert!(matches!(
        AuthorizedClient::with_token(&servers.mcp_url, &Secret::new("a\r\nb")),
        Err(Error::UnusableToken)
    ));
    // Somebody else logged in; this client only has the token.
    let kept = Kept::default();
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let session =
        AuthorizedClient::with(&servers.mcp_url, config, Policy::default(), user, kept.clone());
    all_ok([get(&session.unwrap())]).await;
    let token = kept.0.lock().unwrap().clone().unwrap().tokens.unwrap().access_token;
    let client = AuthorizedClient::with_token(&servers.mcp_url, &token).unwrap();
    all_ok([get(&client), get(&client)]).await;
    let error = insufficient(call(&client, "write").await);
    assert_eq!((error.reason, error.attempts), (GaveUp::NobodyToAsk, 0));
    assert_eq!(error.required, ScopeSet::parse("read write").ok());
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn c_scope_6_a_broken_answer_is_no_success_and_gives_no_attempt_back() {
    static ANSWERS: AtomicUsize = AtomicUsize::new(0);
    let servers = servers_that(|granted| match ANSWERS.fetch_add(1, Ordering::SeqCst) {
        _ if !granted.scopes().contains("write") => wants_write(),
        1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {
            let challenge = "Bearer error=\"insufficient_scope\", scope=\"more\"";
            (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
        }
    })
    .await;
    let (client, visits) = client(&servers, "allow");
    // A login, a step-up, and then the server breaks.
    assert_eq!(get(&client).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = insufficient(get(&client).await);
    assert_eq!((error.reason, error.attempts), (GaveUp::LimitReached, 1));
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}
