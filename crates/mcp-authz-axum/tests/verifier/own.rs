//! Our own authorization server, asked over the network like any other.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::{
    ClientRecord, Config, MemoryStore, ResourceServer, ServerKey, ServerKeys, Store as _,
};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use client_auth::ClientAuthRecord;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin, IntrospectionVerifier, ProtectLayer};
use oauth_types::{AuthMethod, ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, UnixTime};
use resource_server::{AuthInfo, Resource};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const NOW: u64 = 1_000_000;
const MCP: &str = "https://rs.example/mcp";
const OTHER: &str = "https://rs.example/other";

struct Servers {
    authorization: Router,
    protected: Router,
    time: Arc<AtomicU64>,
}

/// An authorization server for two resources, and one of them, which knows this secret and believes for so long.
async fn servers(secret: &str, window: u64) -> Servers {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = Issuer::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let time = Arc::new(AtomicU64::new(NOW));
    let clock = || {
        let time = Arc::clone(&time);
        Clock::new(move || UnixTime::from_secs(time.load(Ordering::SeqCst)))
    };
    let resource = |uri| ResourceUri::parse(uri).unwrap();
    let scopes = ScopeSet::parse("read write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let registered =
        |method| ClientAuthRecord::new(method).with_secret(Secret::new("secret").digest());
    let asker = ResourceServer::new(
        ClientId::parse("rs").unwrap(),
        registered(AuthMethod::ClientSecretBasic),
        resource(MCP),
    );
    let resources = vec![resource(MCP), resource(OTHER)];
    let config = Config::new(issuer.clone(), resources, scopes.clone(), keys)
        .and_then(|config| config.with_resource_server(asker))
        .unwrap();
    let store = Arc::new(MemoryStore::default());
    let client = ClientRecord::client_credentials(
        ClientId::parse("machine").unwrap(),
        registered(AuthMethod::ClientSecretPost),
        scopes,
        UnixTime::from_secs(NOW),
    );
    store.create_client(client, UnixTime::from_secs(NOW)).await.unwrap();
    let authorization =
        AuthorizationServer::new(config, store, DemoLogin).with_clock(clock()).router();
    let router = authorization.clone();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let client_id = ClientId::parse("rs").unwrap();
    let verifier =
        IntrospectionVerifier::new(issuer.clone(), client_id, Secret::new(secret)).unwrap();
    let verifier = verifier.with_window(Duration::from_secs(window));
    let protect = ProtectLayer::new(
        Resource::new(resource(MCP), vec![issuer]).unwrap(),
        verifier,
        ScopeSet::parse("read").unwrap(),
    );
    let handler = async |request: Request<Body>| {
        let granted = request.extensions().get::<AuthInfo>().unwrap();
        format!("{} {} {}", granted.client_id(), granted.subject(), granted.scopes())
    };
    let protected = Router::new().route("/mcp", any(handler)).layer(protect.with_clock(clock()));
    Servers { authorization, protected, time }
}

impl Servers {
    async fn form(&self, path: &str, form: &str) -> (StatusCode, Value) {
        let body = format!("client_id=machine&client_secret=secret&{form}");
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(body)).unwrap();
        let response = self.authorization.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn token(&self, scope: &str, resource: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={scope}&resource={resource}");
        let (_, tokens) = self.form("/token", &form).await;
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    async fn revoke(&self, token: &str) {
        let (status, _) = self.form("/revoke", &format!("token={token}")).await;
        assert_eq!(status, StatusCode::OK);
    }

    async fn show(&self, token: &str) -> (StatusCode, String) {
        let request = Request::post("/mcp").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = self.protected.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

/// A-INT-1, R-AUTH-1, R-AUTH-3
#[tokio::test]
async fn our_own_server_is_asked_like_any_other() {
    let servers = servers("secret", 10).await;
    let token = servers.token("read", MCP).await;
    let (status, who) = servers.show(&token).await;
    assert_eq!((status, &*who), (StatusCode::OK, "machine machine read"));
    let narrow = servers.token("write", MCP).await;
    assert_eq!(servers.show(&narrow).await.0, StatusCode::FORBIDDEN);
    let elsewhere = servers.token("read", OTHER).await;
    // Nor does it matter how long a token is that somebody made up.
    let long = [8 * 1024, 8 * 1024 + 1, 16 * 1024].map(|length| "a".repeat(length));
    let escaped = "+".repeat(3000);
    let [most, more, much] = &long;
    for bad in [&*elsewhere, "made-up", most, more, much, &*escaped] {
        assert_eq!(servers.show(bad).await.0, StatusCode::UNAUTHORIZED, "{bad}");
    }
    servers.time.fetch_add(600, Ordering::SeqCst);
    assert_eq!(servers.show(&token).await.0, StatusCode::UNAUTHORIZED, "expired");
}

/// SEC-155
#[tokio::test]
async fn a_revoked_token_works_no_longer_than_the_window() {
    for window in [10, 0] {
        let servers = servers("secret", window).await;
        let token = servers.token("read", MCP).await;
        assert_eq!(servers.show(&token).await.0, StatusCode::OK);
        servers.revoke(&token).await;
        if window > 0 {
            servers.time.fetch_add(window - 1, Ordering::SeqCst);
            assert_eq!(servers.show(&token).await.0, StatusCode::OK);
            servers.time.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(servers.show(&token).await.0, StatusCode::UNAUTHORIZED, "{window}");
    }
}

/// SEC-154
#[tokio::test]
async fn a_resource_server_with_the_wrong_secret_sends_no_client_away() {
    let servers = servers("wrong", 10).await;
    let token = servers.token("read", MCP).await;
    // Also when so many failures are enough for the server (429).
    for _ in 0..15 {
        assert_eq!(servers.show(&token).await.0, StatusCode::SERVICE_UNAVAILABLE);
        servers.time.fetch_add(5, Ordering::SeqCst);
    }
}
