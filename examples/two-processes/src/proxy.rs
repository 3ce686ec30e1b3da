//! Forwarding of requests to the next server, with the sender's address in `X-Forwarded-For`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode, Uri, request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 4 << 20;

struct Proxy {
    http: Client<HttpConnector, Full<Bytes>>,
    servers: Vec<u16>,
    next: AtomicUsize,
}

/// Returns a proxy for the servers on these ports.
pub(crate) fn before(servers: Vec<u16>) -> Router {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let proxy = Proxy { http, servers, next: AtomicUsize::new(0) };
    Router::new().fallback(forward).with_state(Arc::new(proxy))
}

async fn forward(
    State(proxy): State<Arc<Proxy>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // Appended, because the servers trust the last address only: the sender can forge the ones before it.
    let Ok(peer) = HeaderValue::try_from(peer.ip().to_string()) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    parts.headers.append(HeaderName::from_static("x-forwarded-for"), peer);
    let first = proxy.next.fetch_add(1, Ordering::Relaxed);
    let count = proxy.servers.len();
    for server in proxy.servers.iter().cycle().skip(first % count.max(1)).take(count) {
        match proxy.send(*server, &parts, body.clone()).await {
            Ok(response) => return response,
            // The request was not sent, so another server may get it. After any other error it may have been executed.
            Err(error) if error.is_connect() => {}
            Err(_) => break,
        }
    }
    StatusCode::BAD_GATEWAY.into_response()
}

impl Proxy {
    async fn send(
        &self,
        server: u16,
        parts: &request::Parts,
        body: Bytes,
    ) -> Result<Response, hyper_util::client::legacy::Error> {
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = Uri::builder().scheme("http").authority(format!("127.0.0.1:{server}"));
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        if let Ok(uri) = uri.path_and_query(path).build() {
            *request.uri_mut() = uri;
        }
        Ok(self.http.request(request).await?.map(Body::new))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::post;
    use http::HeaderMap;
    use http_body_util::BodyExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Starts a server that answers with its name and the request.
    async fn server(name: &'static str) -> u16 {
        let echo = move |uri: Uri, headers: HeaderMap, body: String| async move {
            let header = |name: &str| {
                let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
                values.collect::<Vec<_>>().join(",")
            };
            format!("{name} {uri} {} {} {body}", header("host"), header("x-forwarded-for"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/x", post(echo));
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    async fn ask(servers: Vec<u16>, count: usize) -> Vec<(StatusCode, String)> {
        let router = before(servers);
        let mut answers = Vec::new();
        for _ in 0..count {
            let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1)));
            let request = http::Request::post("/x?y=z")
                .header("host", "mcp.example")
                .header("x-forwarded-for", "203.0.113.5")
                .extension(peer)
                .body(Body::from("body"))
                .unwrap();
            let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            answers.push((parts.status, String::from_utf8(body.to_vec()).unwrap()));
        }
        answers
    }

    #[tokio::test]
    async fn each_request_goes_to_the_next_as_it_was_and_says_who_sent_it() {
        let servers = vec![server("one").await, server("other").await];
        let answers = ask(servers, 4).await;
        let rest = "/x?y=z mcp.example 203.0.113.5,192.0.2.1 body";
        for (answer, name) in answers.into_iter().zip(["one", "other", "one", "other"]) {
            assert_eq!(answer, (StatusCode::OK, format!("{name} {rest}")));
        }
    }

    #[tokio::test]
    async fn who_is_away_is_passed_over() {
        let away = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            listener.local_addr().unwrap().port()
        };
        for (status, body) in ask(vec![server("one").await, away], 4).await {
            assert_eq!(status, StatusCode::OK);
            assert!(body.starts_with("one "), "{body}");
        }
        for servers in [vec![away], vec![]] {
            assert_eq!(ask(servers, 1).await[0].0, StatusCode::BAD_GATEWAY);
        }
    }
}
