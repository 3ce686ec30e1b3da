//! Hostile traffic. What is refused or closed is tried again, three hundred times a second.
//!
//! Each case of each round comes from addresses of its own. A kernel that has to look for one of the last free ports of
//! an address needs a processor for it, which is then taken from good traffic and says nothing about the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::good::{authorize, places};
use crate::server::NAMES;
use crate::wire::{Connection, connect};
use crate::{Pace, until_stopped};

/// Repeated attempts, and requests with made-up documents, per second.
const AGAIN: f64 = 300.0;
/// Connections per second at the start.
const FIRST: f64 = 5_000.0;
const MAX_BODY: usize = mcp_authz_axum::ProtectLayer::<
    mcp_authz_axum::StoreVerifier<Arc<authorization_server::MemoryStore>>,
>::MAX_BODY;
const MAX_FORM: usize = oauth_types::FormPairs::MAX_BYTES;

/// Kind of hostile traffic.
#[derive(Clone, Copy)]
pub(crate) enum Attack {
    /// Connections to the MCP server on which nothing is sent.
    Idle { connections: usize, addresses: usize },
    /// Bodies of maximum size at both servers, without their last byte.
    ///
    /// The MCP server gets them with a valid token, the authorization server without one.
    Stalled { bodies: usize },
    /// MCP sessions of one user.
    Sessions { wanted: usize },
    /// Authorization requests of unknown clients; half of their documents exist, the other hosts are silent.
    Documents { addresses: usize },
}

impl Attack {
    pub(crate) fn arguments(
        self,
        places: &str,
        web: &str,
        token: &str,
        network: usize,
    ) -> Vec<String> {
        let (name, [count, addresses]) = match self {
            Self::Idle { connections, addresses } => ("idle", [connections, addresses]),
            Self::Stalled { bodies } => ("stalled", [bodies, 1]),
            Self::Sessions { wanted } => ("sessions", [wanted, 1]),
            Self::Documents { addresses } => ("documents", [0, addresses]),
        };
        let figures = [count, addresses, network].map(|figure| figure.to_string());
        ["hostile", name, places, web, token]
            .map(str::to_owned)
            .into_iter()
            .chain(figures)
            .collect()
    }
}

/// One attacker with the results of the attempts.
struct Attacker {
    authorization: SocketAddr,
    mcp: SocketAddr,
    web: String,
    token: String,
    count: usize,
    addresses: usize,
    /// Second octet less 10, and third octet, of its addresses.
    network: [u8; 2],
    tried: AtomicUsize,
    held: AtomicUsize,
    refused: AtomicUsize,
}

/// Attacks until the input ends; says `on` when everything is there, and at the end what the server let stand.
pub(crate) async fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let [name, servers, web, token, count, addresses, network] = arguments else {
        anyhow::bail!("seven arguments")
    };
    let [authorization, mcp] = places(servers)?;
    let attacker = Arc::new(Attacker {
        authorization,
        mcp,
        web: (*web).to_owned(),
        token: (*token).to_owned(),
        count: count.parse()?,
        addresses: addresses.parse()?,
        network: network.parse::<u16>()?.to_be_bytes(),
        tried: AtomicUsize::new(0),
        held: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
    });
    match *name {
        "idle" => attacker.idle().await,
        "stalled" => attacker.stalled().await,
        "sessions" => attacker.sessions().await,
        _ => attacker.documents().await,
    }?;
    println!("on");
    until_stopped().await;
    let counts = [&attacker.tried, &attacker.held, &attacker.refused];
    let [tried, held, refused] = counts.map(|count| count.load(Ordering::Relaxed));
    println!("tried {tried}, held {held}, refused or closed {refused}");
    Ok(())
}

impl Attacker {
    /// An address of the attacker, for one more attempt.
    fn address(&self, number: usize) -> Ipv4Addr {
        self.tried.fetch_add(1, Ordering::Relaxed);
        let last = u8::try_from(number % self.addresses).unwrap_or_default();
        let [high, low] = self.network;
        Ipv4Addr::new(127, 10 + high, low, 1 + last)
    }

    fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    async fn idle(self: &Arc<Self>) -> anyhow::Result<()> {
        let first = Pace::new(FIRST);
        let again = Arc::new((AtomicUsize::new(0), Pace::new(AGAIN)));
        for number in 0..self.count {
            first.turn(number).await;
            let (own, again) = (Arc::clone(self), Arc::clone(&again));
            tokio::spawn(async move {
                loop {
                    if let Ok(mut stream) = connect(own.address(number), own.mcp).await {
                        own.hold();
                        // It ends when the server closes the connection.
                        let _ = stream.read_u8().await;
                        own.held.fetch_sub(1, Ordering::Relaxed);
                        own.refuse();
                    }
                    again.1.turn(again.0.fetch_add(1, Ordering::Relaxed)).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    async fn stalled(self: &Arc<Self>) -> anyhow::Result<()> {
        let token = &self.token;
        let mcp = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: {MAX_BODY}\r\n\r\n",
            self.mcp
        );
        let form = format!(
            "POST /token HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {MAX_FORM}\r\n\r\n",
            self.authorization
        );
        for number in 0..self.count {
            for (server, head, length) in
                [(self.mcp, &mcp, MAX_BODY), (self.authorization, &form, MAX_FORM)]
            {
                let mut stream = connect(self.address(number), server).await?;
                let body = vec![b'a'; length - 1];
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                let own = Arc::clone(self);
                own.hold();
                tokio::spawn(async move {
                    let _ = stream.read_u8().await;
                    own.held.fetch_sub(1, Ordering::Relaxed);
                    own.refuse();
                });
            }
        }
        Ok(())
    }

    async fn sessions(self: &Arc<Self>) -> anyhow::Result<()> {
        while self.held.load(Ordering::Relaxed) < self.count {
            if !self.session().await.context("the first sessions")? {
                break;
            }
        }
        let own = Arc::clone(self);
        tokio::spawn(async move {
            let pace = Pace::new(AGAIN);
            for number in 0.. {
                pace.turn(number).await;
                let own = Arc::clone(&own);
                tokio::spawn(async move { own.session().await });
            }
        });
        Ok(())
    }

    /// Opens one more session; returns `false` if it is refused.
    async fn session(&self) -> anyhow::Result<bool> {
        let mut connection = Connection::open(self.address(0), self.mcp).await?;
        let request = |body: &str| {
            Request::post("/mcp")
                .header(AUTHORIZATION, format!("Bearer {}", self.token))
                .header(ACCEPT, "application/json, text/event-stream")
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_owned()))
        };
        let open = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
        let answer = connection.head(request(open)?).await?;
        if answer.status() != StatusCode::OK {
            self.refuse();
            return Ok(false);
        }
        let session = answer.headers().get("mcp-session-id").context("no session")?.clone();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let is_answer = |data: &bytes::Bytes| data.windows(8).any(|part| part == b"\"result\"");
            if frame.data_ref().is_some_and(is_answer) {
                break;
            }
        }
        let mut connection = Connection::open(self.address(0), self.mcp).await?;
        let mut ready = request(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        ready.headers_mut().insert("mcp-session-id", session);
        ready.headers_mut().insert("mcp-protocol-version", "2025-11-25".parse()?);
        let status = connection.head(ready).await?.status();
        anyhow::ensure!(status == StatusCode::ACCEPTED, "{status}");
        self.hold();
        Ok(true)
    }

    async fn documents(self: &Arc<Self>) -> anyhow::Result<()> {
        let own = Arc::clone(self);
        tokio::spawn(async move {
            let pace = Pace::new(AGAIN);
            for number in 0..NAMES {
                pace.turn(number).await;
                let own = Arc::clone(&own);
                tokio::spawn(async move {
                    match own.document(number).await {
                        Ok(StatusCode::OK) => own.hold(),
                        _ => own.refuse(),
                    }
                });
            }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    async fn document(&self, number: usize) -> anyhow::Result<StatusCode> {
        let name = if number.is_multiple_of(2) { "c" } else { "tar" };
        let client = format!("https://{name}{number}.client.test:{}/client.json", self.web);
        let url = authorize(&client, self.mcp);
        let request = Request::get(url).header(COOKIE, "user=mallory").body(Full::default())?;
        let mut connection = Connection::open(self.address(number), self.authorization).await?;
        Ok(connection.send(request).await?.status())
    }
}
