//! Paths of the authorization server and of a protected resource, over the in-memory store and without HTTP.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{CodeRecord, FamilyId, NewAccess, NewFamily};
use authorization_server::{
    Config, Environment, MemoryStore, Refusal, ServerKey, ServerKeys, Store as _, register, token,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method as HttpMethod, Request, Response, StatusCode};
use oauth_types::{
    AccessTokenInfo, ClientId, ClientInformation, CodeVerifier, Entropy, Issuer, RedirectUri,
    ResourceUri, ScopeSet, SecretDigest, Subject, TokenResponse, UnixTime,
};
use resource_server::{OperationScopes, Resource};
use scope_stepup::NoHierarchy;
use tests::world::now_or_never;

use crate::{RUNS, Run};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const REDIRECT: &str = "http://127.0.0.1:51004/callback";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const SCOPES: &str = "files:read files:write user:profile";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Host with an in-memory store.
#[derive(Default)]
pub(crate) struct Host {
    store: MemoryStore,
    drawn: AtomicU64,
}

impl Environment for Host {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut bytes = [7; N];
        bytes.iter_mut().zip(number).for_each(|(byte, number)| *byte = number);
        Some(Entropy::new(bytes))
    }
}

/// Returns the configuration of a server and its host.
pub(crate) fn server() -> (Config, Host) {
    let issuer = Issuer::parse("https://auth.example.com").unwrap();
    let resource = ResourceUri::parse(RESOURCE).unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = ScopeSet::parse(SCOPES).unwrap();
    (Config::new(issuer, vec![resource], scopes, keys).unwrap(), Host::default())
}

/// Client authentication of a token request.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    Basic,
    Post,
}

/// Registered client with its secret.
struct Client {
    id: String,
    secret: String,
}

const REGISTRATION: &str = r#"{"client_name":"Example","redirect_uris":["http://127.0.0.1:51004/callback"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"client_secret_METHOD","scope":"files:read files:write user:profile"}"#;

fn registration_request(method: Method) -> Request<Bytes> {
    let method = match method {
        Method::Basic => "basic",
        Method::Post => "post",
    };
    let body = REGISTRATION.replace("METHOD", method);
    let request = Request::post("/register").header(CONTENT_TYPE, "application/json");
    request.body(Bytes::from(body)).unwrap()
}

impl Client {
    fn register(config: &Config, host: &Host, method: Method) -> Self {
        let answer = now_or_never(register(config, host, &registration_request(method), NOW));
        let answer = ClientInformation::from_json(answer.unwrap().body()).unwrap();
        let secret = answer.client_secret.unwrap().expose().to_owned();
        Self { id: answer.client_id.as_str().to_owned(), secret }
    }

    fn request(&self, method: Method, secret: &str, grant: &str) -> Request<Bytes> {
        let request = Request::post("/token")
            .header(HOST, "auth.example.com")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (request, body) = match method {
            Method::Basic => {
                let pair = STANDARD.encode(format!("{}:{secret}", self.id));
                (request.header(AUTHORIZATION, format!("Basic {pair}")), grant.to_owned())
            }
            Method::Post => {
                (request, format!("{grant}&client_id={}&client_secret={secret}", self.id))
            }
        };
        request.body(Bytes::from(body)).unwrap()
    }
}

/// Code grant as clients send it, for the code with this number.
fn code_grant(number: usize) -> String {
    format!(
        "grant_type=authorization_code&code={}&redirect_uri=http%3A%2F%2F127.0.0.1%3A51004%2Fcallback\
         &code_verifier={VERIFIER}&resource=https%3A%2F%2Fmcp.example.com%2Fmcp",
        code_text(number)
    )
}

fn code_text(number: usize) -> String {
    format!("SplxlOBeZQQYbYS6WxSbIA{number:021}")
}

/// Stores a code for the client, as the authorization endpoint does.
fn store_code(host: &Host, client: &Client, number: usize) {
    let index = CodeIndex {
        digest: SecretDigest::of(&code_text(number)),
        client_id: ClientId::parse(&client.id).unwrap(),
        subject: Subject::parse("user-4711").unwrap(),
        expires_at: NOW.saturating_add(core::time::Duration::from_secs(60)),
        redeemed: None,
    };
    let redirect_uri = RedirectUri::parse(REDIRECT).unwrap();
    let challenge = CodeVerifier::parse(VERIFIER).unwrap().challenge();
    let resource = ResourceUri::parse(RESOURCE).unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let code = CodeRecord::new(index, redirect_uri, challenge, resource, scopes);
    now_or_never(host.store.insert_code(code)).unwrap();
}

type Answer = Result<Response<Bytes>, Refusal>;

/// Returns runs of the token endpoint with these requests.
fn token_runs(
    server: (Config, Host),
    requests: Vec<Request<Bytes>>,
    is_expected: fn(Answer) -> bool,
) -> Vec<Run> {
    let server = Arc::new(server);
    let run = |request: Request<Bytes>| {
        let server = Arc::clone(&server);
        Box::new(move || {
            let (config, host) = &*server;
            let answer = now_or_never(token(config, host, &request, NOW));
            assert!(is_expected(answer), "the endpoint answers otherwise");
        }) as Run
    };
    requests.into_iter().map(run).collect()
}

/// Redemption of a code with PKCE and a secret.
pub(crate) fn code(method: Method) -> Vec<Run> {
    let (config, host) = server();
    let client = Client::register(&config, &host, method);
    let request = |number| {
        store_code(&host, &client, number);
        client.request(method, &client.secret, &code_grant(number))
    };
    let requests = (0..=RUNS).map(request).collect();
    token_runs((config, host), requests, |answer| answer.is_ok())
}

/// Refresh with a secret, each of another grant.
pub(crate) fn refresh() -> Vec<Run> {
    let (config, host) = server();
    let client = Client::register(&config, &host, Method::Post);
    let request = |number| {
        store_code(&host, &client, number);
        let request = client.request(Method::Post, &client.secret, &code_grant(number));
        let answer = now_or_never(token(&config, &host, &request, NOW)).unwrap();
        let answer = TokenResponse::from_json(answer.body()).unwrap();
        let refresh_token = answer.refresh_token.unwrap();
        let grant = format!("grant_type=refresh_token&refresh_token={}", refresh_token.expose());
        client.request(Method::Post, &client.secret, &grant)
    };
    let requests = (0..=RUNS).map(request).collect();
    token_runs((config, host), requests, |answer| answer.is_ok())
}

/// Failed client authentication.
pub(crate) fn wrong_secret() -> Vec<Run> {
    let (config, host) = server();
    let client = Client::register(&config, &host, Method::Post);
    let request = |number| client.request(Method::Post, "wrong", &code_grant(number));
    let requests = (0..=RUNS).map(request).collect();
    token_runs((config, host), requests, |answer| {
        answer.is_err_and(|refusal| refusal.into_response().status() == StatusCode::UNAUTHORIZED)
    })
}

pub(crate) fn metadata() -> Vec<Run> {
    let config = Arc::new(server().0);
    let run = |_| {
        let config = Arc::clone(&config);
        Box::new(move || drop(black_box(config.metadata_response(&HttpMethod::GET)))) as Run
    };
    (0..=RUNS).map(run).collect()
}

pub(crate) fn registration() -> Vec<Run> {
    let server = Arc::new(server());
    let run = |_| {
        let (server, request) = (Arc::clone(&server), registration_request(Method::Post));
        Box::new(move || {
            let (config, host) = &*server;
            drop(now_or_never(register(config, host, &request, NOW)).unwrap());
        }) as Run
    };
    (0..=RUNS).map(run).collect()
}

/// Protected resource with a table of scopes, and the store of its tokens.
struct Protected {
    resource: Resource,
    scopes: OperationScopes,
    host: Host,
    issuer: Issuer,
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write-file","arguments":{"path":"notes/today.txt","text":"Buy milk, write the minutes, call Ada."}}}"#;

impl Protected {
    fn new(granted: &str) -> Self {
        let (config, host) = server();
        let resource = ResourceUri::parse(RESOURCE).unwrap();
        let scopes = OperationScopes::new("files:read").unwrap();
        let scopes = scopes.tool("write-file", "files:read files:write").unwrap();
        let granted = ScopeSet::parse(granted).unwrap();
        let end = NOW.saturating_add(core::time::Duration::from_secs(600));
        let access = NewAccess::new(SecretDigest::of(VERIFIER), granted, end);
        let (client, subject) = (ClientId::parse("c1").unwrap(), Subject::parse("user-1").unwrap());
        let id = FamilyId::from_bytes([1; 16]);
        let family = NewFamily::new(id, client, subject, resource.clone(), access);
        now_or_never(host.store.insert_family(family, NOW)).unwrap();
        let issuer = config.issuer().clone();
        let resource = Resource::new(resource, vec![issuer.clone()]).unwrap();
        Self { resource, scopes, host, issuer }
    }

    /// Decides a request as the layer does; returns `true` if it is allowed.
    fn admit(&self, request: &Request<&[u8]>) -> bool {
        let decide = || {
            let presented = self.resource.present(request, self.scopes.base())?;
            let digest = presented.digest();
            let facts: Option<Arc<AccessTokenInfo>> =
                now_or_never(self.host.store.access_token_info(&digest, &self.issuer, NOW))
                    .unwrap_or_default();
            let required = self.scopes.required_for(request.headers(), request.body())?;
            presented.decide(facts, &required, &NoHierarchy, NOW)
        };
        match decide() {
            Ok(granted) => {
                black_box(granted);
                true
            }
            Err(denial) => {
                drop(black_box(denial.into_response()));
                false
            }
        }
    }
}

fn call_request(token: Option<&str>) -> Request<&'static [u8]> {
    let request = Request::post("/mcp").header(HOST, "mcp.example.com");
    let request = match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    };
    request.header(CONTENT_TYPE, "application/json").body(CALL.as_bytes()).unwrap()
}

fn call_runs(granted: &str, token: Option<&'static str>, is_allowed: bool) -> Vec<Run> {
    let protected = Arc::new(Protected::new(granted));
    let run = |_| {
        let (protected, request) = (Arc::clone(&protected), call_request(token));
        Box::new(move || assert_eq!(protected.admit(&request), is_allowed)) as Run
    };
    (0..=RUNS).map(run).collect()
}

/// Call of a tool that needs both scopes.
pub(crate) fn call(granted: &str) -> Vec<Run> {
    call_runs(granted, Some(VERIFIER), granted.contains("write"))
}

pub(crate) fn call_without_token() -> Vec<Run> {
    call_runs(SCOPES, None, false)
}
