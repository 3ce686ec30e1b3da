//! A client whose tokens are bound to its key, against our authorization server and an MCP server behind our layer;
//! and a thief who sees all that the client sends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::any;
use axum::{Extension, Router};
use client_auth::ProofKey;
use client_flow::{ClientConfig, DiscoveryError, FlowErrorKind};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use mcp_authz_axum::{
    AuthorizationServer, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
};
use mcp_authz_reqwest::{AuthorizedClient, Error, MemoryCredentials};
use oauth_types::{Entropy, Issuer, ResourceUri, Secret, UnixTime};
use resource_server::{AuthInfo, OperationScopes, Resource};

use crate::servers::{User, bind, call, get, serve};

struct Servers {
    mcp_url: String,
    /// How often the token endpoint was asked.
    tokens: Arc<AtomicUsize>,
    /// Whether the MCP server refuses the next token, whatever it is.
    refuses: Arc<AtomicBool>,
    /// The headers of all that came to the MCP server.
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    /// How often somebody got in.
    ran: Arc<AtomicUsize>,
}

async fn servers(
    config: impl FnOnce(Config) -> Config,
    resource: impl FnOnce(Resource) -> Resource,
) -> Servers {
    let (mcp_listener, mcp_origin) = bind().await;
    let (listener, origin) = bind().await;
    let mcp_url = format!("{mcp_origin}/mcp");
    let issuer = Issuer::parse(&origin).unwrap();
    let uri = ResourceUri::parse(&mcp_url).unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = OperationScopes::new("read").unwrap().tool("write", "read write").unwrap();
    let all = scopes.all().clone();
    let config = config(Config::new(issuer.clone(), vec![uri.clone()], all, keys).unwrap());
    let store = Arc::new(MemoryStore::default());
    let tokens = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tokens);
    let count = move |request: Request, next: Next| {
        counter.fetch_add(usize::from(request.uri().path() == "/token"), Ordering::SeqCst);
        next.run(request)
    };
    let server = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin);
    serve(listener, server.router().layer(from_fn(count)));
    let resource = resource(Resource::new(uri, vec![issuer.clone()]).unwrap());
    let challenge = format!("DPoP resource_metadata=\"{}\"", resource.metadata_url().as_str());
    let (refuses, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (refusing, seeing) = (Arc::clone(&refuses), Arc::clone(&seen));
    let watch = move |request: Request, next: Next| {
        let is_mcp = request.uri().path() == "/mcp";
        if is_mcp {
            seeing.lock().unwrap().push(request.headers().clone());
        }
        let refused = (is_mcp && refusing.swap(false, Ordering::SeqCst))
            .then(|| (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge.clone())]));
        async move {
            match refused {
                Some(refused) => refused.into_response(),
                None => next.run(request).await,
            }
        }
    };
    let ran = Arc::new(AtomicUsize::new(0));
    let running = Arc::clone(&ran);
    let handler = async move |granted: Extension<AuthInfo>| {
        running.fetch_add(1, Ordering::SeqCst);
        granted.key().map(ToString::to_string).unwrap_or_default()
    };
    let protect = ProtectLayer::new(resource.clone(), StoreVerifier::new(store, issuer), scopes);
    let mcp = Router::new().route("/mcp", any(handler)).layer(protect);
    serve(mcp_listener, mcp.merge(metadata_routes(&resource)).layer(from_fn(watch)));
    Servers { mcp_url, tokens, refuses, seen, ran }
}

impl Servers {
    fn count(&self, counter: impl Fn(&Self) -> &AtomicUsize) -> usize {
        counter(self).load(Ordering::SeqCst)
    }
}

fn client(
    servers: &Servers,
    kept: &Arc<MemoryCredentials>,
) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let config = config.with_proof_key(ProofKey::from_pem(KEY).unwrap());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    (builder.store(Arc::clone(kept)).build().unwrap(), visits)
}

const KEY: &str = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
const OTHER_KEY: &str = include_str!("../../../crates/client-auth/tests/keys/es256-other.pem");

/// C-EXT-3
#[tokio::test]
async fn the_client_logs_in_calls_and_refreshes_with_dpop_proofs() {
    for resource in [Resource::with_dpop, Resource::with_dpop_required] {
        let servers = servers(|config| config, resource).await;
        let kept = Arc::default();
        let (own, visits) = client(&servers, &kept);
        assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
        assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
        assert_eq!(servers.count(|own| &own.tokens), 1);
        servers.refuses.store(true, Ordering::SeqCst);
        assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
        assert_eq!(servers.count(|own| &own.tokens), 2, "a refresh, for which nobody is asked");
        // Another run with the same key goes on with what is kept.
        assert_eq!(get(&client(&servers, &kept).0).await.unwrap(), StatusCode::OK);
        assert_eq!(servers.count(|own| &own.tokens), 2);
        // One login, and all that the server saw of it later is bound.
        assert_eq!(visits.load(Ordering::SeqCst), 1);
        let answer = own.send(own.get(own.server_url())).await.unwrap().text().await.unwrap();
        assert_eq!(answer, ProofKey::from_pem(KEY).unwrap().thumbprint());
    }
}

/// C-EXT-3
#[tokio::test]
async fn our_client_sends_its_proof_once_more_with_our_servers_nonces() {
    let asks = |resource: Resource| resource.with_dpop_nonces(Entropy::new([8; 32]));
    let servers = servers(Config::with_dpop_nonces, asks).await;
    let (own, visits) = client(&servers, &Arc::default());
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.count(|own| &own.tokens), 2);
    // Without a token, without a nonce, with both; then the nonce is known.
    assert_eq!(servers.seen.lock().unwrap().len(), 3);
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.seen.lock().unwrap().len(), 4);
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

/// C-EXT-3
#[tokio::test]
async fn our_client_steps_up_with_proofs() {
    let asks = |resource: Resource| resource.with_dpop_nonces(Entropy::new([8; 32]));
    for resource in [Resource::with_dpop as fn(_) -> _, asks] {
        let servers = servers(|config| config, resource).await;
        let (own, visits) = client(&servers, &Arc::default());
        assert_eq!(call(&own, "read").await.unwrap(), StatusCode::OK);
        assert_eq!(call(&own, "write").await.unwrap(), StatusCode::OK);
        assert_eq!(visits.load(Ordering::SeqCst), 2);
        assert_eq!(call(&own, "write").await.unwrap(), StatusCode::OK);
        assert_eq!(visits.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_served_unless_binding_is_required() {
    let servers = servers(|config| config, Resource::with_dpop).await;
    let (user, _) = User::who("allow");
    let own = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    assert_eq!(call(&own, "write").await.unwrap(), StatusCode::OK);
    assert_eq!(servers.count(|own| &own.ran), 1);
}

/// C-EXT-3
#[tokio::test]
async fn where_bound_tokens_are_required_nobody_is_asked_for_another() {
    let servers = servers(|config| config, Resource::with_dpop_required).await;
    let (user, visits) = User::who("allow");
    let own = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    let error = get(&own).await.unwrap_err();
    let Error::Flow(flow) = &error else { panic!("{error:?}") };
    assert!(
        matches!(flow.kind(), FlowErrorKind::Discovery(DiscoveryError::NoBoundTokens { .. })),
        "{error:?}"
    );
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

/// Client and servers tell the time by the system: proofs are for a minute.
#[expect(clippy::disallowed_methods, reason = "the client of these tests does the same")]
fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::from_secs(elapsed.unwrap().as_secs())
}

#[tokio::test]
async fn a_thief_who_sees_all_that_a_client_sends_is_not_let_in() {
    let servers = servers(|config| config, Resource::with_dpop).await;
    let (own, _) = client(&servers, &Arc::default());
    for _ in 0..3 {
        assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    }
    let ran = servers.count(|own| &own.ran);
    let seen = servers.seen.lock().unwrap().clone();
    let shown: Vec<_> = seen.iter().filter(|headers| headers.contains_key("dpop")).collect();
    assert_eq!((shown.len(), ran), (3, 3));
    let token = shown[0][AUTHORIZATION].to_str().unwrap().strip_prefix("DPoP ").unwrap();
    let thief = reqwest::Client::new();
    let send = async |method: Method, authorization: &str, proof: Option<&http::HeaderValue>| {
        let request = thief.request(method, &servers.mcp_url).header(AUTHORIZATION, authorization);
        let request = proof.into_iter().fold(request, |all, proof| all.header("dpop", proof));
        request.send().await.unwrap().status()
    };
    let stolen = ProofKey::from_pem(OTHER_KEY).unwrap();
    let stolen = {
        let (token, draw) = (Secret::new(token), Entropy::new([3; 16]));
        stolen.prove(&Method::GET, &servers.mcp_url, Some(&token), None, now(), draw).unwrap()
    };
    let dpop = format!("DPoP {token}");
    for proof in shown.iter().map(|headers| &headers["dpop"]).chain([&stolen]) {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let status = send(method.clone(), &dpop, Some(proof)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    }
    for scheme in ["DPoP", "Bearer"] {
        let status = send(Method::GET, &format!("{scheme} {token}"), None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(servers.count(|own| &own.ran), ran);
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
}
