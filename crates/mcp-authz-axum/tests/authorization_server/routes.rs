//! What the router adds to the answers of the endpoints: bounds of bodies, headers for pages, and paths where nothing
//! is.

use authorization_server::ResourceServer;
use axum::body::Body;
use client_auth::ClientAuthRecord;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ORIGIN,
};
use http::{Method, Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, ResourceUri, Secret};

use crate::server::*;

fn resource_server() -> ResourceServer {
    let method = AuthMethod::ClientSecretBasic;
    ResourceServer::new(
        ClientId::parse("rs").unwrap(),
        ClientAuthRecord::new(method).with_secret(Secret::new("secret").digest()),
        ResourceUri::parse("https://rs.example/mcp").unwrap(),
    )
}

/// A-TOKEN-10, SEC-083, SEC-098
#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let server = server();
    for path in ["/token", "/revoke", "/register"] {
        let huge = server.form(path, &"x".repeat(10 * 1024 * 1024)).await;
        assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(huge.header(CONTENT_TYPE).starts_with("application/json"));
    }
}

/// A-INT-1: nobody may where no resource server is named.
#[tokio::test]
async fn no_web_page_may_introspect_tokens() {
    // base64("rs:secret")
    let ask = |origin: &str| {
        Request::post("/introspect")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, "Basic cnM6c2VjcmV0")
            .header(ORIGIN, origin)
            .body(Body::from("token=x"))
            .unwrap()
    };
    let config = config("https://as.example").with_resource_server(resource_server());
    let open = server_of(config.unwrap());
    let answer = open.send(ask("https://page.example")).await;
    assert_eq!((answer.status, answer.header(CACHE_CONTROL)), (StatusCode::OK, "no-store"));
    assert_eq!(&answer.body[..], br#"{"active":false}"#);
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    let get = open.method(Method::GET, "/introspect").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    let closed = server().send(ask("https://page.example")).await;
    assert_eq!(closed.status, StatusCode::NOT_FOUND);
}

/// SEC-196, A-META-4
#[cfg(feature = "jwt")]
#[tokio::test]
async fn the_keys_are_public_and_cacheable_where_something_is_signed() {
    use authorization_server::SigningKeys;
    use client_auth::SigningKey;
    use oauth_types::SigningAlgorithm;
    let pem = include_str!("../../../client-auth/tests/keys/es256.pem");
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, pem).unwrap();
    let keys = SigningKeys::new(key).unwrap();
    let server = server_of(config("https://as.example").with_jwt_access_tokens(keys));
    let answer = server.get("/jwks").await;
    assert_eq!(answer.header(CONTENT_TYPE), "application/jwk-set+json");
    assert_eq!(answer.header(CACHE_CONTROL), "public, max-age=300");
    assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert_eq!(answer.json()["keys"].as_array().unwrap().len(), 1);
    assert_eq!(server.method(Method::POST, "/jwks").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let unsigned = crate::server::server();
    assert_eq!(unsigned.get("/jwks").await.status, StatusCode::NOT_FOUND);
}

#[cfg(feature = "dpop")]
mod dpop {
    use std::sync::Arc;

    use client_auth::ProofKey;
    use http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    };
    use mcp_authz_axum::{StoreVerifier, TokenVerifier as _};
    use oauth_types::{Entropy, Issuer};

    use super::*;

    /// A-META-4
    #[tokio::test]
    async fn pages_may_send_proofs_and_read_nonces() {
        let server = server();
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri("/token")
            .header(ORIGIN, "https://app.example")
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(ACCESS_CONTROL_REQUEST_HEADERS, "dpop")
            .body(Body::empty());
        let answer = server.send(preflight.unwrap()).await;
        assert!(answer.header(ACCESS_CONTROL_ALLOW_HEADERS).contains("dpop"));
        let request = Request::post("/token").header(ORIGIN, "https://app.example");
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        assert!(answer.header(ACCESS_CONTROL_EXPOSE_HEADERS).contains("dpop-nonce"));
    }

    #[tokio::test]
    async fn a_verifier_over_the_store_reads_the_key_of_a_bound_token() {
        let pem = include_str!("../../../client-auth/tests/keys/es256.pem");
        let key = ProofKey::from_pem(pem).unwrap();
        let server = server();
        let client = server.client().await;
        let issuer = Issuer::parse("https://as.example").unwrap();
        let verifier = StoreVerifier::new(Arc::clone(&server.store), issuer);
        let url = "https://as.example/token";
        let proof = key.prove(&Method::POST, url, None, None, NOW, Entropy::new([1; 16])).unwrap();
        for proof in [Some(proof), None] {
            let form = redeem(&client, &server.code(&client).await);
            let jkt = proof.as_ref().map(|_| key.thumbprint().to_owned());
            let mut request =
                Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(proof) = proof {
                request = request.header("dpop", proof);
            }
            let tokens = server.send(request.body(Body::from(form)).unwrap()).await.json();
            let token = Secret::new(tokens["access_token"].as_str().unwrap());
            let facts = verifier.verify(&token, NOW).await.unwrap().unwrap();
            assert_eq!(facts.jkt.map(|jkt| jkt.to_string()), jkt);
        }
    }
}
