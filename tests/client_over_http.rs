//! The reqwest client against both servers on loopback: what many requests at once cost.

#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use authorization_server::{Config, MemoryStore, RefreshKey, RefreshKeys};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::any;
use futures::future::{BoxFuture, join_all};
use http::StatusCode;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use mcp_oauth_axum::{
    AuthorizationServer, Clock, DemoLogin, Protect, StoreVerifier, metadata_routes,
};
use mcp_oauth_reqwest::{AuthorizedClient, Error, UserAgent, VisitFailed};
use oauth_types::{Entropy, Issuer, RedirectUri, ResourceUri, UnixTime};
use resource_server::{OperationScopes, Resource};
use scope_stepup::GaveUp;
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
        .route("/mcp", any(async || "ok"))
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

    fn visit<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<String, VisitFailed>> {
        Box::pin(async move {
            self.visits.fetch_add(1, Ordering::SeqCst);
            if let Some((counter, figure)) = &self.waits_for {
                while counter.load(Ordering::SeqCst) < *figure {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            let page = self.http.get(url).send().await.unwrap();
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
    let request = client.get(client.server_url())?;
    client.execute(request).await.map(|response| response.status())
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

    fn visit<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<String, VisitFailed>> {
        if self.first.fetch_add(1, Ordering::SeqCst) == 0 {
            return self.inner.visit(url);
        }
        Box::pin(async { Err(VisitFailed::Declined) })
    }
}

#[tokio::test]
async fn c_token_9_another_origin_gets_no_request() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    let request = client.get("http://127.0.0.1:1/mcp").unwrap();
    assert!(matches!(client.execute(request).await, Err(Error::ForeignOrigin)));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}
