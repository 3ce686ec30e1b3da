//! Good traffic: tool calls, client credentials, and logins of a client with a metadata document.

use core::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::request::Builder;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use oauth_types::{CodeVerifier, Entropy, FormPairs, FormWriter};
use serde_json::Value;
use tokio::time::timeout;

use crate::Pace;
use crate::wire::Connection;

pub(crate) const REDIRECT: &str = "https://app.example/cb";
pub(crate) const MACHINE: &str = "machine";
pub(crate) const MACHINE_SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw7Fjfp0ZBr1KtDRbnfVdmI";
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write-file","arguments":{"path":"notes/today.txt","text":"Buy milk, write the minutes, call Ada."},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
/// Maximum time until a useful response.
const DEADLINE: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;
/// Kinds of units in turn: a unit has the kind at its number modulo the length.
const KINDS: [Kind; 8] = [
    Kind::Login,
    Kind::Call,
    Kind::Token,
    Kind::Call,
    Kind::CallOnNew,
    Kind::Call,
    Kind::Token,
    Kind::Call,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tool call on a connection that was used before.
    Call,
    /// Tool call on a new connection.
    CallOnNew,
    /// Token by client credentials.
    Token,
    /// Whole login of a client with a metadata document on a new connection, and a refresh.
    Login,
}

/// Parses the addresses of the servers, as the server prints them.
pub(crate) fn places(text: &str) -> anyhow::Result<[SocketAddr; 2]> {
    let (authorization, mcp) = text.split_once(' ').context("two places")?;
    Ok([authorization.parse()?, mcp.parse()?])
}

/// Returns an authorization request of the client with this document.
pub(crate) fn authorize(client_id: &str, mcp: SocketAddr) -> String {
    let challenge = verifier().challenge();
    let mut form = FormWriter::new();
    form.append("response_type", "code");
    form.append("client_id", client_id);
    form.append("redirect_uri", REDIRECT);
    form.append("state", "state");
    form.append("scope", "files:read files:write");
    form.append("resource", &format!("http://{mcp}/mcp"));
    form.append("code_challenge", challenge.as_str());
    form.append("code_challenge_method", "S256");
    format!("/authorize?{}", form.as_str())
}

fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

/// Clients at two hundred addresses.
pub(crate) struct Good {
    authorization: Pool,
    mcp: Pool,
    client_id: String,
    token: String,
}

/// Open connections to one server, for reuse.
struct Pool {
    server: SocketAddr,
    kept: Mutex<Vec<Connection>>,
    opened: AtomicUsize,
}

impl Pool {
    const fn new(server: SocketAddr) -> Self {
        Self { server, kept: Mutex::new(Vec::new()), opened: AtomicUsize::new(0) }
    }

    async fn open(&self) -> anyhow::Result<Connection> {
        let last = u8::try_from(self.opened.fetch_add(1, Ordering::Relaxed) % 200)?;
        Connection::open(Ipv4Addr::new(127, 0, 2, 1 + last), self.server).await
    }

    fn keep(&self, connection: Connection) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Sends a request on an open connection, and again on a new one if that was closed.
    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
        loop {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = kept else { break };
            if !connection.is_open() {
                continue;
            }
            if let Ok(answer) = connection.send(request.clone()).await {
                self.keep(connection);
                return Ok(answer);
            }
            break;
        }
        let mut connection = self.open().await?;
        let answer = connection.send(request).await?;
        self.keep(connection);
        Ok(answer)
    }
}

fn form(path: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Request<Full<Bytes>>> {
    form_of(Request::post(path), pairs)
}

fn form_of(request: Builder, pairs: &[(&str, &str)]) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut form = FormWriter::new();
    for (name, value) in pairs {
        form.append(name, value);
    }
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    Ok(request.body(Full::from(form.as_str().to_owned()))?)
}

/// Returns a member of a response that has to be a success.
fn member(answer: &Response<Bytes>, name: &str) -> anyhow::Result<String> {
    let status = answer.status();
    ensure!(status == StatusCode::OK, "{status} {:?}", answer.body());
    let value: Value = serde_json::from_slice(answer.body())?;
    Ok(value.get(name).and_then(Value::as_str).context("no such member")?.to_owned())
}

impl Good {
    /// Logs the first user in, so that the client's document is known.
    pub(crate) async fn set_up(servers: &str, web: &str) -> anyhow::Result<Self> {
        let [authorization, mcp] = places(servers)?;
        let client_id = format!("https://client.test:{web}/client.json");
        let (authorization, mcp) = (Pool::new(authorization), Pool::new(mcp));
        let mut good = Self { authorization, mcp, client_id, token: String::new() };
        good.token = good.token_of("user0").await?;
        Ok(good)
    }

    /// Logs a user in; returns the access token.
    pub(crate) async fn token_of(&self, user: &str) -> anyhow::Result<String> {
        let mut browser = self.authorization.open().await?;
        let user = format!("user={user}");
        let url = authorize(&self.client_id, self.mcp.server);
        let page = Request::get(url).header(COOKIE, &user).body(Full::default())?;
        let page = browser.send(page).await?;
        let status = page.status();
        ensure!(status == StatusCode::OK, "a page with status {status}");
        let cookie = page.headers().get(SET_COOKIE).context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default();
        let html = std::str::from_utf8(page.body())?;
        let (_, rest) = html.split_once("name=\"transaction\" value=\"").context("no form")?;
        let (transaction, _) = rest.split_once('"').context("no value")?;
        let answer =
            Request::post("/authorize/consent").header(COOKIE, format!("{user}; {cookie}"));
        let pairs = [("transaction", transaction), ("decision", "allow")];
        let answer = browser.send(form_of(answer, &pairs)?).await?;
        let status = answer.status();
        ensure!(status == StatusCode::SEE_OTHER, "{status} to an answer");
        let back = answer.headers().get(LOCATION).context("no redirect")?.to_str()?;
        let (_, query) = back.split_once('?').context("no query")?;
        let query = FormPairs::parse(query.as_bytes())?;
        let code = query.value("code")?.context("no code")?;
        let verifier = verifier();
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", &*self.client_id),
            ("redirect_uri", REDIRECT),
            ("code", code),
            ("code_verifier", verifier.as_secret().expose()),
        ];
        let tokens = self.authorization.send(form("/token", &pairs)?).await?;
        member(&tokens, "access_token")?;
        let refresh = member(&tokens, "refresh_token")?;
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", &*self.client_id),
            ("refresh_token", &*refresh),
        ];
        let tokens = self.authorization.send(form("/token", &pairs)?).await?;
        member(&tokens, "access_token")
    }

    fn call(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::post("/mcp")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "write-file");
        Ok(request.body(Full::from(Bytes::from_static(CALL.as_bytes())))?)
    }

    /// Performs the unit with this number and checks every response.
    async fn unit(&self, number: usize) -> anyhow::Result<()> {
        let kind = KINDS.get(number % KINDS.len()).context("a kind")?;
        let answer = match kind {
            Kind::Call => self.mcp.send(self.call()?).await?,
            Kind::CallOnNew => self.mcp.open().await?.send(self.call()?).await?,
            Kind::Token => {
                let pairs = [
                    ("grant_type", "client_credentials"),
                    ("client_id", MACHINE),
                    ("client_secret", MACHINE_SECRET),
                ];
                let answer = self.authorization.send(form("/token", &pairs)?).await?;
                return member(&answer, "access_token").map(drop);
            }
            Kind::Login => {
                return self.token_of(&format!("user{}", number % 1_000)).await.map(drop);
            }
        };
        let (status, body) = (answer.status(), answer.body());
        let is_right = body.windows(8).any(|part| part == b"67 bytes");
        ensure!(status == StatusCode::OK && is_right, "{status} {body:?}");
        Ok(())
    }
}

/// Results of units that were sent at a fixed rate.
pub(crate) struct Outcome {
    sent: usize,
    /// Milliseconds until each correct response, sorted.
    taken: Vec<f64>,
    /// First error.
    wrong: Option<String>,
}

impl Outcome {
    /// Returns the share of units with correct responses in time.
    pub(crate) fn share(&self) -> f64 {
        self.taken.len() as f64 / self.sent as f64
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        self.taken.get(self.taken.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} in p99 {:.1} ms", self.taken.len(), self.sent, self.p99_ms())?;
        self.wrong.iter().try_for_each(|wrong| write!(f, " ({wrong})"))
    }
}

/// Sends units at a fixed rate, without waiting for earlier ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
pub(crate) async fn open_loop(good: &Arc<Good>, rate: f64, time: Duration) -> Outcome {
    let pace = Pace::new(rate);
    let sent = (rate * time.as_secs_f64()) as usize;
    let mut units = Vec::with_capacity(sent);
    for number in 0..sent {
        pace.turn(number).await;
        let good = Arc::clone(good);
        units.push(tokio::spawn(async move {
            let start = Instant::now();
            match timeout(DEADLINE, good.unit(number)).await {
                Ok(outcome) => outcome.map(|()| start.elapsed()),
                Err(_) => Err(anyhow::anyhow!("no answer within a second")),
            }
        }));
    }
    let (mut taken, mut wrong) = (Vec::with_capacity(sent), None);
    for unit in units {
        match unit.await.map_err(anyhow::Error::from).flatten() {
            Ok(time) => taken.push(1000.0 * time.as_secs_f64()),
            Err(error) => wrong = wrong.or_else(|| Some(format!("{error:#}"))),
        }
    }
    taken.sort_by(f64::total_cmp);
    Outcome { sent, taken, wrong }
}

/// Right answers, and those of a second, when each of sixteen clients sends a unit when the one before was answered.
pub(crate) async fn closed_loop(good: &Arc<Good>, time: Duration) -> [f64; 2] {
    let (next, right) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (good, next, right) = (Arc::clone(good), Arc::clone(&next), Arc::clone(&right));
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = timeout(DEADLINE, good.unit(number)).await;
                    let is_right = matches!(outcome, Ok(Ok(())));
                    right.fetch_add(usize::from(is_right), Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        drop(client.await);
    }
    let right = right.load(Ordering::Relaxed) as f64;
    [right, right / start.elapsed().as_secs_f64()]
}
