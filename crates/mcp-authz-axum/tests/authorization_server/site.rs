//! A web site of a client, on loopback, which serves byte for byte what it is told; and servers that read there.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use authorization_server::{Config, DocumentRefused, MemoryStore};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use mcp_authz_axum::{AuthorizationServer, ClientDocuments, Clock, DemoLogin, WebDocuments};
use oauth_types::{ClientMetadataUrl, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::server::*;

const ROOT: &[u8] = include_bytes!("../keys/root.pem");
const CERTIFICATE: &[u8] = include_bytes!("../keys/site.pem");
const KEY: &[u8] = include_bytes!("../keys/site.key.pem");

pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    connected: Arc<AtomicUsize>,
}

pub(crate) type Stream = TlsStream<TcpStream>;

impl Site {
    /// Answers the first, second, third .. request with what the function writes.
    pub(crate) async fn new(
        answer: impl Fn(usize, Stream) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, connected) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let connections = Arc::clone(&connected);
        let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let head = head(&mut stream).await;
                    assert!(head.starts_with("get /") && head.contains("accept: application/json"));
                    for unwanted in ["cookie", "authorization", "accept-encoding", "referer"] {
                        assert!(!head.contains(unwanted), "{head}");
                    }
                    answer(count.fetch_add(1, Ordering::SeqCst), stream).await;
                });
            }
        });
        Self { address, asked, connected }
    }

    /// Answers with these bytes, one after the other; the last stays.
    pub(crate) async fn serving(answers: Vec<Vec<u8>>) -> Self {
        let answers = Arc::new(answers);
        Self::new(move |nth, mut stream| {
            let answers = Arc::clone(&answers);
            Box::pin(async move {
                let answer = &answers[nth.min(answers.len() - 1)];
                // Who has read enough hangs up.
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            })
        })
        .await
    }

    /// The URL of a document here.
    pub(crate) fn url(&self) -> String {
        format!("https://client.test:{}/client.json", self.address.port())
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How often anybody connected, whatever came of it.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }

    /// What fetches from here, and from public addresses.
    pub(crate) fn documents(&self) -> WebDocuments {
        let names = ["client.test", "other.test"];
        let hosts = names.map(|name| (name.to_owned(), self.address));
        WebDocuments::with_hosts(hosts, ROOT).unwrap()
    }
}

async fn head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// A complete answer.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The answer with a document, with these headers besides its type.
pub(crate) fn json(headers: &str, body: &str) -> Vec<u8> {
    answer("200 OK", &format!("content-type: application/json\r\n{headers}"), body.as_bytes())
}

/// A server that reads documents by this, and its time in seconds.
pub(crate) fn reader_of(documents: impl ClientDocuments) -> (Server, Arc<AtomicU64>) {
    reader_with(documents, |config| config)
}

/// The same with another configuration.
pub(crate) fn reader_with(
    documents: impl ClientDocuments,
    change: impl FnOnce(Config) -> Config,
) -> (Server, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(NOW.as_secs()));
    let clock = Arc::clone(&time);
    let store = Arc::new(MemoryStore::default());
    // Answers are remembered for longer than any document is kept here.
    let config = config("https://as.example").with_remembered_consent(Duration::from_secs(3600));
    let router = AuthorizationServer::new(change(config), Arc::clone(&store), DemoLogin)
        .with_client_documents(documents)
        .with_clock(Clock::new(move || UnixTime::from_secs(clock.load(Ordering::Relaxed))))
        .router();
    (Server { router, store }, time)
}

/// The document of the client at this URL, with more members.
pub(crate) fn document(url: &str, members: &str) -> String {
    format!(r#"{{"client_id":"{url}","redirect_uris":["{REDIRECT}"]{members}}}"#)
}

/// Answers from memory, and counts.
#[derive(Clone, Default)]
pub(crate) struct Counting {
    pub(crate) asked: Arc<AtomicUsize>,
    pub(crate) at_once: Arc<AtomicUsize>,
    pub(crate) most_at_once: Arc<AtomicUsize>,
    pub(crate) delay: Duration,
    /// Members of every document, besides those that it has to have.
    pub(crate) members: String,
}

impl ClientDocuments for Counting {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            tokio::time::sleep(self.delay).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            let body = document(url.as_url().as_str(), &self.members);
            let answer = Response::builder().header(CONTENT_TYPE, "application/json");
            Ok(answer.body(Bytes::from(body)).unwrap())
        })
    }
}

impl Counting {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The page for a client that nobody knows: it says nothing about where the document was sought.
pub(crate) fn assert_unknown(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
    let page = answer.html();
    assert!(page.contains("Login not possible"), "{what}");
    for leak in ["127.0.0.1", "client.test", "10.0.0.1", "canary"] {
        assert!(!page.contains(leak), "{what}: {leak}");
    }
}

/// What a site of one client answers each time: a status line, headers, and the name in the document, which is not
/// whole without.
pub(crate) async fn changing(
    answers: &'static [(&'static str, &'static str, &'static str)],
) -> Site {
    Site::new(move |nth, mut stream: Stream| {
        Box::pin(async move {
            let port = stream.get_ref().0.local_addr().unwrap().port();
            let url = format!("https://client.test:{port}/client.json");
            let (status, headers, name) = answers[nth.min(answers.len() - 1)];
            let mut body = document(&url, &format!(r#","client_name":"{name}""#));
            body.truncate(if name.is_empty() { 9 } else { body.len() });
            let headers = format!("content-type: application/json\r\n{headers}");
            let _ = stream.write_all(&answer(status, &headers, body.as_bytes())).await;
        })
    })
    .await
}
