//! Client, authorization server and resource server, joined in memory.
//!
//! Whole protocols run in microseconds, with a scripted clock, scripted entropy, and a store that fails on request.
//! Nothing sleeps, and nothing is random.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::{
    AuthorizationRequest, Config, Environment, Refusal, ServerKey, ServerKeys, Store as _,
    register, revoke, token,
};
use bytes::Bytes;
use client_flow::{ClientConfig, FlowError, Session, Step, Tried, Verdict, judge, login};
use futures::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use iss_validate::Callback;
use oauth_types::{Entropy, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use scope_stepup::{InsufficientScope, Ledger, NoHierarchy, Operation, Policy};

use crate::faulty::FaultyStore;

/// Address of the MCP server.
pub const MCP: &str = "https://rs.example/mcp";
/// Issuer of the authorization server.
pub const ISSUER: &str = "https://as.example";
/// Redirect URI of the client.
pub const REDIRECT: &str = "http://127.0.0.1/callback";

/// Reason why a call to the MCP server got no response.
#[derive(Debug)]
pub enum CallError {
    /// A login, refresh or step-up failed.
    Flow(FlowError),
    /// The call needs scope that could not be obtained.
    InsufficientScope(Box<InsufficientScope>),
    /// The server refuses new tokens.
    Unauthorized,
}

/// Authorization server and resource server with a common clock.
#[derive(Debug)]
pub struct World {
    now: AtomicU64,
    drawn: AtomicU8,
    /// Configuration of the authorization server.
    pub config: Config,
    /// Store of the authorization server.
    pub store: FaultyStore,
    /// Access decisions of the MCP server.
    pub resource: Resource,
    scopes: OperationScopes,
    log: Mutex<Vec<String>>,
    wire: Mutex<String>,
}

/// State of a client.
#[derive(Debug, Default)]
pub struct Client {
    /// Registration and tokens.
    pub session: Option<Session>,
    /// Count of its step-ups.
    pub ledger: Ledger,
}

/// Returns the output of a future that is ready at once, as a memory store's are.
///
/// # Panics
///
/// When the future is not ready.
pub fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    #[expect(clippy::expect_used, reason = "a memory store never waits")]
    future.now_or_never().expect("a memory store never waits")
}

impl Environment for World {
    type Store = FaultyStore;

    fn store(&self) -> &FaultyStore {
        &self.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        Some(Self::entropy(self))
    }
}

impl World {
    /// Creates a server with two tools, one of which needs more scope than the other.
    ///
    /// # Errors
    ///
    /// Does not occur: the constructors of its parts are fallible, but their arguments are constants.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let issuer = Issuer::parse(ISSUER)?;
        let uri = ResourceUri::parse(MCP)?;
        let scopes = OperationScopes::new("files:read")?
            .tool("list-files", "files:read")?
            .tool("write-file", "files:read files:write")?;
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([0xAA; 32])));
        Ok(Self {
            now: AtomicU64::new(1_000_000),
            drawn: AtomicU8::new(0),
            config: Config::new(issuer.clone(), vec![uri.clone()], scopes.all().clone(), keys)?,
            store: FaultyStore::default(),
            resource: Resource::new(uri, vec![issuer])?,
            scopes,
            log: Mutex::default(),
            wire: Mutex::default(),
        })
    }

    /// Returns the time.
    pub fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now.load(Ordering::SeqCst))
    }

    /// Advances the time.
    pub fn advance(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Returns bytes that differ in every draw.
    pub fn entropy<const N: usize>(&self) -> Entropy<N> {
        Entropy::new([self.drawn.fetch_add(1, Ordering::SeqCst); N])
    }

    /// Returns all requests so far, as method and path.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns all requests and responses so far, as they are on the wire.
    ///
    /// Headers are in the order of their names.
    pub fn wire(&self) -> String {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, message: &str) {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.push_str(message);
        wire.push('\n');
    }

    /// Returns the number of requests to this path.
    pub fn count(&self, path: &str) -> usize {
        self.log().iter().filter(|line| line.ends_with(path)).count()
    }

    /// Answers a request as the server that it is addressed to.
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let line = format!("> {} {}", request.method(), request.uri());
        self.record(&message(&line, request.headers(), request.body()));
        let response = self.route(request);
        let line = format!("< {}", response.status());
        self.record(&message(&line, response.headers(), response.body()));
        response
    }

    fn route(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let line = format!("{} {}", request.method(), request.uri().path());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let host = request.uri().host().unwrap_or_default();
        let outcome = match (host, request.uri().path()) {
            ("rs.example", "/mcp") => return self.mcp(request),
            ("rs.example", path) if self.resource.metadata_paths().any(|own| own == path) => {
                return self.resource.metadata_response(request.method());
            }
            ("as.example", path) if self.config.paths().metadata.iter().any(|own| own == path) => {
                return self.config.metadata_response(request.method());
            }
            ("as.example", "/register") => self.register(request),
            ("as.example", "/token") => self.token(request),
            _ => return status(StatusCode::NOT_FOUND),
        };
        outcome.unwrap_or_else(Refusal::into_response)
    }

    /// Answers a request at the registration endpoint.
    ///
    /// # Errors
    ///
    /// The endpoint's refusal.
    pub fn register(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        now_or_never(register(&self.config, self, request, self.now()))
    }

    /// Answers a request at the token endpoint.
    ///
    /// # Errors
    ///
    /// The endpoint's refusal.
    pub fn token(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        now_or_never(token(&self.config, self, request, self.now()))
    }

    /// Answers a request at the revocation endpoint.
    ///
    /// # Errors
    ///
    /// The endpoint's refusal.
    pub fn revoke(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        now_or_never(revoke(&self.config, self, request, self.now()))
    }

    /// Answers a request at the authorization endpoint, for a user who approves.
    ///
    /// Returns the URL that the browser is redirected to.
    ///
    /// # Errors
    ///
    /// The status of the page, if there is no redirect.
    pub fn authorize(&self, url: &str) -> Result<String, StatusCode> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.parse().map_err(|_| StatusCode::IM_A_TEAPOT)?;
        let page = |error: authorization_server::PageError| error.into_response().status();
        let parsed = AuthorizationRequest::parse(&self.config, &request).map_err(page)?;
        let client = now_or_never(self.store.read_client(parsed.client_id()));
        let redirectable = parsed.with_client(client.unwrap_or_default(), self.now());
        let redirectable = redirectable.map_err(page)?;
        let response = match redirectable.check() {
            Err(error) => error.into_response(),
            Ok(consent) => {
                let alice = Subject::parse("alice").map_err(|_| StatusCode::IM_A_TEAPOT)?;
                let approved = consent.approve(alice, self.entropy(), self.now());
                let stored = now_or_never(self.store.insert_code(approved.record().clone()));
                let outcome = approved.stored(stored);
                outcome.unwrap_or_else(authorization_server::RedirectError::into_response)
            }
        };
        self.record(&format!("> GET {url}\n"));
        let line = format!("< {}", response.status());
        self.record(&message(&line, response.headers(), response.body()));
        let location = response.headers().get(http::header::LOCATION);
        location.and_then(|url| url.to_str().ok()).map(str::to_owned).ok_or(response.status())
    }

    fn mcp(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let admit = || {
            let presented = self.resource.present(request, self.scopes.base())?;
            let found = now_or_never(self.store.access(&presented.digest(), self.now()));
            let facts = found.unwrap_or_default().map(|record| {
                Arc::new(
                    AccessTokenInfo::new(
                        record.subject,
                        record.client_id,
                        self.config.issuer().clone(),
                    )
                    .with_scopes(record.scopes)
                    .with_audience([record.resource])
                    .with_expires_at(record.expires_at)
                    .with_jkt(record.jkt),
                )
            });
            let required = self.scopes.required_for(request.headers(), request.body())?;
            presented.decide(facts, &required, &NoHierarchy, self.now())
        };
        match admit() {
            Ok(_) => status(StatusCode::OK),
            Err(denial) => denial.into_response(),
        }
    }

    /// Carries out a flow; `browse` returns the redirect for an authorization URL.
    ///
    /// # Errors
    ///
    /// The error that ends the flow.
    pub fn drive(
        &self,
        mut step: Step,
        browse: &dyn Fn(&str) -> String,
    ) -> Result<Session, FlowError> {
        loop {
            step = match step {
                Step::SendRequest(exchange) => {
                    let response = self.answer(exchange.request());
                    exchange.resume(Ok(response), self.now())?
                }
                Step::LoadCredentials(recall) => recall.resume(None, self.now())?,
                Step::ChooseServer(choose) => choose.choose(0)?,
                Step::GenerateRandom(draw) => {
                    draw.resume(self.entropy(), self.entropy(), self.now())?
                }
                Step::GetAssertion(identify) => identify.resume(&Secret::new("nobody"))?,
                Step::OpenBrowser(visit) => {
                    let callback = browse(visit.url());
                    visit.resume(Callback::from_url(&callback), self.now())?
                }
                Step::SaveCredentials(save) => save.saved()?,
                Step::Ready(session) => return Ok(*session),
            }
        }
    }

    /// Calls a tool, with the login, refresh or step-up that it needs.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the call gets no response.
    pub fn call(&self, client: &mut Client, tool: &str) -> Result<StatusCode, CallError> {
        let operation = Operation::tool(tool);
        let mut tried = Tried::default();
        let agree = |url: &str| self.authorize(url).unwrap_or_default();
        loop {
            let mut request = Request::new(call_body(tool));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = MCP.parse().unwrap_or_default();
            let token = client.session.as_ref().and_then(|own| own.authorization(MCP));
            request.headers_mut().extend(token.map(|value| (AUTHORIZATION, value)));
            let response = self.answer(&request);
            let answer = (response.status(), response.headers());
            let session = client.session.as_ref();
            let policy = Policy::default();
            let step = match judge(session, &client.ledger, &policy, &operation, tried, answer) {
                Verdict::Accepted => {
                    if response.status().is_success()
                        && let Some(started) = client.ledger.started(&operation)
                    {
                        started.succeeded(&mut client.ledger);
                    }
                    return Ok(response.status());
                }
                Verdict::Refresh => {
                    tried.refresh = true;
                    match session.map(|own| own.refresh(&client_config())) {
                        Some(step) => step,
                        None => return Err(CallError::Unauthorized),
                    }
                }
                Verdict::Login { challenge } => {
                    tried.login = true;
                    login(client_config(), MCP, challenge.as_ref(), session)
                }
                Verdict::StepUp { scope, attempt, challenge } => {
                    drop(client.ledger.start(attempt));
                    match session {
                        Some(session) => {
                            session.step_up(&client_config(), MCP, &challenge, scope, self.now())
                        }
                        None => return Err(CallError::Unauthorized),
                    }
                }
                // The tokens of this client are not bound to a key.
                Verdict::UseNonce | Verdict::Unauthorized => return Err(CallError::Unauthorized),
                Verdict::GiveUp(error) => return Err(CallError::InsufficientScope(error)),
            };
            let is_refresh = client.session.is_some() && tried.refresh && !tried.login;
            client.session = match step.and_then(|step| self.drive(step, &agree)) {
                Err(error) if is_refresh && error.ends_grant() => {
                    client.session.take().map(|session| session.after(&error))
                }
                outcome => Some(outcome.map_err(CallError::Flow)?),
            };
        }
    }

    /// Returns the scopes that the session's token grants.
    pub fn granted(client: &Client) -> Option<&str> {
        client.session.as_ref()?.tokens().granted.as_ref().map(ScopeSet::as_str)
    }
}

/// Returns the configuration of the client.
///
/// # Panics
///
/// Does not occur, because the redirect URI is a constant.
pub fn client_config() -> ClientConfig {
    #[expect(clippy::expect_used, reason = "a constant")]
    let redirect_uri = RedirectUri::parse(REDIRECT).expect("a redirect URI");
    ClientConfig::new("World", redirect_uri)
}

fn message(line: &str, headers: &HeaderMap, body: &Bytes) -> String {
    let mut headers: Vec<String> = (headers.iter())
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    format!("{line}\n{}\n{}\n", headers.concat(), String::from_utf8_lossy(body))
}

fn call_body(tool: &str) -> Bytes {
    let body = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool},
    });
    body.to_string().into()
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
