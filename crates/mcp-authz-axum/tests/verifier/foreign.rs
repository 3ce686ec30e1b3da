//! An authorization server that is not ours: it answers what it is told to, and counts.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use oauth_types::Issuer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// JSON if nothing is said.
    pub(crate) content_type: &'static str,
    pub(crate) location: String,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn json(body: &(impl ToString + ?Sized)) -> Self {
        Self { body: body.to_string(), ..Self::default() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..Self::default() }
    }
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Foreign {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<Heard>>>,
    /// How many requests are being answered, and the most that ever were.
    at_once: Arc<Mutex<(usize, usize)>>,
    running: JoinHandle<()>,
}

impl Foreign {
    /// One that knows nothing yet: 404 wherever it is asked.
    pub(crate) async fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(BTreeMap::<String, Answer>::new()));
        let (asked, at_once) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new((0, 0))));
        let (known, log, count) = (Arc::clone(&answers), Arc::clone(&asked), Arc::clone(&at_once));
        let router = Router::new().fallback(async move |request: Request<Body>| {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let path = parts.uri.path().to_owned();
            let answer = known.lock().unwrap().get(&path).cloned();
            let (method, headers) = (parts.method, parts.headers);
            log.lock().unwrap().push(Heard { method, path, headers, body });
            let answer = answer.unwrap_or_else(|| Answer::status(404));
            let counted = |change: fn(usize) -> usize| {
                let mut count = count.lock().unwrap();
                count.0 = change(count.0);
                count.1 = count.1.max(count.0);
            };
            counted(|now| now + 1);
            tokio::time::sleep(answer.delay).await;
            counted(|now| now - 1);
            let json = answer.content_type.is_empty().then_some("application/json");
            Response::builder()
                .status(answer.status)
                .header(CONTENT_TYPE, json.unwrap_or(answer.content_type))
                .header(LOCATION, answer.location)
                .body(Body::from(answer.body))
                .unwrap()
        });
        let running = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, answers, asked, at_once, running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn issuer(&self) -> Issuer {
        Issuer::parse(&self.url("")).unwrap()
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// How often it was asked for this.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|own| own.path == path).count()
    }

    /// What it was asked there.
    pub(crate) fn heard(&self, path: &str) -> Vec<Heard> {
        self.asked.lock().unwrap().iter().filter(|own| own.path == path).cloned().collect()
    }

    /// The most requests that it had to answer at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.at_once.lock().unwrap().1
    }

    /// How often it was asked for anything.
    #[cfg(feature = "jwt")]
    pub(crate) fn all(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Nobody listens any more, and connections are cut.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.running.abort();
        let _ = self.running.await;
        self.address
    }
}

/// Waits for background work, at most 30 seconds, until the condition holds.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition did not hold in 30 seconds");
}
