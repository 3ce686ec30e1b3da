//! The layer in front of a handler, and what is sent to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use client_auth::ProofKey;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{Clock, ProtectLayer, TokenVerifier, VerifierUnavailable, metadata_routes};
use oauth_types::{
    ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, UnixTime,
};
use resource_server::{AccessTokenInfo, AuthInfo, OperationScopes, Resource};
use tower::ServiceExt as _;

pub(crate) const MCP: &str = "https://rs.example/mcp";
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub(crate) const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
pub(crate) const ADMIN: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"admin"}}"#;
pub(crate) const ALGORITHMS: &str = "algs=\"ES256 ES384 EdDSA RS256 PS256\"";
pub(crate) const METADATA: &str =
    "resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource/mcp\"";

pub(crate) fn key() -> ProofKey {
    ProofKey::from_pem(include_str!("../../../client-auth/tests/keys/es256.pem")).unwrap()
}

pub(crate) fn other_key() -> ProofKey {
    ProofKey::from_pem(include_str!("../../../client-auth/tests/keys/es256-other.pem")).unwrap()
}

/// Tokens say what they are: `subject.kind`, or `subject+client.kind`.
pub(crate) struct Spoken;

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let Some((subject, kind)) = token.expose().split_once('.') else { return Ok(None) };
        let (subject, client) = subject.split_once('+').unwrap_or((subject, "c"));
        let jkt = match kind {
            "bare" => None,
            "others" => Some(other_key()),
            _ => Some(key()),
        };
        let audience = if kind == "sibling" { "https://rs.example/other" } else { MCP };
        let expires_at = if kind == "expired" { NOW } else { NOW + 3600 };
        Ok(Some(Arc::new(
            AccessTokenInfo::new(
                Subject::parse(subject).unwrap(),
                ClientId::parse(client).unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse("read").unwrap())
            .with_audience([ResourceUri::parse(audience).unwrap()])
            .with_expires_at(UnixTime::from_secs(expires_at))
            .with_jkt(jkt.map(|key| Thumbprint::parse(key.thumbprint()).unwrap())),
        )))
    }
}

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) ran: Arc<AtomicUsize>,
    pub(crate) clock: Arc<AtomicU64>,
}

pub(crate) fn resource() -> Resource {
    let issuer = Issuer::parse("https://as.example").unwrap();
    Resource::new(ResourceUri::parse(MCP).unwrap(), vec![issuer]).unwrap()
}

pub(crate) fn server_that(
    resource: &Resource,
    change: impl FnOnce(ProtectLayer<Spoken>) -> ProtectLayer<Spoken>,
) -> Server {
    let (ran, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(NOW)));
    let counter = Arc::clone(&ran);
    let handler = async move |request: Request<Body>| {
        counter.fetch_add(1, Ordering::SeqCst);
        for name in [AUTHORIZATION, DPOP] {
            assert!(!request.headers().contains_key(name), "the token and its proof are taken out");
        }
        let granted = request.extensions().get::<AuthInfo>().unwrap();
        granted.key().map(ToString::to_string).unwrap_or_default()
    };
    let scopes = OperationScopes::new("read").and_then(|all| all.tool("admin", "read admin"));
    let time = Arc::clone(&clock);
    let protect = ProtectLayer::new(resource.clone(), Spoken, scopes.unwrap())
        .with_clock(Clock::new(move || UnixTime::from_secs(time.load(Ordering::SeqCst))));
    let mcp = Router::new().route("/mcp", any(handler)).layer(change(protect));
    let router = Router::new().merge(mcp.clone()).nest("/outer", mcp);
    Server { router: router.merge(metadata_routes(resource)), ran, clock }
}

pub(crate) fn server() -> Server {
    server_that(&resource().with_dpop(), |protect| protect)
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The lines of `WWW-Authenticate`.
    pub(crate) lines: Vec<String>,
    pub(crate) nonce: Option<HeaderValue>,
    pub(crate) retry_after: Option<HeaderValue>,
    pub(crate) body: String,
}

impl Answer {
    /// What the DPoP challenge complains about, if it is the only one.
    pub(crate) fn error(&self) -> &str {
        let [line] = &self.lines[..] else { panic!("one challenge: {:?}", self.lines) };
        assert!(line.starts_with("DPoP "), "{line}");
        assert!(line.contains(ALGORITHMS) && line.contains(METADATA), "{line}");
        line.split_once("error=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap())
    }
}

/// A request with these header lines.
pub(crate) fn request(lines: &[(HeaderName, HeaderValue)]) -> Request<Body> {
    let mut request = Request::post("/mcp").body(Body::from(LIST)).unwrap();
    for (name, value) in lines {
        request.headers_mut().append(name, value.clone());
    }
    request
}

pub(crate) fn shown(scheme: &str, token: &str) -> (HeaderName, HeaderValue) {
    (AUTHORIZATION, format!("{scheme} {token}").parse().unwrap())
}

pub(crate) fn bound(token: &str, proof: HeaderValue) -> Request<Body> {
    request(&[shown("DPoP", token), (DPOP, proof)])
}

pub(crate) fn prove_with(
    key: &ProofKey,
    method: &Method,
    url: &str,
    token: &str,
    now: u64,
) -> HeaderValue {
    static DRAWN: AtomicU64 = AtomicU64::new(1 << 32);
    let draw = u128::from(DRAWN.fetch_add(1, Ordering::SeqCst)).to_be_bytes();
    let draw = Entropy::new(draw);
    let (token, now) = (Secret::new(token), UnixTime::from_secs(now));
    key.prove(method, url, Some(&token), None, now, draw).unwrap()
}

pub(crate) fn prove(token: &str) -> HeaderValue {
    prove_with(&key(), &Method::POST, MCP, token, NOW)
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let lines = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let lines = lines.map(|line| line.to_str().unwrap().to_owned()).collect();
        let nonce = response.headers().get(NONCE).cloned();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status, lines, nonce, retry_after, body }
    }

    pub(crate) fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}
