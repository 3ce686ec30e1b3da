//! Serves a router over TCP, and waits for nobody's request for ever.
//!
//! `axum::serve` waits for the head of a request as long as it takes. Here it has a deadline and a size.

use core::convert::Infallible;
use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service as _;
use tracing::{debug, warn};

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Longest value of a header, in bytes.
const MAX_HEADER: usize = 8 * 1024;

/// How long connections may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionDeadlines {
    /// From the opening of a connection, or the answer before, to the end of a request's head: 30 seconds. An idle
    /// connection is closed as soon.
    pub head: Duration,
    /// From the word to stop to the end of what is being answered: 10 seconds.
    pub stop: Duration,
}

impl Default for ConnectionDeadlines {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), stop: Duration::from_secs(10) }
    }
}

/// Serves HTTP/1.1 until `stop` is ready, then ends what is being answered.
///
/// A head that takes longer than `deadlines` to be sent is cut off; bodies are for whoever reads them, and how slowly an
/// answer is read has no limit, because event streams may be open for hours. A head of more than 16 KiB, or a header of more than 8 KiB, is
/// answered with 431. Handlers find the address of their peer in [`ConnectInfo`].
///
/// ```no_run
/// # async fn f(router: axum::Router) -> std::io::Result<()> {
/// use mcp_oauth_axum::{ConnectionDeadlines, serve};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// serve(listener, router, ConnectionDeadlines::default(), stop).await;
/// # Ok(()) }
/// ```
pub async fn serve(
    listener: TcpListener,
    router: Router,
    deadlines: ConnectionDeadlines,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(deadlines.head).max_buf_size(MAX_HEAD);
    let (open, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener) => accepted,
        };
        // Small answers leave at once instead of waiting for more.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), peer, request));
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection was cut off");
            }
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    // What is not done then goes with the tasks.
    let _ = timeout(deadlines.stop, open.shutdown()).await;
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                warn!(%error, "no connection can be taken");
                // Most likely there are too many: some end in a moment.
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn answer(
    mut router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if is_too_long(request.headers()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Ok(response);
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    router.call(request).await
}

fn is_too_long(headers: &HeaderMap) -> bool {
    headers.values().any(|value| value.len() > MAX_HEADER)
}
