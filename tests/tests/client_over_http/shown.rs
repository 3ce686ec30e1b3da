//! What the MCP server is shown.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::ProofKey;
use client_flow::ClientConfig;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore as _, Error, MemoryCredentials, VisitError,
};
use oauth_types::RedirectUri;
use serde_json::{Value, json};

use crate::servers::*;

type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// The claims of the proof that a request carried.
fn proof(headers: &HeaderMap) -> Value {
    let payload = headers["dpop"].to_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// An MCP server that answers every request with these, and what it has seen.
async fn server_with(status: StatusCode, headers: HeaderMap) -> (String, Seen) {
    let (listener, origin) = bind().await;
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let router = Router::new().route(
        "/mcp",
        get(async move |request: HeaderMap| {
            // Whoever carries the nonce is let in.
            let is_fresh = request.contains_key("dpop") && proof(&request)["nonce"] == "n-1";
            noted.lock().unwrap().push(request);
            let answer = if is_fresh { StatusCode::OK } else { status };
            (answer, headers).into_response()
        }),
    );
    serve(listener, router);
    (format!("{origin}/mcp"), seen)
}

/// C-EXT-3
#[tokio::test]
async fn the_mcp_servers_nonce_goes_into_the_next_proofs() {
    let mut headers = HeaderMap::new();
    headers.insert("dpop-nonce", HeaderValue::from_static("n-1"));
    let challenge = HeaderValue::from_static("DPoP error=\"use_dpop_nonce\"");
    headers.insert(WWW_AUTHENTICATE, challenge);
    let (url, seen) = server_with(StatusCode::UNAUTHORIZED, headers).await;
    let key = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
    let key = ProofKey::from_pem(key).unwrap();
    let record = json!({
        "resource": url,
        "target": url,
        "server": {
            "issuer": "http://127.0.0.1:1",
            "token_endpoint": "http://127.0.0.1:1/token",
            "iss_advertised": true,
        },
        "client": {"client_id": "c", "method": "none"},
        "tokens": {"token_type": "DPoP", "bound_to": key.thumbprint(), "access_token": "at"},
    });
    let store = MemoryCredentials::default();
    store.save(&serde_json::from_value(record).unwrap()).await.unwrap();
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
    let config = ClientConfig::new("Test", redirect_uri).with_proof_key(key);
    let client = AuthorizedClient::builder(&url, config).store(store).build().unwrap();
    let call = async || client.send(client.get(&url)).await.unwrap().status();
    assert_eq!((call().await, call().await), (StatusCode::OK, StatusCode::OK));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "the first is sent once more, the second knows the nonce");
    assert!(seen.iter().all(|headers| headers[AUTHORIZATION] == "DPoP at"));
    let proofs: Vec<Value> = seen.iter().map(proof).collect();
    assert!(proofs[0].get("nonce").is_none() && proofs[1]["jti"] != proofs[2]["jti"]);
    assert!(proofs.iter().all(|proof| proof["htu"] == *url && proof["htm"] == "GET"));
}

#[tokio::test]
async fn only_the_clients_own_token_is_ever_shown() {
    let (url, seen) = server_with(StatusCode::UNAUTHORIZED, HeaderMap::new()).await;
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
    let config = ClientConfig::new("Test", redirect_uri);
    let client = AuthorizedClient::builder(&url, config).build().unwrap();
    let request = client.get(&url).bearer_auth("somebody's");
    // Nobody is there to log in.
    assert!(matches!(client.send(request).await, Err(Error::Visit(VisitError::NoBrowser))));
    assert!(seen.lock().unwrap().iter().all(|headers| !headers.contains_key(AUTHORIZATION)));
    assert_eq!(seen.lock().unwrap().len(), 1);
}
