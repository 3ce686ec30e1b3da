//! HTTP/1.1 server for a router, with limits on connections and on the heads of requests.
//!
//! It replaces `axum::serve`, which has no deadline for a request's head and no limit on connections.

use core::convert::Infallible;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service as _;
use tracing::debug;

use crate::connections::{Answering, ConnectionLimits, Connections};
use crate::lingering::Lingering;
use crate::startup;

/// Maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Maximum size of a header's value, in bytes.
const MAX_HEADER: usize = 8 * 1024;
/// Time until the next attempt to accept after idle connections were closed.
const BEFORE_FREED: Duration = Duration::from_millis(1);
/// Time until the next attempt to accept if no connection was idle.
const BEFORE_RETRY: Duration = Duration::from_millis(10);

/// Serves HTTP/1.1 until `stop` is ready, then lets answers under way finish.
///
/// A head that takes longer than [`ConnectionLimits::head`] is cut off. A head of more than 16 KiB, or a header of more
/// than 8 KiB, is answered with 431. Behind an answer that ends a connection before its request was read whole, up to
/// 256 KiB more are read and dropped for a second, because a kernel would otherwise take the answer back. When there
/// are as many connections as [`ConnectionLimits`] allows, in all or of one network, those that were idle longest are
/// closed for new ones. Bodies have the deadline of their endpoint:
/// [`AuthorizationServer::with_deadlines`](crate::AuthorizationServer::with_deadlines) and
/// [`ProtectLayer::with_body_deadline`](crate::ProtectLayer::with_body_deadline). How slowly an answer is read has no
/// limit, because event streams may be open for hours. Handlers find the address of their peer in [`ConnectInfo`]. An event
/// at level `INFO` names the address of the listener.
///
/// ```no_run
/// # async fn f(router: axum::Router) -> std::io::Result<()> {
/// use mcp_authz_axum::{ConnectionLimits, serve};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// serve(listener, router, ConnectionLimits::default(), stop).await;
/// # Ok(()) }
/// ```
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    if let Ok(address) = listener.local_addr() {
        startup::listening(address);
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(MAX_HEAD);
    let (open, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
    let connections = Connections::new(limits);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener) => accepted,
        };
        // Nagle's algorithm is off, because small answers would wait for more data.
        let _ = stream.set_nodelay(true);
        while tasks.try_join_next().is_some() {}
        let Some(counted) = connections.admit(peer.ip().to_canonical()) else { continue };
        let (router, activity) = (router.clone(), Arc::clone(counted.activity()));
        let stream = TokioIo::new(Lingering::new(stream, Arc::clone(&activity)));
        let service =
            service_fn(move |request| answer(router.clone(), peer, activity.answer(), request));
        let connection = open.watch(http.serve_connection(stream, service));
        tasks.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    debug!(%error, "a connection was cut off");
                },
                () = counted.closed() => debug!("an idle connection was closed to make room"),
            }
        });
    }
    drop(listener);
    // Connections that are still open afterwards are closed, because their tasks are dropped.
    let _ = timeout(limits.stop, open.shutdown()).await;
}

/// Accepts the next connection, and closes idle ones if that fails.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                debug!(%error, "no connection can be taken");
                // Most likely the process has no file descriptor left, so idle connections are closed to free some.
                let is_freed = Connections::close_idle_anywhere();
                sleep(if is_freed { BEFORE_FREED } else { BEFORE_RETRY }).await;
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
    answering: Arc<Answering>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let mut request = request.map(|body| match body.is_end_stream() {
        true => {
            answering.arrived();
            Body::empty()
        }
        false => Body::new(Arriving { body, answering: Arc::downgrade(&answering) }),
    });
    let response = if is_too_long(request.headers()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        response
    } else {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request).await?
    };
    Ok(response.map(|body| Answer { body, _answering: answering }))
}

/// Body of a request, whose connection is idle until it has ended or is dropped.
struct Arriving {
    body: Incoming,
    /// Weak, because the answer owns it and may end before the body does.
    answering: Weak<Answering>,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = core::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let has_ended = match &frame {
            None => true,
            Some(frame) => frame.is_ok() && self.body.is_end_stream(),
        };
        if has_ended && let Some(answering) = self.answering.upgrade() {
            answering.arrived();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(answering) = self.answering.upgrade() {
            answering.begin();
        }
    }
}

/// Body of an answer, whose connection is active until it was sent.
struct Answer {
    body: Body,
    _answering: Arc<Answering>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_too_long(headers: &HeaderMap) -> bool {
    headers.values().any(|value| value.len() > MAX_HEADER)
}
