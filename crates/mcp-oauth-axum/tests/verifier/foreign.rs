//! An authorization server that is not ours: it answers what it is told to, and counts.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Request, Response, StatusCode};
use oauth_types::Issuer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
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

pub(crate) struct Foreign {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
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
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (known, log) = (Arc::clone(&answers), Arc::clone(&asked));
        let router = Router::new().fallback(async move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let answer = known.lock().unwrap().get(&path).cloned();
            log.lock().unwrap().push(path);
            let answer = answer.unwrap_or_else(|| Answer::status(404));
            tokio::time::sleep(answer.delay).await;
            Response::builder()
                .status(answer.status)
                .header(CONTENT_TYPE, "application/json")
                .header(LOCATION, answer.location)
                .body(Body::from(answer.body))
                .unwrap()
        });
        let running = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, answers, asked, running }
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
        self.asked.lock().unwrap().iter().filter(|own| *own == path).count()
    }

    /// Nobody listens any more, and connections are cut.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.running.abort();
        let _ = self.running.await;
        self.address
    }
}
