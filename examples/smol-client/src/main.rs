//! MCP client on smol, without the runtime of tokio: HTTP by hyper, sockets of smol.
//!
//! For https, `send` would pass its socket to `futures_rustls::TlsConnector::connect` and continue with the result.
//! Sends one request and ends. A long-running program would also refresh tokens before they expire
//! (`Session::is_stale`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the user sits at the terminal")]
#![expect(clippy::disallowed_methods, reason = "the host brings arguments, sockets and entropy")]

mod addresses;
mod callback;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use client_flow::{
    ClientConfig, CredentialKey, SendRequest, Session, Step, StoredCredentials, TransportError,
    TransportErrorKind,
};
use client_flow::{Tried, Verdict, judge, login};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use iss_validate::Callback;
use oauth_types::header::MCP_PROTOCOL_VERSION;
use oauth_types::{Entropy, RedirectUri, ResourceUri, UnixTime};
use scope_stepup::{Ledger, Operation, Policy};
use smol::net::{TcpListener, TcpStream};
use smol::{Timer, future::FutureExt as _};
use smol_hyper::rt::FuturesIo;

use crate::addresses::Addresses;

type Records = HashMap<CredentialKey, StoredCredentials>;
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
    let operation = Operation::of_body(body.as_bytes())?.pop().context("nothing is asked for")?;
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(MCP_PROTOCOL_VERSION, "2026-07-28")
        .body(Bytes::from(body.to_owned()))?;
    request.headers_mut().extend(operation.to_headers());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let redirect_uri = RedirectUri::parse(&format!("http://{}/cb", listener.local_addr()?))?;
    let addresses = Addresses::of(url).await;
    let config = ClientConfig::new("Smol client", redirect_uri);
    let (mut session, mut records, mut tried) = (None::<Session>, Records::new(), Tried::default());
    let (policy, mut ledger, mut started) = (Policy::default(), Ledger::default(), None);
    loop {
        if let Some(session) = &session {
            session.authorize(url, request.headers_mut());
        }
        let response =
            send(&request, &addresses).await.with_context(|| format!("cannot ask {url}"))?;
        let answer = (response.status(), response.headers());
        let verdict = judge(session.as_ref(), &ledger, &policy, &operation, tried, answer);
        tried.note(&verdict);
        let step = match (verdict, &session) {
            (Verdict::Login { challenge }, session) => {
                login(config.clone(), url, challenge.as_ref(), session.as_ref())?
            }
            (Verdict::StepUp { scope, attempt, challenge }, Some(session)) => {
                started = Some(ledger.start(attempt));
                session.step_up(&config, url, &challenge, scope, now())?
            }
            (Verdict::Refresh, Some(session)) => session.refresh(&config)?,
            (Verdict::GiveUp(error), _) => return Err(error.into()),
            (Verdict::Accepted, _) => {
                ensure!(answer.0.is_success(), "the server answered {}", answer.0);
                if let Some(started) = started {
                    started.succeeded(&mut ledger);
                }
                println!("{}", String::from_utf8_lossy(response.body()));
                return Ok(());
            }
            _ => bail!("the server refuses the token that it was just given"),
        };
        session = Some(drive(step, (&listener, &addresses), &mut records).await?);
    }
}

/// Performs the steps of the login flow until it returns a session.
async fn drive(
    mut step: Step,
    (on, addresses): (&TcpListener, &Addresses),
    records: &mut Records,
) -> Result<Session> {
    loop {
        step = match step {
            Step::SendRequest(it) => {
                let answer = send(it.request(), addresses).await;
                it.resume(answer, now())?
            }
            // If processes share the records, hold the store's lock from here to `Save`, so that two processes never
            // use the same refresh token.
            Step::LoadCredentials(it) => {
                let kept = records.get(&it.key()).cloned();
                it.resume(kept, now())?
            }
            Step::ChooseServer(it) => it.choose(0)?,
            Step::GenerateRandom(it) => {
                let (one, other) =
                    (Entropy::fill(getrandom::fill)?, Entropy::fill(getrandom::fill)?);
                it.resume(one, other, now())?
            }
            Step::GetAssertion(_) => bail!("a user stands behind this client"),
            Step::OpenBrowser(it) => {
                eprintln!("Open this address in your browser:\n\n    {}\n", it.url());
                let callback = callback::wait(on, &it.callback_listener()).await?;
                it.resume(Callback::from_url(&callback), now())?
            }
            Step::SaveCredentials(it) => {
                records.insert(it.record().key(), it.record().clone());
                it.saved()?
            }
            Step::Ready(session) => return Ok(*session),
        };
    }
}

async fn send(
    request: &Request<Bytes>,
    addresses: &Addresses,
) -> Result<Response<Bytes>, TransportError> {
    exchange(request, addresses)
        .or(after(Duration::from_secs(30), Err(TransportErrorKind::Timeout.into())))
        .await
}

/// Sends one request over a new connection; returns the response.
async fn exchange(
    request: &Request<Bytes>,
    addresses: &Addresses,
) -> Result<Response<Bytes>, TransportError> {
    let broken = |error| TransportError::new(TransportErrorKind::Interrupted).with_source(error);
    let mut request = request.clone();
    let uri = std::mem::take(request.uri_mut());
    let (Some("http"), Some(to)) = (uri.scheme_str(), uri.authority()) else {
        return Err(TransportErrorKind::Connect.into());
    };
    let addresses = addresses.resolve(&uri).await?;
    *request.uri_mut() = uri.path_and_query().cloned().map(Into::into).unwrap_or_default();
    request.headers_mut().extend(to.as_str().parse().ok().map(|host| (header::HOST, host)));
    let stream = TcpStream::connect(&*addresses).await?;
    let stream = FuturesIo::new(stream);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    smol::spawn(connection).detach();
    let (head, body) =
        sender.send_request(request.map(Full::new)).await.map_err(broken)?.into_parts();
    let body = Limited::new(body, SendRequest::MAX_BODY).collect().await;
    let body = body.map_err(|_| TransportError::new(TransportErrorKind::TooLarge))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

async fn after<T>(time: Duration, result: T) -> T {
    Timer::after(time).await;
    result
}

fn now() -> UnixTime {
    UnixTime::saturating_from(SystemTime::now())
}
