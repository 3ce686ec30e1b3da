//! Tokens that our own authorization server signs, verified by a resource server that knows no more of it than its
//! issuer; and a change of keys.

use std::sync::{Arc, RwLock};

use authorization_server::{
    ClientRecord, Config, MemoryStore, ServerKey, ServerKeys, SigningKeys, Store as _,
};
use axum::Router;
use axum::body::Body;
use client_auth::{ClientAuthRecord, SigningKey};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin, JwtVerifier};
use oauth_types::{
    AuthMethod, ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, SigningAlgorithm,
    UnixTime,
};
use resource_server::JwtTokens;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::protected::{NOW, Protected};

const OLD: (SigningAlgorithm, &str) =
    (SigningAlgorithm::EdDsa, include_str!("../../../client-auth/tests/keys/eddsa.pem"));
const NEW: (SigningAlgorithm, &str) =
    (SigningAlgorithm::Es256, include_str!("../../../client-auth/tests/keys/es256.pem"));

/// An authorization server whose configuration changes.
struct Own {
    issuer: Issuer,
    store: Arc<MemoryStore>,
    running: Arc<RwLock<Router>>,
}

fn key((algorithm, pem): (SigningAlgorithm, &str)) -> SigningKey {
    SigningKey::from_pem(algorithm, pem).unwrap()
}

impl Own {
    async fn new(keys: SigningKeys) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Issuer::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let running = Arc::new(RwLock::new(Router::new()));
        let current = Arc::clone(&running);
        let router = Router::new().fallback(async move |request: Request<Body>| {
            let router = current.read().unwrap().clone();
            router.oneshot(request).await
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let own = Self { issuer, store: Arc::default(), running };
        own.change(keys);
        let now = UnixTime::from_secs(NOW);
        let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
            .with_secret(Secret::new("secret").digest());
        let (id, scopes) = (ClientId::parse("machine").unwrap(), ScopeSet::parse("files:read"));
        let client = ClientRecord::client_credentials(id, secret, scopes.unwrap(), now);
        own.store.create_client(client, now).await.unwrap();
        own
    }

    fn change(&self, keys: SigningKeys) {
        let uris = ["https://rs.example/mcp", "https://rs.example/other"];
        let resources = uris.iter().map(|uri| ResourceUri::parse(uri).unwrap()).collect();
        let refresh = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let scopes = ScopeSet::parse("files:read").unwrap();
        let config = Config::new(self.issuer.clone(), resources, scopes, refresh).unwrap();
        let config = config.with_jwt_access_tokens(keys);
        let server = AuthorizationServer::new(config, Arc::clone(&self.store), DemoLogin)
            .with_clock(Clock::new(|| UnixTime::from_secs(NOW)));
        *self.running.write().unwrap() = server.router();
    }

    async fn token(&self, resource: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=machine&client_secret=secret&resource={resource}"
        );
        let request =
            Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let router = self.running.read().unwrap().clone();
        let response = router.oneshot(request.body(Body::from(form)).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let tokens: Value = serde_json::from_slice(&body).unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    }
}

/// A-TOKEN-6, A-TOKEN-8, R-AUTH-3
#[tokio::test]
async fn tokens_of_our_own_server_before_and_after_a_change_of_keys() {
    let (own, fresh) = (Own::new(SigningKeys::new(key(OLD)).unwrap()).await, JwtTokens::FRESH);
    let protected = Protected::new(JwtVerifier::new(own.issuer.clone()).unwrap(), &own.issuer);
    let before = own.token("https://rs.example/mcp").await;
    assert_eq!(protected.status(&before).await, StatusCode::OK);
    let elsewhere = own.token("https://rs.example/other").await;
    assert_eq!(protected.status(&elsewhere).await, StatusCode::UNAUTHORIZED);
    // The new key is published first, and found.
    own.change(SigningKeys::new(key(OLD)).unwrap().with_published(key(NEW)).unwrap());
    protected.wait(fresh.as_secs());
    assert_eq!(protected.status(&before).await, StatusCode::OK);
    // So that its first token is good at once.
    own.change(SigningKeys::new(key(NEW)).unwrap().with_published(key(OLD)).unwrap());
    let after = own.token("https://rs.example/mcp").await;
    for token in [&before, &after] {
        assert_eq!(protected.status(token).await, StatusCode::OK);
    }
    // The old key was stolen, and is not published any more.
    own.change(SigningKeys::new(key(NEW)).unwrap());
    protected.wait(fresh.as_secs());
    assert_eq!(protected.status(&before).await, StatusCode::UNAUTHORIZED);
    assert_eq!(protected.status(&after).await, StatusCode::OK);
}
