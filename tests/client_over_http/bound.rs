//! A client whose tokens are bound to its key, against our authorization server and an MCP server that asks for
//! proofs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use authorization_server::{Config, MemoryStore, RefreshKey, RefreshKeys, Store as _};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use client_auth::{PresentedProof, ProofKey};
use client_flow::ClientConfig;
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use mcp_oauth_axum::{AuthorizationServer, DemoLogin, metadata_routes};
use mcp_oauth_reqwest::{AuthorizedClient, MemoryCredentials};
use oauth_types::{Entropy, Issuer, ResourceUri, ScopeSet, Secret, SecretDigest, UnixTime};
use resource_server::Resource;

use crate::servers::{User, bind, get, serve};

/// Client and servers tell the time by the system: proofs are for a minute.
#[expect(clippy::disallowed_methods, reason = "the client of these tests does the same")]
fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::from_secs(elapsed.unwrap().as_secs())
}

/// Lets in who proves, for this request, the key that the token is bound to.
async fn check(store: &MemoryStore, url: &str, request: &Parts) -> Option<()> {
    let shown = request.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("DPoP ")?;
    let proof = PresentedProof::parse(&request.headers).unwrap()?;
    let proof = proof.verify(&request.method, url, Some(&Secret::new(shown)), now()).unwrap();
    let replay = store.put_once(proof.key(), proof.until(), now()).await.unwrap();
    let held = proof.resume(replay).unwrap();
    let record = store.access(&SecretDigest::of(shown), now()).await.unwrap()?;
    (record.jkt == Some(*held.thumbprint())).then_some(())
}

struct Servers {
    mcp_url: String,
    /// How often the token endpoint was asked.
    tokens: Arc<AtomicUsize>,
    /// Whether the MCP server refuses the next token, whatever it is.
    refuses: Arc<AtomicBool>,
}

async fn servers(change: impl FnOnce(Config) -> Config) -> Servers {
    let (mcp_listener, mcp_origin) = bind().await;
    let (listener, origin) = bind().await;
    let mcp_url = format!("{mcp_origin}/mcp");
    let issuer = Issuer::parse(&origin).unwrap();
    let uri = ResourceUri::parse(&mcp_url).unwrap();
    let keys = RefreshKeys::new(RefreshKey::new(1, &Entropy::new([7; 32])));
    let scopes = ScopeSet::parse("read").unwrap();
    let config = Config::new(issuer.clone(), vec![uri.clone()], scopes, keys).unwrap();
    let store = Arc::new(MemoryStore::default());
    let tokens = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tokens);
    let count = move |request: Request, next: Next| {
        counter.fetch_add(usize::from(request.uri().path() == "/token"), Ordering::SeqCst);
        next.run(request)
    };
    let server = AuthorizationServer::new(change(config), Arc::clone(&store), DemoLogin);
    serve(listener, server.router().layer(from_fn(count)));
    let resource = Resource::new(uri, vec![issuer]).unwrap();
    let challenge = format!("DPoP resource_metadata=\"{}\"", resource.metadata_url().as_str());
    let refuses = Arc::new(AtomicBool::new(false));
    let (url, refusing) = (mcp_url.clone(), Arc::clone(&refuses));
    let handler = async move |request: Request| -> Response {
        match check(&store, &url, &request.into_parts().0).await {
            Some(()) if !refusing.swap(false, Ordering::SeqCst) => StatusCode::OK.into_response(),
            _ => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response(),
        }
    };
    let mcp = Router::new().route("/mcp", any(handler)).merge(metadata_routes(&resource));
    serve(mcp_listener, mcp);
    Servers { mcp_url, tokens, refuses }
}

fn client(servers: &Servers, kept: &Arc<MemoryCredentials>) -> AuthorizedClient {
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let config = config.with_proof_key(ProofKey::from_pem(KEY).unwrap());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    builder.store(Arc::clone(kept)).build().unwrap()
}

const KEY: &str = include_str!("../../crates/client-auth/tests/keys/es256.pem");

#[tokio::test]
async fn c_ext_3_our_client_logs_in_calls_and_refreshes_with_proofs_of_its_key() {
    let servers = servers(|config| config).await;
    let kept = Arc::default();
    let own = client(&servers, &kept);
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1);
    servers.refuses.store(true, Ordering::SeqCst);
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 2, "a refresh, for which nobody is asked");
    // Another run with the same key goes on with what is kept.
    assert_eq!(get(&client(&servers, &kept)).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn c_ext_3_our_client_sends_its_proof_once_more_with_our_servers_nonce() {
    let servers = servers(Config::with_dpop_nonces).await;
    let own = client(&servers, &Arc::default());
    assert_eq!(get(&own).await.unwrap(), StatusCode::OK);
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 2);
}
