//! A service that opens a session for each POST without one, and answers with event streams, behind the layer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::response::Builder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use mcp_authz_axum::{Clock, ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, OperationScopes, Requirement, Resource};
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

pub(crate) const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
/// When the clock of a test begins.
const START: u64 = 1000;

/// Tokens say what they are: `subject.client.expiry`.
#[derive(Clone, Default)]
pub(crate) struct Spoken {
    pub(crate) revoked: Arc<Mutex<HashSet<String>>>,
    /// 0 answers, 1 is down, 2 says nothing.
    pub(crate) mood: Arc<AtomicUsize>,
}

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        match self.mood.load(Ordering::SeqCst) {
            0 => {}
            1 => return Err(VerifierUnavailable::new()),
            _ => std::future::pending().await,
        }
        let parts: Vec<&str> = token.expose().split('.').collect();
        let [subject, client, expiry] = parts[..] else { return Ok(None) };
        if self.revoked.lock().unwrap().contains(token.expose()) {
            return Ok(None);
        }
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(subject).unwrap(),
                ClientId::parse(client).unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse("read").unwrap())
            .with_audience([ResourceUri::parse("https://rs.example/mcp").unwrap()])
            .with_expires_at(UnixTime::from_secs(expiry.parse().unwrap())),
        )))
    }
}

/// What the service behind the layer holds and has seen.
#[derive(Clone, Default)]
pub(crate) struct Service {
    pub(crate) sessions: Arc<Mutex<HashSet<String>>>,
    opened: Arc<AtomicUsize>,
    /// `Last-Event-ID` as it came in.
    pub(crate) resumed: Arc<Mutex<Vec<String>>>,
    pub(crate) ran: Arc<AtomicUsize>,
}

impl Service {
    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        let line = |name| request.headers().get(name).map(|id| id.to_str().unwrap().to_owned());
        let (mut response, query) = (Response::builder(), request.uri().query());
        if let Some(id) = line("last-event-id") {
            self.resumed.lock().unwrap().push(id);
        }
        match line("mcp-session-id") {
            Some(id) if !self.sessions.lock().unwrap().contains(&id) => {
                return response.status(404).body(Body::empty()).unwrap();
            }
            // A service that does not end sessions.
            Some(_) if request.method() == Method::DELETE && query == Some("slow-and-kept") => {
                return response.status(500).body(Body::empty()).unwrap();
            }
            Some(id) if request.method() == Method::DELETE => {
                self.sessions.lock().unwrap().remove(&id);
                return response.status(202).body(Body::empty()).unwrap();
            }
            None if request.method() == Method::POST => {
                let id = format!("session-{}", self.opened.fetch_add(1, Ordering::SeqCst));
                response = response.header("mcp-session-id", &id);
                self.sessions.lock().unwrap().insert(id);
            }
            _ => {}
        }
        Self::body(response, query)
    }

    /// The answer that the query asks for.
    fn body(response: Builder, query: Option<&str>) -> Response<Body> {
        match query {
            // A method that the service does not have, as rmcp says it.
            Some("unknown") => response.status(404).body(Body::empty()).unwrap(),
            // A stream that goes on for ever.
            Some("stream" | "data") => {
                let kind = match query {
                    Some("stream") => "text/event-stream; charset=utf-8",
                    _ => "application/octet-stream",
                };
                let alive = stream::unfold((), async |()| {
                    sleep(Duration::from_secs(14)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b":\n\n")), ()))
                });
                response.header(CONTENT_TYPE, kind).body(Body::from_stream(alive)).unwrap()
            }
            // One that is busy.
            Some("busy") => {
                let busy = stream::unfold((), async |()| {
                    sleep(Duration::from_millis(100)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"data: x\n\n")), ()))
                });
                let kind = "Text/Event-Stream";
                response.header(CONTENT_TYPE, kind).body(Body::from_stream(busy)).unwrap()
            }
            // Messages of gRPC and their trailers, two minutes apart.
            Some("grpc") => {
                let trailers = HeaderMap::from_iter([(
                    HeaderName::from_static("grpc-status"),
                    HeaderValue::from_static("0"),
                )]);
                let frames = [Frame::data(Bytes::from_static(b"x")), Frame::trailers(trailers)];
                let frames = stream::iter(frames).then(async |frame| {
                    sleep(Duration::from_secs(120)).await;
                    Ok::<_, std::io::Error>(frame)
                });
                let body = Body::new(StreamBody::new(Box::pin(frames)));
                response.header(CONTENT_TYPE, "application/grpc").body(body).unwrap()
            }
            Some("event") => {
                let event = "id: event-0\ndata: the answer\n\n";
                response.header(CONTENT_TYPE, "text/event-stream").body(event.into()).unwrap()
            }
            _ => response.body(Body::from("{}")).unwrap(),
        }
    }
}

/// One process.
#[derive(Clone)]
pub(crate) struct Server {
    router: Router,
    pub(crate) service: Service,
    pub(crate) verifier: Spoken,
    start: Instant,
}

/// A process in front of `service`, with a clock that goes with the timers of the test.
pub(crate) fn process(
    service: Service,
    change: impl FnOnce(ProtectLayer<Spoken>) -> ProtectLayer<Spoken>,
) -> Server {
    let scopes = OperationScopes::new("read").unwrap().public_tool("search");
    process_behind(scopes, service, change)
}

pub(crate) fn process_behind(
    required: impl Into<Requirement>,
    service: Service,
    change: impl FnOnce(ProtectLayer<Spoken>) -> ProtectLayer<Spoken>,
) -> Server {
    let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = Resource::new(uri, vec![issuer]).unwrap();
    let verifier = Spoken::default();
    let start = Instant::now();
    let clock = Clock::new(move || UnixTime::from_secs(START + start.elapsed().as_secs()));
    let protect = ProtectLayer::new(resource, verifier.clone(), required).with_clock(clock);
    let served = service.clone();
    let handler = any(async move |request: Request<Body>| {
        let response = served.answer(&request);
        // Does at once what it has to do, and says so late.
        if request.uri().query().is_some_and(|query| query.starts_with("slow")) {
            sleep(Duration::from_secs(1)).await;
        }
        response
    });
    let other = any(async |request: Request<Body>| match request.method() {
        &Method::DELETE => StatusCode::ACCEPTED,
        _ => StatusCode::NOT_FOUND,
    });
    let router = Router::new().route("/mcp", handler).route("/other", other);
    let router = router.layer(change(protect));
    Server { router, service, verifier, start }
}

pub(crate) fn server() -> Server {
    process(Service::default(), |protect| protect)
}

impl Server {
    /// What the clock of the server says.
    pub(crate) fn now(&self) -> u64 {
        START + self.start.elapsed().as_secs()
    }

    /// The sessions that the service holds, when it has ended those that it was told to end.
    pub(crate) async fn held(&self) -> HashSet<String> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.service.sessions.lock().unwrap().clone()
    }

    pub(crate) async fn send(
        &self,
        (method, query): (&str, &str),
        token: &str,
        lines: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let uri = if query.starts_with('/') { query.to_owned() } else { format!("/mcp?{query}") };
        let mut request = Request::builder().method(method).uri(uri);
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Opens a session.
    pub(crate) async fn open(&self, token: &str) -> (StatusCode, HeaderMap) {
        let (parts, _) = self.send(("POST", ""), token, &[], INITIALIZE).await.into_parts();
        (parts.status, parts.headers)
    }

    /// The status of a request in a session.
    pub(crate) async fn in_session(&self, method: &str, token: &str, session: &str) -> u16 {
        let body = if method == "POST" { LIST } else { "" };
        let lines = [("mcp-session-id", session)];
        self.send((method, ""), token, &lines, body).await.status().as_u16()
    }
}

pub(crate) fn session(headers: &HeaderMap) -> String {
    headers["mcp-session-id"].to_str().unwrap().to_owned()
}
