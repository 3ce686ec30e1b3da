//! Tokens that are bound to a key (RFC 9449), from the client's side.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::ProofKey;
use client_flow::{ClientConfig, DiscoveryError, FlowError, FlowErrorKind};
use http::{HeaderValue, Method, Request};
use oauth_types::Entropy;
use serde_json::{Value, json};

use crate::world::*;

fn binding() -> ClientConfig {
    let pem = include_str!("../../../client-auth/tests/keys/es256.pem");
    config().with_proof_key(ProofKey::from_pem(pem).unwrap())
}

fn proving_world() -> World {
    let mut world = World::new();
    world.metadata.1["dpop_signing_alg_values_supported"] = json!(["ES256"]);
    world.token.1["token_type"] = json!("DPoP");
    world.token.1["refresh_token"] = json!("r1");
    world
}

fn claims(proof: &HeaderValue) -> Value {
    let payload = proof.to_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn proof_of<B>(request: &Request<B>) -> Option<Value> {
    request.headers().get("dpop").map(claims)
}

/// C-EXT-3
#[test]
fn each_token_request_and_each_call_carries_a_proof_of_its_own() {
    let world = proving_world();
    let session = world.login(binding()).unwrap();
    world.drive(session.refresh(&binding()).unwrap()).unwrap();
    let sent = world.sent.borrow();
    let proofs: Vec<Value> = sent.iter().filter_map(proof_of).collect();
    let [code, refresh] = &proofs[..] else { panic!("{proofs:?}") };
    for proof in [code, refresh] {
        assert_eq!(proof["htm"], "POST");
        assert_eq!(proof["htu"], "https://as.example/token");
        assert!(proof.get("ath").is_none() && proof.get("nonce").is_none());
    }
    assert_ne!(code["jti"], refresh["jti"]);
    // At the resource: another scheme, and a proof that names the token.
    assert!(session.is_bound());
    assert_eq!(session.authorization(MCP).unwrap(), "DPoP at");
    let prove = |url, nonce: Option<&HeaderValue>, draw: u8| {
        let to = (&Method::GET, url);
        session.proof(&binding(), to, nonce, NOW, Entropy::new([draw; 16])).unwrap()
    };
    let nonce = HeaderValue::from_static("n");
    let proof = claims(&prove(MCP, Some(&nonce), 1).unwrap());
    assert_eq!(
        (&proof["htm"], &proof["htu"], &proof["nonce"]),
        (&json!("GET"), &json!(MCP), &json!("n"))
    );
    assert!(proof["ath"].is_string());
    assert_eq!(prove("https://evil.example/mcp", None, 2), None);
    assert_eq!(session.authorization("https://evil.example/mcp"), None);
}

/// C-EXT-3
#[test]
fn the_servers_nonce_is_put_in_and_the_request_sent_once_more() {
    let mut world = proving_world();
    world.interfere = Box::new(|request| {
        let nonce = proof_of(request)?.get("nonce").cloned();
        (nonce != Some(json!("n-1"))).then(|| {
            let mut response = json_response(400, &json!({"error": "use_dpop_nonce"}));
            response.headers_mut().insert("dpop-nonce", HeaderValue::from_static("n-1"));
            response
        })
    });
    let session = world.login(binding()).unwrap();
    assert_eq!(world.token_requests(), 2);
    assert_eq!(session.authorization(MCP).unwrap(), "DPoP at");
    // A server that is never content ends the flow.
    let mut world = proving_world();
    world.interfere = Box::new(|request| {
        proof_of(request)?;
        let mut response = json_response(400, &json!({"error": "use_dpop_nonce"}));
        response.headers_mut().insert("dpop-nonce", HeaderValue::from_static("again"));
        Some(response)
    });
    assert!(matches!(
        world.login(binding()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Refused(_))
    ));
    assert_eq!(world.token_requests(), 2);
}

/// C-EXT-3
#[test]
fn a_server_without_dpop_gets_no_proof_and_gives_bearer_tokens() {
    for algorithms in [json!(null), json!([]), json!(["RS256"])] {
        let mut world = World::new();
        world.metadata.1["dpop_signing_alg_values_supported"] = algorithms;
        let session = world.login(binding()).unwrap();
        assert!(!session.is_bound());
        assert_eq!(session.authorization(MCP).unwrap(), "Bearer at");
        assert!(world.sent.borrow().iter().all(|request| proof_of(request).is_none()));
        let to = (&Method::GET, MCP);
        let proof = session.proof(&binding(), to, None, NOW, Entropy::new([1; 16]));
        assert_eq!(proof.unwrap(), None);
    }
}

/// C-EXT-3
#[test]
fn nobody_is_asked_for_tokens_that_the_resource_would_refuse() {
    let mut world = proving_world();
    world.prm.1["dpop_bound_access_tokens_required"] = json!(true);
    assert!(world.login(binding()).unwrap().is_bound());
    let refused = |world: &World, config| {
        let saved = world.saved.borrow().len();
        let error = world.login(config).unwrap_err();
        assert!(
            matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::NoBoundTokens { .. })),
            "{error:?}"
        );
        assert_eq!(world.saved.borrow().len(), saved, "no client was registered for it");
    };
    refused(&world, config());
    world.metadata.1["dpop_signing_alg_values_supported"] = json!(["RS256"]);
    refused(&world, binding());
    for not_required in [json!(false), json!(null)] {
        let mut world = World::new();
        world.prm.1["dpop_bound_access_tokens_required"] = not_required;
        assert!(!world.login(config()).unwrap().is_bound());
    }
}

/// C-EXT-3, SEC-105
#[test]
fn a_bound_token_that_nobody_asked_for_is_refused() {
    let world = proving_world();
    let error = world.login(config()).unwrap_err();
    assert!(matches!(error.kind(), FlowErrorKind::Document { .. }), "{error:?}");
    assert!(world.sent.borrow().iter().all(|request| proof_of(request).is_none()));
}

/// C-EXT-3
#[test]
fn what_is_kept_says_how_the_token_is_shown() {
    let session = proving_world().login(binding()).unwrap();
    let json = serde_json::to_string(&session.to_record()).unwrap();
    let restored = client_flow::Session::restore(serde_json::from_str(&json).unwrap()).unwrap();
    assert!(restored.is_bound());
    assert!(!json.contains("PRIVATE") && !json.contains("\"d\""));
}

/// C-EXT-3
#[test]
fn tokens_that_are_bound_to_another_key_are_none_of_ours() {
    let mut world = proving_world();
    let session = world.login(binding()).unwrap();
    let bound_to = session.tokens().bound_to.clone().unwrap();
    let record = session.to_record();
    assert!(binding().owns(&record));
    let mut others = record.clone();
    others.tokens.as_mut().unwrap().bound_to = Some("another".into());
    assert!(!binding().owns(&others) && !config().owns(&record));
    // Another login gets tokens for the key that is there, without trying those.
    world.kept = Some(others);
    world.token.1["access_token"] = json!("new");
    world.sent.borrow_mut().clear();
    let again = world.login(binding()).unwrap();
    assert_eq!(again.tokens().access_token.expose(), "new");
    assert_eq!(again.tokens().bound_to, Some(bound_to));
    assert_eq!(world.token_form("grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(world.token_requests(), 1);
}
