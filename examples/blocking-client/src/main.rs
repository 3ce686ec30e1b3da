//! An MCP client that logs in without any runtime: HTTP by `ureq`, sockets of the standard library.
//!
//! It asks once and ends. A program that stays would also refresh before a token expires (`Session::is_stale`),
//! and forget a refresh token that is refused for good (`FlowError::ends_grant`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the user sits at the terminal")]
#![expect(clippy::disallowed_methods, reason = "the host brings arguments, sockets and entropy")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use client_flow::{
    ClientConfig, Exchange, Record, RecordKey, Session, Step, TransportFailed, Tried, Verdict,
    judge, login,
};
use http::{Request, Response, header};
use iss_validate::Callback;
use oauth_types::{Entropy, RedirectUri, ResourceUri, UnixTime};
use scope_stepup::{Ledger, Operation, Policy};
use ureq::tls::{RootCerts, TlsConfig};

const LIST_TOOLS: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}"#;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (url, body) = match args.as_slice() {
        [url] => (url, LIST_TOOLS),
        [url, body] => (url, body.as_str()),
        _ => bail!("usage: blocking-client <MCP URL> [<JSON-RPC request>]"),
    };
    ResourceUri::canonical(url).map_err(|rule| anyhow!("{url} {rule}"))?;
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
    let mut host = Host::new()?;
    let (policy, mut ledger) = (Policy::default(), Ledger::default());
    let (mut session, mut tried) = (None::<Session>, Tried::default());
    loop {
        if let Some(token) = session.as_ref().and_then(|session| session.authorization(url)) {
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        let response = host.send(&request).with_context(|| format!("cannot ask {url}"))?;
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
        session = Some(host.drive(step)?);
    }
}

/// What a flow needs of the world outside.
struct Host {
    http: ureq::Agent,
    listener: TcpListener,
    config: ClientConfig,
    records: HashMap<RecordKey, Record>,
}

impl Host {
    fn new() -> Result<Self> {
        // Fails where a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let redirect_uri = format!("http://{}/callback", listener.local_addr()?);
        let config = ClientConfig::new("Blocking client", RedirectUri::parse(&redirect_uri)?);
        Ok(Self { http: http.build().into(), listener, config, records: HashMap::new() })
    }

    fn drive(&mut self, mut step: Step) -> Result<Session> {
        loop {
            step = match step {
                Step::Exchange(exchange) => {
                    let answer = self.send(exchange.request());
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
                    let mut visitors = self.listener.incoming().flatten();
                    let callback = visitors.find_map(|it| callback(&it, visit.redirect_uri()));
                    let callback = callback.context("nobody can come back any more")?;
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

    fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportFailed> {
        let mut response = self.http.run(request.clone().map(Vec::from)).map_err(failure)?;
        // The body has to end before ureq's limit.
        let body = response.body_mut().with_config().limit(Exchange::MAX_BODY as u64 + 1);
        let body = Bytes::from(body.read_to_vec().map_err(failure)?);
        Ok(response.map(|_| body))
    }
}

fn failure(error: ureq::Error) -> TransportFailed {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        ureq::Error::Timeout(_) => TransportFailed::Timeout,
        ureq::Error::BodyExceedsLimit(_) => TransportFailed::TooLarge,
        ureq::Error::Io(io) => match io.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => TransportFailed::Interrupted,
            _ => TransportFailed::Connect,
        },
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => TransportFailed::Connect,
        _ => TransportFailed::Interrupted,
    }
}

/// The address that a browser asks for, if that is the redirect URI with a query. Nobody else is answered.
fn callback(mut stream: &TcpStream, redirect_uri: &RedirectUri) -> Option<String> {
    // Browsers also open connections on which they say nothing.
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let lines = BufReader::new(stream.take(16 * 1024)).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = head.first()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    // Whoever rebinds the DNS of a page of theirs to this machine names another host.
    let mut headers = head.iter().filter_map(|line| line.split_once(": "));
    let (_, host) = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let url = format!("http://{host}{target}");
    let callback = url.strip_prefix(redirect_uri.as_str())?.starts_with('?').then_some(url)?;
    let page = "Content-Type: text/plain\r\nReferrer-Policy: no-referrer\r\nConnection: close";
    let _ = write!(stream, "HTTP/1.1 200 OK\r\n{page}\r\n\r\nYou can close this page.\n");
    Some(callback)
}

fn now() -> UnixTime {
    UnixTime::from_secs(UNIX_EPOCH.elapsed().unwrap_or_default().as_secs())
}

fn entropy() -> Result<Entropy<32>> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy::new(bytes))
}
