//! Connections of hyper's client, from an address of this machine.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};

/// Bounds the descriptors of this process, at most by what the system allows.
pub(crate) fn allow_descriptors(wanted: u64) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    limit.current = Some(wanted.min(most));
    setrlimit(Resource::Nofile, limit).context("no bound for descriptors")?;
    anyhow::ensure!(most >= 16_000, "{most} descriptors are too few: `ulimit -Hn 16000` or more");
    Ok(())
}

/// A TCP connection from this address.
pub(crate) async fn connect(source: Ipv4Addr, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to a server.
pub(crate) struct Connection {
    server: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(source: Ipv4Addr, server: SocketAddr) -> anyhow::Result<Self> {
        let stream = connect(source, server).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { server, sender })
    }

    /// Returns `true` if it can take a request, as far as is known here.
    pub(crate) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends a request, and reads the head of its answer.
    pub(crate) async fn head(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Incoming>> {
        let host = HeaderValue::try_from(self.server.to_string())?;
        request.headers_mut().insert(HOST, host);
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Sends a request, and reads its whole answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Bytes>> {
        let (parts, body) = self.head(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}
