//! Both servers on loopback, and a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Extension, Router};
use client_flow::BrowserRequest;
use futures::future::{BoxFuture, join_all};
use http::header::{COOKIE, DATE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use mcp_authz_axum::{
    AuthorizationServer, Clock, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
};
use mcp_authz_reqwest::{AuthorizedClient, Error, UserAgent, VisitError};
use oauth_types::{Entropy, Issuer, RedirectUri, ResourceUri, UnixTime};
use resource_server::{AuthInfo, OperationScopes, Resource};
use tokio::net::TcpListener;

/// Both servers, their clock, and how often each path was asked for.
pub(crate) struct Servers {
    pub(crate) issuer: Issuer,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) mcp_url: String,
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) tokens: Arc<AtomicUsize>,
    pub(crate) calls: Arc<AtomicUsize>,
    /// What the token endpoint answers instead, where that is not 0; 400 is `invalid_grant`.
    pub(crate) breaks: Arc<AtomicU16>,
    /// The `Retry-After` of that answer in seconds, where it is not 0; from [`AS_A_DATE`] on a date so much later.
    pub(crate) retry_after: Arc<AtomicU64>,
    /// How often somebody came to where that answer points.
    pub(crate) followed: Arc<AtomicUsize>,
}

/// What is added to the seconds of a `Retry-After` that is to be a date.
pub(crate) const AS_A_DATE: u64 = 1_000_000_000;

pub(crate) async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

pub(crate) fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

pub(crate) async fn servers() -> Servers {
    servers_that(|_| StatusCode::OK.into_response()).await
}

/// The MCP server's own 403, of which the layer in front knows nothing.
pub(crate) fn wants_write() -> Response {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"read write\"";
    (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

/// Servers of which the MCP server answers whom it lets in like this.
pub(crate) async fn servers_that(answer: fn(&AuthInfo) -> Response) -> Servers {
    servers_with(|config| config, answer).await
}

/// The same with more in the authorization server's configuration.
pub(crate) async fn servers_with(
    change: impl FnOnce(Config) -> Config,
    answer: fn(&AuthInfo) -> Response,
) -> Servers {
    let (mcp_listener, mcp_origin) = bind().await;
    let (listener, origin) = bind().await;
    let mcp_url = format!("{mcp_origin}/mcp");
    let issuer = Issuer::parse(&origin).unwrap();
    let uri = ResourceUri::parse(&mcp_url).unwrap();
    let scopes = OperationScopes::new("read").unwrap().tool("write", "read write").unwrap();
    let scopes = scopes.tool("erase", "read erase").unwrap();
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let tell = || {
        let clock = Arc::clone(&clock);
        Clock::new(move || UnixTime::from_secs(clock.load(Ordering::SeqCst)))
    };
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let all = scopes.all().clone();
    let config = change(Config::new(issuer.clone(), vec![uri.clone()], all, keys).unwrap());
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
    let breaks = Arc::new(AtomicU16::new(0));
    let retry_after = Arc::new(AtomicU64::new(0));
    let followed = Arc::new(AtomicUsize::new(0));
    let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
        .with_clock(tell())
        .router()
        .layer(from_fn(broken(&breaks, &retry_after)))
        .layer(from_fn(count(&tokens, "/token")))
        .layer(from_fn(count(&followed, "/elsewhere")));
    let resource = Resource::new(uri, vec![issuer.clone()]).unwrap();
    let verifier = StoreVerifier::new(Arc::clone(&store), issuer.clone());
    let protect = ProtectLayer::new(resource.clone(), verifier, scopes).with_clock(tell());
    let mcp = Router::new()
        .route("/mcp", any(async move |granted: Extension<AuthInfo>| answer(&granted)))
        .layer(protect)
        .merge(metadata_routes(&resource))
        .layer(from_fn(count(&calls, "/mcp")));
    serve(mcp_listener, mcp);
    serve(listener, authorization);
    Servers { issuer, store, mcp_url, clock, tokens, calls, breaks, retry_after, followed }
}

/// Stands in front of the token endpoint, and answers for it while it is broken.
fn broken(
    breaks: &Arc<AtomicU16>,
    retry_after: &Arc<AtomicU64>,
) -> impl Fn(Request, Next) -> BoxFuture<'static, Response> + Clone + use<> {
    let (breaks, retry_after) = (Arc::clone(breaks), Arc::clone(retry_after));
    move |request, next| {
        let status = StatusCode::from_u16(breaks.load(Ordering::SeqCst));
        match status {
            Ok(status) if request.uri().path() == "/token" => {
                let error = r#"{"error": "invalid_grant"}"#;
                let body = if status == StatusCode::BAD_REQUEST { error } else { "" };
                let mut response = (status, [(LOCATION, "/elsewhere")], body).into_response();
                let seconds = retry_after.load(Ordering::SeqCst);
                if let Some(seconds) = seconds.checked_sub(AS_A_DATE) {
                    // By a clock of the server's own.
                    let sent = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
                    let date = |time| HeaderValue::try_from(httpdate::fmt_http_date(time)).unwrap();
                    let until = date(sent + Duration::from_secs(seconds));
                    response.headers_mut().extend([(DATE, date(sent)), (RETRY_AFTER, until)]);
                } else if seconds > 0 {
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                Box::pin(async move { response })
            }
            _ => Box::pin(next.run(request)),
        }
    }
}

/// A user who answers every consent page in the same way.
pub(crate) struct User {
    pub(crate) http: reqwest::Client,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) decision: &'static str,
    pub(crate) visits: Arc<AtomicUsize>,
    /// Answers no sooner than this counter has come to this figure.
    pub(crate) waits_for: Option<(Arc<AtomicUsize>, usize)>,
}

impl User {
    pub(crate) fn who(decision: &'static str) -> (Self, Arc<AtomicUsize>) {
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

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            self.visits.fetch_add(1, Ordering::SeqCst);
            if let Some((counter, figure)) = &self.waits_for {
                while counter.load(Ordering::SeqCst) < *figure {
                    tokio::time::sleep(Duration::from_millis(1)).await;
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

/// Moves the clock of waits on, which no wall clock moves.
pub(crate) async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// A client that has asked nothing yet, and how often its user was asked.
pub(crate) fn client(
    servers: &Servers,
    decision: &'static str,
) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who(decision);
    (AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap(), visits)
}

pub(crate) async fn get(client: &AuthorizedClient) -> Result<StatusCode, Error> {
    client.send(client.get(client.server_url())).await.map(|response| response.status())
}

pub(crate) async fn call(client: &AuthorizedClient, tool: &str) -> Result<StatusCode, Error> {
    let body = serde_json::json!({"method": "tools/call", "params": {"name": tool}}).to_string();
    let post = reqwest::Client::new().post(client.server_url()).body(body);
    client.execute(post.build().unwrap()).await.map(|response| response.status())
}

pub(crate) async fn all_ok(
    calls: impl IntoIterator<Item = impl Future<Output = Result<StatusCode, Error>>>,
) {
    for outcome in join_all(calls).await {
        assert_eq!(outcome.unwrap(), StatusCode::OK);
    }
}

/// Agrees once, then closes the browser.
pub(crate) struct FickleUser {
    pub(crate) inner: User,
    /// How often it was opened.
    pub(crate) windows: Arc<AtomicUsize>,
}

impl UserAgent for FickleUser {
    fn redirect_uri(&self) -> &RedirectUri {
        self.inner.redirect_uri()
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        if self.windows.fetch_add(1, Ordering::SeqCst) == 0 {
            return self.inner.visit(visit);
        }
        Box::pin(async { Err(VisitError::Declined) })
    }
}
