//! MCP client without an async runtime: HTTP by `ureq`, sockets of the standard library.
//!
//! Sends one request and ends. A long-running program would also refresh tokens before they expire
//! (`Session::is_stale`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the user sits at the terminal")]
#![expect(clippy::disallowed_methods, reason = "the host brings arguments, sockets and entropy")]

mod addresses;
mod callback;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use client_flow::{
    ClientConfig, CredentialKey, SendRequest, Session, Step, StoredCredentials, TransportError,
};
use client_flow::{Tried, Verdict, judge, login};
use http::{Request, Response, header};
use iss_validate::Callback;
use oauth_types::header::MCP_PROTOCOL_VERSION;
use oauth_types::{Entropy, RedirectUri, ResourceUri, UnixTime};
use scope_stepup::{Ledger, Operation, Policy};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

use crate::addresses::Addresses;

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
        .header(MCP_PROTOCOL_VERSION, "2026-07-28")
        .body(Bytes::from(body.to_owned()))?;
    request.headers_mut().extend(operation.to_headers());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let http = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let http = http.timeout_global(Some(Duration::from_secs(30))).tls_config(tls).proxy(None);
    let http = Agent::with_parts(http.build(), DefaultConnector::default(), Addresses::of(url));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let redirect_uri = RedirectUri::parse(&format!("http://{}/cb", listener.local_addr()?))?;
    let config = ClientConfig::new("Blocking client", redirect_uri);
    let mut host = Host { http, listener, config, records: HashMap::new() };
    let (policy, mut ledger, mut started) = (Policy::default(), Ledger::default(), None);
    let (mut session, mut tried) = (None::<Session>, Tried::default());
    loop {
        if let Some(session) = &session {
            session.authorize(url, request.headers_mut());
        }
        let response = host.send(&request).with_context(|| format!("cannot ask {url}"))?;
        let answer = (response.status(), response.headers());
        let verdict = judge(session.as_ref(), &ledger, &policy, &operation, tried, answer);
        tried.note(&verdict);
        let step = match (verdict, &session) {
            (Verdict::Login { challenge }, session) => {
                login(host.config.clone(), url, challenge.as_ref(), session.as_ref())?
            }
            (Verdict::StepUp { scope, attempt, challenge }, Some(session)) => {
                started = Some(ledger.start(attempt));
                session.step_up(&host.config, url, &challenge, scope, now())?
            }
            (Verdict::Refresh, Some(session)) => session.refresh(&host.config)?,
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
        session = Some(host.drive(step)?);
    }
}

/// Network, addresses and storage that the login flow needs.
struct Host {
    http: Agent,
    listener: TcpListener,
    config: ClientConfig,
    records: HashMap<CredentialKey, StoredCredentials>,
}

impl Host {
    fn drive(&mut self, mut step: Step) -> Result<Session> {
        loop {
            step = match step {
                Step::SendRequest(it) => {
                    let answer = self.send(it.request());
                    it.resume(answer, now())?
                }
                // If processes share the records, hold the store's lock from here to `Save`, so that two processes
                // never use the same refresh token.
                Step::LoadCredentials(it) => {
                    let kept = self.records.get(&it.key()).cloned();
                    it.resume(kept, now())?
                }
                // The first authorization server of the list; a graphical program would ask the user.
                Step::ChooseServer(it) => it.choose(0)?,
                Step::GenerateRandom(it) => {
                    let (one, other) =
                        (Entropy::fill(getrandom::fill)?, Entropy::fill(getrandom::fill)?);
                    it.resume(one, other, now())?
                }
                Step::GetAssertion(_) => bail!("a user stands behind this client"),
                Step::OpenBrowser(it) => {
                    eprintln!("Open this address in your browser:\n\n    {}\n", it.url());
                    let callback = callback::wait(&self.listener, &it.callback_listener())?;
                    it.resume(Callback::from_url(&callback), now())?
                }
                Step::SaveCredentials(it) => {
                    self.records.insert(it.record().key(), it.record().clone());
                    it.saved()?
                }
                Step::Ready(session) => return Ok(*session),
            };
        }
    }

    fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let failure = |error: ureq::Error| TransportError::from(error.into_io());
        let mut response = self.http.run(request.clone().map(Vec::from)).map_err(failure)?;
        let body = response.body_mut().with_config().limit(SendRequest::MAX_BODY as u64 + 1);
        let body = Bytes::from(body.read_to_vec().map_err(failure)?);
        Ok(response.map(|_| body))
    }
}

fn now() -> UnixTime {
    UnixTime::saturating_from(SystemTime::now())
}
