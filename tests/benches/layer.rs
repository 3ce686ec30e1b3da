//! What the layer costs over real connections: a handler on axum that reads a call of a tool and writes its answer, and
//! a whole MCP server of rmcp's, each with [`ProtectLayer`] and without: with one set of scopes for all requests, or
//! with a table, for which the body is read.
//!
//! `cargo bench -p tests --bench layer` measures all servers in turns, so that what else the machine does strikes them
//! alike, and prints each one's requests per second and the median of its share of what runs without it in the same
//! turn. `-- --turns 40` takes longer and is steadier. The last column is the share by what the process needed of the
//! processors, clients included: on a machine that does something else it says more. It needs Linux.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark, whose inputs are ours"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authorization_server::store::{FamilyId, NewAccess, NewFamily};
use authorization_server::{MemoryStore, Store as _};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use client_auth::SigningKey;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use mcp_authz_axum::{JwtVerifier, ProtectLayer, StoreVerifier, TokenVerifier};
use oauth_types::{
    ClientId, Entropy, Issuer, JwkSet, ResourceUri, ScopeSet, Secret, SecretDigest,
    SigningAlgorithm, Subject, UnixTime,
};
use resource_server::{OperationScopes, Requirement, Resource};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const MCP: &str = "http://127.0.0.1/mcp";
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write-file","arguments":{"path":"notes/today.txt","text":"Buy milk, write the minutes, call Ada."},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const CONNECTIONS: usize = 16;
const TURN: Duration = Duration::from_millis(250);

#[tokio::main]
async fn main() {
    let turns = std::env::args().skip_while(|arg| arg != "--turns").nth(1);
    let turns: usize = turns.map_or(20, |turns| turns.parse().unwrap());
    let mut servers = Vec::new();
    let (signed, jwts) = jwts();
    for (name, router, token) in [
        ("bare", bare(), TOKEN),
        ("by hand, one set of scopes", by_hand(false), TOKEN),
        ("by hand, a table", by_hand(true), TOKEN),
        ("the layer, one set of scopes", bare().layer(protect(in_memory().await, all())), TOKEN),
        ("the layer, a table", bare().layer(protect(in_memory().await, table())), TOKEN),
        ("the layer, a table, JWTs", bare().layer(protect(jwts, table())), signed.expose()),
        ("rmcp", rmcp(), TOKEN),
        ("rmcp, one set of scopes", rmcp().layer(protect(in_memory().await, all())), TOKEN),
        ("rmcp, a table", rmcp().layer(protect(in_memory().await, table())), TOKEN),
    ] {
        let line: Arc<str> = format!("Bearer {token}").into();
        servers.push((name, serve(router).await, line, Vec::new()));
    }
    for turn in 0..=turns {
        for (_, address, line, rates) in &mut servers {
            let rate = drive(*address, line).await;
            // The first turn warms up.
            if turn > 0 {
                rates.push(rate);
            }
        }
    }
    println!("{:<32} {:>12} {:>8} {:>8}", "", "requests/s", "share", "by CPU");
    for (name, .., rates) in &servers {
        let alone = if name.starts_with("rmcp") { "rmcp" } else { "bare" };
        let (.., alone) = servers.iter().find(|server| server.0 == alone).unwrap();
        let share = |of: fn(&Rate) -> f64| {
            let shares = rates.iter().zip(alone).map(|(own, alone)| of(own) / of(alone));
            100.0 * median(shares.collect())
        };
        let rate = median(rates.iter().map(|rate| rate.by_time).collect());
        let (by_time, by_cpu) = (share(|rate| rate.by_time), share(|rate| rate.by_cpu));
        println!("{name:<32} {rate:>12.0} {by_time:>7.1}% {by_cpu:>7.1}%");
    }
}

/// Requests in a second.
#[derive(Clone, Copy)]
struct Rate {
    by_time: f64,
    by_cpu: f64,
}

/// How long all threads of this process have run.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    *figures.get(figures.len() / 2).unwrap()
}

/// A tool of an MCP server without the server: the call is read, and its answer written.
async fn answer(call: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&call).unwrap();
    let text = call["params"]["arguments"]["text"].as_str().unwrap_or_default();
    let content = json!([{"type": "text", "text": format!("{} bytes", text.len())}]);
    let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": {"content": content}});
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// A whole MCP server.
fn rmcp() -> Router {
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    Router::new().nest_service("/mcp", service)
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(name = "write-file", description = "Writes a file")]
    fn write_file(&self) -> String {
        "67 bytes".to_owned()
    }
}

fn bare() -> Router {
    Router::new().route("/mcp", post(answer))
}

/// What somebody writes who needs the same: a token that is known by its digest, has not expired, is for this server
/// and grants what is needed, by all requests or by the tool; the user goes to the handler.
fn by_hand(is_table: bool) -> Router {
    struct Known {
        user: &'static str,
        audience: &'static str,
        scopes: &'static str,
        end: u64,
    }
    let digest = SecretDigest::of(TOKEN);
    let end = u32::MAX.into();
    let token = Known { user: "alice", audience: MCP, scopes: "files:read files:write", end };
    let known = Arc::new(Mutex::new(HashMap::from([(digest, token)])));
    let check = move |request: Request, next: Next| {
        let known = Arc::clone(&known);
        async move {
            let line = request.headers().get(AUTHORIZATION).and_then(|line| line.to_str().ok());
            let Some(token) = line.and_then(|line| line.strip_prefix("Bearer ")) else {
                return StatusCode::UNAUTHORIZED.into_response();
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let (user, scopes) = match known.lock().unwrap().get(&SecretDigest::of(token)) {
                Some(known) if known.audience == MCP && now < known.end => {
                    (known.user, known.scopes)
                }
                _ => return StatusCode::UNAUTHORIZED.into_response(),
            };
            let (mut parts, mut body) = request.into_parts();
            let mut needed = ["files:read", "files:write"].as_slice();
            if is_table {
                let whole = axum::body::to_bytes(body, 4 << 20).await.unwrap();
                let call: Value = serde_json::from_slice(&whole).unwrap();
                if call["params"]["name"].as_str() != Some("write-file") {
                    needed = &["files:read"];
                }
                body = whole.into();
            }
            if !needed.iter().all(|scope| scopes.split(' ').any(|held| held == *scope)) {
                return StatusCode::FORBIDDEN.into_response();
            }
            parts.extensions.insert(user);
            next.run(Request::from_parts(parts, body)).await
        }
    };
    bare().layer(from_fn(check))
}

fn issuer() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}

fn protect<V: TokenVerifier>(verifier: V, required: Requirement) -> ProtectLayer<V> {
    let resource = Resource::new(ResourceUri::parse(MCP).unwrap(), vec![issuer()]).unwrap();
    ProtectLayer::new(resource, verifier, required)
}

/// One set of scopes for all requests.
fn all() -> Requirement {
    ScopeSet::parse("files:read files:write").unwrap().into()
}

/// What each tool needs.
fn table() -> Requirement {
    let scopes = OperationScopes::new("files:read")
        .and_then(|scopes| scopes.tool("list-files", "files:read"))
        .and_then(|scopes| scopes.tool("write-file", "files:read files:write"));
    scopes.unwrap().into()
}

/// A store with a thousand tokens, one of which is ours.
async fn in_memory() -> StoreVerifier<MemoryStore> {
    let store = MemoryStore::default();
    let end = UnixTime::from_secs(u32::MAX.into());
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    for number in 0..1000_u16 {
        let token = if number == 500 { TOKEN.to_owned() } else { format!("{TOKEN}{number}") };
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let access = NewAccess::new(SecretDigest::of(&token), scopes.clone(), end);
        let id = FamilyId::new(Entropy::new(id));
        let client_id = ClientId::parse("s6BhdRkqt3").unwrap();
        let resource = ResourceUri::parse(MCP).unwrap();
        let family =
            NewFamily::new(id, client_id, Subject::parse("alice").unwrap(), resource, access);
        store.insert_family(family, UnixTime::from_secs(0)).await.unwrap();
    }
    StoreVerifier::new(store, issuer())
}

/// A token that says itself what it is, and who verifies it. It is seen often, so its signature is tested once in a
/// while.
fn jwts() -> (Secret, JwtVerifier) {
    let keys = include_bytes!("../../crates/client-auth/tests/keys/public.json");
    let pem = include_str!("../../crates/client-auth/tests/keys/es256.pem");
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, pem).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"iss": issuer(), "sub": "alice", "aud": MCP, "client_id": "s6BhdRkqt3",
        "scope": "files:read files:write", "iat": now, "exp": now + 3600, "jti": TOKEN});
    let token = key.sign_claims("at+jwt", &claims).unwrap();
    let keys = JwkSet::from_json(keys).unwrap();
    (token, JwtVerifier::with_keys(issuer(), &keys).unwrap())
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// How fast a server answers in one turn.
async fn drive(server: SocketAddr, line: &Arc<str>) -> Rate {
    let answered = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    let (start, cpu) = (Instant::now(), cpu_time());
    for _ in 0..CONNECTIONS {
        let (answered, is_over) = (Arc::clone(&answered), Arc::clone(&is_over));
        let line = Arc::clone(line);
        clients.push(tokio::spawn(async move {
            let mut connection = Connection::open(server).await;
            while !is_over.load(Ordering::Relaxed) {
                connection.call(&line).await;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(TURN).await;
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of one turn")]
    let answered = answered.load(Ordering::Relaxed) as f64;
    let cpu = cpu_time().checked_sub(cpu).unwrap_or_default();
    let by_time = answered / start.elapsed().as_secs_f64();
    Rate { by_time, by_cpu: answered / cpu.as_secs_f64() }
}

/// One connection of hyper's client, which is what most Rust clients stand on.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn call(&mut self, line: &str) {
        let request = http::Request::post("/mcp")
            .header(HOST, "127.0.0.1")
            .header(AUTHORIZATION, line)
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "write-file");
        let request = request.body(Full::from(Bytes::from_static(CALL.as_bytes()))).unwrap();
        let answer = self.0.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.windows(8).any(|part| part == b"\"result\""), "{body:?}");
    }
}
