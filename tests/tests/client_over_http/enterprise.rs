//! A client that acts for an enterprise's users, against both servers and the enterprise's identity provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use authorization_server::{ClientRecord, IdentityProvider, Store as _};
use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::post;
use bytes::Bytes;
use client_auth::{ClientAuthRecord, ClientCredentials, VerifyingKeys};
use client_flow::ClientConfig;
use futures::future::BoxFuture;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mcp_authz_reqwest::{AuthorizedClient, IdentityError, IdentitySource};
use oauth_types::{
    AuthMethod, ClientId, EndpointUrl, FormPairs, Issuer, ScopeSet, Secret, SigningAlgorithm,
    UnixTime,
};
use serde_json::json;

use crate::servers::*;

const IDP: &str = "https://idp.example";
const PRIVATE: &str = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");

/// The identity provider's token endpoint: an ID token for an ID-JAG, for whoever asks.
fn token_exchange(body: &Bytes, number: usize) -> String {
    let form = FormPairs::parse(body).unwrap();
    let value = |name| form.value(name).unwrap().unwrap();
    assert_eq!(value("subject_token"), "the user's ID token");
    let scope = form.value("scope").unwrap().unwrap_or("read");
    let claims = json!({
        "iss": IDP, "sub": "alice", "aud": value("audience"), "resource": value("resource"),
        "client_id": "enterprise-app", "scope": scope, "jti": format!("jag-{number}"),
        "iat": 1_000_000, "exp": 1_000_300,
    });
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("oauth-id-jag+jwt".to_owned());
    let key = EncodingKey::from_ec_pem(PRIVATE.as_bytes()).unwrap();
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    json!({
        "access_token": token, "token_type": "N_A",
        "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag",
    })
    .to_string()
}

struct SignedIn;

impl IdentitySource for SignedIn {
    fn token<'a>(&'a self, reader: &'a Issuer) -> BoxFuture<'a, Result<Secret, IdentityError>> {
        assert_eq!(reader.as_str(), IDP);
        Box::pin(async { Ok(Secret::new("the user's ID token")) })
    }
}

/// C-EXT-2, A-TOKEN-9
#[tokio::test]
async fn an_enterprise_user_logs_in_and_steps_up_without_a_browser() {
    let servers = servers_with(
        |config| {
            let jwks = serde_json::from_str(PUBLIC).unwrap();
            let keys = VerifyingKeys::from_jwks(&jwks, Some(&SigningAlgorithm::Es256)).unwrap();
            let issuer = Issuer::parse(IDP).unwrap();
            config.with_identity_provider(IdentityProvider::new(issuer, keys)).unwrap()
        },
        |granted| {
            assert_eq!(granted.subject().as_str(), "https://idp.example#alice");
            StatusCode::OK.into_response()
        },
    )
    .await;
    let (listener, origin) = bind().await;
    let exchanges = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&exchanges);
    let exchange =
        async move |body: Bytes| token_exchange(&body, counter.fetch_add(1, Ordering::SeqCst));
    serve(listener, Router::new().route("/token", post(exchange)));

    let (id, secret) = (ClientId::parse("enterprise-app").unwrap(), Secret::new("secret"));
    let method = AuthMethod::ClientSecretBasic;
    let scopes = ScopeSet::parse("read write").unwrap();
    let authentication = ClientAuthRecord::new(method.clone()).with_secret(secret.digest());
    let now = UnixTime::from_secs(1_000_000);
    let record = ClientRecord::id_jag(id.clone(), authentication, scopes, now);
    servers.store.create_client(record, now).await.unwrap();
    let credentials = ClientCredentials::choose(id, Some(secret), Some(&method), &[]).unwrap();
    let provider = client_flow::IdentityProvider::new(
        Issuer::parse(IDP).unwrap(),
        EndpointUrl::parse(&format!("{origin}/token")).unwrap(),
        ClientCredentials::public(ClientId::parse("at-the-provider").unwrap()),
    );
    let config = ClientConfig::id_jag("Test", servers.issuer.clone(), credentials, provider);
    let client =
        AuthorizedClient::builder(&servers.mcp_url, config).identity(SignedIn).build().unwrap();
    all_ok([get(&client), get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1);
    // More is granted by another assertion.
    all_ok([call(&client, "write")]).await;
    assert_eq!((servers.tokens.load(Ordering::SeqCst), exchanges.load(Ordering::SeqCst)), (2, 2));
}
