//! A resource server behind the layer, and the tokens that it is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::SigningKey;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey};
use mcp_authz_axum::{Clock, JwtVerifier, ProtectLayer, TokenVerifier as _};
use oauth_types::{Issuer, JwkSet, ResourceUri, ScopeSet, Secret, SigningAlgorithm, UnixTime};
use resource_server::{AccessTokenInfo, Resource};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::foreign::*;

pub(crate) const MCP: &str = "https://rs.example/mcp";
pub(crate) const NOW: u64 = 1_000_000;
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const ES256: &str = include_str!("../../../client-auth/tests/keys/es256.pem");
pub(crate) const OTHER: &str = include_str!("../../../client-auth/tests/keys/es256-other.pem");
pub(crate) const EDDSA: &str = include_str!("../../../client-auth/tests/keys/eddsa.pem");
pub(crate) const RS256: &str = include_str!("../../../client-auth/tests/keys/rs256.pem");
pub(crate) const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");

/// A resource server behind the layer, and its time in seconds.
pub(crate) struct Protected {
    router: Router,
    ran: Arc<AtomicUsize>,
    time: Arc<AtomicU64>,
}

impl Protected {
    pub(crate) fn new(verifier: JwtVerifier, issuer: &Issuer) -> Self {
        let uri = ResourceUri::parse(MCP).unwrap();
        let resource = Resource::new(uri, vec![issuer.clone()]).unwrap();
        let (time, ran) = (Arc::new(AtomicU64::new(NOW)), Arc::new(AtomicUsize::new(0)));
        let (clock, count) = (Arc::clone(&time), Arc::clone(&ran));
        let scopes = ScopeSet::parse("files:read").unwrap();
        let protect = ProtectLayer::new(resource, verifier, scopes)
            .with_clock(Clock::new(move || UnixTime::from_secs(clock.load(Ordering::SeqCst))));
        let handler = async move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let router = Router::new().route("/mcp", any(handler)).layer(protect);
        Self { router, ran, time }
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn status(&self, token: &str) -> StatusCode {
        let request = Request::post("/mcp").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap().status()
    }

    pub(crate) fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

/// The claims of a good token, with some changed; `null` leaves one out.
pub(crate) fn claims(issuer: &Issuer, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "alice", "aud": MCP, "client_id": "c1", "scope": "files:read",
        "iat": NOW, "exp": NOW + 600, "jti": "1",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

pub(crate) fn signed_by(
    pem: &str,
    algorithm: SigningAlgorithm,
    id: &str,
    claims: &Value,
) -> String {
    let key = SigningKey::from_pem(algorithm, pem).unwrap().with_id(id);
    key.sign_claims("at+jwt", claims).unwrap().expose().to_owned()
}

pub(crate) fn signed(claims: &Value) -> String {
    signed_by(ES256, SigningAlgorithm::Es256, "es256", claims)
}

/// A header and claims of any form, signed with the right key.
pub(crate) fn signed_text(header: &Value, claims: &str) -> String {
    let text = [header.to_string(), claims.to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part));
    let text = text.join(".");
    let key = EncodingKey::from_ec_pem(ES256.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::ES256).unwrap();
    format!("{text}.{signature}")
}

pub(crate) fn header(changes: &Value) -> Value {
    let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "es256"});
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    header
}

/// A server that publishes its keys.
pub(crate) async fn publishing() -> Foreign {
    let server = Foreign::new().await;
    publish(&server);
    server
}

pub(crate) fn publish(server: &Foreign) {
    let jwks_uri = server.url("/jwks");
    server
        .answer(METADATA, Answer::json(&json!({"issuer": server.issuer(), "jwks_uri": jwks_uri})));
    server.answer("/jwks", Answer::json(PUBLIC));
}

pub(crate) fn protected(server: &Foreign) -> Protected {
    Protected::new(JwtVerifier::new(server.issuer()).unwrap(), &server.issuer())
}

/// What a verifier with fixed keys knows about a token.
pub(crate) async fn known(token: &str, now: u64) -> Option<Arc<AccessTokenInfo>> {
    let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
    let verifier = JwtVerifier::with_keys(fixed(), &keys).unwrap();
    verifier.verify(&Secret::new(token), UnixTime::from_secs(now)).await.unwrap()
}

pub(crate) fn fixed() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}
