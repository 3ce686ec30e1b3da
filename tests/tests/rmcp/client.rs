//! rmcp's own OAuth client against our servers, in memory; and the documents of each, read by the other.

use std::sync::{Arc, Mutex};

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    AuthorizationServer, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
};
use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, ClientMetadata, Entropy, FormPairs, Issuer,
    ResourceUri, ScopeSet, TokenResponse,
};
use resource_server::{OperationScopes, Resource};
use rmcp::transport::auth::{
    AuthorizationManager, AuthorizationMetadata, ClientRegistrationResponse, OAuthHttpClient,
    OAuthHttpClientFuture, OAuthHttpRequest, OAuthTokenResponse,
};
use tower::ServiceExt as _;

const REDIRECT: &str = "http://127.0.0.1:51004/callback";

/// Both servers, by the host that a request names, and what was sent to them.
#[derive(Clone)]
struct Network {
    authorization_server: Router,
    resource_server: Router,
    log: Arc<Mutex<Vec<(String, Bytes, Bytes)>>>,
}

impl Network {
    fn new() -> Self {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let scopes = OperationScopes::new("read").unwrap();
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let all = ScopeSet::parse("read write").unwrap();
        let config = Config::new(issuer.clone(), vec![uri.clone()], all, keys).unwrap();
        let store = Arc::new(MemoryStore::default());
        let resource = Resource::new(uri, vec![issuer.clone()]).unwrap();
        let protect = ProtectLayer::new(
            resource.clone(),
            StoreVerifier::new(Arc::clone(&store), issuer),
            scopes,
        );
        let mcp = Router::new().route("/mcp", any(|| async { "in" })).layer(protect);
        Self {
            authorization_server: AuthorizationServer::new(config, store, DemoLogin).router(),
            resource_server: mcp.merge(metadata_routes(&resource)),
            log: Arc::default(),
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let router = match request.uri().host() {
            Some("rs.example") => &self.resource_server,
            _ => &self.authorization_server,
        };
        let line = format!("{} {}", request.method(), request.uri());
        let sent = request.body().clone();
        let response = router.clone().oneshot(request.map(Body::from)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.log.lock().unwrap().push((line, sent, body.clone()));
        Response::from_parts(parts, body)
    }

    /// What the last request to a path sent, and what it was answered.
    fn last(&self, path: &str) -> (Bytes, Bytes) {
        let log = self.log.lock().unwrap();
        let (_, sent, answer) = log.iter().rev().find(|(line, ..)| line.ends_with(path)).unwrap();
        (sent.clone(), answer.clone())
    }

    /// A user who agrees: where the browser ends up.
    async fn browse(&self, url: &str) -> String {
        let page = self.send(Request::get(url).body(Bytes::new()).unwrap()).await;
        let html = String::from_utf8(page.body().to_vec()).unwrap();
        let (_, rest) = html.split_once("name=\"transaction\" value=\"").unwrap();
        let transaction = rest.split_once('"').unwrap().0;
        let cookie = page.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
        let answer = Request::post("https://as.example/authorize/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(format!("transaction={transaction}&decision=allow").into());
        let answer = self.send(answer.unwrap()).await;
        answer.headers()[LOCATION].to_str().unwrap().to_owned()
    }
}

impl OAuthHttpClient for Network {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        async move {
            let request = request.request.map(Bytes::from);
            Ok(self.send(request).await.map(|body| body.to_vec()))
        }
        .boxed()
    }
}

/// Our side reads its documents as well.
#[tokio::test]
async fn rmcp_logs_in_to_our_servers_and_reads_their_documents() {
    let network = Network::new();
    let client = Arc::new(network.clone());
    let manager =
        AuthorizationManager::new_with_oauth_http_client("https://rs.example/mcp", client);
    let mut manager = manager.await.unwrap();
    let metadata = manager.resolve_metadata().await.unwrap().metadata;
    assert_eq!(metadata.issuer.as_deref(), Some("https://as.example"));
    manager.set_metadata(metadata);
    manager.register_client("rmcp", REDIRECT, &["read"]).await.unwrap();
    let url = manager.get_authorization_url(&["read"]).await.unwrap();
    let callback = network.browse(&url).await;
    let form = FormPairs::parse(callback.split_once('?').unwrap().1.as_bytes()).unwrap();
    let value = |name| form.value(name).unwrap().unwrap();
    let (code, state, issuer) = (value("code"), value("state"), value("iss"));
    manager.exchange_code_for_token_with_issuer(code, state, Some(issuer)).await.unwrap();
    manager.refresh_token().await.unwrap();

    // What rmcp wrote, read by us; what we wrote, it has read.
    let (sent, answered) = network.last("/register");
    let sent = ClientMetadata::from_json(&sent).unwrap();
    assert_eq!(sent.redirect_uris, [REDIRECT]);
    assert_eq!(sent.client_name.as_deref(), Some("rmcp"));
    // Its own writing of our documents comes back to us with all that it keeps.
    let rewritten = |json: &[u8]| -> Vec<u8> {
        let document: AuthorizationMetadata = serde_json::from_slice(json).unwrap();
        serde_json::to_vec(&document).unwrap()
    };
    let (_, ours) = network.last("/.well-known/oauth-authorization-server");
    let before = AuthorizationServerMetadata::from_json(&ours).unwrap();
    assert_eq!(AuthorizationServerMetadata::from_json(&rewritten(&ours)).unwrap(), before);

    let answer: ClientRegistrationResponse = serde_json::from_slice(&answered).unwrap();
    let again = ClientInformation::from_json(&serde_json::to_vec(&answer).unwrap()).unwrap();
    let before = ClientInformation::from_json(&answered).unwrap();
    assert_eq!((again.client_id, again.metadata), (before.client_id, before.metadata));

    let (_, tokens) = network.last("/token");
    let theirs: OAuthTokenResponse = serde_json::from_slice(&tokens).unwrap();
    let again = TokenResponse::from_json(&serde_json::to_vec(&theirs).unwrap()).unwrap();
    let before = TokenResponse::from_json(&tokens).unwrap();
    assert!(again.access_token.matches(before.access_token.expose()));
    assert_eq!((again.expires_in, again.scope), (before.expires_in, before.scope));
}
