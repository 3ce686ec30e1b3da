//! An MCP client that logs in on smol, with no other runtime in its tree: HTTP by `ureq-proto`, sockets of smol.
//!
//! `ureq-proto` is to HTTP what `client-flow` is to OAuth: it decides and does no I/O. hyper would do as well, but
//! it always brings the crate `tokio`, for its channels. It speaks no TLS: for https, `exchange` would hand its
//! socket to `futures_rustls::TlsConnector::connect` and go on with what comes back.
//!
//! It asks once and ends. A program that stays would also refresh before a token expires (`Session::is_stale`),
//! and forget a refresh token that is refused for good (`FlowError::ends_grant`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the user sits at the terminal")]
#![expect(clippy::disallowed_methods, reason = "the host brings arguments, sockets and entropy")]

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use client_flow::{
    ClientConfig, Exchange, Record, RecordKey, Session, Step, TransportFailed, Tried, Verdict,
    judge, login,
};
use http::{HeaderValue, Request, Response, header};
use iss_validate::Callback;
use oauth_types::{Entropy, RedirectUri, ResourceUri, UnixTime};
use scope_stepup::{Ledger, Operation, Policy};
use smol::Timer;
use smol::future::FutureExt as _;
use smol::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt as _;
use ureq_proto::client::{Call, RecvResponseResult, SendRequestResult};

const LIST_TOOLS: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}"#;

fn main() -> Result<()> {
    smol::block_on(run())
}

async fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (url, body) = match args.as_slice() {
        [url] => (url, LIST_TOOLS),
        [url, body] => (url, body.as_str()),
        _ => bail!("usage: smol-client <MCP URL> [<JSON-RPC request>]"),
    };
    ResourceUri::canonical(url).map_err(|rule| anyhow!("{url} {rule}"))?;
    ensure!(url.starts_with("http://"), "this example speaks no TLS");
    let operation = Operation::of_body(body.as_bytes())?.pop().context("nothing is asked for")?;
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", operation.method())
        .body(Bytes::from(body.to_owned()))?;
    if let Some(name) = operation.name() {
        request.headers_mut().insert("mcp-name", name.parse()?);
    }
    let mut host = Host::new().await?;
    let (policy, mut ledger) = (Policy::default(), Ledger::default());
    let (mut session, mut tried) = (None::<Session>, Tried::default());
    loop {
        if let Some(token) = session.as_ref().and_then(|session| session.authorization(url)) {
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        let response = send(&request).await.with_context(|| format!("cannot ask {url}"))?;
        let answer = (response.status(), response.headers());
        let verdict = judge(session.as_ref(), &ledger, &policy, &operation, tried, answer);
        let step = match (verdict, &session) {
            (Verdict::Login { challenge, held }, _) => {
                tried.login = true;
                login(host.config.clone(), url, challenge.as_ref(), held)?
            }
            (Verdict::StepUp { scope, attempt, challenge }, Some(session)) => {
                ledger.started(attempt);
                session.step_up(&host.config, url, &challenge, scope)?
            }
            (Verdict::Refresh, Some(session)) => {
                tried.refresh = true;
                session.refresh()?
            }
            (Verdict::GiveUp(error), _) => return Err(error.into()),
            (Verdict::Accepted, _) => {
                ensure!(answer.0.is_success(), "the server answered {}", answer.0);
                println!("{}", String::from_utf8_lossy(response.body()));
                return Ok(());
            }
            _ => bail!("the server refuses the token that it was just given"),
        };
        session = Some(host.drive(step).await?);
    }
}

/// What a flow needs of the world outside.
struct Host {
    listener: TcpListener,
    config: ClientConfig,
    records: HashMap<RecordKey, Record>,
}

impl Host {
    async fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let redirect_uri = format!("http://{}/callback", listener.local_addr()?);
        let config = ClientConfig::new("smol client", RedirectUri::parse(&redirect_uri)?);
        Ok(Self { listener, config, records: HashMap::new() })
    }

    async fn drive(&mut self, mut step: Step) -> Result<Session> {
        loop {
            step = match step {
                Step::Exchange(exchange) => {
                    let answer = send(exchange.request()).await;
                    exchange.resume(answer, now())?
                }
                Step::Recall(recall) => {
                    let kept = self.records.get(&recall.key()).cloned();
                    recall.resume(kept, now())?
                }
                // The first that the server lists; a program with a window would ask.
                Step::ChooseServer(choose) => choose.choose(0)?,
                Step::Randomize(draw) => draw.resume(entropy()?, entropy()?, now()),
                Step::Visit(visit) => {
                    eprintln!("Open this address in your browser:\n\n    {}\n", visit.url());
                    // Ctrl-C gives up; the flow itself takes nothing that comes after ten minutes.
                    let callback = loop {
                        let (stream, _) = self.listener.accept().await?;
                        if let Some(callback) = callback(stream, visit.redirect_uri()).await {
                            break callback;
                        }
                    };
                    visit.resume(Callback::from_url(&callback), now())?
                }
                Step::Save(save) => {
                    let record = save.record().clone();
                    self.records.insert(record.account.key(), record);
                    save.saved()
                }
                Step::Ready(session) => return Ok(*session),
            };
        }
    }
}

/// The address that a browser asks for, if that is the redirect URI with a query. Nobody else is answered.
async fn callback(mut stream: TcpStream, redirect_uri: &RedirectUri) -> Option<String> {
    let lines = BufReader::new(stream.clone().take(16 * 1024)).lines().map_while(Result::ok);
    let head = lines.take_while(|line| !line.is_empty()).collect::<Vec<String>>();
    // Browsers also open connections on which they say nothing.
    let head = head
        .or(async {
            Timer::after(Duration::from_secs(1)).await;
            Vec::new()
        })
        .await;
    let target = head.first()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    // Whoever rebinds the DNS of a page of theirs to this machine names another host.
    let mut headers = head.iter().filter_map(|line| line.split_once(": "));
    let (_, host) = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let url = format!("http://{host}{target}");
    let callback = url.strip_prefix(redirect_uri.as_str())?.starts_with('?').then_some(url)?;
    let page = "Content-Type: text/plain\r\nReferrer-Policy: no-referrer\r\nConnection: close";
    let page = format!("HTTP/1.1 200 OK\r\n{page}\r\n\r\nYou can close this page.\n");
    let _ = stream.write_all(page.as_bytes()).await;
    Some(callback)
}

async fn send(request: &Request<Bytes>) -> Result<Response<Bytes>, TransportFailed> {
    let late = async {
        Timer::after(Duration::from_secs(30)).await;
        Err(TransportFailed::Timeout.into())
    };
    let answer = exchange(request).or(late).await;
    answer.map_err(|error| error.downcast().unwrap_or(TransportFailed::Interrupted))
}

/// One request and its answer, over a connection of their own.
async fn exchange(request: &Request<Bytes>) -> Result<Response<Bytes>> {
    let (mut parts, body) = request.clone().into_parts();
    let authority = parts.uri.authority().context(TransportFailed::Connect)?.clone();
    ensure!(parts.uri.scheme_str() == Some("http"), TransportFailed::Connect);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if !body.is_empty() {
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let mut call = Call::new(Request::from_parts(parts, ()))?.proceed();
    let mut head = vec![0; 16 * 1024];
    let length = call.write(&mut head)?;
    head.truncate(length);
    let call = match call.proceed()? {
        Some(SendRequestResult::SendBody(mut call)) => {
            call.consume_direct_write(body.len())?;
            call.proceed()
        }
        Some(SendRequestResult::RecvResponse(call)) => Some(call),
        _ => None,
    };
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    let mut stream = TcpStream::connect(address).await.map_err(|_| TransportFailed::Connect)?;
    stream.write_all(&head).await?;
    stream.write_all(&body).await?;

    // Twice the limit leaves room for the head and for what chunks cost.
    let mut input = Vec::new();
    stream.take(2 * Exchange::MAX_BODY as u64).read_to_end(&mut input).await?;
    let mut call = call.context("the request has no end")?;
    let (used, response) = call.try_response(&input, false)?;
    let response = response.context("the answer has no head")?;
    let input = input.get(used..).unwrap_or_default();
    let mut body = vec![0; Exchange::MAX_BODY];
    let length = match call.proceed() {
        Some(RecvResponseResult::RecvBody(mut call)) => {
            let (used, length) = call.read(input, &mut body)?;
            ensure!(used == input.len(), TransportFailed::TooLarge);
            ensure!(call.can_proceed(), "the answer has no end");
            length
        }
        _ => 0,
    };
    body.truncate(length);
    Ok(response.map(|()| body.into()))
}

fn now() -> UnixTime {
    UnixTime::from_secs(UNIX_EPOCH.elapsed().unwrap_or_default().as_secs())
}

fn entropy() -> Result<Entropy<32>> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy::new(bytes))
}
