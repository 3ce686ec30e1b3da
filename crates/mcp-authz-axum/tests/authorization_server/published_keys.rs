//! Key sets that clients publish at a `jwks_uri`: when they are fetched, and how long they are kept.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authorization_server::DocumentRefused;
use bytes::Bytes;
use client_auth::SigningKey;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Response, StatusCode};
use mcp_authz_axum::ClientDocuments;
use oauth_types::{
    ClientId, ClientMetadataUrl, Entropy, FormWriter, Issuer, SigningAlgorithm, UnixTime,
};
use serde_json::{Value, json};

use crate::server::*;
use crate::site::reader_of;

const CLIENT: &str = "https://client.test/client.json";
const KEYS: &str = "https://client.test/jwks.json";
const PRIVATE: &str = include_str!("../../../client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");

/// What is at each URL: a status and a body; and which were asked for.
#[derive(Clone, Default)]
struct Web {
    pages: Arc<Mutex<BTreeMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// The key set may not be stored.
    is_private: bool,
}

impl Web {
    fn put(&self, url: &str, status: u16, body: &impl ToString) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, body.to_string()));
    }

    fn asked(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|own| *own == url).count()
    }
}

impl ClientDocuments for Web {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        let url = url.as_url().as_str().to_owned();
        let page = self.pages.lock().unwrap().get(&url).cloned();
        let is_private = self.is_private && url == KEYS;
        let cached = if is_private { "no-store" } else { "max-age=600" };
        self.asked.lock().unwrap().push(url);
        Box::pin(async move {
            let (status, body) = page.ok_or(DocumentRefused::Unreachable)?;
            let answer = Response::builder().status(status).header(CACHE_CONTROL, cached);
            let answer = answer.header(CONTENT_TYPE, "application/jwk-set+json");
            Ok(answer.body(Bytes::from(body)).unwrap())
        })
    }
}

/// The document of a client that signs, with these methods listed.
fn document(methods: &Value) -> Value {
    json!({
        "client_id": CLIENT,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks_uri": KEYS,
    })
}

fn web(methods: &Value) -> Web {
    let web = Web::default();
    web.put(CLIENT, 200, &document(methods));
    web.put(KEYS, 200, &PUBLIC);
    web
}

fn assertion(client: &str, kid: Option<&str>, now: UnixTime, draw: u8) -> String {
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, PRIVATE).unwrap();
    let key = match kid {
        Some(kid) => key.with_id(kid),
        None => key,
    };
    let issuer = Issuer::parse("https://as.example").unwrap();
    let id = ClientId::parse(client).unwrap();
    let mut form = FormWriter::new();
    key.sign(&id, &issuer, now, Entropy::new([draw; 16])).unwrap().attach(&mut form);
    form.finish()
}

fn redeem_with(proof: &str, code: &str) -> String {
    let verifier = verifier();
    let verifier = verifier.as_secret().expose();
    format!("grant_type=authorization_code&code={code}&code_verifier={verifier}&{proof}")
}

/// A login up to the code; the answer of the first one is remembered.
async fn log_in(server: &Server) -> String {
    let page = server.get(&authorize(CLIENT, &[])).await;
    match page.status {
        StatusCode::SEE_OTHER => page.redirect("code").unwrap(),
        _ => {
            let answer = server.consent(&page.transaction(), &page.cookie(), "allow").await;
            answer.redirect("code").unwrap()
        }
    }
}

/// A-AUTHN-9
#[tokio::test]
async fn the_keys_of_a_client_are_fetched_when_needed_and_kept() {
    let web = web(&Value::Null);
    let (server, _) = reader_of(web.clone());
    let code = log_in(&server).await;
    assert_eq!(web.asked(KEYS), 0, "keys are fetched when they are needed");
    let proof = assertion(CLIENT, None, NOW, 1);
    let answer = server.form("/token", &redeem_with(&proof, &code)).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    let revoke = format!("token={access}&{}", assertion(CLIENT, None, NOW, 2));
    assert_eq!(server.form("/revoke", &revoke).await.status, StatusCode::OK);
    assert_eq!((web.asked(CLIENT), web.asked(KEYS)), (1, 1), "what was fetched is kept");
}

/// SEC-121, SEC-122
#[tokio::test]
async fn what_is_no_key_set_is_kept_for_30_seconds() {
    for (status, refused) in
        [(404, StatusCode::UNAUTHORIZED), (503, StatusCode::SERVICE_UNAVAILABLE)]
    {
        let web = web(&Value::Null);
        web.put(KEYS, status, &PUBLIC);
        let (server, time) = reader_of(web.clone());
        let code = log_in(&server).await;
        let redeem = redeem_with(&assertion(CLIENT, None, NOW, 1), &code);
        assert_eq!(server.form("/token", &redeem).await.status, refused, "{status}");
        web.put(KEYS, 200, &PUBLIC);
        time.fetch_add(30, Ordering::Relaxed);
        assert_eq!(server.form("/token", &redeem).await.status, StatusCode::OK, "{status}");
        assert_eq!(web.asked(KEYS), 2);
    }
}

/// SEC-126
#[tokio::test]
async fn an_unknown_key_has_the_set_fetched_again_every_30_seconds() {
    let web = web(&Value::Null);
    let named = |kid: &str| {
        let mut set: Value = serde_json::from_str(PUBLIC).unwrap();
        for key in set["keys"].as_array_mut().unwrap() {
            key["kid"] = json!(format!("{kid}-{}", key["kid"].as_str().unwrap()));
        }
        set
    };
    web.put(KEYS, 200, &named("old"));
    let (server, time) = reader_of(web.clone());
    let code = log_in(&server).await;
    let mut draw = 0;
    let mut attempt = async |kid: &'static str, code: &str| {
        draw += 1;
        let now = UnixTime::from_secs(time.load(Ordering::Relaxed));
        let proof = assertion(CLIENT, Some(kid), now, draw);
        server.form("/token", &redeem_with(&proof, code)).await.status
    };
    // Anybody can name a key: what was fetched just now is not fetched again for it.
    for _ in 0..5 {
        assert_eq!(attempt("new-es256", &code).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(web.asked(KEYS), 1);
    time.fetch_add(30, Ordering::Relaxed);
    for _ in 0..5 {
        assert_eq!(attempt("new-es256", &code).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(web.asked(KEYS), 2);
    // A fetch that fails leaves what is known, and counts.
    web.put(KEYS, 503, &"");
    time.fetch_add(30, Ordering::Relaxed);
    assert_eq!(attempt("new-es256", &code).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(attempt("new-es256", &code).await, StatusCode::UNAUTHORIZED);
    let fresh = log_in(&server).await;
    assert_eq!(attempt("old-es256", &fresh).await, StatusCode::OK);
    assert_eq!(web.asked(KEYS), 3);
    // The client has a new key now.
    web.put(KEYS, 200, &named("new"));
    time.fetch_add(30, Ordering::Relaxed);
    let fresh = log_in(&server).await;
    assert_eq!(attempt("new-es256", &fresh).await, StatusCode::OK);
    assert_eq!(web.asked(KEYS), 4);
}

/// SEC-126: so is one that cannot be had.
#[tokio::test]
async fn an_uncacheable_key_set_is_fetched_once_in_30_seconds() {
    for (status, is_private, refused) in [
        (200, true, StatusCode::UNAUTHORIZED),
        (404, false, StatusCode::UNAUTHORIZED),
        (503, false, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let web = Web { is_private, ..web(&Value::Null) };
        web.put(KEYS, status, &PUBLIC);
        let (server, time) = reader_of(web.clone());
        let code = log_in(&server).await;
        for round in 1..=2 {
            for draw in 0..5 {
                // Anybody can send an assertion with a key that does not exist.
                let garbage = assertion(CLIENT, Some("nobodys"), NOW, draw);
                let answer = server.form("/token", &redeem_with(&garbage, &code)).await;
                assert_eq!(answer.status, refused, "{status}");
            }
            assert_eq!(web.asked(KEYS), round, "{status} {is_private}");
            time.fetch_add(30, Ordering::Relaxed);
        }
    }
}

/// SEC-229
#[tokio::test]
async fn good_keys_are_used_for_an_hour_while_their_host_is_away() {
    let web = web(&Value::Null);
    let (server, time) = reader_of(web.clone());
    let mut draw = 0;
    let mut attempt = async |seconds: u64| {
        draw += 1;
        time.fetch_add(seconds, Ordering::Relaxed);
        let now = UnixTime::from_secs(time.load(Ordering::Relaxed));
        let code = log_in(&server).await;
        let proof = assertion(CLIENT, None, now, draw);
        server.form("/token", &redeem_with(&proof, &code)).await.status
    };
    assert_eq!(attempt(0).await, StatusCode::OK);
    web.put(KEYS, 503, &"");
    assert_eq!(attempt(600).await, StatusCode::OK);
    assert_eq!(web.asked(KEYS), 2);
    // Not asked again for a moment.
    assert_eq!(attempt(0).await, StatusCode::OK);
    assert_eq!(web.asked(KEYS), 2);
    assert_eq!(attempt(3_600).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(web.asked(KEYS), 3);
    // What the host takes back is not used on.
    web.put(KEYS, 200, &PUBLIC);
    assert_eq!(attempt(30).await, StatusCode::OK);
    web.put(KEYS, 404, &"");
    assert_eq!(attempt(600).await, StatusCode::UNAUTHORIZED);
    web.put(KEYS, 503, &"");
    assert_eq!(attempt(30).await, StatusCode::SERVICE_UNAVAILABLE);
}

/// SEC-122
#[tokio::test(start_paused = true)]
async fn a_slow_key_server_costs_a_request_its_deadline_and_no_more() {
    struct Slow(Web);
    impl ClientDocuments for Slow {
        fn fetch<'a>(
            &'a self,
            url: &'a ClientMetadataUrl,
        ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
            Box::pin(async move {
                if url.as_url().as_str() == KEYS {
                    tokio::time::sleep(Duration::from_secs(600)).await;
                }
                self.0.fetch(url).await
            })
        }
    }
    let (server, _) = reader_of(Slow(web(&Value::Null)));
    let code = log_in(&server).await;
    let start = tokio::time::Instant::now();
    let proof = assertion(CLIENT, None, NOW, 1);
    let answer = server.form("/token", &redeem_with(&proof, &code)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(start.elapsed() < Duration::from_secs(3));
}

/// A-META-4
#[tokio::test]
async fn documents_are_offered_only_while_they_can_be_fetched() {
    let offered = async |server: &Server| {
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        metadata.get("client_id_metadata_document_supported").is_some_and(|offer| *offer == true)
    };
    let web = Web::default();
    let (server, _) = reader_of(web.clone());
    assert!(offered(&server).await);
    assert_eq!(server.get(&authorize(CLIENT, &[])).await.status, StatusCode::BAD_REQUEST);
    assert!(!offered(&server).await);
    // Clients register meanwhile, and documents are read as soon as they can be.
    assert!(!server.client().await.is_empty());
    web.put(CLIENT, 200, &document(&json!(["none"])));
    assert_eq!(server.get(&authorize(CLIENT, &[])).await.status, StatusCode::OK);
    assert!(offered(&server).await);
    // From then on nobody takes the offer away by naming what does not exist.
    let nowhere = authorize("https://nowhere.test/m", &[]);
    assert_eq!(server.get(&nowhere).await.status, StatusCode::BAD_REQUEST);
    assert!(offered(&server).await);
    let (server, time) = reader_of(Web::default());
    server.get(&nowhere).await;
    assert!(!offered(&server).await);
    time.fetch_add(3_600, Ordering::Relaxed);
    assert!(offered(&server).await, "worth another try");
}

/// A-META-4
#[tokio::test]
async fn a_check_at_start_withdraws_the_offer_before_clients_see_it() {
    let url = ClientMetadataUrl::parse(CLIENT).unwrap();
    for status in [None, Some(200), Some(404), Some(503)] {
        let web = Web::default();
        if let Some(status) = status {
            web.put(CLIENT, status, &"");
        }
        let store = Arc::new(authorization_server::MemoryStore::default());
        let config = config("https://as.example");
        let server = mcp_authz_axum::AuthorizationServer::new(
            config,
            Arc::clone(&store),
            mcp_authz_axum::DemoLogin,
        );
        let server = server.with_client_documents(web).check_client_documents(&url).await;
        let server = Server { router: server.router(), store };
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        let offer = metadata.get("client_id_metadata_document_supported");
        assert_eq!(offer.is_some(), status.is_some(), "an answer of any status is one");
    }
}
