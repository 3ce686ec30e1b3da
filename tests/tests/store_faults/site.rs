//! Both servers on one store that fails, and how somebody speaks to them who tries again.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use authorization_server::store::StoreError;
use authorization_server::{ClientRecord, Config, ResourceServer, ServerKey, ServerKeys, Store};
use axum::Router;
use axum::body::Body;
use client_auth::{ClientAuthRecord, ProofKey, SigningKey, VerifyingKeys};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    AuthorizationServer, Clock, Deadlines, DemoLogin, ProtectLayer, StoreVerifier,
};
use oauth_types::{
    AuthMethod, ClientId, Entropy, FormPairs, FormWriter, Issuer, ResourceUri, ScopeSet, Secret,
    SecretDigest, SigningAlgorithm, UnixTime,
};
use resource_server::Resource;
use serde_json::Value;
use tests::faulty::FaultyStore;
use tower::ServiceExt as _;

pub(crate) const MCP: &str = "https://rs.example/mcp";
pub(crate) const MACHINE: &str = "machine";
/// The client of the users.
pub(crate) const APP: &str = "app";
const ISSUER: &str = "https://as.example";
const PEM: &str = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
static SIGNS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_pem(SigningAlgorithm::Es256, PEM).unwrap());
static PROVES: LazyLock<ProofKey> = LazyLock::new(|| ProofKey::from_pem(PEM).unwrap());
const KEYS: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");
/// How often something is tried.
const ATTEMPTS: usize = 6;

/// Both servers on one store.
pub(crate) struct Site<S> {
    pub(crate) store: Arc<FaultyStore<S>>,
    server: Router,
    mcp: Router,
    seconds: Arc<AtomicU64>,
    drawn: AtomicU64,
    /// How many answers said that they are none.
    pub(crate) refused: AtomicUsize,
    patience: Duration,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// A parameter of the redirect.
    pub(crate) fn redirect(&self, name: &'static str) -> Option<String> {
        let url = self.headers.get(LOCATION)?.to_str().unwrap();
        let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    pub(crate) fn cookie(&self) -> String {
        self.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    pub(crate) fn transaction(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"transaction\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

pub(crate) fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

impl<S: Store + 'static> Site<S> {
    /// Both servers, which wait so long for the store.
    pub(crate) async fn open(store: FaultyStore<S>, patience: Duration) -> Self {
        let (issuer, resource) = (Issuer::parse(ISSUER).unwrap(), ResourceUri::parse(MCP).unwrap());
        let scopes = ScopeSet::parse("files:read").unwrap();
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let basic = AuthMethod::ClientSecretBasic;
        let asker = ResourceServer::new(
            id("rs"),
            ClientAuthRecord::new(basic).with_secret(Secret::new("secret").digest()),
            resource.clone(),
        );
        let config = Config::new(issuer.clone(), vec![resource.clone()], scopes.clone(), keys)
            .and_then(|config| config.with_resource_server(asker))
            .unwrap()
            .with_remembered_consent(Duration::from_secs(86_400))
            .with_remembered_client(id(APP));
        let signs = VerifyingKeys::from_jwks(&KEYS.parse().unwrap(), None).unwrap();
        let (signs, start) = (
            ClientAuthRecord::new(AuthMethod::PrivateKeyJwt).with_keys(signs),
            UnixTime::from_secs(1_000_000),
        );
        let machine = ClientRecord::client_credentials(id(MACHINE), signs, scopes.clone(), start);
        store.inner().create_client(machine, start).await.unwrap();
        let (store, seconds) = (Arc::new(store), Arc::new(AtomicU64::new(start.as_secs())));
        let read = Arc::clone(&seconds);
        let clock = Clock::new(move || UnixTime::from_secs(read.load(Ordering::SeqCst)));
        let server = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
            .without_client_documents()
            .with_clock(clock.clone())
            .with_deadlines(Deadlines::default().with_answer(patience))
            .router();
        let verifier = StoreVerifier::new(Arc::clone(&store), issuer.clone());
        let resource = Resource::new(resource, vec![issuer]).unwrap().with_dpop();
        let protect = ProtectLayer::new(resource, verifier, scopes)
            .with_shared_proofs(Arc::clone(&store))
            .with_deadline(patience)
            .with_clock(clock);
        let mcp = Router::new().fallback(async || StatusCode::OK).layer(protect);
        let (drawn, refused) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { store, server, mcp, seconds, drawn, refused, patience }
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    /// Sets the clock.
    pub(crate) fn set(&self, now: UnixTime) {
        self.seconds.store(now.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn draw(&self) -> Entropy<16> {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst);
        Entropy::new(u128::from(number).to_be_bytes())
    }

    /// An assertion of the machine's, which counts once.
    pub(crate) fn assertion(&self) -> String {
        let issuer = Issuer::parse(ISSUER).unwrap();
        let mut form = FormWriter::new();
        SIGNS.sign(&id(MACHINE), &issuer, self.now(), self.draw()).unwrap().attach(&mut form);
        form.finish()
    }

    /// A proof for one request, to the MCP server with a token.
    pub(crate) fn proof(&self, token: Option<&str>) -> HeaderValue {
        let (method, url) = match token {
            Some(_) => (Method::GET, MCP),
            None => (Method::POST, "https://as.example/token"),
        };
        let token = token.map(Secret::new);
        PROVES.prove(&method, url, token.as_ref(), None, self.now(), self.draw()).unwrap()
    }

    async fn send(&self, router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request, and again for as long as it is not answered. What says so promises nothing.
    async fn ask(
        &self,
        router: &Router,
        mut request: impl FnMut() -> Request<Body> + Send,
    ) -> Answer {
        for _ in 0..ATTEMPTS {
            let answer = self.send(router, request()).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                assert!(!answer.status.is_server_error(), "{}", answer.body);
                return answer;
            }
            assert!(answer.headers.contains_key(RETRY_AFTER), "{}", answer.body);
            assert!(!answer.headers.contains_key(LOCATION), "{}", answer.body);
            for token in ["_token\"", "client_id", "active"] {
                assert!(!answer.body.contains(token), "{}", answer.body);
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
        panic!("{ATTEMPTS} attempts are not answered");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&self.server, || Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A form, to which each attempt adds headers and parameters of its own.
    pub(crate) async fn form(
        &self,
        path: &str,
        form: &str,
        mut own: impl FnMut() -> (HeaderMap, String) + Send,
    ) -> Answer {
        let answer = self.ask(&self.server, || {
            let (headers, more) = own();
            let mut request = Request::post(path)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(format!("{form}{more}")))
                .unwrap();
            request.headers_mut().extend(headers);
            request
        });
        let answer = answer.await;
        // No token without a durable row.
        if let Some(token) = answer.json()["access_token"].as_str() {
            let digest = SecretDigest::of(token);
            assert!(self.store.inner().access(&digest, self.now()).await.unwrap().is_some());
        }
        answer
    }

    pub(crate) async fn json(&self, path: &str, body: &Value) -> Answer {
        self.ask(&self.server, || {
            let request = Request::post(path).header(CONTENT_TYPE, "application/json");
            request.body(Body::from(body.to_string())).unwrap()
        })
        .await
    }

    /// A call to the MCP server.
    pub(crate) async fn call(
        &self,
        token: &str,
        mut proof: impl FnMut() -> Option<HeaderValue> + Send,
    ) -> StatusCode {
        let answer = self.ask(&self.mcp, || {
            let proof = proof();
            let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
            let mut request = Request::get("/mcp")
                .header(AUTHORIZATION, format!("{scheme} {token}"))
                .body(Body::empty())
                .unwrap();
            request.headers_mut().extend(proof.map(|proof| (DPOP, proof)));
            request
        });
        answer.await.status
    }

    /// What an operator does, who tries again.
    pub(crate) async fn operate(&self, mut operation: impl AsyncFnMut() -> Result<(), StoreError>) {
        for _ in 0..ATTEMPTS {
            if let Ok(Ok(())) = tokio::time::timeout(self.patience, operation()).await {
                return;
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
        panic!("{ATTEMPTS} attempts are not answered");
    }
}

pub(crate) const DPOP: http::HeaderName = http::HeaderName::from_static("dpop");

/// Nothing of an attempt's own.
pub(crate) fn plain() -> (HeaderMap, String) {
    (HeaderMap::new(), String::new())
}
