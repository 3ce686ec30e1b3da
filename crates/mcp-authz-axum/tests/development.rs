//! An external issuer by plain http on a private host. In a process of its own: what is named counts for all of it.

#![cfg(test)]
#![cfg(feature = "jwt")]

use core::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use client_auth::SigningKey;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{Clock, JwtVerifier, ProtectLayer, metadata_routes};
use oauth_types::{
    EndpointUrl, Issuer, JwkSet, ResourceUri, ScopeSet, SigningAlgorithm, UnixTime,
    allow_http_for_development,
};
use resource_server::Resource;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const MCP: &str = "http://127.0.0.1:3000/mcp";
const REALM: &str = "http://keycloak:8080/realms/mcp";
const NOW: u64 = 1_000_000;
const ES256: &str = include_str!("../../client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../client-auth/tests/keys/public.json");

/// The MCP server behind the layer, with its metadata.
fn protected(verifier: JwtVerifier, issuer: &Issuer) -> Router {
    let uri = ResourceUri::parse(MCP).unwrap();
    let resource = Resource::new(uri, vec![issuer.clone()]).unwrap();
    let protect = ProtectLayer::new(resource.clone(), verifier, ScopeSet::parse("read").unwrap())
        .with_clock(Clock::new(|| UnixTime::from_secs(NOW)));
    let mcp = Router::new().route("/mcp", any(async || "in")).layer(protect);
    mcp.merge(metadata_routes(&resource))
}

async fn call(router: &Router, token_issuer: &str) -> StatusCode {
    let claims = json!({
        "iss": token_issuer, "sub": "alice", "aud": MCP, "client_id": "c1", "scope": "read",
        "iat": NOW, "exp": NOW + 600, "jti": "1",
    });
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, ES256).unwrap().with_id("es256");
    let token = key.sign_claims("at+jwt", &claims).unwrap();
    let request = Request::post("/mcp").header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
    response.unwrap().status()
}

/// An authorization server that publishes this, at an address of this machine that is not loopback by its text.
async fn publishing(jwks_uri: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let issuer = format!("http://{}", SocketAddr::from(([0, 0, 0, 0], port)));
    let metadata = json!({"issuer": issuer, "jwks_uri": jwks_uri(&issuer)});
    let router = Router::new()
        .route("/.well-known/oauth-authorization-server", get(async move || metadata.to_string()))
        .route("/jwks", get(async || PUBLIC));
    tokio::spawn(async move { axum::serve(listener, router).await });
    issuer
}

/// SEC-128, SEC-134
#[tokio::test]
async fn an_external_issuer_is_http_only_where_its_origin_is_named() {
    // Nothing is named: everything is as strict as ever.
    let external = publishing(|issuer| format!("{issuer}/jwks")).await;
    assert!(Issuer::parse(REALM).is_err() && Issuer::parse(&external).is_err());

    // By name, with keys that are known.
    allow_http_for_development("http://keycloak:8080").unwrap();
    let realm = Issuer::parse(REALM).unwrap();
    let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
    let router = protected(JwtVerifier::with_keys(realm.clone(), &keys).unwrap(), &realm);
    assert_eq!(call(&router, REALM).await, StatusCode::OK);
    for other in [
        "http://keycloak:8081/realms/mcp",
        "http://keycloak/realms/mcp",
        "https://keycloak:8080/realms/mcp",
        "http://keycloak:8080/realms/other",
    ] {
        assert_eq!(call(&router, other).await, StatusCode::UNAUTHORIZED, "{other}");
    }
    // Clients read where to log in.
    let request = Request::get("/.well-known/oauth-protected-resource/mcp");
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let metadata: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(metadata["authorization_servers"], json!([REALM]));

    // Over the network: documents and keys come by http from the origin that is named.
    assert!(Issuer::parse(&external).is_err());
    allow_http_for_development(&external).unwrap();
    let issuer = Issuer::parse(&external).unwrap();
    let router = protected(JwtVerifier::new(issuer.clone()).unwrap(), &issuer);
    assert_eq!(call(&router, &external).await, StatusCode::OK);
    assert_eq!(call(&router, REALM).await, StatusCode::UNAUTHORIZED);

    // Keys by http from any other origin are not fetched.
    let misled = publishing(|_| "http://keys:8080/jwks".to_owned()).await;
    allow_http_for_development(&misled).unwrap();
    let issuer = Issuer::parse(&misled).unwrap();
    let router = protected(JwtVerifier::new(issuer.clone()).unwrap(), &issuer);
    assert_eq!(call(&router, &misled).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(EndpointUrl::parse("http://keys:8080/jwks").is_err());
}
