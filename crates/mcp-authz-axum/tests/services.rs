//! The layer before services that are no axum router: on plain hyper, and a gRPC server of tonic's.

#![cfg(test)]

use core::convert::Infallible;
use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Buf as _, BufMut as _, Bytes};
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode};
use http_body_util::Limited;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use mcp_authz_axum::{ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, AuthInfo, OperationScopes, Resource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status, Streaming};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

const ISSUER: &str = "https://as.example";

/// Tokens are their user's name, a dot, and their scope.
struct Spoken(ResourceUri);

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let Some((user, scope)) = token.expose().split_once('.') else { return Ok(None) };
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(user).unwrap(),
                ClientId::parse("c").unwrap(),
                Issuer::parse(ISSUER).unwrap(),
            )
            .with_scopes(ScopeSet::parse(scope).unwrap())
            .with_audience([self.0.clone()])
            .with_expires_at(now.saturating_add(Duration::from_secs(60))),
        )))
    }
}

/// What every request to the server at this address needs is the scope `talk`.
fn protection(address: SocketAddr) -> (Resource, ProtectLayer<Spoken>) {
    let uri = ResourceUri::parse(&format!("http://{address}")).unwrap();
    let issuer = Issuer::parse(ISSUER).unwrap();
    let resource = Resource::new(uri.clone(), vec![issuer]).unwrap();
    let talk = ScopeSet::parse("talk").unwrap();
    (resource.clone(), ProtectLayer::new(resource, Spoken(uri), talk))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Gives back what it gets, as it comes.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let user = request.extensions().get::<AuthInfo>().unwrap().subject().to_string();
    Ok(Response::builder().header("user", user).body(request.into_body()).unwrap())
}

/// A server on hyper: the public metadata, and `echo` behind the layer.
async fn on_hyper() -> SocketAddr {
    let (listener, address) = listener().await;
    let (resource, protect) = protection(address);
    let protected = protect.layer(service_fn(echo));
    let service = TowerToHyperService::new(service_fn(move |request: Request<_>| {
        let (resource, mut protected) = (resource.clone(), protected.clone());
        async move {
            if resource.metadata_paths().any(|path| path == request.uri().path()) {
                return Ok(resource.metadata_response(request.method()).map(Body::from));
            }
            protected.call(request).await
        }
    }));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    address
}

/// Sends bytes, and reads until an answer ends so.
async fn ask(stream: &mut TcpStream, bytes: &str, end: &str) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut answer));
        assert_ne!(read.await.expect("an answer").unwrap(), 0, "the connection ended");
    }
    String::from_utf8(answer).unwrap()
}

/// R-AUTH-1, R-AUTH-3, R-AUTH-4
#[tokio::test]
async fn a_service_on_plain_hyper_is_protected() {
    let address = on_hyper().await;
    for (token, status, says) in [
        ("", "401", "scope=\"talk\""),
        ("unknown", "401", "error=\"invalid_token\""),
        ("alice.look", "403", "error=\"insufficient_scope\""),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let token = if token.is_empty() { "Basic eA==" } else { &format!("Bearer {token}") };
        let head = format!("POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: {token}\r\n\r\n");
        let answer = ask(&mut stream, &head, "}").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(says) && answer.contains("resource_metadata=\"http://127"));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let metadata = "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = ask(&mut stream, metadata, "}").await;
    assert!(answer.contains(&format!("\"resource\":\"http://{address}\"")), "{answer}");
}

#[tokio::test]
async fn on_plain_hyper_bodies_stream_in_both_directions() {
    let address = on_hyper().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer alice.talk\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"
    );
    let answer = ask(&mut stream, &head, "2\r\nhi\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("user: alice"), "{answer}");
    // Only now that the first is back.
    ask(&mut stream, "3\r\nyou\r\n", "3\r\nyou\r\n").await;
    ask(&mut stream, "0\r\n\r\n", "0\r\n\r\n").await;
}

/// Messages that are bytes.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A gRPC service that answers each message as it comes, and says who asks.
#[derive(Clone)]
struct Talk;

impl NamedService for Talk {
    const NAME: &'static str = "test.Talk";
}

impl Service<Request<tonic::body::Body>> for Talk {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let answer = service_fn(async |request: tonic::Request<Streaming<Bytes>>| {
            let user = request.extensions().get::<AuthInfo>().unwrap().subject().to_string();
            let answers = request.into_inner().map(move |message| {
                message.map(|message| Bytes::from([user.as_bytes(), b": ", &message].concat()))
            });
            Ok(tonic::Response::new(answers))
        });
        Box::pin(
            async move { Ok(tonic::server::Grpc::new(Plain).streaming(answer, request).await) },
        )
    }
}

/// A gRPC server with all its services behind the layer.
async fn on_tonic() -> SocketAddr {
    let (listener, address) = listener().await;
    let (_, protect) = protection(address);
    let server = Server::builder().layer(protect).add_service(Talk);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// A call under this name and with this token; what it says is sent one by one.
async fn call(
    address: SocketAddr,
    origin: &str,
    token: &str,
    says: impl futures::Stream<Item = Bytes> + Send + 'static,
) -> Result<tonic::Response<Streaming<Bytes>>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.origin(origin.parse().unwrap()).connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(says);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    client.streaming(request, PathAndQuery::from_static("/test.Talk/Talk"), Plain).await
}

/// R-AUTH-1, R-AUTH-4
#[tokio::test]
async fn a_grpc_server_of_tonic_is_protected() {
    let address = on_tonic().await;
    let own = format!("http://{address}");
    for (origin, token, code, says) in [
        (&*own, "unknown", Code::Unauthenticated, "error=\"invalid_token\""),
        (&own, "alice.look", Code::PermissionDenied, "error=\"insufficient_scope\""),
        // Without a Host header the name stands in `:authority`.
        ("http://evil.example", "alice.talk", Code::PermissionDenied, ""),
    ] {
        let answer = call(address, origin, token, stream::empty()).await.unwrap();
        let challenge = answer.metadata().get("www-authenticate");
        let challenge = challenge.map_or("", |value| value.to_str().unwrap());
        assert!(challenge.contains(says) && challenge.is_empty() == says.is_empty(), "{challenge}");
        let refused = answer.into_inner().message().await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
}

#[tokio::test]
async fn on_tonic_messages_stream_in_both_directions() {
    let address = on_tonic().await;
    let (say, says) = tokio::sync::mpsc::unbounded_channel();
    let says = stream::unfold(says, async |mut says| Some((says.recv().await?, says)));
    say.send(Bytes::from("hi")).unwrap();
    let answers = call(address, &format!("http://{address}"), "alice.talk", says).await.unwrap();
    let mut answers = answers.into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "alice: hi");
    // Only now that the first is back.
    say.send(Bytes::from("you")).unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), "alice: you");
    drop(say);
    assert!(answers.message().await.unwrap().is_none());
    assert!(answers.trailers().await.unwrap().is_some());
}

#[tokio::test]
async fn a_limit_of_the_host_around_the_layer_is_told_as_one() {
    let (resource, _) = protection(SocketAddr::from(([127, 0, 0, 1], 80)));
    let verifier = Spoken(ResourceUri::parse("http://127.0.0.1:80").unwrap());
    let scopes = OperationScopes::new("talk").unwrap();
    let service = ProtectLayer::new(resource, verifier, scopes).layer(service_fn(echo));
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (limit, status) in
        [(text.len(), StatusCode::OK), (text.len() - 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let request = Request::post("http://127.0.0.1:80/")
            .header("host", "127.0.0.1:80")
            .header("authorization", "Bearer alice.talk")
            .body(Limited::new(Body::from(text), limit))
            .unwrap();
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status);
    }
}
